//! Folders that are served, certificates and doors: what a site is made of beside its routes' policies. Complete, as a valid
//! manifest gives it; the edge's snapshot carries [`StaticSpec`] and [`DoorSpec`] as they are.

use crate::acme::SiteAcme;
use crate::policy::Coding;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The address that a host is, if it is none of names: IPv6 in brackets as in URLs (RFC 3986 section 3.2.2), or without as in certificates.
pub fn address(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// A folder that is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StaticSpec {
    /// Absolute.
    pub root: PathBuf,
    /// Names looked for in a folder, in order.
    pub index: Vec<String>,
    /// What answers a navigation (`GET` of HTML, no file extension) that finds no file: a path below the root.
    pub spa: Option<String>,
    /// `/about` answers with `about.html`, and `/about.html` leads to `/about`.
    pub clean_urls: bool,
    /// A folder's path ends with a slash, a file's does not: others are led there (301). None: only folders.
    pub trailing_slash: Option<bool>,
    /// Page of 404 answers: a path below the root. Where there is none, `404.html` if it exists.
    pub not_found: Option<String>,
    /// Lists folders without an index.
    pub listing: bool,
    /// Refused beside the default denials: patterns as in `globset`, matched against the path below the root.
    pub deny: Vec<String>,
    /// Served although the default denials refuse them.
    pub allow: Vec<String>,
    /// `Cache-Control` by pattern, the first that matches; then the defaults.
    pub cache: Vec<CacheRule>,
    /// Codings prepared once for what compresses well; empty: none.
    pub codings: Vec<Coding>,
    /// Everything is sent as what it is and nothing more: images by their type, all else as `application/octet-stream` to be
    /// saved (folders of uploads).
    pub inert: bool,
}

impl Default for StaticSpec {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            index: vec!["index.html".to_owned()],
            spa: None,
            clean_urls: false,
            trailing_slash: None,
            not_found: None,
            listing: false,
            deny: Vec::new(),
            allow: Vec::new(),
            cache: Vec::new(),
            codings: vec![Coding::Br, Coding::Zstd, Coding::Gzip],
            inert: false,
        }
    }
}

/// `Cache-Control` of some files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheRule {
    /// As in [`StaticSpec::deny`].
    pub pattern: String,
    /// The header's value.
    pub value: String,
}

/// Where a site's certificate comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsSpec {
    /// HTTP only, by choice.
    Off,
    /// From the local certificate authority, where Mainstay listens for HTTPS at all.
    #[default]
    Local,
    /// From files, watched.
    Files {
        /// PEM, the chain.
        cert: PathBuf,
        /// PEM, the private key.
        key: PathBuf,
    },
    /// From an authority of the stack's (`StackSpec::acme`).
    Acme(SiteAcme),
}

/// A certificate in files, watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PairSpec {
    /// PEM, the chain.
    pub cert: PathBuf,
    /// PEM, the private key.
    pub key: PathBuf,
}

/// Certificates that clients of a site have to show (mutual TLS).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientCertSpec {
    /// PEM file of the authorities that may have signed them.
    pub roots: PathBuf,
    /// Who shows none is refused; else only who shows a wrong one.
    pub required: bool,
}

/// Names, and all below them, that no public authority may certify (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`), and what
/// everybody uses besides.
pub const LOCAL_NAMES: [&str; 6] = ["localhost", "test", "local", "internal", "home.arpa", "lan"];

/// An address the edge listens on, and what is spoken there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorSpec {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS.
    pub tls: bool,
    /// A PROXY protocol header (version 1 or 2) comes first, from trusted peers only.
    pub proxy_protocol: bool,
    /// Only sites that name it are reached there ([`crate::spec::SiteSpec::listen`]); else the others too.
    #[serde(default)]
    pub own: bool,
}

/// How requests are spread over the instances of an app, or the servers of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// To the one with the fewest in flight; of equals in turn.
    #[default]
    LeastRequests,
    /// In turn, by weight.
    RoundRobin,
}

/// What the edge holds all clients to, whatever site they ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeSpec {
    /// Form of the access log's lines.
    pub access_log: LogFormat,
    /// Ban by repeated offence; none: nobody is banned by himself.
    pub ban: Option<BanRule>,
    /// Connections of one client address at a time (IPv6: of its /64); trusted peers have no limit.
    pub client_connections: u32,
    /// New connections of one client address in a second, on average; ten times as many at once.
    pub client_connects: u32,
    /// The two limits hold for loopback too, where tunnels and other proxies come from.
    pub limit_loopback: bool,
}

impl Default for EdgeSpec {
    fn default() -> Self {
        Self {
            access_log: LogFormat::Json,
            ban: None,
            client_connections: 1024,
            client_connects: 200,
            limit_loopback: false,
        }
    }
}

/// Ban by repeated offence: refused authentications, refused rates, malformed requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRule {
    /// So many offences …
    pub offences: u32,
    /// … within so many seconds …
    pub within_s: u32,
    /// … ban an address for so many seconds.
    pub ban_s: u32,
}

/// Form of the access log's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object each.
    #[default]
    Json,
    /// As Apache and nginx write it.
    Combined,
}
