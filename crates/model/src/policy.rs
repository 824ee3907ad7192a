//! What applies to a route beside its handler: who may ask, how often, what is changed on the way. A valid manifest gives it
//! complete (what a site says for all its routes is in each of them); the edge's snapshot carries it as it is.
//!
//! Order on the request's way: maintenance, access, methods, file types, rate limits, concurrency, CORS preflight, basic authentication,
//! forward authentication, rewriting, request headers; on the way back: CORS, response headers, error pages, compression.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Everything of one route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicySpec {
    /// Nobody gets through but these.
    pub maintenance: Option<MaintenanceSpec>,
    /// Addresses that may ask.
    pub access: AccessSpec,
    /// Methods that are passed on, upper case; empty: all. Others get 405 with `Allow`.
    pub methods: Vec<String>,
    /// Extensions that may be asked for (without the dot, lower case); empty: all. A path whose last segment has another gets 403.
    pub file_types: Vec<String>,
    /// All of them must let a request pass.
    pub rates: Vec<RateSpec>,
    /// Requests at a time.
    pub concurrency: Vec<ConcurrencySpec>,
    /// Cross-origin resource sharing, answered by the edge.
    pub cors: Option<CorsSpec>,
    /// Name and password (RFC 7617).
    pub basic_auth: Option<BasicAuthSpec>,
    /// Another server is asked first.
    pub forward_auth: Option<ForwardAuthSpec>,
    /// Changes of the path, in order.
    pub rewrite: Vec<RewriteSpec>,
    /// Changes of the request's head.
    pub request_headers: Vec<HeaderSpec>,
    /// Changes of the response's head, security headers among them.
    pub response_headers: Vec<HeaderSpec>,
    /// Pages for answers of the edge's own (and, where asked, of the application) with these statuses.
    pub error_pages: Vec<ErrorPageSpec>,
    /// Compression of answers; none: off.
    pub compress: Option<CompressSpec>,
}

/// A route that is closed for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceSpec {
    /// Page to show; none: the edge's own.
    pub page: Option<PathBuf>,
    /// Seconds for `Retry-After`.
    pub retry_after: u32,
    /// Addresses that get through.
    pub allow: Vec<IpNet>,
}

/// Lists of addresses. The narrowest entry that holds an address decides; with none: allowed, unless there is an allow list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccessSpec {
    /// May ask.
    pub allow: Vec<IpNet>,
    /// May not: 403.
    pub deny: Vec<IpNet>,
}

/// What a limit counts by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySpec {
    /// The client's address (IPv6: its /64).
    Client,
    /// This header's value; a request without it is counted by address.
    Header(String),
    /// This cookie's value; a request without it is counted by address.
    Cookie(String),
    /// All requests of the route together.
    Route,
}

/// At most `count` requests in `per_ms` milliseconds, evenly, and `burst` more at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateSpec {
    /// Requests with equal zones and keys share one count, across routes and snapshots.
    pub zone: String,
    /// Requests.
    pub count: u32,
    /// In so many milliseconds.
    pub per_ms: u64,
    /// More at once: from idle `burst + 1` pass.
    pub burst: u32,
    /// Counted by this.
    pub by: KeySpec,
    /// Status of the refusal: 429 (with `Retry-After`) or 503.
    pub status: u16,
}

/// At most so many requests at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConcurrencySpec {
    /// As in [`RateSpec::zone`].
    pub zone: String,
    /// Requests in flight.
    pub most: u32,
    /// Counted by this.
    pub by: KeySpec,
    /// Status of the refusal.
    pub status: u16,
}

/// Cross-origin resource sharing (WHATWG Fetch, section 3.3). Where it is set, what the application says itself is replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorsSpec {
    /// Origins (`https://example.com`), exactly; `*` alone: any, without credentials. Empty: none.
    pub origins: Vec<String>,
    /// Methods of `Access-Control-Allow-Methods`.
    pub methods: Vec<String>,
    /// Headers of `Access-Control-Allow-Headers`; empty: what the preflight asks for.
    pub headers: Vec<String>,
    /// Headers of `Access-Control-Expose-Headers`.
    pub expose: Vec<String>,
    /// Cookies and the like may be sent.
    pub credentials: bool,
    /// Seconds a preflight's answer is kept.
    pub max_age: u32,
}

/// Name and password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BasicAuthSpec {
    /// Shown by the browser.
    pub realm: String,
    /// Who may pass.
    pub users: Vec<UserSpec>,
}

/// A user of [`BasicAuthSpec`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct UserSpec {
    /// Name.
    pub name: String,
    /// Argon2 hash of the password, a PHC string.
    pub hash: String,
}

impl fmt::Debug for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Before the handler another server is asked with the request's head, by `GET`: 2xx lets it pass, any other answer is the client's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForwardAuthSpec {
    /// `wire::snapshot::Upstream::id` in a snapshot; in a manifest's specification the app's name, or `=` and an
    /// `UpstreamAddress` as text: `=host:port`, `=unix:/path` (`UpstreamAddress::from_text`).
    pub upstream: String,
    /// Path and query to ask for.
    pub path: String,
    /// Headers of a 2xx answer that are set on the request.
    pub copy: Vec<String>,
    /// Longest wait, in milliseconds; then 504.
    pub timeout_ms: u64,
}

/// One change of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewriteSpec {
    /// Removes this prefix (whole segments) and says it in `X-Forwarded-Prefix`; nothing left becomes `/`.
    StripPrefix(String),
    /// Puts this before the path.
    AddPrefix(String),
    /// Where the regular expression matches the path (the query stays), puts this, with `$1` and `$name`.
    Replace {
        /// Pattern of the crate `regex`.
        pattern: String,
        /// What comes in the place of the match.
        with: String,
    },
}

/// One change of a head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeaderSpec {
    /// Name, as it is to be written.
    pub name: String,
    /// What is done with it.
    pub change: HeaderChange,
    /// Only for these paths (as a route's path, `*` also within: `**/*.js`); empty: all.
    pub paths: Vec<String>,
    /// Only over HTTPS.
    pub https_only: bool,
}

/// What is done with a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderChange {
    /// This value, unless the other side said one.
    Default(String),
    /// This value, whatever the other side said.
    Set(String),
    /// This value beside what the other side said.
    Add(String),
    /// Removed.
    Remove,
}

/// A page for statuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorPageSpec {
    /// From this status …
    pub from: u16,
    /// … to this.
    pub to: u16,
    /// The page; `{status}`, `{title}` and `{request_id}` in it are replaced.
    pub page: PathBuf,
    /// Also in place of what the application answered.
    pub replace: bool,
}

/// Compression of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressSpec {
    /// Media types (`text/html`, `text/*`), without parameters. Event streams never.
    pub types: Vec<String>,
    /// Smallest body, in bytes, where its length is known.
    pub min: u64,
    /// In order of preference.
    pub codings: Vec<Coding>,
}

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// RFC 7932.
    Br,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}
