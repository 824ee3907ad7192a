//! The immutable table the edge serves from. Two parts: `sites` change with the manifest, `upstreams` with health.
//! The edge keeps what it compiled from a site as long as [`Site::hash`] stays the same.

use ipnet::IpNet;
use model::condition::Condition;
use model::network::Protocol;
use model::observed::Address;
use model::policy::PolicySpec;
use model::redact::RedactKind;
use model::site::{Balance, DoorSpec, EdgeSpec, StaticSpec};
use model::spec::RedirectSpec;
use model::traffic::{HoldSpec, TrafficSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
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
    /// Sites of all stacks; no host name occurs twice at one address.
    pub sites: Vec<Site>,
    /// Everything that routes point to.
    pub upstreams: Vec<Upstream>,
    /// What is spoken on which listening address; empty: plain HTTP on all. Else nobody is accepted on one that is not named.
    pub doors: Vec<DoorSpec>,
    /// Addresses where nothing is looked at and all is passed on.
    #[serde(default)]
    pub forwards: Vec<Forward>,
    /// For TLS; a host name is looked up like a site's: an exact name before a wildcard before `*`. Of several for the same name the
    /// first is served: so those that somebody wrote into a manifest stand before those of an authority.
    pub certificates: Vec<Certificate>,
    /// They came apart, with this revision ([`crate::edge::ToEdge::Certificates`]); `certificates` is empty then.
    #[serde(default)]
    pub certificates_of: Option<u64>,
    /// Answers to challenges of HTTP-01: given on every listening address that speaks HTTP, before anything else is looked at.
    #[serde(default)]
    pub http_challenges: Vec<HttpChallenge>,
    /// Certificates of TLS-ALPN-01, for handshakes that offer nothing but `acme-tls/1` (RFC 8737 section 3). An address may stand as
    /// itself or in its reverse form (RFC 8738 section 6).
    #[serde(default)]
    pub alpn_challenges: Vec<Certificate>,
    /// A handshake for a name that there is no certificate for is told to the keeper ([`crate::edge::FromEdge::Unknown`]), and waits
    /// a moment for one.
    #[serde(default)]
    pub on_demand: bool,
    /// Keys of resumption tickets, the current one first; those behind it only open old tickets.
    pub ticket_keys: Vec<TicketKey>,
    /// Addresses that are refused before anything else is done for them.
    pub bans: Vec<Ban>,
    /// The host's own rules for clients and logs.
    pub edge: EdgeSpec,
    /// By [`Site::stack`]: where its requests are logged. A stack that is not named logs with everybody, nothing masked.
    #[serde(default)]
    pub logs: BTreeMap<String, LogPlace>,
    /// What the cookies of [`TrafficSpec::sticky`] are made with: the same for every keeper of a home.
    #[serde(default)]
    pub sticky_key: StickyKey,
}

/// Key of the cookies by which a client belongs to an instance.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StickyKey(pub String);

impl fmt::Debug for StickyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StickyKey")
    }
}

/// Where requests are logged, and what of them is masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Folder of an `access.log` of its own, which the edge's user can write into.
    pub dir: Option<PathBuf>,
    /// Kinds of text; [`RedactKind::Secrets`] means nothing here, for the edge knows no app's secrets.
    pub redact: Vec<RedactKind>,
}

/// An address where all is passed on to an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Where the edge listens.
    pub address: SocketAddr,
    /// What is passed on.
    pub protocol: Protocol,
    /// [`Upstream::id`].
    pub upstream: String,
}

/// A certificate and its private key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Names it is served for, as in [`Site::hosts`].
    pub hosts: Vec<String>,
    /// PEM, the leaf first.
    pub chain: String,
    /// PEM.
    pub key: String,
}

/// An answer to a challenge (RFC 8555 section 8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpChallenge {
    /// The last part of `/.well-known/acme-challenge/…`.
    pub token: String,
    /// The whole body: no secret.
    pub answer: String,
}

/// What clients of a site have to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCerts {
    /// PEM of the authorities that may have signed it.
    pub roots: String,
    /// Who shows none is refused.
    pub required: bool,
}

/// Key of resumption tickets (RFC 5077, RFC 8446 section 4.6.1): never written to disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    /// Says which key a ticket was made with.
    pub name: [u8; 16],
    /// AES-256-GCM.
    pub secret: [u8; 32],
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").finish_non_exhaustive()
    }
}

/// An address that is refused for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Address or network.
    pub net: IpNet,
    /// Milliseconds since the epoch.
    pub until_ms: u64,
    /// What for, in words.
    pub reason: String,
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
    /// Only reached at these addresses; empty: at all that are not somebody's own ([`DoorSpec::own`]).
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// What its clients have to show; none: nobody is asked.
    #[serde(default)]
    pub client_certs: Option<ClientCerts>,
    /// Plain HTTP is led to HTTPS (301).
    pub https_redirect: bool,
    /// In order; the first that matches answers.
    pub routes: Vec<Route>,
}

/// A match and what answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// What people call it; only for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `/exact`, or `/prefix/*`, as in `model::spec::RouteSpec`.
    pub path: String,
    /// When it answers, beside the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
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
    /// What applies beside the handler.
    pub policy: PolicySpec,
    /// Where its requests wait for an instance; none: as [`Upstream::traffic`] says.
    pub hold: Option<HoldSpec>,
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
    /// Files below a folder.
    Static(StaticSpec),
    /// The client is sent elsewhere.
    Redirect(RedirectSpec),
    /// Prometheus metrics.
    Metrics,
    /// What is routed where, and how it is.
    Dashboard,
}

/// An app with its instances, or a server that Mainstay does not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// `stack/app`, `stack/app:port`, or `stack/=address`.
    pub id: String,
    /// What to answer when no endpoint is there.
    pub state: UpstreamState,
    /// How they are spread over the endpoints.
    pub balance: Balance,
    /// The endpoints speak HTTP/2 without TLS.
    pub http2: bool,
    /// Where requests can go.
    pub endpoints: Vec<Endpoint>,
    /// How requests meet them.
    #[serde(default)]
    pub traffic: TrafficSpec,
    /// Instances that are there and take no requests: to be shown.
    #[serde(default)]
    pub aside: Vec<Aside>,
}

/// An instance that is there and takes no requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// `model::InstanceId` as text.
    pub instance: String,
    /// Why: [`UpstreamState::Starting`] or [`UpstreamState::Unhealthy`].
    pub state: UpstreamState,
}

/// What to answer when no endpoint takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamState {
    /// Some do.
    Ready,
    /// None yet: held, else 503 with `Retry-After`.
    Starting,
    /// The last one ended and is started again: held, else 502.
    Restarting,
    /// None runs until a request comes: held, and the keeper is told ([`crate::edge::FromEdge::Wanted`]); else 503 with `Retry-After`.
    Asleep,
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
    /// Share of the requests, for [`Balance::RoundRobin`].
    pub weight: u32,
    /// Revision of its stack that it was started for; 0: not known, or not ours.
    #[serde(default)]
    pub release: u64,
    /// Process id of the instance, where it is known.
    #[serde(default)]
    pub pid: Option<u32>,
}
