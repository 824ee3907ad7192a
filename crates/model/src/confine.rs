//! What an instance is kept from, native or in a container. What a host cannot enforce is said by `check` and `status`, never passed over.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What an instance may not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfineSpec {
    /// Group it runs as, instead of its user's own.
    pub group: Option<String>,
    /// Its root is read-only: what is `writable`, its state folder, volumes and `tmpfs` are not.
    pub read_only: bool,
    /// Folders in memory.
    pub tmpfs: Vec<TmpfsSpec>,
    /// Capabilities of capabilities(7), without `CAP_`, upper case; `ALL`.
    pub cap_add: Vec<String>,
    /// The same.
    pub cap_drop: Vec<String>,
    /// It may gain privileges by executing a set-user-id program. A native app with a user of its own may not unless this is said;
    /// a container may, as the engine has it, unless [`Self::no_new_privileges`].
    pub new_privileges: Option<bool>,
    /// Landlock and seccomp of native apps: on, off, or (none) on where the app says anything about confinement.
    pub sandbox: Option<bool>,
}

/// Capabilities whose system calls a sandbox refuses: who asks for one wants them.
const BEYOND: [&str; 10] = [
    "BPF",
    "PERFMON",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
];

impl ConfineSpec {
    /// Whether Landlock and seccomp are asked for.
    pub fn is_sandboxed(&self) -> bool {
        let Self { group, read_only, tmpfs, cap_add, cap_drop, new_privileges, sandbox } = self;
        let says = group.is_some()
            || *read_only
            || !(tmpfs.is_empty() && cap_add.is_empty() && cap_drop.is_empty())
            || *new_privileges == Some(false);
        let goes_beyond = cap_add.iter().any(|one| BEYOND.contains(&one.as_str()) || one == "ALL");
        sandbox.unwrap_or(says && !goes_beyond && *new_privileges != Some(true))
    }
}

/// A folder in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// Absolute.
    pub target: PathBuf,
    /// Bytes; none: as the system has it.
    pub size: Option<u64>,
    /// Permissions; none: 01777.
    pub mode: Option<u32>,
    /// Nothing in it can be executed.
    pub noexec: bool,
    /// Set-user-id has no effect.
    pub nosuid: bool,
    /// Devices have no effect.
    pub nodev: bool,
}
