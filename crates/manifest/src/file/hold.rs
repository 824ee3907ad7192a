//! `hold`: where requests wait for an instance.

use super::{DurationText, SizeText};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many requests may wait for an instance, or a table with the bounds of waiting; `0` or `false`: none waits.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Hold")]
pub enum HoldFile {
    /// `false`: none waits. `true`: as if nothing was written.
    Switch(bool),
    /// So many.
    Requests(#[schemars(range(min = 0, max = 1_000_000))] i64),
    /// All of it.
    Table(HoldTable),
}

/// Bounds of requests that wait for an instance. Beyond them: 503 with `Retry-After`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HoldTable")]
pub struct HoldTable {
    /// Most requests that wait at once. Default: 1000.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub requests: Option<i64>,
    /// Most memory that they take. Default: `64MiB`.
    pub bytes: Option<SizeText>,
    /// Longest wait of one. Default: `30s`.
    pub wait: Option<DurationText>,
}
