//! `[listen]` and `[edge]`: the front door as a whole.

use super::{DurationText, OneOrMany};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the edge listens.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Listen")]
pub struct ListenFile {
    /// Addresses with port for plain HTTP; `:8080` is all addresses, of IPv4 and IPv6. Default: `127.0.0.1:8080`.
    pub http: Option<OneOrMany>,
    /// Addresses with port for HTTPS, for every site whose `tls` is not `false`. Default: none, all sites are HTTP only.
    pub https: Option<OneOrMany>,
    /// Each connection of a trusted peer begins with a PROXY protocol header (version 1 or 2). Default: `false`.
    pub proxy_protocol: Option<bool>,
}

/// What all clients are held to, whatever site they ask for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Edge")]
pub struct EdgeFile {
    /// Form of the access log's lines: `json` or `combined`. Default: `json`.
    pub access_log: Option<LogFormatFile>,
    /// Connections of one client. What is written here holds for loopback too.
    pub client: Option<ClientFile>,
    /// Ban by repeated offence: `true`, or a table. Default: `false`.
    pub ban: Option<BanFile>,
}

/// Form of the access log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogFormat")]
pub enum LogFormatFile {
    /// One JSON object each.
    Json,
    /// As Apache and nginx write it.
    Combined,
}

/// Connections of one client address (IPv6: of its /64).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Client")]
pub struct ClientFile {
    /// At a time. Default: 1024.
    #[schemars(range(min = 1, max = 1000000))]
    pub connections: Option<i64>,
    /// New ones in a second, on average: `200/s`; ten times as many at once. Default: `200/s`.
    pub connects: Option<String>,
}

/// `true`, `false`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Ban")]
pub enum BanFile {
    /// With the defaults of the table, or not at all.
    Switch(bool),
    /// All of it.
    Table(BanTable),
}

/// Ban by repeated offence: refused authentications, refused rates, malformed requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "BanTable")]
pub struct BanTable {
    /// So many offences of one address. Default: 10.
    #[schemars(range(min = 1, max = 1000000))]
    pub offences: Option<i64>,
    /// Within this time. Default: `10m`.
    pub within: Option<DurationText>,
    /// Ban it for this time. Default: `1h`.
    #[serde(rename = "for")]
    pub time: Option<DurationText>,
}
