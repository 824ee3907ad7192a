//! The immutable table the edge serves from. Two parts: `sites` change with the manifest, `upstreams` with health.
//! The edge keeps what it compiled from a site as long as [`Site::hash`] stays the same.

use ipnet::IpNet;
use model::observed::Address;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything the edge needs to serve. Sent as JSON in a sealed memory file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`crate::VERSION`] of the keeper that made it.
    pub version: u32,
    /// Grows with each snapshot of one keeper's life and beyond: a later one is always greater.
    pub revision: u64,
    /// Peers whose forwarded headers are believed.
    pub trusted: Vec<IpNet>,
    /// Sites of all stacks; no host name occurs twice.
    pub sites: Vec<Site>,
    /// Everything that routes point to.
    pub upstreams: Vec<Upstream>,
}

/// Host names and their ordered routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Of the content of this site: equal hashes, equal sites.
    pub hash: u64,
    /// Name of its stack.
    pub stack: String,
    /// Lower case, no port; `*.example.com` and `*` as in `model::spec::SiteSpec`.
    pub hosts: Vec<String>,
    /// In order; the first that matches answers.
    pub routes: Vec<Route>,
}

/// A match and what answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// `/exact`, or `/prefix/*`, as in `model::spec::RouteSpec`.
    pub path: String,
    /// What answers.
    pub handler: Handler,
    /// Milliseconds to connect.
    pub connect_ms: u64,
    /// Milliseconds between two writes of the request.
    pub send_ms: u64,
    /// Milliseconds between two reads of the response.
    pub read_ms: u64,
    /// Largest request body, in bytes.
    pub body_limit: u64,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handler {
    /// The upstream of this id.
    Proxy {
        /// [`Upstream::id`].
        upstream: String,
    },
    /// Files below this folder.
    Static {
        /// Absolute.
        root: PathBuf,
    },
}

/// An app with its instances, or a server that Mainstay does not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// `stack/app`, or `stack/=address`.
    pub id: String,
    /// What to answer when no endpoint is there.
    pub state: UpstreamState,
    /// Where requests can go.
    pub endpoints: Vec<Endpoint>,
}

/// What to answer when no endpoint takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamState {
    /// Some do.
    Ready,
    /// None yet: 503 with `Retry-After`.
    Starting,
    /// All are unhealthy: 503 at once.
    Unhealthy,
    /// Stopped, crashed or failed: 502.
    #[default]
    Down,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `model::InstanceId` as text; of a server that Mainstay does not run, its address.
    pub instance: String,
    /// Where it takes requests.
    pub address: Address,
    /// No new claims; the edge says [`crate::edge::FromEdge::Drained`] when none is left. An endpoint that
    /// disappears without having drained is treated like this too.
    pub draining: bool,
}
