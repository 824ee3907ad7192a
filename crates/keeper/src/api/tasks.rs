//! What the API says of tasks. Times are RFC 3339, with the offset that the host's clocks have.

use serde::{Deserialize, Serialize};

/// A run was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// The stack.
    pub stack: String,
    /// The task.
    pub task: String,
    /// [`TaskRunStatus::id`].
    pub run: u64,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Name.
    pub name: String,
    /// What it is, as the manifest says.
    pub description: Option<String>,
    /// When it is due, as the manifest says.
    pub schedule: String,
    /// The host's time zone, if its name is known.
    pub zone: Option<String>,
    /// When it is due next.
    pub next: Option<String>,
    /// A run waits for the former one to end.
    pub waits: bool,
    /// The latest runs, and moments at which nothing was run; the latest first.
    pub runs: Vec<TaskRunStatus>,
}

/// A run, or a moment at which nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRunStatus {
    /// Its number.
    pub id: u64,
    /// `running`, `ok`, `failed`, `timed-out`, `replaced` (by the next run), `stopped`, `lost` (nobody saw how it ended), `missed`,
    /// `skipped` (the former run went on).
    pub result: String,
    /// When it was due; none: somebody asked for it.
    pub due: Option<String>,
    /// When it was begun, or left out.
    pub begun: String,
    /// When it ended.
    pub ended: Option<String>,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// How it ended, and its last lines.
    pub detail: String,
}
