//! Builds: what an app's instances start from, made by its steps in a folder of its own. A finished one is kept and used as long as
//! its [`hash()`] stays the same.
//!
//! ```text
//! remove what a failure left ─▶ fresh folder ─▶ step ─▶ step ─▶ … ─▶ disk ─▶ marker: done
//!                                                └─ failed, too late, not wanted any more ─▶ the folder goes
//! ```
//! Invariants: the marker lies beside the folder, where the app's user cannot write, and is written when everything in the folder
//! has reached the disk. A folder without a marker is nobody's. Steps run as the app's user; none outlives the keeper, and what
//! they started ends with them, or at the latest before the next try.

mod hash;
mod other;
mod step;

pub use hash::hash;
pub use other::{Made, Voice, image, start_other};

use crate::launch;
use model::AppId;
use model::container::{BuildArg, ImageSpec};
use model::redact::RedactKind;
use model::spec::{AppSpec, BuildSpec, EnvValue};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use step::{Said, Steps, Stopped};
use telemetry::journal::LineWriter;
use telemetry::redact::Redactor;
use telemetry::rotate::RotatingFile;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Variables of whoever runs Mainstay that steps get: without them nothing can be fetched where a proxy stands between.
const PASSED: [&str; 11] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
];
/// Beginnings of further ones.
const PASSED_PREFIXES: [&str; 4] = ["PIP_", "npm_config_", "NPM_CONFIG_", "UV_"];

/// Longest time that a folder which is to go may still be written into, and time between two tries.
const STILL_WRITTEN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// A build to make.
#[derive(Debug, Clone)]
pub struct Order {
    /// The app.
    pub app: AppId,
    /// Its specification.
    pub spec: Arc<AppSpec>,
    /// Its steps, with their hash.
    pub build: BuildSpec,
    /// The stack's folder: what is `writable` is below it.
    pub root: PathBuf,
    /// `$BUILD_DIRECTORY`. Its marker lies beside it.
    pub folder: PathBuf,
    /// `$HOME` of the steps, kept between builds for what they download.
    pub cache: PathBuf,
    /// `$STATE_DIRECTORY` of the app.
    pub state: PathBuf,
    /// Journal of their output.
    pub log: PathBuf,
    /// Whom they run as; none: as the keeper.
    pub user: Option<sys::user::User>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The app.
    pub app: AppId,
    /// [`BuildSpec::hash`].
    pub hash: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Done,
    /// It was not wanted any more.
    Cancelled,
    /// Cause, and last lines of output.
    Failed(String),
    /// It was an old one, and is removed.
    Removed,
}

/// How far it is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Which step, from 1.
    pub step: usize,
    /// How many there are.
    pub steps: usize,
    /// The step, as the manifest has it.
    pub command: String,
    /// Last line of output.
    pub line: String,
    /// When the build began.
    pub begun: Instant,
}

/// A build under way. Dropped, it is cancelled.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    progress: watch::Receiver<Progress>,
}

impl Running {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Ends it; its report comes when nothing of it runs any more.
    pub fn cancel(&self) {
        self.stop.cancel();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// What is written down of a finished build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Marker {
    /// When it was done, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// Its steps, as the manifest has them.
    pub steps: Vec<String>,
    /// What was made, where that is an image.
    #[serde(default)]
    pub image: Option<Made>,
}

/// The marker's file of a build's folder.
pub fn marker(folder: &Path) -> PathBuf {
    folder.with_extension("json")
}

/// Whether there is a finished build.
pub fn is_done(folder: &Path) -> bool {
    marker(folder).is_file() && folder.is_dir()
}

/// Makes it, on a thread of its own: files are written, and steps end with the thread that started them.
pub fn start(order: Order, reports: mpsc::Sender<Report>) -> Running {
    let first = order.build.steps.first().map(|step| shown(step, &order.spec)).unwrap_or_default();
    let (steps, begun) = (order.build.steps.len(), Instant::now());
    let (tell, progress) =
        watch::channel(Progress { step: 1, steps, command: first, line: String::new(), begun });
    let stop = CancellationToken::new();
    let running = Running { stop: stop.clone(), progress };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let outcome = runtime.block_on(make(&order, &tell, &stop));
        let report = Report { app: order.app, hash: order.build.hash, outcome };
        let _ = reports.blocking_send(report); // the keeper is gone
    });
    running
}

/// Removes folders of builds that nobody uses, whose markers are gone already.
pub fn remove(app: AppId, folders: Vec<PathBuf>, reports: mpsc::Sender<Report>) {
    tokio::task::spawn_blocking(move || {
        for folder in folders {
            if let Err(error) = remove_left(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "an old build cannot be removed");
            }
        }
        let _ = reports.blocking_send(Report { app, hash: 0, outcome: Outcome::Removed });
    });
}

async fn make(order: &Order, progress: &watch::Sender<Progress>, stop: &CancellationToken) -> Outcome {
    let made = match prepare(order) {
        Ok(journal) => all_steps(order, journal, progress, stop).await,
        Err(reason) => Err(Stopped::Failed(reason)),
    };
    let steps = || order.build.steps.iter().map(|step| shown(step, &order.spec)).collect();
    let finished =
        |()| finish(order, steps(), None, progress.borrow().begun.elapsed()).map_err(Stopped::Failed);
    let made = made.and_then(finished);
    let outcome = match made {
        Ok(()) => return Outcome::Done,
        Err(Stopped::Cancelled) => Outcome::Cancelled,
        Err(Stopped::Failed(reason)) => {
            Outcome::Failed(format!("build of {} failed: {reason}", order.app.app))
        }
    };
    let _ = remove_left(&order.folder); // if it stays, the next try removes it first
    outcome
}

/// What the processes of its steps have in their environment, and nobody else.
fn mark(order: &Order) -> (&'static str, String) {
    ("MAINSTAY_BUILD", order.folder.display().to_string())
}

/// Ends what steps left behind: a daemon, or children that outlived a keeper which was killed. They would write into what is finished.
fn end_left_over(order: &Order) {
    let (name, value) = mark(order);
    if let Err(error) = sys::process::kill_marked(&format!("{name}={value}")) {
        tracing::warn!(app = %order.app, %error, "processes that steps left cannot be looked for");
    }
}

/// Removes a folder of steps, also one that somebody still writes into: what a step started may have taken its mark off.
fn remove_left(folder: &Path) -> io::Result<()> {
    until_empty(|| sys::removal::remove_all(folder))
}

fn until_empty(mut remove: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    // What was listed is gone, or what was emptied is not empty.
    let meanwhile = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound)
    };
    loop {
        match remove() {
            Err(error) if !meanwhile(&error) => return Err(error),
            Err(error) if begun.elapsed() > STILL_WRITTEN => {
                let why = "something still writes into it, left by a build that was broken off perhaps: end that, then mainstay reload";
                return Err(io::Error::new(error.kind(), why));
            }
            Err(_) => std::thread::sleep(PAUSE),
            Ok(()) => return Ok(()),
        }
    }
}

/// Fresh folder, those that the app writes into, journal.
fn prepare(order: &Order) -> Result<LineWriter, String> {
    end_left_over(order);
    let owner = order.user.as_ref().map(|user| (user.uid, user.gid));
    let said =
        |what: &str, path: &Path, error: io::Error| format!("cannot {what} {}: {error}", path.display());
    let old = &order.folder;
    sys::durable::remove(&marker(old)).map_err(|error| said("remove", &marker(old), error))?;
    remove_left(old).map_err(|error| said("remove", old, error))?;
    // A folder of the stack's own for logs was made by the keeper, with a mode that its administrator may have chosen.
    let log = order.spec.logs.dir.is_none().then_some(&order.log);
    let parents = [&order.folder, &order.state].into_iter().chain(log).filter_map(|path| path.parent());
    let shared = parents.map(|folder| (folder, 0o711, None));
    let own = [(&*order.folder, 0o755), (&*order.cache, 0o700), (&*order.state, 0o700)];
    for (folder, mode, owner) in shared.chain(own.map(|(folder, mode)| (folder, mode, owner))) {
        sys::folder::make(folder, mode, owner).map_err(|error| said("make the folder", folder, error))?;
    }
    launch::writable(&order.spec, &order.root, order.user.as_ref())?;
    let logs = &order.spec.logs;
    let file = RotatingFile::open(&order.log, logs.max_size, logs.keep);
    let journal = |file| LineWriter::new(file, redactor(&order.spec, &logs.redact));
    file.map(journal).map_err(|error| said("write the log", &order.log, error))
}

/// Masks these, and what of the app's environment is secret where that is among them.
fn redactor(spec: &AppSpec, kinds: &[RedactKind]) -> Option<Redactor> {
    let secret = |value: &EnvValue| matches!(value, EnvValue::Secret(_)).then(|| value.expose().to_owned());
    let secrets = spec.env.values().filter_map(secret);
    let image = spec.container.as_ref().map(|container| &container.image);
    let args =
        image.and_then(|image| if let ImageSpec::Build(build) = image { Some(&build.args) } else { None });
    let args = args.into_iter().flatten().filter_map(|(_, arg)| match arg {
        BuildArg::Secret(secret) => Some(secret.expose().to_owned()),
        BuildArg::Plain(_) => None,
    });
    let secrets: Vec<String> = secrets.chain(args).collect();
    Redactor::new(kinds, secrets.iter().map(String::as_str)).unwrap_or_default()
}

async fn all_steps(
    order: &Order,
    journal: LineWriter,
    progress: &watch::Sender<Progress>,
    stop: &CancellationToken,
) -> Result<(), Stopped> {
    let begun = progress.borrow().begun;
    let far = Duration::from_secs(365 * 24 * 3600);
    let mut steps = Steps {
        order,
        env: environment(order),
        values: launch::placeholders(None, Some(&order.folder)),
        journal,
        said: Said::new(None),
        progress,
        until: begun.checked_add(order.build.timeout).unwrap_or(begun + far),
        stop,
    };
    let count = order.build.steps.len();
    for (index, words) in order.build.steps.iter().enumerate() {
        let (number, command) = (index + 1, shown(words, &order.spec));
        steps.journal.feed(format!("(mainstay: step {number} of {count}: {command})\n").as_bytes());
        progress.send_modify(|it| (it.step, it.command, it.line) = (number, command.clone(), String::new()));
        steps.said = Said::new(redactor(&order.spec, &[RedactKind::Secrets]));
        let ended = steps.run(words).await;
        end_left_over(order);
        steps.journal.close();
        match ended {
            Ok(()) => {}
            Err(Stopped::Cancelled) => return Err(Stopped::Cancelled),
            Err(Stopped::Failed(how)) => {
                steps
                    .journal
                    .feed(format!("(mainstay: step {number} of {count} failed: {how})\n").as_bytes());
                let lines = steps.said.text();
                return Err(Stopped::Failed(format!("step {number} of {count} ({command}) {how}{lines}")));
            }
        }
    }
    Ok(())
}

/// The whole environment of the steps: the app's, without an address, and what they need to fetch and to keep things.
fn environment(order: &Order) -> Vec<(String, String)> {
    let Order { spec, state, folder, user, cache, .. } = order;
    let mut env = launch::environment(spec, state, Some(folder), user.as_ref(), None);
    let said = |name: &str| spec.env.contains_key(name);
    let cache = cache.display().to_string();
    let kept = ["HOME", "XDG_CACHE_HOME"].map(|name| (name.to_owned(), cache.clone()));
    // Not `vars`: that panics for a variable which is no UTF-8.
    let passed = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let wanted = PASSED.contains(&name.as_str()) || PASSED_PREFIXES.iter().any(|it| name.starts_with(it));
        wanted.then_some((name, value))
    });
    for (name, value) in passed.chain(kept).filter(|(name, _)| !said(name)) {
        env.retain(|(other, _)| *other != name);
        env.push((name, value));
    }
    let (name, value) = mark(order);
    env.push((name.to_owned(), value));
    env
}

/// A step for people: as the manifest has it, secrets that came into it masked.
fn shown(words: &[String], spec: &AppSpec) -> String {
    let quoted = |word: &String| {
        if word.is_empty() || word.contains(char::is_whitespace) { format!("'{word}'") } else { word.clone() }
    };
    let text = words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    spec.env.values().fold(text, |text, value| match value {
        EnvValue::Secret(secret) if !secret.expose().is_empty() => text.replace(secret.expose(), "***"),
        _ => text,
    })
}

/// All that was built reaches the disk, then the marker says so.
fn finish(order: &Order, steps: Vec<String>, image: Option<Made>, took: Duration) -> Result<(), String> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let at_ms = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let text = serde_json::to_vec(&Marker { at_ms, took_ms: millis(took), steps, image }).unwrap_or_default();
    let written = sys::durable::sync_file_system(&order.folder)
        .and_then(|()| sys::durable::write(&marker(&order.folder), &text, 0o600));
    written.map_err(|error| format!("cannot keep it in {}: {error}", order.folder.display()))
}

#[cfg(test)]
#[path = "build/tests.rs"]
mod tests;
