//! What applies to a route beside what answers it. Each key may stand on a site, for all its routes, or on a route.

use super::{
    BasicAuthFile, CodingFile, ConcurrencyFile, CorsFile, DurationText, ForwardAuthFile, HeaderFile,
    LimitFile, OneOrMany, SizeText,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keys that a site and a route have in common.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PolicyKeys {
    /// Longest silence of the application, or each stage by itself. Default: `60s`.
    pub timeout: Option<TimeoutFile>,
    /// Largest request body; a larger one gets 413 before the application is called. Default: `10MiB`.
    pub body: Option<SizeText>,
    /// `true`, or a table: nobody gets through, the answer is 503. Default: `false`.
    pub maintenance: Option<MaintenanceFile>,
    /// Addresses or networks that may ask; with it, no other may. The narrowest entry of `allow` and `deny` decides.
    pub allow: Option<OneOrMany>,
    /// Addresses or networks that may not ask: 403.
    pub deny: Option<OneOrMany>,
    /// Methods that are passed on, others get 405. `GET` brings `HEAD` with it. Default: all.
    pub methods: Option<OneOrMany>,
    /// File name extensions that may be asked for; a path with another gets 403. Default: all.
    pub file_types: Option<OneOrMany>,
    /// Requests in a time: `10/s`, a table, or a list of them. `false`: none. Default: none.
    pub limit: Option<LimitFile>,
    /// Requests at a time: a number, a table, or a list of them. `false`: none. Default: none.
    pub concurrency: Option<ConcurrencyFile>,
    /// Origins that browsers may call from, or a table. `false`: the application's own business. Default: `false`.
    pub cors: Option<CorsFile>,
    /// Name and password. `false`: none. Default: none.
    pub basic_auth: Option<BasicAuthFile>,
    /// Another server is asked first, with the request's head. `false`: none. Default: none.
    pub forward_auth: Option<ForwardAuthFile>,
    /// Removes this from the beginning of the path, and says it in `X-Forwarded-Prefix`.
    pub strip_prefix: Option<String>,
    /// Puts this before the path.
    pub add_prefix: Option<String>,
    /// Regular expressions over the path and what comes in the place of their matches, in order.
    pub rewrite: Option<Vec<RewriteFile>>,
    /// Headers of the request: a value that is set, `false` to remove, or a table.
    pub request_headers: BTreeMap<String, HeaderFile>,
    /// Headers of the answer: a value that is set, `false` to remove, or a table.
    pub headers: BTreeMap<String, HeaderFile>,
    /// The usual security headers, where the application does not send its own. Default: `true`.
    pub security_headers: Option<bool>,
    /// Pages by status: `404`, `5xx` or `500-503`.
    pub error_pages: BTreeMap<String, ErrorPageFile>,
    /// Compression of answers: `true`, `false`, or a table. Default: `true`.
    pub compress: Option<CompressFile>,
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

/// `true`, `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Maintenance")]
pub enum MaintenanceFile {
    /// With the defaults of the table, or not at all.
    Switch(bool),
    /// All of it.
    Table(MaintenanceTable),
}

/// A route that is closed for a while.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MaintenanceTable")]
pub struct MaintenanceTable {
    /// Page to show, relative to the manifest. Default: Mainstay's own.
    pub page: Option<String>,
    /// What `Retry-After` says. Default: `10m`.
    pub retry_after: Option<DurationText>,
    /// Addresses or networks that get through.
    pub allow: Option<OneOrMany>,
}

/// One change of the path.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Rewrite", extend("required" = ["match", "with"]))]
pub struct RewriteFile {
    /// Regular expression; what it matches is replaced.
    #[serde(rename = "match")]
    pub pattern: Option<String>,
    /// What comes in its place; `$1` and `$name` are what groups matched.
    pub with: Option<String>,
}

/// A page, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ErrorPage")]
pub enum ErrorPageFile {
    /// Short for `{ page = "…" }`.
    Page(String),
    /// All of it.
    Table(ErrorPageTable),
}

/// A page for statuses.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ErrorPageTable", extend("required" = ["page"]))]
pub struct ErrorPageTable {
    /// The page, relative to the manifest; `{status}`, `{title}` and `{request_id}` in it are replaced.
    pub page: Option<String>,
    /// Also in the place of what the application answered. Default: `false`.
    pub replace: Option<bool>,
}

/// `true`, `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Compress")]
pub enum CompressFile {
    /// With the defaults of the table, or not at all.
    Switch(bool),
    /// All of it.
    Table(CompressTable),
}

/// Compression of answers.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CompressTable")]
pub struct CompressTable {
    /// Media types: `text/html`, `text/*`. Default: HTML, CSS, JavaScript, JSON, XML, SVG, plain text and the like.
    pub types: Option<OneOrMany>,
    /// Smallest body that is compressed. Default: `1KiB`.
    pub min: Option<SizeText>,
    /// `br`, `zstd`, `gzip` in order of preference. Default: these three.
    pub codings: Option<Vec<CodingFile>>,
}
