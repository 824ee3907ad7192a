//! `[[forward]]`: ports that lead to an app without a look at what is said.

use schemars::JsonSchema;
use serde::Deserialize;

/// A port of the host's that leads to an app whatever is spoken there: a database, a game, mail. HTTP is better off with a site.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Forward", extend("required" = ["listen", "app"]))]
pub struct ForwardFile {
    /// Where the edge listens: an address with a port; `:53` is all addresses, of IPv4 and IPv6.
    pub listen: Option<String>,
    /// Name of the app.
    pub app: Option<String>,
    /// Which port of the app's, where its instances have addresses of their own (containers, private networks). Default: where it takes requests.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// `tcp` or `udp`. Default: `tcp`.
    pub protocol: Option<ProtocolFile>,
}

/// What is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Protocol")]
pub enum ProtocolFile {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}
