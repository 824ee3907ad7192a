//! Sites, their routes, and what answers those.

use crate::AppName;
use crate::condition::Condition;
use crate::lifecycle::HealthSpec;
use crate::policy::PolicySpec;
use crate::site::{Balance, ClientCertSpec, StaticSpec, TlsSpec};
use crate::traffic::{HoldSpec, TrafficSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Host names and their ordered routes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteSpec {
    /// Host names, lower case, without port; `*.example.com` stands for one more label; `*` for any name.
    pub hosts: Vec<String>,
    /// Where it is reached, beside or instead of the stack's own `http` and `https`; empty: there. The same name may be a site of several
    /// addresses.
    pub listen: Vec<SocketAddr>,
    /// Where its certificate comes from.
    pub tls: TlsSpec,
    /// Certificates that its clients have to show; none: nobody is asked.
    #[serde(default)]
    pub client_certs: Option<ClientCertSpec>,
    /// Plain HTTP is led to HTTPS (301) where the site has it.
    pub https_redirect: bool,
    /// Routes to apps that an administrator stopped are not there: 404, or the next route.
    pub while_running: bool,
    /// Routes in the order of the manifest; the first that matches answers.
    pub routes: Vec<RouteSpec>,
}

/// A match and what answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// What people call it, if they do: Traefik's name of the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path to match: `/exact`, or `/prefix/*` for `/prefix` and everything below it; `/*` matches all.
    pub path: String,
    /// When it answers, beside the path; none: always.
    pub when: Option<Condition>,
    /// What answers.
    pub handler: HandlerSpec,
    /// How long each stage may take.
    pub timeouts: Timeouts,
    /// Largest request body, in bytes; more is refused with 413 before the application is called.
    pub body_limit: u64,
    /// What applies beside the handler.
    pub policy: PolicySpec,
    /// Where its requests wait for an instance; none: as the app says.
    pub hold: Option<HoldSpec>,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandlerSpec {
    /// An app of this stack.
    App(AppName),
    /// Another port of an app whose instances have addresses of their own (containers, private networks).
    Port(AppName, u16),
    /// Servers that Mainstay does not run.
    Proxy(ProxySpec),
    /// Files below a folder.
    Static(StaticSpec),
    /// The client is sent elsewhere.
    Redirect(RedirectSpec),
    /// Prometheus metrics of the edge.
    Metrics,
    /// Several apps of this stack, in turn, each with its share of the requests.
    Apps(Vec<ShareSpec>),
    /// What is routed where, and how it is, for people and programs.
    Dashboard,
}

/// An app's share of a route's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareSpec {
    /// The app.
    pub app: AppName,
    /// Another port of it than its own.
    pub port: Option<u16>,
    /// Of each of its instances, beside the other apps' instances.
    pub weight: u32,
}

/// Where a client is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RedirectSpec {
    /// A URL or a path; `{scheme}`, `{host}`, `{path}` (with its leading slash), `{query}` (with its `?`, or nothing) are replaced.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Servers that Mainstay does not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxySpec {
    /// At least one.
    pub servers: Vec<ServerSpec>,
    /// How requests are spread over them.
    pub balance: Balance,
    /// They speak HTTP/2 without TLS (h2c, with prior knowledge).
    pub http2: bool,
    /// How their health is found out; none: they are always in rotation.
    pub health: Option<HealthSpec>,
    /// How requests meet them. Nobody knows when such a server will be back: they are not held for one unless that is asked for.
    pub traffic: TrafficSpec,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Where it is.
    pub address: UpstreamAddress,
    /// Its share of the requests, for [`Balance::RoundRobin`].
    pub weight: u32,
}

/// Address of a server that Mainstay does not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamAddress {
    /// Host name or address, and port; looked up by the keeper, again at every reconcile.
    Tcp(String, u16),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl UpstreamAddress {
    /// What [`Display`](fmt::Display) wrote.
    pub fn from_text(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Self::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::Tcp(host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
    }
}

/// `host:port`, an IPv6 address in brackets, or `unix:/path`.
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How long each stage of a proxied request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// To connect to the instance.
    pub connect: Duration,
    /// Between two writes of the request.
    pub send: Duration,
    /// Between two reads of the response; an event stream that speaks is not cut.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), send: Duration::from_secs(60), read: Duration::from_secs(60) }
    }
}

/// Default of [`RouteSpec::body_limit`]: 10 MiB.
pub const DEFAULT_BODY_LIMIT: u64 = 10 << 20;
