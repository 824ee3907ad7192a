//! When a route answers, beyond its path: an expression in the words of Traefik's rules
//! (`Host`, `HostRegexp`, `Path`, `PathPrefix`, `PathRegexp`, `Method`, `Headers`, `HeadersRegexp`, `Query`, `ClientIP`; `&&`, `||`, `!`).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

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

/// As a manifest's `when` has it.
impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(list) => join(f, list, " && "),
            Self::Any(list) => join(f, list, " || "),
            Self::Not(inner) => match &**inner {
                Self::All(_) | Self::Any(_) => write!(f, "!({inner})"),
                inner => write!(f, "!{inner}"),
            },
            Self::Host(host) => call(f, "Host", &[host]),
            Self::HostRegexp(regex) => call(f, "HostRegexp", &[regex]),
            Self::Path(path) => call(f, "Path", &[path]),
            Self::PathPrefix(path) => call(f, "PathPrefix", &[path]),
            Self::PathRegexp(regex) => call(f, "PathRegexp", &[regex]),
            Self::Method(method) => call(f, "Method", &[method]),
            Self::Header(name, value) => call(f, "Header", &[name, value]),
            Self::HeaderRegexp(name, regex) => call(f, "HeaderRegexp", &[name, regex]),
            Self::Query(name, None) => call(f, "Query", &[name]),
            Self::Query(name, Some(value)) => call(f, "Query", &[name, value]),
            Self::QueryRegexp(name, regex) => call(f, "QueryRegexp", &[name, regex]),
            Self::ClientIp(net) => call(f, "ClientIP", &[&net.to_string()]),
        }
    }
}

fn join(f: &mut Formatter<'_>, list: &[Condition], sign: &str) -> fmt::Result {
    for (number, one) in list.iter().enumerate() {
        f.write_str(if number > 0 { sign } else { "" })?;
        match one {
            Condition::Any(_) | Condition::All(_) => write!(f, "({one})")?,
            one => write!(f, "{one}")?,
        }
    }
    Ok(())
}

fn call(f: &mut Formatter<'_>, name: &str, values: &[&str]) -> fmt::Result {
    write!(f, "{name}(")?;
    for (number, value) in values.iter().enumerate() {
        f.write_str(if number > 0 { ", " } else { "" })?;
        match value.contains('`') {
            false => write!(f, "`{value}`")?,
            true => write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?,
        }
    }
    f.write_str(")")
}
