//! Keeper ↔ shim. The shim reads a [`ShimSpec`] as one frame from descriptor 3 (a pipe: no secret stands in an
//! argument list or in its own environment), then listens on [`ShimSpec::socket`]. On each connection it answers
//! requests in order, and after [`ToShim::Watch`] it says every change unasked.

use model::confine::TmpfsSpec;
use model::redact::RedactKind;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything a shim needs to run one instance. Holds secrets: never logged, never written to disk.
#[derive(Clone, Serialize, Deserialize)]
pub struct ShimSpec {
    /// `model::InstanceId` as text.
    pub instance: String,
    /// Command and arguments, `$PORT` and `$SOCKET` already replaced.
    pub argv: Vec<String>,
    /// The whole environment of the process: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Names of those variables whose values are secret.
    pub secret: Vec<String>,
    /// Kinds of text that are masked in its output.
    pub redact: Vec<RedactKind>,
    /// Working folder.
    pub dir: PathBuf,
    /// Credentials; none: those of the shim.
    pub user: Option<Credentials>,
    /// Where the shim listens.
    pub socket: PathBuf,
    /// Where it writes [`ShimStatus`] durably at each change.
    pub status: PathBuf,
    /// Where standard output goes (see `telemetry::journal`).
    pub out: PathBuf,
    /// Where standard error goes.
    pub err: PathBuf,
    /// Size in bytes at which a log file is rotated.
    pub log_size: u64,
    /// Full log files kept.
    pub log_keep: u32,
    /// Signal of an orderly stop.
    pub stop_signal: i32,
    /// Milliseconds from that signal to SIGKILL of every process of the instance.
    pub stop_ms: u64,
    /// Folders of the control groups that its processes are members of from the first on; the shim removes them at the end.
    #[serde(default)]
    pub groups: Vec<PathBuf>,
    /// Descriptor 4 is the read end of a pipe: when it closes, the instance is stopped and the shim exits.
    pub lifetime: bool,
    /// Descriptor 5 is a network namespace, which the instance is in. The shim itself is not: its socket and files are the host's.
    #[serde(default)]
    pub network: bool,
    /// Nothing that it executes gains rights.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// What it is kept from beyond that; none: nothing.
    #[serde(default)]
    pub confine: Option<Confinement>,
    /// Files and folders that take the place of others, for the instance alone.
    #[serde(default)]
    pub binds: Vec<Bind>,
}

/// What an instance is kept from. `mainstay confined` sees to it: a program between the shim and the app, in the app's own process.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// No file can be changed but below [`Self::writable`] and [`Self::tmpfs`].
    pub read_only: bool,
    /// Folders that can.
    pub writable: Vec<PathBuf>,
    /// Folders that are seen even where a tmpfs would hide them.
    pub kept: Vec<PathBuf>,
    /// Folders in memory.
    pub tmpfs: Vec<TmpfsSpec>,
    /// Files that it alone sees.
    pub files: Vec<PlacedFile>,
    /// Capabilities that it gets.
    pub cap_add: Vec<String>,
    /// Capabilities that it can never get.
    pub cap_drop: Vec<String>,
    /// Landlock and seccomp.
    pub sandbox: bool,
}

/// A file with this content, which may be secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// Where.
    pub target: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
    /// User and group that it belongs to.
    pub owner: (u32, u32),
    /// Permissions.
    pub mode: u32,
}

/// What `mainstay confined` reads as one frame from descriptor 3. It says on descriptor 4 what went wrong; nothing: it became the app.
#[derive(Clone, Serialize, Deserialize)]
pub struct Confined {
    /// Command and arguments.
    pub argv: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// Credentials; none: those it has.
    pub user: Option<Credentials>,
    /// As in [`ShimSpec::no_new_privileges`].
    pub no_new_privileges: bool,
    /// What it is kept from.
    pub confine: Confinement,
}

/// A file or folder in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is seen.
    pub source: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// It cannot be changed through it.
    pub read_only: bool,
}

/// User, group and supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToShim {
    /// Answer with [`FromShim::Status`], and again at every change.
    Watch,
    /// Send this signal to the main process.
    Signal {
        /// Number of signal(7).
        signal: i32,
    },
    /// Stop: the stop signal to the main process, after the deadline SIGKILL to every process of the instance.
    Stop {
        /// Milliseconds until then; none: that of the specification.
        deadline_ms: Option<u64>,
    },
    /// The end was taken note of: remove socket and status, exit. Refused while the process lives.
    Release,
}

/// What the shim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromShim {
    /// How things stand.
    Status(ShimStatus),
    /// The request could not be done.
    Refused {
        /// Why.
        reason: String,
    },
}

/// How an instance stands, as its shim knows it. Also the content of the status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimStatus {
    /// `model::InstanceId` as text.
    pub instance: String,
    /// The shim's process id.
    pub shim: u32,
    /// State of the main process.
    pub state: ShimState,
    /// Milliseconds since the Unix epoch at which the process was started; 0 when it never was.
    pub started_ms: u64,
    /// Start time of the main process in the kernel's ticks since boot: with its id it names the process for good, so that who
    /// finds this after the shim's death ends nobody else. 0 when it is not known.
    #[serde(default)]
    pub born: u64,
    /// The stop was asked for, and not all is gone yet.
    #[serde(default)]
    pub stopping: bool,
}

/// State of the main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ShimState {
    /// Executed (its `execve` succeeded) and alive.
    Running {
        /// Main process id.
        pid: u32,
    },
    /// Could not be executed.
    NotStarted {
        /// Why: the missing program, the unreachable folder.
        reason: String,
    },
    /// Gone, and so is every other process of the instance.
    Ended {
        /// Main process id it had.
        pid: u32,
        /// Exit status, if it exited.
        code: Option<i32>,
        /// Signal, if one ended it.
        signal: Option<i32>,
        /// The stop was asked for.
        stopped: bool,
        /// The kernel's out-of-memory killer did it.
        out_of_memory: bool,
        /// Then: most bytes of memory that its control group held at once, and the limit of that, where it has one of its own.
        #[serde(default)]
        held: Option<(u64, u64)>,
        /// Milliseconds since the Unix epoch.
        ended_ms: u64,
    },
}
