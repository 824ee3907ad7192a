//! `headers`, `request_headers` and `cors`.

use super::{DurationText, OneOrMany};
use schemars::JsonSchema;
use serde::Deserialize;

/// A value, `false`, a table, or a list of tables.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Header")]
pub enum HeaderFile {
    /// Short for `{ value = "…" }`.
    Value(String),
    /// `false`: removed.
    Switch(bool),
    /// All of it.
    Table(HeaderTable),
    /// Several, for different paths.
    List(Vec<HeaderTable>),
}

/// One change of a header.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HeaderTable", extend("required" = ["value"]))]
pub struct HeaderTable {
    /// Its value; `false`: removed.
    pub value: Option<HeaderValueFile>,
    /// `set`: whatever the other side said; `default`: unless it said one; `add`: beside what it said. Default: `set`.
    pub mode: Option<HeaderMode>,
    /// Only for these paths: `/a`, `/a/*`, `**/*.js`. Default: all.
    pub paths: Option<OneOrMany>,
    /// Only over HTTPS. Default: `false`.
    pub https_only: Option<bool>,
}

/// A value, or `false`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "HeaderValue")]
pub enum HeaderValueFile {
    /// This.
    Value(String),
    /// `false`: removed.
    Switch(bool),
}

/// What is done with a header.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HeaderMode")]
pub enum HeaderMode {
    /// Unless the other side said one.
    Default,
    /// Whatever the other side said.
    Set,
    /// Beside what the other side said.
    Add,
}

/// `false`, origins, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Cors")]
pub enum CorsFile {
    /// `false`: the application's own business.
    Switch(bool),
    /// Short for `{ origins = "…" }`.
    Origin(String),
    /// Short for `{ origins = […] }`.
    Origins(Vec<String>),
    /// All of it.
    Table(CorsTable),
}

/// Cross-origin resource sharing, answered by the edge. Texts may hold several values with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CorsTable", extend("required" = ["origins"]))]
pub struct CorsTable {
    /// Origins (`https://example.com`), or `*` for any.
    pub origins: Option<OneOrMany>,
    /// Methods they may use. Default: `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`.
    pub methods: Option<OneOrMany>,
    /// Request headers they may send. Default: whatever they ask for.
    pub headers: Option<OneOrMany>,
    /// Response headers that their scripts may read. Default: none beside the usual.
    pub expose: Option<OneOrMany>,
    /// Cookies and the like may be sent. Default: `false`.
    pub credentials: Option<bool>,
    /// How long a browser may keep the answer to its question. Default: `10m`.
    pub max_age: Option<DurationText>,
}
