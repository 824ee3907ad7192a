//! What the keeper knows of each instance, folded from events of the supervisor and the edge.
//!
//! ```text
//!            start              ready             drain            stop
//!  (nothing) ─────▶ Starting ─────────▶ Ready ◀──▶ Unhealthy
//!                      │                  │            │
//!                      │                  └─────┬──────┘
//!                      │                        ▼
//!                      │                     Draining ─────▶ Stopping
//!                      ▼                        │               │
//!                    Ended ◀────────────────────┴───────────────┘
//! ```

use crate::InstanceId;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A moment on the keeper's clock, as the time since an origin of the keeper's choice. Simulated in tests.
pub type Moment = Duration;

/// One instance as it is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Which run of which instance.
    pub id: InstanceId,
    /// [`crate::plan::AppDesired::spec`] of the specification that it was started with.
    pub spec: u64,
    /// Where it stands.
    pub phase: Phase,
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Phase {
    /// Asked to start; not ready yet.
    Starting {
        /// When that was.
        since: Moment,
    },
    /// Takes requests.
    Ready {
        /// When it became ready.
        since: Moment,
    },
    /// Runs, but its health checks fail: takes no requests.
    Unhealthy {
        /// When that was found out.
        since: Moment,
    },
    /// Takes no new requests; those in flight may end.
    Draining {
        /// When that began.
        since: Moment,
        /// The edge has said that no claim is left.
        drained: bool,
    },
    /// Was told to stop; its process is not gone yet.
    Stopping {
        /// When that was.
        since: Moment,
    },
    /// Its process is gone.
    Ended {
        /// When that was.
        at: Moment,
        /// How long it had lived.
        uptime: Duration,
        /// How it ended.
        end: End,
    },
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// We stopped it.
    Stopped,
    /// It exited by itself with this status.
    Exited(i32),
    /// This signal ended it, and it was not ours.
    Signaled(i32),
    /// The kernel ended it for want of memory.
    OutOfMemory,
    /// It could not be executed at all; the text says why.
    NotStarted(String),
    /// It did not become ready within its start period; the text says what was tried last.
    NotReady(String),
}

/// Where an instance takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
