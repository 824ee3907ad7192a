//! One look at the memory of instances. Blocks; runs away from the loop.
//!
//! Resident pages are summed each time, which costs little. What processes share is counted several times in that sum: so where it is over a
//! limit, a second look says exactly, which costs much. It is taken again when what was added since could be enough for the limit, and
//! from time to time, for shared pages become private without any that is added.
//!
//! Where the instance has a control group the kernel holds it to its limits. The same look has them be those of the manifest now, and
//! finds out whether the kernel had to end a process: then what is left of the instance is ended too.

use model::InstanceId;
use std::time::{Duration, Instant};
use sys::cgroup::{Host, Limits};
use sys::usage::{self, Usage};

/// Longest time that an exact figure is relied on.
const RELIED_ON: Duration = Duration::from_secs(10);

/// What is to be found out of one instance.
pub(super) struct Asked {
    pub(super) id: InstanceId,
    pub(super) pid: u32,
    /// Bytes beyond which something follows.
    pub(super) limits: Vec<u64>,
    /// What its control group is to see to.
    pub(super) wanted: Limits,
    /// What the last look found.
    pub(super) last: Option<Held>,
}

/// What one instance holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes; exact where that is over a limit.
    pub(crate) bytes: u64,
    /// Bytes that the largest of its processes holds, shared ones included.
    pub(crate) largest: u64,
    /// Its control group sees to its limit of memory.
    pub(crate) by_group: bool,
    /// How often the kernel ended a process in its control group for want of memory.
    pub(crate) ended: u64,
    /// The last exact look.
    exact: Option<Exact>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exact {
    at: Instant,
    /// The sum then, and what it really was.
    sum: u64,
    bytes: u64,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    pub(super) held: Vec<(InstanceId, Held)>,
    /// Bytes that are left for more processes. None: it cannot be known.
    pub(super) available: Option<u64>,
}

pub(super) fn look(asked: Vec<Asked>) -> Look {
    let pids: Vec<u32> = asked.iter().map(|asked| asked.pid).collect();
    let used = usage::memory(&pids);
    let now = Instant::now();
    let host = Host::look();
    let held = asked.into_iter().filter_map(|asked| {
        let used = used.get(&asked.pid)?;
        let held = weigh(&asked, used, now, Usage::exact_memory);
        Some((asked.id.clone(), in_group(&host, &asked, held)))
    });
    Look { held: held.collect(), available: usage::available() }
}

/// Has the kernel's limits be those that are wanted now, and takes note of what it did for them.
fn in_group(host: &Host, asked: &Asked, held: Held) -> Held {
    let group = host.group_of(asked.pid, &asked.id.short());
    if group.folders().is_empty() {
        return held;
    }
    match group.adjust(&asked.wanted) {
        Ok(true) => tracing::info!(instance = %asked.id, "its limits are changed"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(instance = %asked.id, %error, "its limits cannot be changed; tried again")
        }
    }
    let limit = asked.wanted.as_kept().memory;
    Held { by_group: limit.is_some() && group.read().memory == limit, ended: group.oom_kills(), ..held }
}

fn weigh(asked: &Asked, used: &Usage, now: Instant, exactly: impl Fn(&Usage) -> u64) -> Held {
    let largest = used.processes.iter().map(|process| process.memory).max().unwrap_or(0);
    let sum = used.memory;
    if used.of_group || used.processes.len() < 2 {
        return Held { bytes: sum, largest, ..Held::default() };
    }
    let last = asked.last.and_then(|last| last.exact);
    let last = last.filter(|last| now.saturating_duration_since(last.at) < RELIED_ON);
    let at_most = last.map_or(sum, |last| last.bytes.saturating_add(sum.saturating_sub(last.sum)).min(sum));
    if asked.limits.iter().all(|limit| at_most <= *limit) {
        return Held { bytes: at_most, largest, exact: last, ..Held::default() };
    }
    let bytes = exactly(used);
    Held { bytes, largest, exact: Some(Exact { at: now, sum, bytes }), ..Held::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use sys::usage::Process;

    const MB: u64 = 1_000_000;

    fn workers(each: u64, count: u32) -> Usage {
        let process = |pid| Process {
            pid,
            name: "worker".into(),
            memory: each,
            cpu: Duration::ZERO,
            threads: 1,
            files: None,
            read_bytes: None,
            write_bytes: None,
        };
        Usage {
            memory: each * u64::from(count),
            processes: (0..count).map(process).collect(),
            ..Usage::default()
        }
    }

    #[test]
    fn what_workers_share_is_counted_once_and_rarely() {
        let id = InstanceId {
            app: model::AppId { stack: "s".parse().unwrap(), app: "web".parse().unwrap() },
            slot: 1,
            run: 1,
        };
        let mut asked = Asked { id, pid: 1, limits: vec![300 * MB], wanted: Limits::default(), last: None };
        let exact_looks = Cell::new(0);
        let exactly = |used: &Usage| {
            exact_looks.set(exact_looks.get() + 1);
            used.memory / 2
        };
        let begin = Instant::now();
        let look = |asked: &mut Asked, each, second| {
            let held = weigh(asked, &workers(each, 4), begin + Duration::from_secs(second), exactly);
            asked.last = Some(held);
            (held.bytes / MB, exact_looks.get())
        };
        assert_eq!(look(&mut asked, 50 * MB, 0), (200, 0), "below the limit the sum will do");
        assert_eq!(look(&mut asked, 100 * MB, 1), (200, 1), "400 MB, half of it counted twice");
        assert_eq!(look(&mut asked, 100 * MB, 2), (200, 1));
        assert_eq!(look(&mut asked, 110 * MB, 3), (240, 1), "40 MB more at most");
        assert_eq!(look(&mut asked, 130 * MB, 4), (260, 2), "it could be over the limit");
        assert_eq!(look(&mut asked, 130 * MB, 13), (260, 2));
        assert_eq!(look(&mut asked, 130 * MB, 15), (260, 3), "shared pages may have become private");
        assert_eq!(look(&mut asked, 200 * MB, 16), (400, 4));
        let alone = weigh(&asked, &workers(999 * MB, 1), begin, |_| {
            panic!("one process shares with nobody of its own")
        });
        assert_eq!((alone.bytes / MB, alone.largest / MB), (999, 999));
    }
}
