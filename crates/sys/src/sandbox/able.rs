//! What this host, and this process on it, can do.

use super::{kernel, seccomp};
use caps::{CapSet, Capability};
use std::fs;

/// What can be asked of [`super::Sandbox::enter`] here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Able {
    /// A mount namespace of its own, thus a read-only root, folders in memory and private files. The error says why not, for people.
    pub mounts: Result<(), String>,
    /// Version of Landlock.
    pub landlock: Option<u32>,
    /// Filters of system calls.
    pub seccomp: bool,
    /// Capabilities that can be given, without `CAP_`.
    pub capabilities: Vec<String>,
}

impl Able {
    /// Looks.
    pub fn look() -> Self {
        let held = caps::read(None, CapSet::Permitted).unwrap_or_default();
        let mut capabilities: Vec<String> =
            held.iter().map(|one| one.to_string().trim_start_matches("CAP_").to_owned()).collect();
        capabilities.sort();
        Self {
            mounts: if may_mount() { Ok(()) } else { may_be_user() },
            landlock: kernel::landlock_version(),
            seccomp: seccomp::is_known() && fs::exists("/proc/sys/kernel/seccomp").unwrap_or(false),
            capabilities,
        }
    }
}

/// This process may make mounts of its own without a user namespace.
pub(super) fn may_mount() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false)
}

/// A user namespace can be made without any right.
fn may_be_user() -> Result<(), String> {
    let says = |file: &str, no: &str| fs::read_to_string(file).is_ok_and(|text| text.trim() == no);
    for (file, no) in [
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ] {
        if says(file, no) {
            return Err(format!("this host lets only root make mounts ({file} is {no})"));
        }
    }
    if fs::exists("/proc/self/ns/user").unwrap_or(false) {
        Ok(())
    } else {
        Err("the kernel has no user namespaces".into())
    }
}
