//! How requests meet the instances of an app: where they wait, how many an instance gets, to which one a client belongs, when one
//! that fails is left alone. A valid manifest gives it complete; the edge's snapshot carries it as it is.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything of one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrafficSpec {
    /// Where requests wait that no instance can take.
    pub hold: HoldSpec,
    /// Most requests in flight for each instance; none: no bound. More wait at the edge, not in a busy instance's backlog.
    pub concurrency: Option<u32>,
    /// A client's requests go to the instance that had its first one, as long as that takes requests.
    pub sticky: Option<StickySpec>,
    /// Time over which an instance that became ready gets its full share; zero: at once.
    pub slow_start: Duration,
    /// When an instance is left alone for a while.
    pub circuit: CircuitSpec,
    /// Most requests sent again, in percent of those sent; a few each second always may.
    pub retries: u32,
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self {
            hold: HoldSpec::default(),
            concurrency: None,
            sticky: None,
            slow_start: Duration::ZERO,
            circuit: CircuitSpec::default(),
            retries: 20,
        }
    }
}

/// Bounds of what waits for an instance: while none is ready (crash, restart, first start, scaled to zero), or all have as many
/// requests as `concurrency` lets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSpec {
    /// Most requests that wait at once; 0: none does. Beyond it 503 with `Retry-After` at once.
    pub requests: u32,
    /// Most bytes of memory that they take.
    pub bytes: u64,
    /// Longest wait of one; then 503 with `Retry-After`.
    pub wait: Duration,
}

impl HoldSpec {
    /// Nobody waits.
    pub const OFF: Self = Self { requests: 0, bytes: 0, wait: Duration::ZERO };

    /// Whether anybody may wait.
    pub fn is_on(&self) -> bool {
        self.requests > 0 && self.bytes > 0 && !self.wait.is_zero()
    }
}

impl Default for HoldSpec {
    fn default() -> Self {
        Self { requests: 1000, bytes: 64 << 20, wait: Duration::from_secs(30) }
    }
}

/// A client belongs to an instance by this cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StickySpec {
    /// Name of the cookie, which the edge sets. Its value names no address and no pid.
    pub cookie: String,
}

/// When an instance is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircuitSpec {
    /// Failures in a row (refused, reset before an answer, silent) after which it gets nothing; 0: never.
    pub failures: u32,
    /// Time after which one request tries it again.
    pub open: Duration,
}

impl Default for CircuitSpec {
    fn default() -> Self {
        Self { failures: 5, open: Duration::from_secs(10) }
    }
}
