//! One instance.

use super::{EnforcedStatus, UsageStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// One instance; or a slot that has none because its last run failed and it is not started again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// `app.slot`.
    pub label: String,
    /// Run number.
    pub run: u64,
    /// `starting`, `ready`, `unhealthy`, `draining`, `stopping`, `ended`, `failed`.
    pub state: String,
    /// Main process id.
    pub pid: Option<u32>,
    /// Where it takes requests.
    pub address: Option<String>,
    /// Its addresses on its private networks, by their names; empty: it is in the host's own.
    #[serde(default)]
    pub networks: BTreeMap<String, IpAddr>,
    /// Milliseconds since its process started.
    pub uptime_ms: Option<u64>,
    /// Starts of this slot after the first, those after a recycling apart.
    pub restarts: u32,
    /// Runs of this slot that were recycled.
    #[serde(default)]
    pub recycled: u32,
    /// How the slot's last run ended.
    pub last_end: Option<String>,
    /// The same in two words: `exit 1`, `signal 9`.
    #[serde(default)]
    pub ended: Option<String>,
    /// Memory of all its processes, in bytes; where usage was asked for.
    pub memory: Option<u64>,
    /// Requests sent to it.
    pub requests: u64,
    /// Requests there now.
    pub in_flight: u64,
    /// Requests that failed there: refused, reset, timed out.
    #[serde(default)]
    pub failures: u64,
    /// Its circuit is open: after failures in a row the front door sends it nothing but a trial.
    #[serde(default)]
    pub left_alone: bool,
    /// Answers for each second of the last minute.
    #[serde(default)]
    pub rate: f64,
    /// Microseconds within which half of the answers of the last minute began; none: there was none.
    #[serde(default)]
    pub p50_us: Option<u64>,
    /// 99 of 100.
    #[serde(default)]
    pub p99_us: Option<u64>,
    /// What it uses; where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageStatus>,
    /// What holds of its limits and of what it is to be kept from; with its use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enforced: Vec<EnforcedStatus>,
    /// Files of its output and of its errors; where settings were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<PathBuf>,
}
