//! `[service.NAME]`: servers of data that Mainstay runs.

use super::{DurationText, LogsFile, RestartFile, SecretFile, SizeText, StopFile};
use schemars::JsonSchema;
use serde::Deserialize;

/// A database that Mainstay runs; apps that need it get its address and password.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Service", extend("required" = ["kind"]))]
pub struct ServiceFile {
    /// Which server: `mariadb` or `mysql`.
    pub kind: Option<ServiceKindFile>,
    /// Its loopback port. Default: the server's usual one where that is free at the first start, else another; kept from then on.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// Database that is made. Default: none.
    pub database: Option<String>,
    /// The application's account, with every right in `database` and none elsewhere. Default: the database's name, else the service's.
    pub user: Option<String>,
    /// Its password. Default: one is made at the first start, and kept.
    pub password: Option<SecretFile>,
    /// Character set of the database. Default: `utf8mb4`.
    pub character_set: Option<String>,
    /// Collation of the database, one of its character set. Default: `utf8mb4_unicode_ci`.
    pub collation: Option<String>,
    /// Most connections at a time. Default: 100.
    #[schemars(range(min = 1, max = 100000))]
    pub max_connections: Option<i64>,
    /// Whether connections over TCP are encrypted: `off`, `optional` or `required`. Default: `off`.
    pub tls: Option<ServiceTlsFile>,
    /// Statements that take longer are logged. Default: `1s`.
    pub slow_query: Option<DurationText>,
    /// Memory for cached pages. Default: `128MiB`.
    pub memory: Option<SizeText>,
    /// System user it runs as, when Mainstay was started as root. Default: `mysql`.
    pub run_as: Option<String>,
    /// Time between two health checks. Default: `10s`.
    pub interval: Option<DurationText>,
    /// Time it has to become ready, recovery after a crash included. Default: `120s`.
    pub start_period: Option<DurationText>,
    /// When it is started again after it ended: as of an app. Default: `always`.
    pub restart: Option<RestartFile>,
    /// How it is stopped: as of an app. Default: SIGTERM, 60 seconds, no time to drain.
    pub stop: StopFile,
    /// How much of its output is kept: as of an app.
    pub logs: LogsFile,
}

/// Which server a service is.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ServiceKind")]
pub enum ServiceKindFile {
    /// MariaDB.
    Mariadb,
    /// Oracle's MySQL, 8.0 or newer.
    Mysql,
}

/// Whether connections over TCP are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ServiceTls")]
pub enum ServiceTlsFile {
    /// There is no certificate.
    Off,
    /// Whoever asks gets it.
    Optional,
    /// Others are refused.
    Required,
}
