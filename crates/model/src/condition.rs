//! When a route answers, beyond its path: an expression in the words of Traefik's rules
//! (`Host`, `HostRegexp`, `Path`, `PathPrefix`, `PathRegexp`, `Method`, `Headers`, `HeadersRegexp`, `Query`, `ClientIP`; `&&`, `||`, `!`).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Most memory that one compiled regular expression of a condition may take, in bytes.
pub const REGEX_SIZE: usize = 1 << 20;

/// True or false of a request's head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// All of them; of none: true.
    All(Vec<Condition>),
    /// One of them; of none: false.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// The host, lower case, without port.
    Host(String),
    /// A regular expression (of the crate `regex`, as all here) that is found in the host, lower case, without port.
    HostRegexp(String),
    /// The path is exactly this.
    Path(String),
    /// The path begins with this, as text (`/api` is also true of `/apiary`: Traefik's own meaning).
    PathPrefix(String),
    /// A regular expression that is found in the path.
    PathRegexp(String),
    /// The method.
    Method(String),
    /// A header has exactly this value.
    Header(String, String),
    /// A regular expression is found in a header's value.
    HeaderRegexp(String, String),
    /// A parameter of the query has this value, decoded; none: it is there at all.
    Query(String, Option<String>),
    /// A regular expression is found in a parameter's value.
    QueryRegexp(String, String),
    /// The client's address.
    ClientIp(IpNet),
}
