//! The control API's words: JSON over HTTP/1.1 on `run/control.sock`. The command line is its first client.
//!
//! | call | takes | gives |
//! |---|---|---|
//! | `GET /v1/status` | [`StatusQuery`], in the query | [`Status`] |
//! | `GET /v1/history` | [`HistoryQuery`], in the query | a list of [`HistoryEntry`], oldest first |
//! | `PUT /v1/stacks` | [`StackRequest`] | [`Accepted`] |
//! | `POST /v1/stacks/{stack}/reload` | [`ReloadRequest`] | [`Accepted`] |
//! | `DELETE /v1/stacks/{stack}` | | [`Accepted`]; the stack is gone when `status` no longer shows it |
//! | `POST /v1/stacks/{stack}/restart` | | [`Accepted`]; what an administrator stopped stays so |
//! | `POST /v1/stacks/{stack}/scale` | [`ScaleRequest`] | [`Accepted`] |
//! | `POST /v1/stacks/{stack}/apps/{app}/{start,stop,restart}` | | [`Accepted`] |
//! | `POST /v1/stacks/{stack}/apps/{app}/signal` | [`SignalRequest`] | [`Accepted`]; a line for each process that it was sent to |
//! | `POST /v1/stacks/{stack}/apps/{app}/exec` | [`ExecRequest`] | [`ExecPlace`], with secrets |
//! | `POST /v1/stacks/{stack}/tasks/{task}/run` | | [`TaskStarted`]; `status` tells how it ends |
//! | `GET /v1/bans` | | a list of [`BanStatus`] |
//! | `POST /v1/bans` | [`BanRequest`] | the [`BanStatus`] of it, in a list |
//! | `POST /v1/bans/lift` | [`LiftRequest`] | the networks that were lifted |
//! | `POST /v1/certs/renew` | [`RenewRequest`] | [`Renewed`]; `status` tells how it ends |
//! | `POST /v1/certs/revoke` | [`Revoke`] | [`Renewed`], when the authority has answered; another one is ordered then |
//! | `POST /v1/certs/issue` | [`IssueRequest`] | [`Renewed`]; 409 where no authority could look |
//! | `PUT /v1/certs/own` | [`NewPair`] | [`Imported`] |
//! | `DELETE /v1/certs/own/{name}` | | [`Imported`] |
//! | `GET /metrics` | | text, as Prometheus reads it |
//! | `POST /v1/upgrade` | [`UpgradeRequest`] | [`UpgradeAccepted`]; how it went stands in `home/bin/programs.json` |
//! | `POST /v1/shutdown` | | `{}`; everything is stopped in order, then the keeper ends |
//!
//! An error is [`Failure`] with 400 (wrong request), 404 (no such stack or app), 409 (changed by somebody else
//! meanwhile), 422 (the manifest has errors) or 500. Answers to changes come when the change is recorded, not when it is done: `status`
//! tells ([`StackStatus::change`]).

mod certs;
mod confinement;
mod exec;
mod instance;
mod tasks;
mod upgrade;
mod usage;
mod views;

pub use certs::{CertificateStatus, Imported, IssueRequest, NewPair, RenewRequest, Renewed, Revoke};
pub use confinement::{EnforcedStatus, ReservedStatus};
pub use exec::{ExecPlace, ExecRequest};
pub use instance::InstanceStatus;
use ipnet::IpNet;
use manifest::Compose;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
pub use tasks::{TaskRunStatus, TaskStarted, TaskStatus};
pub use upgrade::{SecondEdge, UpgradeAccepted, UpgradeRequest};
pub use usage::{Detail, HostStatus, ProcessStatus, SpaceStatus, UsageStatus};
pub use views::{Alert, HistoryEntry, HistoryQuery, StatusQuery, TrafficStatus, Transition};

/// Run this manifest, or let it take the place of what runs under the same stack name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRequest {
    /// Absolute path of the manifest, or of the first of its compose files.
    pub manifest: PathBuf,
    /// What is asked for beside what compose files say. Kept for later reloads.
    #[serde(default, skip_serializing_if = "Compose::is_empty")]
    pub compose: Compose,
    /// Listen here instead of where the manifest says; empty: as the manifest says. Kept for later reloads.
    #[serde(default)]
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS.
    #[serde(default)]
    pub https: Vec<SocketAddr>,
    /// Pull images again that are there.
    #[serde(default)]
    pub pull: bool,
    /// It may reserve more than there is, from now on.
    #[serde(default)]
    pub overcommit: bool,
}

/// Read the manifest again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadRequest {
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// What is asked for beside what compose files say, from now on; none: what was asked for before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Compose>,
    /// Pull images again that are there.
    #[serde(default)]
    pub pull: bool,
    /// It may reserve more than there is, from now on.
    #[serde(default)]
    pub overcommit: bool,
}

/// Other numbers of instances than the manifest says, all of them or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleRequest {
    /// By app; none: as the manifest says again.
    pub apps: BTreeMap<String, Option<u32>>,
}

/// Send a signal to the main process of an app's instances.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRequest {
    /// Its name or number; none: what the manifest says that the app reloads with.
    #[serde(default)]
    pub signal: Option<String>,
    /// Only to the instance in this slot.
    #[serde(default)]
    pub slot: Option<u32>,
}

/// Refuse an address for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRequest {
    /// Address or network.
    pub net: IpNet,
    /// For so long.
    pub seconds: u64,
    /// What for, in words.
    pub reason: String,
}

/// Refuse it no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftRequest {
    /// Bans that hold it, or are within it; none: all.
    pub net: Option<IpNet>,
}

/// Somebody who is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanStatus {
    /// Address or network.
    pub net: IpNet,
    /// RFC 3339, UTC.
    pub until: String,
    /// What for.
    pub reason: String,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The stack.
    pub stack: String,
    /// Its revision now.
    pub revision: u64,
    /// What changes, a line each; empty: nothing does.
    pub changes: Vec<String>,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line for people: the cause and the next step.
    pub error: String,
    /// The manifest's diagnostics, rendered for a terminal without colour; empty unless the manifest is at fault.
    #[serde(default)]
    pub diagnostics: String,
}

/// Everything there is to know now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The keeper itself.
    pub keeper: KeeperStatus,
    /// The edge; none while it is being (re)started.
    pub edge: Option<EdgeStatus>,
    /// By name.
    pub stacks: Vec<StackStatus>,
    /// What a person has to see to.
    #[serde(default)]
    pub alerts: Vec<Alert>,
    /// Of all sites that have HTTPS.
    #[serde(default)]
    pub certificates: Vec<CertificateStatus>,
    /// Addresses and networks that are refused now.
    #[serde(default)]
    pub bans: usize,
    /// What the host uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostStatus>,
    /// What is reserved of it; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<ReservedStatus>,
}

/// The keeper itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeeperStatus {
    /// Process id.
    pub pid: u32,
    /// Version of the binary.
    pub version: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Its home.
    pub home: PathBuf,
    /// What it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ProcessStatus>,
    /// A service manager started it, and has it live on without a stack.
    #[serde(default)]
    pub managed: bool,
}

/// The edge, as it reports itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Process id.
    pub pid: u32,
    /// Name of the user it runs as.
    pub user: String,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Those of them that speak TLS.
    #[serde(default)]
    pub tls: Vec<SocketAddr>,
    /// Revision it serves from.
    pub revision: u64,
    /// Client connections open now.
    pub connections: u64,
    /// Exchanges under way now.
    pub in_flight: u64,
    /// Exchanges ended since the edge started.
    pub requests: u64,
    /// Access-log lines lost.
    pub log_lost: u64,
    /// What it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ProcessStatus>,
    /// The second one, while one takes over from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<SecondEdge>,
}

/// One stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackStatus {
    /// Name.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// Revision that is served.
    pub revision: u64,
    /// `starting`, `ready`, `degraded` (something is unhealthy or restarting), `failed`, `stopping`, `stopped`.
    pub state: String,
    /// Where its sites answer, as URLs.
    pub urls: Vec<String>,
    /// The latest change.
    pub change: Option<ChangeStatus>,
    /// What is wrong with the stack as a whole, such as an address that it cannot listen on; a line each.
    #[serde(default)]
    pub problems: Vec<String>,
    /// By name.
    pub apps: Vec<AppStatus>,
    /// By name.
    #[serde(default)]
    pub tasks: Vec<TaskStatus>,
}

/// The latest change of a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Revision it leads to.
    pub revision: u64,
    /// `preparing`, `committed`, `dropped`.
    pub state: String,
    /// Why it was dropped, with the last lines of what failed.
    pub reason: Option<String>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Name.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `starting`, `ready`, `degraded`, `unhealthy`, `failed`, `stopping`, `stopped`, `asleep` (until a request comes), `waiting` (for what
    /// it needs), `building`, `done` (its programs ended with success).
    pub state: String,
    /// Its image, where it is a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Ports of the host's that lead to it beside the sites: `127.0.0.1:6380->6379/tcp`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Instances wanted.
    pub wanted: u32,
    /// Instances ready.
    pub ready: u32,
    /// Where their number is not simply the manifest's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleStatus>,
    /// What is wrong, if something is: cause, and the last lines of output.
    pub reason: Option<String>,
    /// What it is, where it is a data service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceStatus>,
    /// What it starts from is being built.
    #[serde(default)]
    pub build: Option<BuildStatus>,
    /// Bytes of memory at which an instance is ended; [`InstanceStatus::enforced`] says by whom.
    #[serde(default)]
    pub memory_limit: Option<u64>,
    /// Bytes of memory at which an instance is recycled.
    #[serde(default)]
    pub memory_recycle: Option<u64>,
    /// What happens to its requests at the front door.
    #[serde(default)]
    pub traffic: TrafficStatus,
    /// All that the manifest and the defaults say of it but its environment, in the manifest's words; where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
    /// By slot.
    pub instances: Vec<InstanceStatus>,
    /// Latest changes of state, oldest first.
    pub history: Vec<Transition>,
}

/// How the number of an app's instances is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleStatus {
    /// So many were asked for by hand; none: it follows what is asked of the app.
    pub asked: Option<u32>,
    /// What the manifest says: `1`, or `0 to 4`.
    pub manifest: String,
}

/// What is known of a data service beyond what every app has. Never a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// As the manifest says it: `mariadb`.
    pub kind: String,
    /// Name and version of the server: `MariaDB 10.11.19`.
    pub server: String,
    /// Its loopback port.
    pub port: Option<u16>,
    /// Its unix socket.
    pub socket: PathBuf,
    /// The database that is made in it.
    pub database: Option<String>,
    /// The account of that.
    pub user: String,
}

/// A build under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildStatus {
    /// Which step, from 1.
    pub step: usize,
    /// How many there are.
    pub steps: usize,
    /// The step, as the manifest has it.
    pub command: String,
    /// Milliseconds since the first step began.
    pub elapsed_ms: u64,
    /// The last line of its output.
    pub line: String,
}
