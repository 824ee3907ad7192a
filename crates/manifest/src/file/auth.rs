//! `basic_auth` and `forward_auth`: who may ask.

use super::{DurationText, OneOrMany, SecretFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "BasicAuth")]
pub enum BasicAuthFile {
    /// `false`: none.
    Switch(bool),
    /// All of it.
    Table(BasicAuthTable),
}

/// Name and password.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BasicAuthTable")]
pub struct BasicAuthTable {
    /// Shown by the browser. Default: the site's first host.
    pub realm: Option<String>,
    /// Names, and the argon2 hash of each password as `mainstay hash-password` makes it.
    pub users: BTreeMap<String, HashFile>,
    /// File of `name:hash` lines, relative to the manifest.
    pub file: Option<String>,
}

/// A hash, or where it comes from.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "PasswordHash")]
pub enum HashFile {
    /// As `mainstay hash-password` makes it.
    Text(String),
    /// From a file or a variable.
    Secret(SecretFile),
}

/// `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ForwardAuth")]
pub enum ForwardAuthFile {
    /// `false`: none.
    Switch(bool),
    /// All of it.
    Table(ForwardAuthTable),
}

/// Another server is asked first: exactly one of `app` and `proxy`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ForwardAuthTable")]
pub struct ForwardAuthTable {
    /// Name of the app that is asked.
    pub app: Option<String>,
    /// Server that is asked: `host:port`, `http://host:port` or `unix:/path`.
    pub proxy: Option<String>,
    /// Path and query to ask for. Default: `/`.
    pub path: Option<String>,
    /// Headers of its 2xx answer that are set on the request.
    pub copy: Option<OneOrMany>,
    /// Longest wait; then 504. Default: `5s`.
    pub timeout: Option<DurationText>,
}
