//! Whether the kernel's out-of-memory killer struck in this control group.
//!
//! The group may hold more than this instance: only together with a SIGKILL that nobody here sent is it taken for the
//! cause. Where no counter can be read the answer is no.

use std::fs;
use std::path::PathBuf;

pub(crate) struct OomCounter {
    files: Vec<PathBuf>,
    at_start: u64,
}

impl OomCounter {
    pub(crate) fn now() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let files: Vec<PathBuf> = groups.lines().filter_map(counter_file).collect();
        let at_start = count(&files);
        OomCounter { files, at_start }
    }

    pub(crate) fn has_risen(&self) -> bool {
        count(&self.files) > self.at_start
    }
}

/// For a line of /proc/self/cgroup (`id:controllers:path`), the file with an `oom_kill` line.
fn counter_file(line: &str) -> Option<PathBuf> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    match controllers {
        "" => Some(format!("/sys/fs/cgroup{path}/memory.events").into()),
        c if c.split(',').any(|c| c == "memory") => {
            Some(format!("/sys/fs/cgroup/memory{path}/memory.oom_control").into())
        }
        _ => None,
    }
}

fn count(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|f| parse(&fs::read_to_string(f).ok()?)).sum()
}

fn parse(text: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups() {
        assert_eq!(counter_file("0::/a/b").unwrap(), PathBuf::from("/sys/fs/cgroup/a/b/memory.events"));
        let one = counter_file("4:memory:/x").unwrap();
        assert_eq!(one, PathBuf::from("/sys/fs/cgroup/memory/x/memory.oom_control"));
        assert_eq!(counter_file("5:devices:/"), None);
        assert_eq!(counter_file("rubbish"), None);
        assert_eq!(parse("low 0\noom 3\noom_kill 2\n"), Some(2));
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\noom_kill 1"), Some(1));
        assert_eq!(parse(""), None);
    }
}
