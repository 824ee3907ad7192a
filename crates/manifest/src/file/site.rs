//! `[[site]]` and `[[site.route]]`: host names, certificates, and what answers a route.

use super::{
    BalanceFile, ChallengesFile, CircuitFile, DurationText, HealthFile, HoldFile, OneOrMany, PolicyKeys,
    StaticFile, StickyFile,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Host names and their ordered routes. Every key of a policy holds for all routes that do not have it themselves.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Site", extend("required" = ["hosts"], "additionalProperties" = false))]
pub struct SiteFile {
    /// Host names. `*.example.com` stands for one more label, `*` for any name.
    pub hosts: Option<OneOrMany>,
    /// Where the site is reached instead of where the stack listens: `0.0.0.0:8080`, or a list. HTTP is spoken there, or HTTPS where
    /// `[listen] https` names the same address. A host may be a site of several addresses.
    pub listen: Option<OneOrMany>,
    /// Where its certificate comes from: `acme` (an authority, see `[acme]`), `local` (the local certificate authority), a table, or `false`
    /// for HTTP only. Default: `acme` where there is an `[acme]` and all its names are public, else `local`.
    pub tls: Option<TlsFile>,
    /// PEM file of the authorities whose certificates its clients have to show, or a table. Default: nobody is asked.
    pub client_certs: Option<ClientCertsFile>,
    /// Plain HTTP is led to HTTPS (301) where the site has it. Default: `true`.
    pub https_redirect: Option<bool>,
    /// `true`: routes to apps that were stopped by `mainstay stop APP` are not there until they are started again. Default: `false`,
    /// such routes answer 502.
    pub while_running: Option<bool>,
    /// Routes in order; the first that matches answers.
    pub route: Vec<RouteFile>,
    /// What holds for all its routes.
    #[serde(flatten)]
    pub policy: PolicyKeys,
}

/// `false`, `acme`, `local`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Tls")]
pub enum TlsFile {
    /// `false`: HTTP only. `true`: as if nothing was written.
    Switch(bool),
    /// By name.
    Source(TlsSource),
    /// All of it.
    Table(TlsTable),
}

/// Who makes a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TlsSource")]
pub enum TlsSource {
    /// An authority that speaks ACME, for public names.
    Acme,
    /// The local certificate authority, for development.
    Local,
}

/// Certificate and key from files, which are watched; or how an authority is asked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TlsTable")]
pub struct TlsTable {
    /// PEM file with the certificate and its chain, relative to the manifest.
    pub cert: Option<String>,
    /// PEM file with the private key, relative to the manifest.
    pub key: Option<String>,
    /// From an authority, by this profile of its. Default: that of `[acme]`; for addresses at Let's Encrypt `shortlived`.
    pub profile: Option<String>,
    /// From an authority, the names proved so. Default: that of `[acme]`.
    pub challenge: Option<ChallengesFile>,
}

/// A certificate for the names in it: sites with these names have it before any from an authority.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Certificate", extend("required" = ["cert", "key"]))]
pub struct CertificateFile {
    /// PEM file with the certificate and its chain, relative to the manifest; watched.
    pub cert: Option<String>,
    /// PEM file with the private key, relative to the manifest; watched.
    pub key: Option<String>,
}

/// A PEM file, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ClientCerts")]
pub enum ClientCertsFile {
    /// Short for `{ roots = "…" }`.
    Roots(String),
    /// All of it.
    Table(ClientCertsTable),
}

/// Certificates that clients have to show.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ClientCertsTable", extend("required" = ["roots"]))]
pub struct ClientCertsTable {
    /// PEM file of the authorities that may have signed them, relative to the manifest.
    pub roots: Option<String>,
    /// `false`: who shows none is let in too. Default: `true`.
    pub required: Option<bool>,
}

/// A match and what answers it: exactly one of `app`, `apps`, `proxy`, `static`, `redirect`, `metrics` and `dashboard`. Every key of a policy
/// stands in the place of the site's.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Route", extend("additionalProperties" = false))]
pub struct RouteFile {
    /// What people call it: the dashboard shows it. Default: none.
    pub name: Option<String>,
    /// `/exact`, or `/prefix/*` for `/prefix` and everything below it. Default: `/*`, everything.
    pub path: Option<String>,
    /// When it answers, beside the path, in the words of Traefik's rules: ``Method(`POST`) && !Header(`X-Old`, `1`)``. Default: always.
    pub when: Option<String>,
    /// Name of the app that answers.
    pub app: Option<String>,
    /// Which port of the app's, beside its own: of an app in a container, or on a private network.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// Servers that Mainstay does not run: `host:port`, `http://host:port` or `unix:/path`, a list of them, or a table.
    pub proxy: Option<ProxyFile>,
    /// Folder whose files are served, relative to the manifest, or a table.
    #[serde(rename = "static")]
    pub files: Option<StaticFile>,
    /// Where the client is sent, or a table.
    pub redirect: Option<RedirectFile>,
    /// Several apps, in turn: a list of tables with `app` and `weight`.
    pub apps: Option<Vec<ShareFile>>,
    /// `true`: the edge's Prometheus metrics answer.
    pub metrics: Option<bool>,
    /// `true`: a page (and JSON) with all routes of the stack, where they lead, and how that is.
    pub dashboard: Option<bool>,
    /// Where its requests wait while no instance can take them, as an app's `hold`. Default: the app's; with `proxy` none waits.
    pub hold: Option<HoldFile>,
    /// What applies beside that.
    #[serde(flatten)]
    pub policy: PolicyKeys,
}

/// An app's share of a route's requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Share", extend("required" = ["app"]))]
pub struct ShareFile {
    /// Name of the app.
    pub app: Option<String>,
    /// Which port of the app's, beside its own: of an app in a container, or on a private network.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// Of each of its instances, beside those of the other apps. Default: 1.
    #[schemars(range(min = 1, max = 65535))]
    pub weight: Option<i64>,
}

/// A server, a list of servers, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Proxy")]
pub enum ProxyFile {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<ServerFile>),
    /// All of it.
    Table(Box<ProxyTable>),
}

/// Servers that Mainstay does not run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ProxyTable", extend("required" = ["servers"]))]
pub struct ProxyTable {
    /// `host:port`, `http://host:port`, `unix:/path`, or tables with a weight.
    pub servers: Option<Vec<ServerFile>>,
    /// How requests are spread: `least-requests` or `round-robin`. Default: `round-robin` where a server has a weight, else
    /// `least-requests`.
    pub balance: Option<BalanceFile>,
    /// Most requests in flight for each server; more wait at the edge. With 1 no connection is kept. Default: no bound.
    #[schemars(range(min = 1, max = 1000000))]
    pub concurrency: Option<i64>,
    /// A client's requests go to the server that had its first one: `{ cookie = "NAME" }`. Default: each goes where it fits.
    pub sticky: Option<StickyFile>,
    /// Time over which a server that became healthy again gets its full share of requests. Default: at once.
    pub slow_start: Option<DurationText>,
    /// When a server is left alone because requests fail there: `false`, or a table. Default: after 5 failures in a row,
    /// for `10s`.
    pub circuit: Option<CircuitFile>,
    /// Most requests that are sent again, in percent of those that came; ten each second always may. Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<i64>,
    /// They speak HTTP/2 without TLS (h2c, with prior knowledge). Default: `false`.
    pub http2: Option<bool>,
    /// How their health is found out: a path to `GET`, or a table. Default: they are always asked.
    pub health: Option<HealthFile>,
}

/// A server, or a table with its weight.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Server")]
pub enum ServerFile {
    /// With weight 1.
    Address(String),
    /// With a weight.
    Table(ServerTable),
}

/// A server and its share of the requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ServerTable", extend("required" = ["server"]))]
pub struct ServerTable {
    /// `host:port`, `http://host:port` or `unix:/path`.
    pub server: Option<String>,
    /// Its share of the requests, beside the other servers' weights. Default: 1.
    #[schemars(range(min = 1, max = 65535))]
    pub weight: Option<i64>,
}

/// A target, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Redirect")]
pub enum RedirectFile {
    /// Short for `{ to = "…" }`.
    To(String),
    /// All of it.
    Table(RedirectTable),
}

/// Where a client is sent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RedirectTable", extend("required" = ["to"]))]
pub struct RedirectTable {
    /// A URL or a path; `{scheme}`, `{host}`, `{path}` and `{query}` (with its `?`, or nothing) are replaced.
    pub to: Option<String>,
    /// 301, 302, 303, 307 or 308. Default: 301; write 308 to keep the method of a `POST`.
    #[schemars(range(min = 301, max = 308))]
    pub status: Option<i64>,
}
