//! Private networks of native apps: what of them is on the host, and what an instance finds inside.
//!
//! ```text
//!   host ──────────────────────────────────┐        namespace of an instance ──┐
//!   edge ──▶ bridge ms-… (gateway address) ─┼─ veth ─▶ eth0 (address) ◀─ app    │   hosts, resolv.conf: bind mounts
//!            rules: table mainstay_…        │         eth1 … one for each network│   (`names`)
//!   ───────────────────────────────────────┘        ───────────────────────────┘
//! ```
//! - [`Host`]: bridges as wanted, nothing else touched; the namespace of an instance.
//! - [`rules`]: who may speak to whom, as rules of nftables.
//! - [`subnet`]: free ranges and addresses; pure.
//! - [`names`]: the names that an instance resolves, rewritten in place.
//! - [`capable`]: whether this host can do all that.
//!
//! Invariants: rules are in force before the first interface that they are for; an interface that carries no mark of this home is never
//! changed or removed; a namespace and its interfaces end with the instance, whoever dies before.

mod capable;
mod host;
mod link;
pub mod names;
pub mod rules;
pub mod subnet;

pub use capable::capable;
pub use host::{Host, Wanted};
pub use link::short_name;

use ipnet::Ipv4Net;
use std::io;
use std::net::Ipv4Addr;

/// A network as this host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Name of its interface, 15 bytes at most.
    pub link: String,
    /// For people: `<stack>/<network>`.
    pub name: String,
    /// All of its addresses.
    pub subnet: Ipv4Net,
    /// The host's own.
    pub gateway: Ipv4Addr,
    /// No way out.
    pub internal: bool,
}

/// An instance on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The network.
    pub bridge: Bridge,
    /// Its address there.
    pub address: Ipv4Addr,
}

/// Why a network cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refused.
    #[error("{what}: {error}")]
    Link {
        /// What was being done.
        what: String,
        /// What it said.
        #[source]
        error: rtnetlink::Error,
    },
    /// Files, threads, namespaces.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Its addresses lead elsewhere already.
    #[error(
        "network {network}: its subnet {subnet} overlaps {route}, which this host has on {device}: give it another `subnet`, or remove that route"
    )]
    Clash {
        /// `<stack>/<network>`.
        network: String,
        /// What it should have.
        subnet: Ipv4Net,
        /// The route.
        route: Ipv4Net,
        /// Interface of the route.
        device: String,
    },
    /// Somebody else has an interface of this name.
    #[error("network {network}: the interface {link} is somebody else's: remove it (ip link delete {link})")]
    Taken {
        /// `<stack>/<network>`.
        network: String,
        /// The interface.
        link: String,
    },
    /// The rules are not in force.
    #[error("the rules of private networks cannot be set with nft: {0}")]
    Rules(String),
}
