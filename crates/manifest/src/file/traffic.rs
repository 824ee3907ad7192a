//! How requests meet instances: keys that apps and tables of `proxy` share.

use super::DurationText;
use schemars::JsonSchema;
use serde::Deserialize;

/// A client belongs to an instance by a cookie that the edge sets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Sticky", extend("required" = ["cookie"]))]
pub struct StickyFile {
    /// Name of the cookie.
    pub cookie: Option<String>,
}

/// `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Circuit")]
pub enum CircuitFile {
    /// With the defaults of the table, or not at all.
    Switch(bool),
    /// All of it.
    Table(CircuitTable),
}

/// When an instance is left alone because requests fail there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CircuitTable")]
pub struct CircuitTable {
    /// After so many failures in a row: refused, reset before an answer, silent. Default: 5.
    #[schemars(range(min = 1, max = 1000000))]
    pub failures: Option<i64>,
    /// For so long; then one request tries it. Default: `10s`.
    pub open: Option<DurationText>,
}
