//! The data plane: connections, routing, static files, proxying. One process of its own, started as `mainstay edge`; it serves
//! from one immutable snapshot that the keeper sends, and serves on when the keeper is gone.
//!
//! A request's way, file by file:
//! - [`connection`]: a client's socket, idle without a buffer → [`exchange`]: head, decisions ([`admit`], [`gate`], [`prepare`]), one handler
//! - [`tls`], [`proxy_protocol`]: what comes before HTTP where a door asks for it; [`challenge`]: certificate authorities are answered
//! - [`table`], [`hosts`], [`router`]: host and path to a route; [`compile`]: snapshot to table, on the control thread
//! - [`proxy`]: claim ([`upstream`], [`instance`], [`latency`]), connection ([`pool`], [`connect`]), then [`relay`] with its two [`body`] pumps
//! - [`files`], [`redirect`], [`answer`], [`error_page`] and [`date`]: answers of the edge's own
//! - [`h2`]: HTTP/2, whose streams take sockets' places
//! - [`policy`]: what applies beside the handler; [`policy::response`] sees the head of every answer; [`coding`]: who takes which
//! - [`headers`]: heads both ways; [`request_id`], [`trace`]; [`record`], [`log_line`] and [`access_log`]: one line for each request; [`failures`]: why it failed
//! - [`guard`]: what clients are held to, and bans; [`metrics`]: figures
//!
//! Below: [`worker`] (a thread and its runtime), [`bounds`], [`timer`] (coarse deadlines), [`buffer`], [`pipe`], [`stream`], [`html`], [`wake`]. Beside: [`control`],
//! which speaks with the keeper.
//!
//! Invariants: no lock on the request path; an idle connection holds no buffer and no timer of its own; every wait has a
//! deadline; every queue a bound; a claim lasts exactly as long as its instance works for the request.

mod access_log;
mod admit;
mod answer;
mod body;
mod bounds;
mod budget;
mod buffer;
mod challenge;
mod circuit;
mod coding;
mod compile;
mod connect;
mod connection;
mod control;
mod dashboard;
mod date;
mod error_page;
mod exchange;
mod failures;
mod files;
mod forward;
mod gate;
mod guard;
mod h2;
mod headers;
mod hold;
mod hosts;
mod html;
mod instance;
mod latency;
mod log_line;
mod metrics;
mod pipe;
mod policy;
mod pool;
mod prepare;
mod proxy;
mod proxy_protocol;
mod record;
mod redirect;
mod relay;
mod request_id;
mod router;
mod schedule;
mod sticky;
mod stream;
mod table;
mod timer;
mod tls;
mod trace;
mod upstream;
mod wake;
mod warm;
mod when;
mod worker;

use access_log::AccessLog;
use access_log::writer::{Rotation, Writer};
pub use bounds::Bounds;
pub use connection::Deadlines;
use control::Control;
use failures::ring::Rings;
pub use files::decode as decode_file_path;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use telemetry::rotate::RotatingFile;

/// Bounds on heads and chunk framing, of both sides.
pub(crate) const LIMITS: http1::Limits = http1::Limits::DEFAULT;

/// How the edge is started.
#[derive(Debug)]
pub struct Options {
    /// Where it listens for the keeper (`wire::edge`); a socket left behind by a former edge is replaced.
    pub socket: PathBuf,
    /// That socket, bound already: the keeper's folder may be closed to the user that the edge runs as. None: bound here.
    pub listener: Option<OwnedFd>,
    /// Folder of `access.log`.
    pub log_dir: PathBuf,
    /// Bytes at which an access log is rotated.
    pub log_size: u64,
    /// Full ones kept of each.
    pub log_keep: u32,
    /// Worker threads; none: one for each core.
    pub workers: Option<usize>,
    /// Read end of a pipe: when it closes, the edge stops accepting, gives what runs five seconds, and ends.
    pub lifetime: Option<OwnedFd>,
}

/// Runs the edge until it is told to end. The caller has set up `tracing`.
///
/// # Errors
/// Where the control socket, the access log or a thread cannot be had; nothing was served then.
pub fn run(options: Options) -> io::Result<()> {
    run_with(options, Deadlines::default(), None)
}

/// The same with other deadlines for clients, and other bounds of each worker than the machine's.
///
/// # Errors
/// Those of [`run`].
pub fn run_with(options: Options, deadlines: Deadlines, bounds: Option<Bounds>) -> io::Result<()> {
    let workers = options.workers.unwrap_or_else(cores).max(1);
    let path = options.log_dir.join(access_log::writer::NAME);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    let rotation = Rotation { size: options.log_size, keep: options.log_keep };
    let file = RotatingFile::open(&path, rotation.size, rotation.keep).map_err(named)?;
    let places = Arc::default();
    let failures = Rings::new(options.log_dir.join(wire::failure::FOLDER));
    let mut lines = Writer::new(Arc::clone(&places), file, rotation, failures);
    let (log, writer) = AccessLog::start(places, move |batch| lines.write(batch))?;
    let socket = match options.listener {
        Some(listener) => listener.into(),
        None => sys::unix_socket::bind(&options.socket, 0o600)?,
    };
    let bounds = bounds.unwrap_or_else(|| Bounds::of_system(workers));
    let connections = bounds.connections;
    let control = Control::start(socket, options.lifetime, workers, bounds, deadlines, log)?;
    tracing::info!(workers, connections, socket = %options.socket.display(), "the edge is up");
    control.run()?;
    // All fronts of the log are gone with the workers: what is left is written, then the thread ends.
    writer.join().map_err(|_| io::Error::other("the access log's writer panicked"))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
