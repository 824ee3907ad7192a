//! Landlock, as far as the kernel has it: nothing can be mounted; files are changed only where that is said, also where there could be no
//! mount namespace; no signal and no abstract socket reaches a process outside.

use super::Sandbox;
use ::landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};
use std::path::Path;

/// What this asks of the kernel at most; an older one does what it can.
const WRITE: ABI = ABI::V3;
const SCOPE: ABI = ABI::V6;

/// Where files are changed that are no files: devices, and what the kernel tells of processes.
const OF_THE_KERNEL: [&str; 2] = ["/dev", "/proc"];

pub(super) fn enter(own: &Sandbox) -> Result<(), String> {
    let version = super::kernel::landlock_version().unwrap_or(0);
    // Before version 6 there is nothing but files.
    if version == 0 || (version < 6 && !own.read_only) {
        return Ok(());
    }
    let said = |error: &dyn std::fmt::Display| format!("Landlock: {error}");
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let changes = AccessFs::from_write(WRITE);
    if own.read_only {
        ruleset = ruleset.handle_access(changes).map_err(|error| said(&error))?;
    }
    ruleset = ruleset.scope(Scope::from_all(SCOPE)).map_err(|error| said(&error))?;
    let mut created = ruleset.create().map_err(|error| said(&error))?;
    if own.read_only {
        let kernel = OF_THE_KERNEL.map(Path::new);
        let own_folders = own.writable.iter().chain(own.tmpfs.iter().map(|it| &it.target));
        let all = own_folders.map(|path| path.as_path()).chain(kernel);
        created = created.add_rules(path_beneath_rules(all, changes)).map_err(|error| said(&error))?;
    }
    created.restrict_self().map(drop).map_err(|error| said(&error))
}
