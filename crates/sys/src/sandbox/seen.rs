//! What the kernel holds a process to, read back from `/proc`.

use std::fs;
use std::path::PathBuf;

/// What a process is kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// User and group it runs as.
    pub ids: (u32, u32),
    /// Nothing that it executes gains rights.
    pub no_new_privileges: bool,
    /// Its system calls are filtered.
    pub seccomp: bool,
    /// Capabilities that it has, as bits.
    pub effective: u64,
    /// Capabilities that it or whatever it executes can ever get.
    pub bounding: u64,
    /// Its root cannot be changed.
    pub read_only: bool,
    /// Folders in memory, each with its options.
    pub tmpfs: Vec<(PathBuf, String)>,
}

impl Seen {
    /// Looks at a process; none: it is gone, or not to be looked at.
    pub fn look(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        // Real, effective, saved and file system's.
        let id = |name: &str| field(name)?.split_ascii_whitespace().nth(1)?.parse().ok();
        let bits = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        let mut seen = Self {
            ids: (id("Uid")?, id("Gid")?),
            no_new_privileges: field("NoNewPrivs") == Some("1"),
            seccomp: field("Seccomp") == Some("2"),
            effective: bits("CapEff")?,
            bounding: bits("CapBnd")?,
            ..Self::default()
        };
        for line in mounts.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let mut before = before.split(' ').skip(4);
            let (Some(target), Some(options)) = (before.next(), before.next()) else { continue };
            let mut after = after.split(' ');
            let (kind, own) = (after.next(), after.nth(1).unwrap_or_default());
            if target == "/" {
                // The last one is on top of the others.
                seen.read_only = options.split(',').any(|option| option == "ro");
            }
            if kind == Some("tmpfs") {
                seen.tmpfs.push((PathBuf::from(target), format!("{options},{own}")));
            }
        }
        Some(seen)
    }

    /// Names of the capabilities of a set, without `CAP_`.
    pub fn names(set: u64) -> Vec<String> {
        let mut all: Vec<_> = caps::all().into_iter().filter(|one| set & one.bitmask() != 0).collect();
        all.sort_by_key(caps::Capability::index);
        all.iter().map(|one| one.to_string().trim_start_matches("CAP_").to_owned()).collect()
    }
}
