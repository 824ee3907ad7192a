//! The edge process and the listening sockets. The keeper binds them and keeps duplicates, so that a dead edge's queue of
//! accepted connections waits for the next one; a restarted keeper gets them back from the living edge.
//!
//! ```text
//! ensure ─▶ connect ─ answered ─────────────▶ Connected (listeners taken over if there are any)
//!              └ nobody there ─▶ spawn ─▶ connect again
//! link lost ─▶ ensure
//! ```

use crate::error::KeeperError;
use crate::home::Home;
use crate::keeper::Edge;
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::frame::FrameSocket;
use sys::process::{Credentials, Spawn};
use sys::user::User;
use tokio::sync::mpsc;
use wire::edge::{FromEdge, Listener, Retiring, ToEdge};
use wire::snapshot::{Certificate, Snapshot};

/// Longest time from an edge's start to its `Hello`.
const EDGE_ANSWERS: Duration = Duration::from_secs(20);
/// Longest time a message may take to be written: an edge that does not read is replaced.
const EDGE_READS: Duration = Duration::from_secs(5);
/// Signal number (signal(7)).
const SIGKILL: i32 = 9;
/// Size in bytes beyond which its standard error begins a new file.
const ERROR_LOG: u64 = 1 << 20;

/// What the edge's side tells the loop.
pub(crate) enum EdgeEvent {
    /// An edge answered.
    Connected(Connected),
    /// The edge of this [`Connected::generation`] said something, with these descriptors.
    Said(u64, FromEdge, Vec<OwnedFd>),
    /// The edge that is to take over answered.
    Coming(Connected),
    /// It could not be started.
    ComingFailed(String),
    /// The connection ended; the number is that of [`Connected::generation`].
    Lost(u64),
    /// It was asked for its figures a while ago: who waits for them is answered without.
    Late,
    /// The same of metrics.
    LateMetrics,
    /// No edge could be started; tried again after a pause.
    Failed(String),
}

/// A living edge that has said `Hello`.
pub(crate) struct Connected {
    pub(crate) socket: FrameSocket,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    pub(crate) revision: u64,
    pub(crate) listeners: Vec<(Listener, OwnedFd)>,
    /// Present when this keeper started it.
    pub(crate) child: Option<u32>,
    /// Since it was told to retire.
    pub(crate) retiring: Option<Retiring>,
    /// It takes certificates apart from snapshots.
    pub(crate) takes_certificates: bool,
}

/// How an edge is started.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) exe: PathBuf,
    pub(crate) home: Home,
    pub(crate) user: Option<User>,
    pub(crate) lifetime: Option<Arc<OwnedFd>>,
}

/// Connects to the living edge, or starts one. Blocks; called away from the loop.
pub(crate) fn ensure(recipe: &Recipe, generation: u64) -> Result<Connected, KeeperError> {
    ensure_at(recipe, &recipe.home.edge_socket(), generation)
}

/// The same of an edge with this socket.
pub(crate) fn ensure_at(recipe: &Recipe, socket: &Path, generation: u64) -> Result<Connected, KeeperError> {
    if let Ok(connected) = greet(FrameSocket::connect(socket), generation, None) {
        return Ok(connected);
    }
    let child = spawn(recipe, socket)?;
    let until = Instant::now() + EDGE_ANSWERS;
    loop {
        match FrameSocket::connect(socket) {
            Ok(stream) => {
                return greet(Ok(stream), generation, Some(child)).map_err(|source| {
                    end_child(child);
                    did_not_answer(recipe, source)
                });
            }
            Err(_) if matches!(sys::process::try_wait(child), Ok(None)) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2))
            }
            Err(source) => {
                end_child(child);
                return Err(did_not_answer(recipe, source));
            }
        }
    }
}

/// An edge that ended before its `Hello` has said why, as its last words.
fn did_not_answer(recipe: &Recipe, source: io::Error) -> KeeperError {
    let log = recipe.home.edge_error_log();
    let said = last_bytes(&log).unwrap_or_default();
    let last = said.lines().rev().find(|line| line.starts_with("error")).unwrap_or("nothing");
    KeeperError::At { what: format!("the edge did not begin; it said in {}: {last}", log.display()), source }
}

/// The end of a file, as text.
fn last_bytes(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(path)?;
    let mut bytes = vec![0; 4096];
    let begin = file.metadata()?.len().saturating_sub(4096);
    let length = file.read_at(&mut bytes, begin)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ends the edges that a former keeper left behind, and waits until they are gone. Blocks.
pub(crate) fn end_former(recipe: &Recipe) {
    let home = &recipe.home;
    let shutdown = wire::encode(&ToEdge::Shutdown { deadline_ms: 0 }).unwrap_or_default();
    for path in [home.edge_socket(), home.edge_coming_socket(), home.edge_leaving_socket()] {
        let Ok(socket) = FrameSocket::connect(&path) else { continue };
        let _ = socket.set_read_timeout(Some(EDGE_READS));
        if socket.send(&shutdown, &[]).is_ok() {
            while let Ok(Some(_)) = socket.recv() {}
        }
    }
}

/// Ends and reaps an edge that was started and is of no use: the next try starts another one. One that is ending by
/// itself has a moment to say why.
fn end_child(child: u32) {
    for _ in 0..50 {
        // An error: it has been reaped.
        if !matches!(sys::process::try_wait(child), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = sys::process::signal(child, SIGKILL);
    let _ = sys::process::wait(child);
}

fn spawn(recipe: &Recipe, socket: &Path) -> Result<u32, KeeperError> {
    let logs = recipe.home.edge_logs();
    let failed = || KeeperError::at(format!("cannot prepare {}", logs.display()));
    log_folder_of_edge(&logs, recipe.user.as_ref()).map_err(failed())?;
    // Not in the edge's own folder: who runs as the edge's user could keep another one from starting.
    let log = sys::folder::append_to_log(&recipe.home.edge_error_log(), 0o640, ERROR_LOG).map_err(failed())?;
    // The socket's folder belongs to the keeper: it is bound here and handed over, whoever the edge runs as.
    let listener = sys::unix_socket::bind(socket, 0o600)
        .map_err(KeeperError::at(format!("cannot listen on {}", socket.display())))?;
    let mut spawn = Spawn::new(crate::programs::own(&recipe.exe));
    spawn.args = vec!["edge".into(), "--logs".into(), logs.into()];
    spawn.stderr = Some(log.into());
    spawn.descriptors = vec![(3, listener.into())];
    if let Some(lifetime) = &recipe.lifetime {
        spawn.args.push("--lifetime".into());
        spawn.descriptors.push((4, lifetime.try_clone()?));
    }
    let groups = |user: &User| sys::user::groups(&user.name, user.gid);
    spawn.credentials =
        recipe.user.as_ref().map(|user| Credentials { uid: user.uid, gid: user.gid, groups: groups(user) });
    spawn.spawn().map_err(|error| KeeperError::At {
        what: "cannot start the edge".into(),
        source: io::Error::other(error),
    })
}

/// Makes a folder in which the edge can write and rotate logs, and nobody else; see [`crate::log_folder`].
pub(crate) fn log_folder_of_edge(logs: &Path, user: Option<&User>) -> io::Result<()> {
    let owner = user.map(|user| (user.uid, user.gid));
    set_aside(logs, owner)?;
    sys::folder::make(logs, 0o750, owner)
}

/// Logs of an edge that ran as another user (before `mainstay` was created) are moved out of the way of this one, which could not
/// write them.
fn set_aside(logs: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (Some((uid, _)), Ok(meta)) = (owner, std::fs::symlink_metadata(logs)) else { return Ok(()) };
    if meta.uid() == uid {
        return Ok(());
    }
    let name = logs.file_name().unwrap_or_default().to_string_lossy();
    let aside = logs.with_file_name(format!("{name}.until-{}", crate::keeper::epoch_ms()));
    tracing::warn!(folder = %aside.display(), "the edge runs as another user now; its former logs are kept there");
    std::fs::rename(logs, aside)
}

/// Waits for an edge's first words.
pub(crate) fn greet(
    socket: io::Result<FrameSocket>,
    generation: u64,
    child: Option<u32>,
) -> io::Result<Connected> {
    let socket = socket?;
    socket.set_read_timeout(Some(EDGE_ANSWERS))?;
    socket.set_write_timeout(Some(EDGE_READS))?;
    let Some((bytes, descriptors)) = socket.recv()? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    socket.set_read_timeout(None)?;
    match wire::decode(&bytes).map_err(io::Error::other)? {
        FromEdge::Hello { version, .. } if version != wire::VERSION => {
            Err(io::Error::other(wire::WireError::Version { theirs: version }))
        }
        FromEdge::Hello {
            pid,
            revision,
            listeners,
            retiring,
            certificates_apart: takes_certificates,
            ..
        } => {
            let listeners = listeners.into_iter().zip(descriptors).collect();
            Ok(Connected {
                socket,
                generation,
                pid,
                revision,
                listeners,
                child,
                retiring,
                takes_certificates,
            })
        }
        other => Err(io::Error::other(format!("expected a hello, got {other:?}"))),
    }
}

/// Reads what the edge says until it stops, in a thread of its own: the frames may carry descriptors.
///
/// # Errors
/// When there can be no thread.
pub(crate) fn listen_to(
    socket: FrameSocket,
    generation: u64,
    events: mpsc::Sender<EdgeEvent>,
) -> io::Result<()> {
    let read = move || {
        while let Ok(Some((bytes, descriptors))) = socket.recv() {
            match wire::decode::<FromEdge>(&bytes) {
                Ok(message) => {
                    if events.blocking_send(EdgeEvent::Said(generation, message, descriptors)).is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "the edge said something that is not understood"),
            }
        }
        let _ = events.blocking_send(EdgeEvent::Lost(generation));
    };
    std::thread::Builder::new().name("edge-link".into()).spawn(read).map(drop)
}

/// Hands a snapshot over, and its certificates before it where the edge has others.
pub(crate) fn send_snapshot(
    edge: &mut Edge,
    snapshot: &mut Snapshot,
    certificates: &Arc<[Certificate]>,
) -> io::Result<()> {
    let revision = snapshot.revision;
    if edge.takes_certificates {
        let has = |known: &Arc<[Certificate]>| Arc::ptr_eq(known, certificates) || known == certificates;
        if !edge.certificates.as_ref().is_some_and(|(_, known)| has(known)) {
            edge.certificates = None;
            hand_over(&edge.socket, &ToEdge::Certificates { revision }, &**certificates)?;
            edge.certificates = Some((revision, Arc::clone(certificates)));
        }
        snapshot.certificates.clear();
        snapshot.certificates_of = edge.certificates.as_ref().map(|(sent, _)| *sent);
    } else {
        snapshot.certificates = certificates.to_vec();
        snapshot.certificates_of = None;
    }
    hand_over(&edge.socket, &ToEdge::Snapshot { revision }, snapshot)
}

/// Sends a message with a sealed memory file.
fn hand_over(edge: &FrameSocket, message: &ToEdge, content: &(impl Serialize + ?Sized)) -> io::Result<()> {
    let file = sys::memfile::create("mainstay-snapshot", &wire::encode(&content).map_err(io::Error::other)?)?;
    edge.send(&wire::encode(message).map_err(io::Error::other)?, &[file.as_fd()])
}
