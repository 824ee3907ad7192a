//! Instances: started through a shim, proven ready before they take traffic, watched, stopped, adopted.
//!
//! The supervisor decides nothing (`model::plan` does): it does what it is told and reports what happens. One task lives
//! beside each instance ([`life`]) and owns everything about it.
//!
//! ```text
//! keeper ── start / adopt / stop ──▶ Supervisor ── one task each ──▶ life ── wire::shim ──▶ shim ──▶ the app
//!        ◀───────────── Report (bounded channel) ──────────────────────┘
//! ```
//!
//! - [`launch`]: port or socket, environment, the shim's start.
//! - [`life`]: from running to ended; [`adopt`]: of one that a former keeper started.
//! - [`probe`]: one try of a health check.
//! - [`link`]: the connection to a shim.
//! - [`network`]: the network namespace of an instance that is on private networks.
//! - [`confine`]: what an instance may use and is kept from, as this host can see to it.
//! - [`build`]: what an app's instances start from, made by its steps.
//! - [`meta`]: what is kept on disk so that the next keeper can adopt an instance.

mod adopt;
pub mod build;
mod command;
pub mod confine;
mod contained;
mod end;
pub mod launch;
mod life;
mod link;
pub mod meta;
mod network;
mod port;
mod probe;

pub use network::OwnNetwork;
pub use probe::probe;

use meta::Meta;
use model::InstanceId;
use model::observed::{Address, End, Phase};
use model::spec::AppSpec;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Longest wait for the files of ended instances to be removed; it takes milliseconds.
const CLEANED: Duration = Duration::from_secs(5);

/// Where the files and sockets of one instance are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The shim's socket.
    pub shim_socket: PathBuf,
    /// The shim's status file.
    pub status: PathBuf,
    /// What [`meta`] keeps.
    pub meta: PathBuf,
    /// `$SOCKET`; its folder belongs to the app's user.
    pub app_socket: PathBuf,
    /// Unix socket of a data service, the same for every run; its folder belongs to the service's user, and stays.
    pub service_socket: Option<PathBuf>,
    /// `$STATE_DIRECTORY`: a folder of the app's own, kept across instances and releases; belongs to the app's user.
    pub state: PathBuf,
    /// `$BUILD_DIRECTORY`: what the app's steps have built; none: it has no steps.
    pub build: Option<PathBuf>,
    /// Standard output.
    pub out: PathBuf,
    /// Standard error.
    pub err: PathBuf,
    /// The shim's own diagnostics.
    pub shim_log: PathBuf,
    /// Folder of the control groups of this home: [`sys::cgroup::Host::make`].
    pub groups: String,
}

/// Everything needed to start one instance.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which run of which instance.
    pub id: InstanceId,
    /// What to run.
    pub spec: Arc<AppSpec>,
    /// [`AppSpec::fingerprint`] of it.
    pub fingerprint: u64,
    /// The stack's folder: what is `writable` is below it.
    pub root: PathBuf,
    /// Its files and sockets.
    pub places: Places,
    /// User to run as; none: the keeper's own.
    pub user: Option<sys::user::User>,
    /// Group that may connect to `$SOCKET` besides the app's user: the edge's, when that runs as somebody else.
    pub edge_group: Option<u32>,
    /// The `mainstay` binary.
    pub exe: PathBuf,
    /// What `$MAINSTAY` in its commands stands for; none: itself, in the words of somebody's app.
    pub mainstay: Option<PathBuf>,
    /// Its own network; none: the host's.
    pub network: Option<OwnNetwork>,
    /// What the runner of its container is told; none: its process is the app itself.
    pub runner: Option<Arc<wire::container::RunnerSpec>>,
    /// Read end of the lifetime pipe: the instance is stopped when it closes.
    pub lifetime: Option<Arc<OwnedFd>>,
}

/// An instance that a former keeper started.
#[derive(Debug)]
pub struct Adoption {
    /// What that keeper wrote down.
    pub meta: Meta,
    /// Its files and sockets.
    pub places: Places,
    /// Its specification, if that is still known: for a health command, which succeeds unseen without it.
    pub spec: Option<Arc<AppSpec>>,
    /// User of a health command.
    pub user: Option<sys::user::User>,
    /// As in [`Order::edge_group`].
    pub edge_group: Option<u32>,
    /// As in [`Order::mainstay`].
    pub mainstay: Option<PathBuf>,
    /// Its process is the runner of a container.
    pub contained: bool,
    /// Where that keeper saw it last: who was ready need not prove it again, who was told to stop is told again.
    pub phase: Phase,
}

/// What happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which run of which instance.
    pub id: InstanceId,
    /// What happened.
    pub what: What,
}

/// What happened to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its program was executed.
    Running {
        /// Main process id.
        pid: u32,
        /// Where it will take requests; none when it does not listen.
        address: Option<Address>,
        /// Milliseconds since the Unix epoch.
        started_ms: u64,
    },
    /// It runs in a container, and this is where that takes requests.
    Located(Address),
    /// It takes requests: for the first time, or again.
    Ready,
    /// Its health command is not in its container, and nothing was found out by it; the text says what is missing. That it takes connections
    /// counts instead.
    NotAsked(String),
    /// It ran and was ready, but its health check failed as often as allowed; the text says what was tried last.
    Unhealthy(String),
    /// It was told to stop, not by this keeper.
    Stopping,
    /// All its processes are gone.
    Ended {
        /// How.
        end: End,
        /// How long it had lived.
        uptime: Duration,
    },
}

/// What the keeper tells a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// The stop signal, then SIGKILL after the deadline.
    Stop,
    /// SIGKILL to all of it.
    Kill,
    /// This signal to its main process.
    Signal(i32),
}

/// All living instances of one keeper.
#[derive(Debug)]
pub struct Supervisor {
    reports: mpsc::Sender<Report>,
    lives: HashMap<InstanceId, mpsc::Sender<Command>>,
    tasks: TaskTracker,
}

impl Supervisor {
    /// Reports go to `reports`; while that is full, lives wait.
    pub fn new(reports: mpsc::Sender<Report>) -> Self {
        Self { reports, lives: HashMap::new(), tasks: TaskTracker::new() }
    }

    /// Starts an instance. Its failure is a report like any other. A second start of the same run does nothing.
    pub fn start(&mut self, order: Order) {
        if self.lives.contains_key(&order.id) {
            return;
        }
        let (commands, inbox) = mpsc::channel(8);
        self.lives.insert(order.id.clone(), commands);
        self.tasks.spawn(life::start(order, inbox, self.reports.clone()));
    }

    /// Takes over an instance that a former keeper started.
    pub fn adopt(&mut self, adoption: Adoption) {
        let id = &adoption.meta.id;
        if self.lives.contains_key(id) {
            return;
        }
        let (commands, inbox) = mpsc::channel(8);
        self.lives.insert(id.clone(), commands);
        self.tasks.spawn(adopt::adopt(adoption, inbox, self.reports.clone()));
    }

    /// Tells an instance to stop. Idempotent.
    pub fn stop(&self, id: &InstanceId) {
        self.tell(id, Command::Stop);
    }

    /// Ends an instance at once, without its deadline. Its end is told as that of one that was stopped.
    pub fn kill(&self, id: &InstanceId) {
        self.tell(id, Command::Kill);
    }

    /// Ends all instances at once, without their deadline.
    pub fn kill_all(&self) {
        for id in self.lives.keys() {
            self.tell(id, Command::Kill);
        }
    }

    /// Sends a signal to the main process of an instance, which stays what it is. False: it has ended, or is busy with commands.
    pub fn signal(&self, id: &InstanceId, signal: i32) -> bool {
        self.lives.get(id).is_some_and(|life| life.try_send(Command::Signal(signal)).is_ok())
    }

    /// Drops what is remembered of an instance that has ended.
    pub fn forget(&mut self, id: &InstanceId) {
        self.lives.remove(id);
    }

    /// Whether every instance is gone.
    pub fn is_empty(&self) -> bool {
        self.lives.is_empty()
    }

    /// Waits until every instance that has ended is also cleaned up after: its last report comes before that.
    pub async fn finished(&self) {
        self.tasks.close();
        if tokio::time::timeout(CLEANED, self.tasks.wait()).await.is_err() {
            tracing::warn!("some files of ended instances are left to the next keeper");
        }
    }

    fn tell(&self, id: &InstanceId, command: Command) {
        if let Some(life) = self.lives.get(id) {
            // Full: the same command is waiting there already. Closed: it has ended, and its report is on its way.
            let _ = life.try_send(command);
        }
    }
}
