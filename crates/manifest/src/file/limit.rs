//! `limit` and `concurrency`: how many requests.

use schemars::JsonSchema;
use serde::Deserialize;

/// `false`, a rate, a table, or a list.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Limit")]
pub enum LimitFile {
    /// `false`: none.
    Switch(bool),
    /// Short for `{ rate = "…" }`.
    Rate(String),
    /// All of it.
    Table(LimitTable),
    /// All of them must let a request pass.
    List(Vec<LimitItem>),
}

/// A rate, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "LimitItem")]
pub enum LimitItem {
    /// Short for `{ rate = "…" }`.
    Rate(String),
    /// All of it.
    Table(LimitTable),
}

/// Requests in a time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "LimitTable", extend("required" = ["rate"]))]
pub struct LimitTable {
    /// `10/s`, `100/m`, `1000/h` or `5000/d`; they may come evenly.
    pub rate: Option<String>,
    /// So many more at once: from idle `burst` + 1 pass. Default: the rate's number less one, so that `10/s` lets ten pass.
    #[schemars(range(min = 0, max = 1000000))]
    pub burst: Option<i64>,
    /// What is counted by: `client` (the address), `route`, `header:NAME` or `cookie:NAME`. Default: `client`.
    pub by: Option<String>,
    /// Status of the refusal. Default: 429.
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<i64>,
    /// Limits with equal zones share one count. Default: each its own.
    pub zone: Option<String>,
}

/// `false`, a number, a table, or a list.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Concurrency")]
pub enum ConcurrencyFile {
    /// `false`: none.
    Switch(bool),
    /// Short for `{ most = … }`.
    Most(#[schemars(range(min = 1, max = 1000000))] i64),
    /// All of it.
    Table(ConcurrencyTable),
    /// All of them must let a request pass.
    List(Vec<ConcurrencyTable>),
}

/// Requests at a time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ConcurrencyTable", extend("required" = ["most"]))]
pub struct ConcurrencyTable {
    /// Requests in flight.
    #[schemars(range(min = 1, max = 1000000))]
    pub most: Option<i64>,
    /// What is counted by: `route`, `client`, `header:NAME` or `cookie:NAME`. Default: `route`.
    pub by: Option<String>,
    /// Status of the refusal. Default: 503.
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<i64>,
    /// Limits with equal zones share one count. Default: each its own.
    pub zone: Option<String>,
}
