//! Words about an upgrade, and about the second edge that it brings.

use super::ProcessStatus;
use crate::programs::Program;
use serde::{Deserialize, Serialize};

/// Become another program, and have an edge of it take over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeRequest {
    /// Names the attempt.
    pub id: String,
    /// Which, in `home/bin`.
    pub program: Program,
    /// Milliseconds that it has to prove itself.
    pub within_ms: u64,
    /// Milliseconds that connections of the former edge have to end.
    pub drain_ms: u64,
}

/// An upgrade has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeAccepted {
    /// What runs until it is done, and again if it fails.
    pub from: Program,
    /// What of the state the new program cannot keep, in words.
    pub lost: Vec<String>,
}

/// An edge that is to take over, or was taken over from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondEdge {
    /// Process id.
    pub pid: u32,
    /// `coming`, or `leaving`: it takes no new connections.
    pub state: String,
    /// Since when it is leaving: RFC 3339, UTC.
    pub since: Option<String>,
    /// When what is left of it is cut.
    pub until: Option<String>,
    /// Client connections open now.
    pub connections: u64,
    /// Exchanges under way now.
    pub in_flight: u64,
    /// What it uses; none: nobody asked, or it is not known.
    #[serde(default)]
    pub usage: Option<ProcessStatus>,
}
