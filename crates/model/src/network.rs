//! Private networks of a stack, who is on them, and what of the host's ports leads to an app beside its sites.

use crate::AppName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A private network. Its key in [`crate::spec::StackSpec::networks`] is its name inside the manifest; an app that names none, of a stack that
/// has containers, is on `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// What the engine calls it; none: `<stack>_<key>`.
    pub name: Option<String>,
    /// It is somebody else's: never made, never removed.
    pub external: bool,
    /// Driver; none: `bridge`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Address ranges; empty: one that is free.
    pub subnets: Vec<SubnetSpec>,
    /// No way out of it.
    pub internal: bool,
    /// IPv6 too.
    pub ipv6: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetSpec {
    /// All of it.
    pub subnet: IpNet,
    /// The host's own address in it; none: the first.
    pub gateway: Option<IpAddr>,
    /// Where instances' addresses are taken from; none: all of it.
    pub range: Option<IpNet>,
}

/// An app is on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JoinSpec {
    /// Key of the network.
    pub network: String,
    /// Names of the app on it, beside its own.
    pub aliases: Vec<String>,
    /// Fixed address, only with one instance.
    pub address: Option<IpAddr>,
}

/// Whom an app waits for, and until when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedCondition {
    /// Until it takes requests and its health check succeeds.
    #[default]
    Healthy,
    /// Until its process runs.
    Started,
    /// Until it has ended with exit status 0.
    Completed,
}

/// A port of the host's that leads to an app without HTTP being looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardSpec {
    /// Where the edge listens.
    pub listen: SocketAddr,
    /// What.
    pub protocol: Protocol,
    /// To whom.
    pub app: AppName,
    /// Port of its instances; none: where it takes requests.
    pub port: Option<u16>,
}

/// What is forwarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Streams.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}
