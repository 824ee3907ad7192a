//! What the views ask for, and what they show of the past and of traffic.

use super::Detail;
use serde::{Deserialize, Serialize};

/// What a status is to have beyond what the keeper knows anyway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusQuery {
    /// What processes and the host use.
    pub usage: Detail,
    /// Settings of each app.
    pub settings: bool,
    /// No certificates, of which there may be thousands.
    pub without_certificates: bool,
}

/// Which changes of state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryQuery {
    /// Of this stack only.
    pub stack: Option<String>,
    /// Of this app only.
    pub app: Option<String>,
    /// Not before this moment, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// At most so many, the latest.
    pub limit: Option<u32>,
}

/// A change of state and whose it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The stack.
    pub stack: String,
    /// The app.
    pub app: String,
    /// What changed, when, and why.
    #[serde(flatten)]
    pub change: Transition,
}

/// Mainstay tries no more: a person has to see to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The stack.
    pub stack: String,
    /// The app.
    pub app: String,
    /// `app.slot` of each place that is not started again.
    pub instances: Vec<String>,
    /// Since when the last of them is not: RFC 3339, UTC.
    pub since: Option<String>,
    /// What happened.
    pub text: String,
    /// What to do.
    pub next: String,
}

/// Requests for an app that met no instance at once. Counted since the front door started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrafficStatus {
    /// Waiting now.
    pub waiting: u64,
    /// Had to wait.
    pub held: u64,
    /// Were refused because too many waited, or too long.
    pub overflowed: u64,
    /// Were sent again.
    pub retried: u64,
}

/// A change of state, with its time and reason (OBS-16).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// RFC 3339, UTC.
    pub at: String,
    /// `app.slot`.
    pub instance: String,
    /// The new state.
    pub state: String,
    /// Why.
    pub reason: String,
}
