//! What trees of processes use: memory, time, threads, files. Sampled from outside, about once a second.
//!
//! ```text
//! one pass over /proc (stat of each process) ─▶ trees of the roots ─▶ sums      files, bytes: only where they are asked for
//!                                                        └─ a control group of the tree's own: its memory instead
//! ```
//!
//! Resident pages come with the pass. Forked workers share pages, and each page counts in each of them: the sum is an upper bound.
//! [`Usage::exact_memory`] divides what is shared among its users. That takes the kernel a walk over all pages (a second's looks
//! at a few such trees would cost a tenth of a core), so it is for the one moment at which the sum is over a limit.
//!
//! Each figure is one look at a moving picture: a process may be gone while it is read, and then has used nothing.

mod group;

use crate::proc;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// What a tree of processes uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory: of its own control group, where it has one; else the sum of the processes' resident pages.
    pub memory: u64,
    /// The memory is the control group's, thus exact.
    pub of_group: bool,
    /// Time on processors, by user and kernel, with that of children that have ended. Rises as long as the root lives.
    pub cpu: Duration,
    /// Number of threads.
    pub threads: u32,
    /// Open descriptors. None: not asked for, or not permitted of one of the processes.
    pub files: Option<u64>,
    /// Bytes read from storage by those that live. None as with `files`.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage by those that live. None as with `files`.
    pub write_bytes: Option<u64>,
    /// Each process that lives, by pid.
    pub processes: Vec<Process>,
}

/// What one process uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Name of its executable, at most 15 bytes.
    pub name: String,
    /// Bytes of resident memory, those that it shares with others included.
    pub memory: u64,
    /// Its own time on processors, by user and kernel.
    pub cpu: Duration,
    /// Number of threads.
    pub threads: u32,
    /// Open descriptors; as in [`Usage::files`].
    pub files: Option<u64>,
    /// Bytes read from storage; as in [`Usage::files`].
    pub read_bytes: Option<u64>,
    /// Bytes written to storage; as in [`Usage::files`].
    pub write_bytes: Option<u64>,
}

impl Usage {
    /// Bytes of memory, with what its processes share counted once. Expensive: the kernel walks over all pages of each process.
    /// Where it does not let us, and of a control group, as [`Usage::memory`].
    pub fn exact_memory(&self) -> u64 {
        if self.of_group {
            return self.memory;
        }
        let exact = |process: &Process| proc::memory(process.pid).unwrap_or(0).min(process.memory);
        self.processes.iter().map(exact).sum()
    }
}

/// What is looked at beside memory, time and threads, which cost nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    No,
    Files,
}

/// All that is known of each of these processes and its descendants, by root. A root that is gone is not in it.
pub fn trees(roots: &[u32]) -> BTreeMap<u32, Usage> {
    look(roots, false, Detail::Files)
}

/// As [`trees`], each with what has lost its parent and went to the root's: of instances, whose parent (their shim, which has
/// no other children) takes in all such.
pub fn instances(roots: &[u32]) -> BTreeMap<u32, Usage> {
    look(roots, true, Detail::Files)
}

/// As [`instances`], without files and bytes: the cheapest look.
pub fn memory(roots: &[u32]) -> BTreeMap<u32, Usage> {
    look(roots, true, Detail::No)
}

/// One process alone, whatever it has started. None: it is gone.
pub fn process(pid: u32) -> Option<Process> {
    let seen =
        parse(&proc::stat_text(pid, &mut Vec::with_capacity(proc::STAT))?).filter(|seen| !seen.is_zombie)?;
    Some(describe(pid, &seen, Detail::Files))
}

/// Bytes of memory that are left for more processes: of the machine, and of the control groups that this process is in. None where it
/// cannot be known.
pub fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(group::left().into_iter().fold(kib.saturating_mul(1024), u64::min))
}

fn look(roots: &[u32], with_siblings: bool, detail: Detail) -> BTreeMap<u32, Usage> {
    let roots: BTreeSet<u32> = roots.iter().copied().collect();
    if roots.is_empty() {
        return BTreeMap::new();
    }
    let all = pass();
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, seen) in &all {
        children.entry(seen.parent).or_default().push(*pid);
    }
    let of_root = |root: u32| {
        let seen = all.get(&root).filter(|seen| !seen.is_zombie)?;
        let first = match children.get(&seen.parent).filter(|_| with_siblings) {
            Some(siblings) => siblings.clone(),
            None => vec![root],
        };
        Some((root, sum(root, seen.parent, descend(first, &children), &all, detail)))
    };
    roots.iter().filter_map(|root| of_root(*root)).collect()
}

/// These and all below them, each once.
fn descend(first: Vec<u32>, children: &BTreeMap<u32, Vec<u32>>) -> BTreeSet<u32> {
    let mut tree = BTreeSet::new();
    let mut to_see = first;
    while let Some(pid) = to_see.pop() {
        if tree.insert(pid) {
            to_see.extend(children.get(&pid).into_iter().flatten());
        }
    }
    tree
}

fn sum(root: u32, parent: u32, tree: BTreeSet<u32>, all: &BTreeMap<u32, Seen>, detail: Detail) -> Usage {
    let mut usage = Usage::default();
    let asked = (detail == Detail::Files).then_some(0);
    (usage.files, usage.read_bytes, usage.write_bytes) = (asked, asked, asked);
    for (pid, seen) in tree.into_iter().filter_map(|pid| Some((pid, all.get(&pid)?))) {
        usage.cpu += seen.cpu + seen.waited_cpu;
        if seen.is_zombie {
            continue;
        }
        let process = describe(pid, seen, detail);
        let plus = |sum: Option<u64>, one: Option<u64>| Some(sum?.saturating_add(one?));
        usage.memory = usage.memory.saturating_add(process.memory);
        usage.threads = usage.threads.saturating_add(process.threads);
        usage.files = plus(usage.files, process.files);
        usage.read_bytes = plus(usage.read_bytes, process.read_bytes);
        usage.write_bytes = plus(usage.write_bytes, process.write_bytes);
        usage.processes.push(process);
    }
    if let Some(memory) = group::memory(root, parent) {
        (usage.memory, usage.of_group) = (memory, true);
    }
    usage
}

fn describe(pid: u32, seen: &Seen, detail: Detail) -> Process {
    let (files, bytes) = match detail {
        Detail::No => (None, None),
        Detail::Files => (open_files(pid), storage_bytes(pid)),
    };
    Process {
        pid,
        name: seen.name.clone(),
        memory: seen.memory,
        cpu: seen.cpu,
        threads: seen.threads,
        files,
        read_bytes: bytes.map(|(read, _)| read),
        write_bytes: bytes.map(|(_, written)| written),
    }
}

/// One process as `/proc/<pid>/stat` shows it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    parent: u32,
    is_zombie: bool,
    cpu: Duration,
    /// Of children that it has waited for.
    waited_cpu: Duration,
    threads: u32,
    memory: u64,
}

/// Every process that can be seen.
fn pass() -> BTreeMap<u32, Seen> {
    let pids = proc::pids().unwrap_or_default();
    let mut buffer = Vec::with_capacity(proc::STAT);
    let see = |pid: u32| Some((pid, parse(&proc::stat_text(pid, &mut buffer)?)?));
    pids.into_iter().filter_map(see).collect()
}

/// Fields by their numbers in proc(5); the name, which may hold anything, is between the first and the last parenthesis.
fn parse(text: &str) -> Option<Seen> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X"); // 3
    let parent = fields.next()?.parse().ok()?; // 4
    let mut ticks = fields.skip(9); // to 14
    let mut time = || ticks.next()?.parse().ok().map(of_ticks);
    let cpu = time()? + time()?; // 14, 15
    let waited_cpu = time()? + time()?; // 16, 17
    let threads = ticks.nth(2)?.parse().ok()?; // 20
    let pages: u64 = ticks.nth(3)?.parse().ok()?; // 24
    let memory = pages.saturating_mul(rustix::param::page_size() as u64);
    let name = text.get(open + 1..close)?.to_owned();
    Some(Seen { name, parent, is_zombie, cpu, waited_cpu, threads, memory })
}

fn of_ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let rest = (ticks % per_second).saturating_mul(1_000_000_000) / per_second;
    Duration::from_secs(ticks / per_second) + Duration::from_nanos(rest)
}

/// How many descriptors a process has open. Linux 6.2 and later tell it as the folder's size; before, they are counted.
fn open_files(pid: u32) -> Option<u64> {
    let folder = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&folder).ok()?; // whoever may not see them may still see a size of 0
    match fs::metadata(&folder).ok()?.size() {
        0 => Some(entries.count() as u64),
        size => Some(size),
    }
}

/// Most descriptors that a process may have open (the soft `RLIMIT_NOFILE`). None: it is gone, not to be looked at, or has no limit.
pub fn files_limit(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Bytes that a process has read from storage and written to it.
fn storage_bytes(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("io")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some((field("read_bytes:")?, field("write_bytes:")?))
}

#[cfg(test)]
#[path = "usage/tests.rs"]
mod tests;
