//! The keeper: composition root of the control process.
//!
//! - [`api`]: the words of the control API.
//! - [`home`]: where files and sockets are.

pub mod api;
pub mod home;

use std::net::SocketAddr;
use std::path::PathBuf;

/// How a keeper is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its home ([`home::Home::of_host`] or [`home::Home::of_stack`]).
    pub home: PathBuf,
    /// The `mainstay` binary, started again as edge and shims.
    pub exe: PathBuf,
    /// `up`: children end with the keeper, however it ends.
    pub foreground: bool,
    /// Put up this stack first (`up`); otherwise what the store says is wanted.
    pub stack: Option<api::StackRequest>,
}

/// What the owner of a running keeper wants of it; sent through a `tokio::sync::watch` channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Go on.
    No,
    /// `up`: drain and stop everything in order, then end. Daemon: end, and leave apps and edge running.
    Orderly,
    /// `up`: end everything at once. Daemon: as `Orderly`.
    Now,
}

/// Address overrides, as given on the command line.
pub type HttpAddresses = Vec<SocketAddr>;
