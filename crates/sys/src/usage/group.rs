//! Memory of control groups: of the one that a process tree has for itself, and what is left in those that this process is in.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted, on every system there is.
const MOUNT: &str = "/sys/fs/cgroup";

/// Bytes that the control group of `root` holds, without files that the kernel keeps only as long as nobody needs the room. None when the
/// group is also that of `parent`: then it is not the tree's own.
pub(super) fn memory(root: u32, parent: u32) -> Option<u64> {
    let own = group_of(root)?;
    if group_of(parent)? == own {
        return None;
    }
    held(Path::new(MOUNT), &own)
}

/// Bytes that are left in the control group of this process and in those around it, where they have a limit.
pub(super) fn left() -> Option<u64> {
    let group = parse_any(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    left_in(Path::new(MOUNT), group)
}

/// Of a group and those around it, up to the one that is seen as the first: in a container that is its own.
fn left_in(mount: &Path, mut group: Group) -> Option<u64> {
    let mut least = None;
    loop {
        let limit = fs::read_to_string(group.folder(mount).join(group.limit())).ok();
        let limit: Option<u64> = limit.and_then(|text| text.trim().parse().ok()); // `max`: none
        if let (Some(limit), Some(held)) = (limit, held(mount, &group)) {
            let left = limit.saturating_sub(held);
            least = Some(least.map_or(left, |least: u64| least.min(left)));
        }
        match group.path.rsplit_once('/') {
            Some((around, name)) if !name.is_empty() => group.path = around.to_owned(),
            _ => return least,
        }
    }
}

/// A group of the hierarchy that accounts memory.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    path: String,
    /// Version 1, where each controller has a hierarchy.
    is_first: bool,
}

fn group_of(pid: u32) -> Option<Group> {
    parse(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// Lines are `id:controllers:path` (cgroups(7)). Where version 1 has the memory controller, version 2 has none.
fn parse(text: &str) -> Option<Group> {
    // The root group holds everything there is.
    parse_any(text).filter(|group| group.path != "/")
}

fn parse_any(text: &str) -> Option<Group> {
    let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let first = lines().find(|(controllers, _)| controllers.split(',').any(|one| one == "memory"));
    let second = || lines().find(|(controllers, _)| controllers.is_empty());
    let (controllers, path) = first.or_else(second)?;
    Some(Group { path: path.to_owned(), is_first: !controllers.is_empty() })
}

impl Group {
    fn folder(&self, mount: &Path) -> PathBuf {
        mount.join(if self.is_first { "memory" } else { "" }).join(self.path.trim_start_matches('/'))
    }

    fn limit(&self) -> &'static str {
        if self.is_first { "memory.limit_in_bytes" } else { "memory.max" }
    }
}

fn held(mount: &Path, group: &Group) -> Option<u64> {
    let (all, cache) = match group.is_first {
        true => ("memory.usage_in_bytes", "total_inactive_file "),
        false => ("memory.current", "inactive_file "),
    };
    let folder = group.folder(mount);
    let all: u64 = fs::read_to_string(folder.join(all)).ok()?.trim().parse().ok()?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse().ok());
    Some(all.saturating_sub(cache.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups() {
        let one = "9:name=systemd:/\n4:cpu,memory:/app/x\n0::/\n";
        assert_eq!(parse(one), Some(Group { path: "/app/x".into(), is_first: true }));
        let two = "0::/system.slice/mainstay.service/web.1\n";
        assert_eq!(
            parse(two),
            Some(Group { path: "/system.slice/mainstay.service/web.1".into(), is_first: false })
        );
        assert_eq!(parse("0::/\n"), None, "everything there is");
        assert_eq!(parse("rubbish"), None);
    }

    #[test]
    fn files_that_are_kept_for_nobody_do_not_count() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::durable::write(&path, text.as_bytes(), 0o600).unwrap();
        };
        write("a/b/memory.current", "5000\n");
        let group = Group { path: "/a/b".into(), is_first: false };
        assert_eq!(held(mount.path(), &group), Some(5000));
        write("a/b/memory.stat", "anon 3000\ninactive_file 1500\n");
        assert_eq!(held(mount.path(), &group), Some(3500));
        write("memory/a/memory.usage_in_bytes", "700\n");
        write("memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n");
        assert_eq!(held(mount.path(), &Group { path: "/a".into(), is_first: true }), Some(500));
        assert_eq!(held(mount.path(), &Group { path: "/none".into(), is_first: true }), None);
    }

    #[test]
    fn what_is_left_is_the_least_of_all_groups_around() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::durable::write(&path, text.as_bytes(), 0o600).unwrap();
        };
        let group = || Group { path: "/a/b".into(), is_first: false };
        assert_eq!(left_in(mount.path(), group()), None);
        write("a/b/memory.current", "5000");
        write("a/b/memory.max", "max\n");
        assert_eq!(left_in(mount.path(), group()), None, "without a limit");
        write("a/memory.current", "7000");
        write("a/memory.max", "9000\n");
        assert_eq!(left_in(mount.path(), group()), Some(2000));
        write("memory.current", "7000");
        write("memory.max", "7500\n");
        assert_eq!(left_in(mount.path(), group()), Some(500), "a container's own");
        assert!(crate::usage::available().unwrap() > 0);
    }

    #[test]
    fn a_group_that_is_shared_with_the_parent_is_not_its_own() {
        assert_eq!(memory(std::process::id(), std::process::id()), None);
    }
}
