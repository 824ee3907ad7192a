//! Data services, as a valid manifest gives them. Before a stack is desired each becomes an ordinary app (`data::expand`), so that
//! the plan, the shim, logs and status know only apps.

use crate::Secret;
use crate::spec::{LogSpec, RestartSpec, StopSpec};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Folders in which a server's programs are looked for after those of `PATH`: they lie outside of it for most users. Said once, for
/// `check` and for the start.
pub const SERVER_FOLDERS: [&str; 7] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/local/libexec",
    "/usr/local/mysql/bin",
];

/// One data service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Which server.
    pub kind: ServiceKind,
    /// Its loopback port; none: the server's usual one where that is free at the first start, else another. Kept from then on.
    pub port: Option<u16>,
    /// Database that is made; none: the server runs empty, for its administrator to fill.
    pub database: Option<String>,
    /// The application's account, with every right in `database` and none elsewhere.
    pub user: String,
    /// Its password; none: made at the first start, and kept.
    pub password: Option<Secret>,
    /// Character set of the database.
    pub character_set: String,
    /// Collation of the database.
    pub collation: String,
    /// Most connections at a time, the administrator's one aside.
    pub max_connections: u32,
    /// Whether connections over TCP have to be encrypted.
    pub tls: ServiceTls,
    /// Statements that take longer are logged.
    pub slow_query: Duration,
    /// Memory for cached pages, in bytes.
    pub memory: u64,
    /// System user it runs as, when Mainstay was started as root.
    pub run_as: String,
    /// Time between two health checks.
    pub interval: Duration,
    /// Time it has to become ready, recovery after a crash included.
    pub start_period: Duration,
    /// When it is started again.
    pub restart: RestartSpec,
    /// How it is stopped.
    pub stop: StopSpec,
    /// How much of its output (errors, slow statements) is kept.
    pub logs: LogSpec,
}

/// Which server a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// MariaDB.
    Mariadb,
    /// Oracle's MySQL, 8.0 or newer.
    Mysql,
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
        })
    }
}

/// Whether connections over TCP have to be encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTls {
    /// There is no certificate.
    #[default]
    Off,
    /// Whoever asks gets it.
    Optional,
    /// Others are refused.
    Required,
}
