//! Real groups, where this host lets us make some; else the test says so and is over.
#![allow(clippy::disallowed_methods)] // of files that look like the kernel's none has to outlive a crash

use super::*;
use crate::process::{Exit, Spawn, wait};
use std::path::Path;
use std::time::{Duration, Instant};

/// A group of its own for one test, or a word about why there is none.
fn group(name: &str, limits: Limits) -> Option<Group> {
    for controller in limits.controllers() {
        if let Err(why) = Host::look().can(controller) {
            eprintln!("skipped: {why}");
            return None;
        }
    }
    Some(Host::make(&format!("mainstay-test-{}", std::process::id()), name, &limits).unwrap())
}

fn inside(group: &Group, program: &str, args: &[&str]) -> u32 {
    let mut spawn = Spawn::new(program);
    spawn.args = args.iter().map(Into::into).collect();
    spawn.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spawn.groups = group.doors().unwrap();
    spawn.spawn().unwrap()
}

#[test]
fn memory_beyond_the_limit_is_ended_by_the_kernel_and_counted() {
    let limits = Limits { memory: Some(32 << 20), ..Limits::default() };
    let Some(group) = group("memory", limits) else { return };
    assert_eq!(group.read(), limits.as_kept());
    let script = "a=x; while :; do a=$a$a; done";
    let pid = inside(&group, "sh", &["-c", script]);
    assert_eq!(wait(pid).unwrap(), Exit::Signal(9));
    assert!(group.oom_kills() >= 1);
    assert!(group.peak().unwrap() > 16 << 20);
    group.remove();
    assert!(!group.folders()[0].exists());
}

#[test]
fn limits_change_while_it_runs_and_are_lifted() {
    let first = Limits { memory: Some(64 << 20), cpus: Some(1500), pids: Some(32) };
    let Some(group) = group("change", first) else { return };
    let pid = inside(&group, "sleep", &["100"]);
    assert_eq!(group.read(), first);
    assert_eq!(Host::look().group_of(pid, "change").folders().len(), group.folders().len());
    for next in [
        Limits { memory: Some(48 << 20), cpus: Some(250), pids: Some(8) },
        Limits { memory: Some(128 << 20), cpus: Some(2000), pids: None },
        Limits::default(),
    ] {
        group.set(&next).unwrap();
        assert_eq!(group.read(), next);
    }
    crate::process::signal(pid, 9).unwrap();
    wait(pid).unwrap();
    group.remove();
    assert!(group.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn two_busy_processes_share_one_processor() {
    let Some(group) = group("cpus", Limits { cpus: Some(1000), ..Limits::default() }) else { return };
    let busy = || inside(&group, "sh", &["-c", "while :; do :; done"]);
    let pids = [busy(), busy()];
    let (start, before) = (Instant::now(), group.cpu_time().unwrap());
    std::thread::sleep(Duration::from_secs(4)); // the time that is measured
    let (passed, used) = (start.elapsed(), group.cpu_time().unwrap() - before);
    for pid in pids {
        crate::process::signal(pid, 9).unwrap();
        wait(pid).unwrap();
    }
    group.remove();
    let cores = used.as_secs_f64() / passed.as_secs_f64();
    assert!(cores <= 1.05, "{cores} cores");
    eprintln!("{cores:.3} cores");
}

#[test]
fn no_more_processes_than_allowed() {
    let Some(group) = group("pids", Limits { pids: Some(32), ..Limits::default() }) else { return };
    // 64 tries: the shell says which failed, and goes on to wait for the others.
    let script = "for i in $(seq 64); do sleep 100 & done 2>/dev/null; sleep 100";
    let pid = inside(&group, "bash", &["-c", script]);
    let until = Instant::now() + Duration::from_secs(20);
    while group.pids().unwrap() < 32 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(group.pids(), Some(32));
    let members = std::fs::read_to_string(group.folders()[0].join("cgroup.procs")).unwrap();
    assert_eq!(members.lines().count(), 32);
    crate::process::signal_group(pid, 9).unwrap();
    wait(pid).unwrap();
    group.remove();
}

#[test]
fn what_is_left_of_a_former_keeper_goes() {
    let limits = Limits { memory: Some(32 << 20), ..Limits::default() };
    if group("none", limits).is_none() {
        return;
    }
    let base = format!("mainstay-test-swept-{}", std::process::id());
    let left = Host::make(&base, "left", &limits).unwrap();
    let lives = Host::make(&base, "lives", &limits).unwrap();
    let pid = inside(&lives, "sleep", &["100"]);
    Host::look().sweep(&base);
    assert!(!left.folders()[0].exists());
    assert!(lives.folders()[0].exists(), "it has a member");
    crate::process::signal(pid, 9).unwrap();
    wait(pid).unwrap();
    lives.remove();
    assert!(!lives.folders()[0].parent().unwrap().exists());
    Host::make(&format!("mainstay-test-{}", std::process::id()), "none", &limits).unwrap().remove();
}

#[test]
fn a_group_that_is_no_more_has_no_limits() {
    let group = Group::of(vec![Path::new("/no/such/group").to_owned()]);
    assert_eq!((group.read(), group.oom_kills(), group.peak()), (Limits::default(), 0, None));
    assert!(group.doors().is_err());
    group.set(&Limits { pids: Some(3), ..Limits::default() }).unwrap();
    group.remove();
}

#[test]
fn who_watches_is_told_of_the_first_kill() {
    let limits = Limits { memory: Some(32 << 20), ..Limits::default() };
    let Some(group) = group("watched", limits) else { return };
    let watch = OomWatch::new(&group).unwrap();
    let pid = inside(&group, "sh", &["-c", "a=x; while :; do a=$a$a; done"]);
    watch.wait().unwrap();
    assert_eq!(wait(pid).unwrap(), Exit::Signal(9));
    assert!(group.oom_kills() >= 1);
    group.remove();
    assert!(!group.exists() && OomWatch::new(&group).is_err());
}

/// By files that look like the kernel's: few hosts have both versions.
#[test]
fn a_group_of_version_two_is_watched_by_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("memory.events");
    std::fs::write(&events, "low 0\noom 0\noom_kill 0\n").unwrap();
    let group = Group::of(vec![folder.path().to_owned()]);
    let watch = OomWatch::new(&group).unwrap();
    assert_eq!(group.oom_kills(), 0);
    std::fs::write(&events, "low 0\noom 1\noom_kill 1\n").unwrap();
    watch.wait().unwrap();
    assert_eq!(group.oom_kills(), 1);
}
