//! What is used: by processes, by instances, by the host. Counters (`cpu_ms`, bytes of disks) only rise, so that who asks twice has
//! rates of its own; `cpu_percent` is of the last seconds.

use serde::{Deserialize, Serialize};

/// How much of it a status is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Nothing: for who only waits for a change of state.
    #[default]
    None,
    /// All of it; memory that processes of an instance share counts in each of them.
    Quick,
    /// All of it; shared memory counts once, which costs the kernel a walk through all pages: milliseconds for each process.
    Exact,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessStatus {
    /// Process id.
    pub pid: u32,
    /// Name of its executable, at most 15 bytes.
    pub name: String,
    /// Of one processor, in percent; none: it is not known yet.
    pub cpu_percent: Option<f64>,
    /// Milliseconds on processors since it started.
    pub cpu_ms: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Number of threads.
    pub threads: u32,
    /// Open descriptors, as far as the keeper may look.
    pub files: Option<u64>,
    /// Bytes read from disks since it started.
    pub read_bytes: Option<u64>,
    /// Bytes written to disks since it started.
    pub write_bytes: Option<u64>,
}

/// One instance: all its processes together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageStatus {
    /// The sums, with pid and name of its main process.
    #[serde(flatten)]
    pub sum: ProcessStatus,
    /// Most descriptors that its main process may open (`RLIMIT_NOFILE`, the soft one).
    pub files_limit: Option<u64>,
    /// The memory is its control group's, thus exact.
    pub of_group: bool,
    /// Each of its processes; the main one first, workers of a master after it.
    pub processes: Vec<ProcessStatus>,
}

/// The host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostStatus {
    /// Processors.
    pub cores: u32,
    /// Of all processors, in percent.
    pub cpu_percent: Option<f64>,
    /// Milliseconds that all processors together have worked since boot, and …
    pub busy_ms: u64,
    /// … worked or waited.
    pub total_ms: u64,
    /// Average number of tasks that run or wait for a disk: of 1, 5 and 15 minutes.
    pub load: [f32; 3],
    /// Memory, in bytes.
    pub memory: SpaceStatus,
    /// Swap space, in bytes.
    pub swap: SpaceStatus,
    /// The file system that holds the home, in bytes.
    pub disk: SpaceStatus,
    /// Bytes read from disks since boot.
    pub read_bytes: u64,
    /// Bytes written to disks since boot.
    pub write_bytes: u64,
    /// TCP sockets in use.
    pub tcp_sockets: u64,
}

/// Bytes of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceStatus {
    /// All of it.
    pub total: u64,
    /// What is taken.
    pub used: u64,
}
