//! `static`: folders that are served.

use super::OneOrMany;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A folder, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Static")]
pub enum StaticFile {
    /// Short for `{ root = "…" }`.
    Root(String),
    /// All of it.
    Table(StaticTable),
}

/// A folder that is served.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "StaticTable", extend("required" = ["root"]))]
pub struct StaticTable {
    /// The folder, relative to the manifest.
    pub root: Option<String>,
    /// Names looked for in a folder, in order. Default: `index.html`.
    pub index: Option<OneOrMany>,
    /// What answers a navigation that finds no file: a file below `root`; `true`: the first name of `index`. Default: `false`.
    pub spa: Option<SpaFile>,
    /// `/about` answers with `about.html`, and `/about.html` leads to `/about`. Default: `false`.
    pub clean_urls: Option<bool>,
    /// `true`: a folder's path ends with a slash and a file's does not; `false`: none does. Others are led there (301).
    /// Default: a folder's does, and files are not looked at.
    pub trailing_slash: Option<bool>,
    /// Page of 404 answers: a file below `root`. Default: `404.html`, where there is one.
    pub not_found: Option<String>,
    /// Lists folders without an index. Default: `false`.
    pub listing: Option<bool>,
    /// Files that are refused beside dotfiles, sources, scripts, configuration and dumps: patterns such as `*.map`.
    pub deny: Option<OneOrMany>,
    /// Files that are served although they would be refused by default: patterns.
    pub allow: Option<OneOrMany>,
    /// `Cache-Control` by pattern: `{ "*.pdf" = "max-age=60" }`. Of several that match the first counts.
    pub cache: BTreeMap<String, String>,
    /// Codings that are prepared once for what compresses well, or `false`. Default: as `compress` of the route.
    pub compress: Option<CodingsFile>,
    /// Files are sent as what they are and nothing more: images by their type, all else to be saved (folders of uploads).
    /// Default: `false`.
    pub inert: Option<bool>,
}

/// `true`, `false`, or a file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Spa")]
pub enum SpaFile {
    /// With the index, or not at all.
    Switch(bool),
    /// With this file.
    File(String),
}

/// `true`, `false`, or a list.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Codings")]
pub enum CodingsFile {
    /// All, or none.
    Switch(bool),
    /// These, in order of preference.
    List(Vec<CodingFile>),
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Coding")]
pub enum CodingFile {
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}
