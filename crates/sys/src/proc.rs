//! What `/proc` tells of processes. Everything may be gone by the time it is used: pids are guarded with
//! [`start_time`] where it matters.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read};

/// Bytes for which there is room at first: no `/proc/<pid>/stat` has more.
pub(crate) const STAT: usize = 512;

/// Name, parent and state of a process, from `/proc/<pid>/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Name of the executable, at most 15 bytes.
    pub name: String,
    /// One letter: `R` running, `S` sleeping, `Z` zombie and so on (proc(5)).
    pub state: char,
    /// Parent's pid.
    pub parent: u32,
    /// Clock ticks from boot to its start.
    pub start_time: u64,
}

/// Reads a process's [`Stat`]; `None` when it is gone.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&stat_text(pid, &mut Vec::with_capacity(STAT))?)
}

/// `/proc/<pid>/stat` as text, read into this buffer. A process may call itself what it likes, and the kernel cuts names within letters:
/// what is no UTF-8 is replaced, so that nobody hides from us by his name.
pub(crate) fn stat_text(pid: u32, buffer: &mut Vec<u8>) -> Option<Cow<'_, str>> {
    buffer.clear();
    File::open(format!("/proc/{pid}/stat")).ok()?.read_to_end(buffer).ok()?;
    Some(String::from_utf8_lossy(buffer))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in parentheses and may itself hold blanks and parentheses: fields start after the last one.
    let open = text.find('(')?;
    let close = text.rfind(')')?;
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace();
    Some(Stat {
        name: text.get(open + 1..close)?.to_owned(),
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        start_time: fields.nth(17)?.parse().ok()?, // field 22 of proc(5)
    })
}

/// Clock ticks from boot to the start of a process: together with its pid it names one process for good.
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid).map(|s| s.start_time)
}

/// Whether a process lives, and is the one that was born then (in ticks as above; 0: not known). A zombie has ended.
pub fn lives(pid: u32, born: u64) -> bool {
    stat(pid).is_some_and(|process| process.state != 'Z' && (born == 0 || born == process.start_time))
}

/// Command line as the process shows it; empty for kernel threads and zombies.
pub fn cmdline(pid: u32) -> Option<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    Some(text.split_terminator('\0').map(str::to_owned).collect())
}

/// Ids of all processes that can be seen.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// All living (not zombie) descendants of a process, itself not included, parents before their children.
///
/// One look at a moving picture: who must catch all (to end them) repeats it until it is empty.
pub fn descendants(of: u32) -> io::Result<Vec<u32>> {
    let all: Vec<(u32, Stat)> = pids()?.into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = all.iter().filter(|(pid, s)| s.parent == parent && *pid != parent);
        found.extend(children.map(|(pid, _)| *pid));
        next += 1;
    }
    let zombie = |pid: &u32| all.iter().any(|(p, s)| p == pid && s.state == 'Z');
    Ok(found.into_iter().skip(1).filter(|pid| !zombie(pid)).collect())
}

/// Resident memory of one process in bytes. Proportional (`Pss`: shared pages are divided among their users) where
/// the kernel lets us read it, so that forked workers are not counted several times; else all resident pages.
pub fn memory(pid: u32) -> Option<u64> {
    rollup(pid, "Pss:").or_else(|| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    })
}

/// Bytes that a process's own network has received and sent, but over `lo`; none: it is on this process's.
pub fn network(pid: u32) -> Option<(u64, u64)> {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    of(&pid.to_string()).filter(|its| of("self").as_ref() != Some(its))?;
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let figure = |columns: &str, at: usize| columns.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
    lines.map(|(_, columns)| Some((figure(columns, 0)?, figure(columns, 8)?))).try_fold((0, 0), |sum, one| {
        let (received, sent) = one?;
        Some((sum.0 + received, sum.1 + sent))
    })
}

/// Whether nothing that a process executes gains rights (`PR_SET_NO_NEW_PRIVS`, prctl(2)).
pub fn no_new_privileges(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("NoNewPrivs:").is_some_and(|it| it.trim() == "1"))
}

/// Whether a process sees another network or other mounts than this one (namespaces(7)). False where that may not be looked at.
pub fn has_own_view(pid: u32) -> bool {
    let of = |process: &str, kind: &str| fs::read_link(format!("/proc/{process}/ns/{kind}")).ok();
    let differs = |kind: &str| of(&pid.to_string(), kind).is_some_and(|its| of("self", kind) != Some(its));
    ["net", "mnt"].into_iter().any(differs)
}

/// Memory that a process shares with nobody, in bytes.
pub fn private_memory(pid: u32) -> Option<u64> {
    Some(rollup(pid, "Private_Clean:")? + rollup(pid, "Private_Dirty:")?)
}

fn rollup(pid: u32, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|l| l.starts_with(field))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks() {
        let text = "12 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), ("a) b (c", 'S', 7));
        assert_eq!(stat.start_time, 4711);
        assert_eq!(parse_stat("rubbish"), None);
        assert_eq!(parse_stat(") ("), None);
    }

    #[test]
    fn a_process_whose_name_is_no_text_is_seen_all_the_same() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        // As the kernel cuts a long name in the middle of its last letter.
        let program = dir.path().join(std::ffi::OsStr::from_bytes(b"sleep-f\xc3\xbcr-imm\xc3"));
        // A link, as a file just written is busy (ETXTBSY) while a child of another test still holds it open.
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        let (pid, me) = (child.id(), std::process::id());
        let seen = (stat(pid), descendants(me), crate::usage::process(pid), crate::usage::memory(&[pid]));
        child.kill().unwrap();
        child.wait().unwrap();
        let stat = seen.0.expect("its stat");
        assert!(stat.parent == me && stat.name.starts_with("sleep-für-imm"), "{stat:?}");
        assert!(seen.1.unwrap().contains(&pid), "who ends all of a tree has to see it");
        assert!(seen.2.is_some_and(|process| process.memory > 0));
        assert!(seen.3.get(&pid).is_some_and(|usage| usage.memory > 0), "or its memory is without a limit");
    }

    #[test]
    fn this_process() {
        let me = std::process::id();
        assert!(start_time(me).unwrap() > 0);
        assert!(!cmdline(me).unwrap().is_empty());
        assert!(memory(me).unwrap() > 100_000);
        assert!(pids().unwrap().contains(&me));
        assert_eq!(stat(u32::MAX), None);
    }
}
