//! `mainstay.toml` as it is written: every key there is, its type, its default and what it means. One definition
//! for three uses: serde reads it, `schemars` makes `docs/mainstay.schema.json` of it, and [`crate::shape`] walks
//! a document along that schema to find every unknown key and wrong type at once.
//!
//! Rules that keep the three in step: every field is an `Option` or has a default (a key that was wrong is left out,
//! and the rest is still checked); of the alternatives of an untagged enum no two have the same TOML type; whole
//! numbers are `i64` with a `range`, so that the schema says which fit.

mod acme;
mod app;
mod auth;
mod build;
mod confine;
mod container;
mod edge;
mod files;
mod forward;
mod headers;
mod hold;
mod limit;
mod policy;
mod recycle;
mod service;
mod site;
mod stack;
mod task;
mod traffic;

pub use acme::*;
pub use app::*;
pub use auth::*;
pub use build::*;
pub use confine::*;
pub use container::*;
pub use edge::*;
pub use files::*;
pub use forward::*;
pub use headers::*;
pub use hold::*;
pub use limit::*;
pub use policy::*;
pub use recycle::*;
pub use service::*;
pub use site::*;
pub use stack::*;
pub use task::*;
pub use traffic::*;

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A stack: one manifest and all that it runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "mainstay.toml")]
pub struct ManifestFile {
    /// Name of the stack: lower-case letters, digits, `-` and `_`. Default: the name of the manifest's folder.
    pub stack: Option<String>,
    /// Peers whose `X-Forwarded-*`, `X-Real-IP` and `X-Request-Id` are believed: addresses or networks. Default: none.
    pub trusted: Option<OneOrMany>,
    /// Where the edge listens.
    pub listen: ListenFile,
    /// What all clients are held to, whatever site they ask for.
    pub edge: EdgeFile,
    /// Certificates from an authority, for sites with public names.
    pub acme: AcmeFile,
    /// Certificates from files that are served for the names in them, whatever site has those.
    pub certificate: Vec<CertificateFile>,
    /// Sites: host names and their ordered routes.
    pub site: Vec<SiteFile>,
    /// Ports that lead to an app whatever is spoken there.
    pub forward: Vec<ForwardFile>,
    /// Apps by name: code of yours, run as instances.
    pub app: BTreeMap<String, AppFile>,
    /// Services by name: databases that Mainstay runs. No app has the same name.
    pub service: BTreeMap<String, ServiceFile>,
    /// Tasks by name: commands that run by the clock. No app or service has the same name.
    pub task: BTreeMap<String, TaskFile>,
    /// Private networks by name.
    pub network: BTreeMap<String, NetworkFile>,
    /// Volumes by name.
    pub volume: BTreeMap<String, VolumeFile>,
    /// Logs of the stack.
    pub logs: StackLogsFile,
    /// What the stack does not own any more: `mainstay cleanup` removes it.
    pub cleanup: CleanupFile,
}

/// A text, or a list of texts.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TextOrList")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
}

/// A length of time: numbers with the units `ms`, `s`, `m`, `h`, `d`, as in `1.5s`, `250ms`, `1h30m`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Duration", extend("pattern" = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$|[$]"))]
pub struct DurationText(pub String);

/// A number of bytes: a whole number, or a text with the unit `B`, `KB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB` or
/// `GiB` (powers of 1024).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Size")]
pub enum SizeText {
    /// Bytes.
    Bytes(#[schemars(range(min = 0))] i64),
    /// With a unit.
    Text(String),
}

/// How requests are spread.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Balance")]
pub enum BalanceFile {
    /// To the one with the fewest requests in flight.
    LeastRequests,
    /// In turn.
    RoundRobin,
}
