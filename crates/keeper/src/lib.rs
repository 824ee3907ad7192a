//! The keeper: composition root of the control process. It owns what is desired, plans and executes changes, binds the
//! listening sockets, and answers the control API. It is the parent of no application.
//!
//! The change flow, top to bottom:
//!
//! - [`boot`]: lock, store, folders; finds the edge and the shims of a former keeper again.
//! - [`control`]: the control API; every call becomes a message to the loop.
//! - [`wish`]: what a call asks for is recorded or refused; [`change`]: manifests loaded and compared.
//! - [`services`]: data services become apps, and apps get their addresses; [`secrets`]: what is generated for an app.
//! - [`stack`]: one stack's desired state; [`keeper`]: the loop: message → fold → judge → plan → execute → publish.
//! - [`certificates`]: made, loaded, checked and renewed for the edge.
//! - [`issue`]: one without a keeper.
//! - [`builds`]: what apps start from, built by their steps before; [`images`]: the same of containers.
//! - [`execute`]: the plan's steps, journalled. [`publish`]: the edge's snapshot.
//! - [`admission`]: what stacks reserve, against what there is; [`confinement`]: what instances are really held to.
//! - [`merge`]: what stacks say about the edge they share.
//! - [`edge_host`]: the edge process and the listening sockets; [`edge_link`]: what the loop and the edge tell each other.
//! - [`herald`]: what a service manager is told; [`handed`]: listening sockets that it gave.
//! - [`beside`]: the second edge, while one takes over from another; [`hand_over`]: the keeper becomes another program; [`trial`]: that
//!   proves itself first; [`programs`]: the programs a home was run by.
//! - [`bans`]: who is refused for a while. [`servers`]: health of servers that Mainstay does not run.
//! - [`metrics`]: figures for Prometheus.
//! - [`status`]: what `mainstay status` shows; [`service_status`]: of data services.
//! - [`why`]: why a request failed.
//! - [`api`], [`home`]: the words of the control API, and where files and sockets are.

mod admission;
mod alerts;
pub mod api;
mod bans;
mod beat;
mod beside;
mod boot;
mod builds;
mod certificates;
mod change;
mod confinement;
mod contained;
mod control;
mod edge_host;
mod edge_link;
mod ending;
mod engine_host;
mod error;
mod exec;
mod execute;
mod hand_over;
mod handed;
mod herald;
pub mod home;
pub mod image_verbs;
mod images;
mod instance_status;
mod issue;
mod keeper;
mod load;
mod log_folder;
mod merge;
mod metrics;
mod networks;
pub mod programs;
mod publish;
mod recycle;
mod reports;
mod resolve;
mod scale;
mod schedule;
mod secrets;
mod servers;
mod service_status;
mod services;
mod signal;
mod slots;
mod sockets;
mod stack;
mod status;
mod task_status;
mod tasks;
pub mod trial;
mod urls;
mod usage;
mod user;
mod verbs;
pub mod why;
mod wish;

pub use error::KeeperError;
pub use hand_over::execute;
pub use issue::standalone as issue_standalone;
pub use networks::usable as networks_usable;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
pub use store::SCHEMA;
pub use supervisor::confine::doubts as not_enforceable;
use tokio::sync::{Notify, watch};
pub use trial::Trial;

/// How a keeper is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its home ([`home::Home::of_host`] or [`home::Home::of_stack`]).
    pub home: PathBuf,
    /// The `mainstay` binary, started again as edge and shims.
    pub exe: PathBuf,
    /// `up`: children end with the keeper, however it ends.
    pub foreground: bool,
    /// Listening sockets that a service manager handed over: used for addresses that a stack wants.
    pub handed: Vec<Arc<TcpListener>>,
    /// Told to read all manifests again.
    pub hangup: Arc<Notify>,
    /// It has to prove that it can take over from another program.
    pub trial: Option<Trial>,
    /// Put up this stack first (`up`); otherwise what the store says is wanted.
    pub stack: Option<api::StackRequest>,
}

/// What the owner of a running keeper wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Go on.
    No,
    /// `up`: drain and stop everything in order, then end. Daemon: end, and leave apps and edge running.
    Orderly,
    /// `up`: end everything at once. Daemon: as `Orderly`.
    Now,
}

/// Time that a thread for blocking work waits for the next: for good, there are a handful.
const THREADS_STAY: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// Runs a keeper until it is told to end, or until it becomes another program (`mainstay upgrade`). Blocks.
///
/// # Errors
/// When it cannot begin: another keeper holds the home, the manifest has errors, an address is taken. After it has
/// begun it does not give up.
pub fn run(options: Options, mut shutdown: watch::Receiver<Shutdown>) -> Result<(), KeeperError> {
    if !options.foreground {
        hand_over::reap_inherited();
    }
    let ended = run_loop(options.clone(), shutdown.clone());
    if let (Err(error), Some(trial)) = (&ended, &options.trial) {
        trial.say(&trial::Verdict::Failed(error.to_string()));
    }
    match ended? {
        Some(attempt) => hand_over::run(&options, &attempt, &mut shutdown),
        None => Ok(()),
    }
}

/// Gives what the keeper is to become.
fn run_loop(
    options: Options,
    shutdown: watch::Receiver<Shutdown>,
) -> Result<Option<programs::Attempt>, KeeperError> {
    // It holds every private key: no app of the same user is to read them, and no core file to keep them.
    sys::process::close_memory()?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // While one lives, blocking work waits for it where the system gives no further thread (an app of the same user may have
    // taken them all); without one the runtime would panic.
    let runtime = builder.enable_all().thread_keep_alive(THREADS_STAY).build()?;
    runtime.block_on(runtime.spawn_blocking(|| ())).map_err(std::io::Error::other)?;
    let result = runtime.block_on(boot::run(options, shutdown));
    // A name look-up may hang in a blocking thread; nothing that matters runs there any more.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}
