//! `mainstay.toml` as it is written: every key there is, its type, its default and what it means. One definition
//! for three uses: serde reads it, `schemars` makes `docs/mainstay.schema.json` of it, and [`crate::shape`] walks
//! a document along that schema to find every unknown key and wrong type at once.
//!
//! Rules that keep the three in step: every field is an `Option` or has a default (a key that was wrong is left out,
//! and the rest is still checked); of the alternatives of an untagged enum no two have the same TOML type; whole
//! numbers are `i64` with a `range`, so that the schema says which fit.

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
    /// Sites: host names and their ordered routes.
    pub site: Vec<SiteFile>,
    /// Apps by name: code of yours, run as instances.
    pub app: BTreeMap<String, AppFile>,
}

/// Where the edge listens.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Listen")]
pub struct ListenFile {
    /// Addresses with port for plain HTTP. Default: `127.0.0.1:8080`.
    pub http: Option<OneOrMany>,
}

/// Host names and their ordered routes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Site", extend("required" = ["hosts"]))]
pub struct SiteFile {
    /// Host names. `*.example.com` stands for one more label, `*` for any name.
    pub hosts: Option<OneOrMany>,
    /// Routes in order; the first that matches answers.
    pub route: Vec<RouteFile>,
}

/// A match and what answers it: exactly one of `app`, `proxy` and `static`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Route")]
pub struct RouteFile {
    /// `/exact`, or `/prefix/*` for `/prefix` and everything below it. Default: `/*`, everything.
    pub path: Option<String>,
    /// Name of the app that answers.
    pub app: Option<String>,
    /// Server that Mainstay does not run: `host:port`, `http://host:port` or `unix:/path`.
    pub proxy: Option<String>,
    /// Folder whose files are served, relative to the manifest.
    #[serde(rename = "static")]
    pub files: Option<String>,
    /// Longest silence of the application, or each stage by itself. Default: `60s`.
    pub timeout: Option<TimeoutFile>,
    /// Largest request body; a larger one gets 413 before the application is called. Default: `10MiB`.
    pub body: Option<SizeText>,
}

/// Longest time between two reads of the response, or a table with each stage.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Timeout")]
pub enum TimeoutFile {
    /// Only `read`.
    Read(DurationText),
    /// Each stage.
    Stages(StagesFile),
}

/// How long each stage of a proxied request may take.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TimeoutStages")]
pub struct StagesFile {
    /// To connect to the instance. Default: `5s`.
    pub connect: Option<DurationText>,
    /// Between two writes of the request. Default: `60s`.
    pub send: Option<DurationText>,
    /// Between two reads of the response; an event stream that speaks is not cut. Default: `60s`.
    pub read: Option<DurationText>,
}

/// Code of yours, run as instances.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "App", extend("required" = ["run"]))]
pub struct AppFile {
    /// Command and arguments: a text that is split into words as a shell does, or a list. Never run by a shell.
    /// `$PORT`, `$SOCKET` and `$HOST` are replaced when an instance starts.
    pub run: Option<OneOrMany>,
    /// Working folder, relative to the manifest. Default: the manifest's folder.
    pub dir: Option<String>,
    /// Environment beyond what every app gets. Wins over `env_file`.
    pub env: BTreeMap<String, EnvFileValue>,
    /// Files of `KEY=value` lines, relative to the manifest; a later one wins. Their values are masked wherever shown.
    pub env_file: Option<OneOrMany>,
    /// How many instances. Default: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub instances: Option<i64>,
    /// Fixed loopback port, only with one instance. Default: a unix socket if `run` or `env` names `$SOCKET`, else a free
    /// port given as `$PORT`.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// `false`: the app does not listen (a worker). Default: `true`.
    pub listen: Option<bool>,
    /// Apps that must be ready before this one starts; they are stopped after it.
    pub needs: Option<OneOrMany>,
    /// How health is found out: a path to `GET`, or a table. Default: connecting to the instance.
    pub health: Option<HealthFile>,
    /// When an instance that ended is started again: `always`, `on-failure`, `never`, or a table. Default: `always`.
    pub restart: Option<RestartFile>,
    /// How an instance is stopped.
    pub stop: StopFile,
    /// System user it runs as, when Mainstay was started as root.
    pub user: Option<String>,
    /// How much of its output is kept.
    pub logs: LogsFile,
}

/// A value of the environment.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EnvValue")]
pub enum EnvFileValue {
    /// As it is.
    Text(String),
    /// Written out in decimal.
    Integer(i64),
    /// As it is written.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Masked wherever it would be shown.
    Secret(SecretFile),
}

/// A secret value: exactly one of `file` and `secret`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Secret")]
pub struct SecretFile {
    /// File that holds the value, relative to the manifest; one trailing newline is removed.
    pub file: Option<String>,
    /// The value, usually from a variable: `${TOKEN}`.
    pub secret: Option<String>,
}

/// A path to `GET`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Health")]
pub enum HealthFile {
    /// Short for `{ path = "…" }`.
    Path(String),
    /// All of it.
    Table(HealthTable),
}

/// How health is found out: at most one of `path`, `tcp` and `command`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HealthTable")]
pub struct HealthTable {
    /// `GET` this path; healthy when the status is 2xx or 3xx.
    pub path: Option<String>,
    /// Connect to the instance. This is the default.
    pub tcp: Option<bool>,
    /// Run this in the app's folder and environment; healthy when it exits with 0.
    pub command: Option<OneOrMany>,
    /// Time between two tries. Default: `10s`.
    pub interval: Option<DurationText>,
    /// Longest time of one try. Default: `5s`.
    pub timeout: Option<DurationText>,
    /// Failures in a row until an instance is unhealthy. Default: 3.
    #[schemars(range(min = 1, max = 1000))]
    pub retries: Option<i64>,
    /// Time a starting instance has to become ready. Default: `60s`.
    pub start_period: Option<DurationText>,
}

/// A policy, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Restart")]
pub enum RestartFile {
    /// Short for `{ policy = "…" }`.
    Policy(PolicyFile),
    /// All of it.
    Table(RestartTable),
}

/// After which ends an instance is started again.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RestartPolicy")]
pub enum PolicyFile {
    /// After every end.
    Always,
    /// After every end but exit status 0.
    OnFailure,
    /// Never.
    Never,
}

/// When an instance that ended is started again.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RestartTable")]
pub struct RestartTable {
    /// After which ends. Default: `always`.
    pub policy: Option<PolicyFile>,
    /// Time before the first start again; doubles with each unstable end. Default: `1s`.
    pub delay: Option<DurationText>,
    /// Longest such time. Default: `60s`.
    pub max_delay: Option<DurationText>,
    /// An instance that lived as long as this ends the count of unstable ends. Default: `10s`.
    pub min_uptime: Option<DurationText>,
    /// Unstable ends in a row until the instance is `failed` and not started again. Default: 10.
    #[schemars(range(min = 0, max = 1000000))]
    pub max_restarts: Option<i64>,
}

/// How an instance is stopped.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Stop")]
pub struct StopFile {
    /// Signal its main process gets first. Default: `SIGTERM`.
    pub signal: Option<String>,
    /// Time until every process of the instance gets SIGKILL. Default: `30s`.
    pub timeout: Option<DurationText>,
    /// Time that requests in flight have, before that, to end by themselves. Default: `30s`.
    pub drain: Option<DurationText>,
}

/// How much output is kept for each instance and stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Logs")]
pub struct LogsFile {
    /// Size of a file at which the next one is begun. Default: `10MB`.
    pub max_size: Option<SizeText>,
    /// How many full files are kept beside the current one. Default: 5.
    #[schemars(range(min = 0, max = 1000))]
    pub keep: Option<i64>,
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
