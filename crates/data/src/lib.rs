//! Data services: what a `[service.NAME]` of a manifest needs to become an ordinary app.
//!
//! ```text
//! keeper:  ServiceSpec ── expand ──▶ AppSpec (`mainstay service run FILE`, as the database's system user) + what apps get of it
//! shim:    mainstay service run FILE ── folder checked, made if new ──▶ exec of the server, which provisions itself before it listens
//! ```
//! Invariants: expanding the same twice gives the same (the port and the password are chosen once); no password stands in an argument
//! list, a log or an error; a data folder that is not this server's is never touched.

mod client;
mod description;
mod error;
mod expand;
mod folder;
mod health;
mod kept;
mod programs;
mod render;
mod run;
mod upgrade;
mod url;

pub use client::client;
pub use description::description_in;
pub use error::DataError;
pub use expand::expand;
pub use health::health;
pub use run::run;
pub use url::{Url, url};

use model::spec::{AppSpec, EnvValue};
use std::path::{Path, PathBuf};

/// Where a service lives.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its folder in the home: configuration, password, data.
    pub folder: &'a Path,
    /// The unix socket it listens on; the same for every run.
    pub socket: &'a Path,
    /// User and group id it runs as; none: those of the keeper.
    pub owner: Option<(u32, u32)>,
    /// Certificate, key and authority (PEM) where connections can be encrypted.
    pub tls: Option<&'a TlsFiles>,
    /// Nothing is written: what was not chosen yet is chosen for this once (a dry run).
    pub dry: bool,
}

/// PEM files for encrypted connections.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Its certificate with the chain.
    pub cert: PathBuf,
    /// The key of that; only the service's user reads it.
    pub key: PathBuf,
    /// The authority that clients verify it with.
    pub ca: PathBuf,
}

/// A service as the rest of the house knows it.
#[derive(Debug, Clone)]
pub struct Expanded {
    /// The app that it is.
    pub app: AppSpec,
    /// Variables that an app gets which needs it.
    pub gives: Vec<(String, EnvValue)>,
    /// Name and version of the server, for people: `MariaDB 10.11.19`.
    pub server: String,
}
