//! Starting an application, its surroundings, its output and its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
use common::*;
use std::collections::HashMap;
use sys::process::Exit;
use telemetry::journal::Stream;
use wire::shim::{Credentials, ShimState, ToShim};

// req: PROC-22
#[test]
fn output_is_kept_by_stream_with_time_stamps_and_read_together() {
    let shim = Shim::run("echo one; sleep 0.01; echo two >&2; sleep 0.01; printf three");
    shim.outcome();
    let records = shim.records();
    let found: Vec<_> = records.iter().map(|r| (r.stream, r.text.as_str())).collect();
    assert_eq!(found, [(Stream::Out, "one"), (Stream::Err, "two"), (Stream::Out, "three")]);
    assert!(records.windows(2).all(|w| w[0].time < w[1].time));
    let raw = std::fs::read_to_string(&shim.spec.err).unwrap();
    assert!(raw[..27].parse::<jiff::Timestamp>().is_ok() && raw.ends_with("Z two\n"), "{raw}");
}

#[test]
fn exit_code_and_signal_come_through_and_are_durable() {
    for (script, expected) in
        [("exit 3", (Some(3), None)), ("kill -9 $$", (None, Some(9))), ("true", (Some(0), None))]
    {
        let mut shim = Shim::run(script);
        let status = shim.outcome();
        let ShimState::Ended { pid, code, signal, stopped, out_of_memory, ended_ms, .. } = status.state
        else {
            panic!("{status:?}")
        };
        assert_eq!((code, signal), expected, "{script}");
        assert!(!stopped && !out_of_memory && pid > 0);
        assert!(status.started_ms > 0 && status.started_ms <= ended_ms);
        assert_eq!((status.instance.as_str(), status.shim), ("test/app.0#1", shim.pid));
        assert_eq!(shim.status_file(), Some(status));
        shim.connect().send(&ToShim::Release);
        assert_eq!(shim.exit(), Exit::Code(0));
        assert!(!shim.spec.socket.exists() && !shim.spec.status.exists());
    }
}

#[test]
fn while_it_runs_it_cannot_be_released_and_can_be_signalled() {
    let shim = Shim::run("trap 'echo hup; exit 5' HUP; echo ready; while :; do sleep 0.01; done");
    until("the trap", || (shim.out() == ["ready"]).then_some(()));
    let client = shim.connect();
    assert_eq!(client.refusal(&ToShim::Release), "the instance still runs");
    assert!(client.refusal(&ToShim::Signal { signal: 99 }).contains("99"));
    assert!(matches!(shim.status_file().unwrap().state, ShimState::Running { .. }));
    client.send(&ToShim::Signal { signal: 1 });
    let status = shim.outcome();
    assert!(matches!(status.state, ShimState::Ended { code: Some(5), stopped: false, .. }), "{status:?}");
    assert_eq!(shim.out(), ["ready", "hup"]);
}

// req: PROC-07
#[test]
fn what_cannot_be_executed_is_not_started_and_says_why() {
    let reason_of = |shim: &Shim| match shim.outcome().state {
        ShimState::NotStarted { reason } => reason,
        other => panic!("{other:?}"),
    };
    let mut shim = Shim::run_with("", |s| s.argv = vec!["no-such-program".into()]);
    assert_eq!(reason_of(&shim), "cannot execute no-such-program: No such file or directory (os error 2)");
    assert!(matches!(shim.status_file().unwrap().state, ShimState::NotStarted { .. }));
    shim.connect().send(&ToShim::Release);
    assert_eq!(shim.exit(), Exit::Code(0));
    let shim = Shim::run_with("true", |s| s.dir = "/no/such/folder".into());
    assert!(reason_of(&shim).starts_with("cannot enter the working folder /no/such/folder:"));
    let shim = Shim::run_with("true", |s| s.argv.clear());
    assert_eq!(reason_of(&shim), "no command");
    let shim = Shim::run_with("true", |s| s.out = "/no/such/folder/out.log".into());
    assert!(reason_of(&shim).starts_with("cannot open the log file /no/such/folder/out.log:"));
    if sys::user::is_root() {
        let user = Some(Credentials { uid: 65534, gid: 65534, groups: vec![] });
        let shim = Shim::run_with("true", |s| {
            sys::folder::make(&s.dir, 0o700, None).unwrap();
            s.user = user;
        });
        assert!(reason_of(&shim).contains("Permission denied"));
    }
}

// req: PROC-09
#[test]
fn the_working_folder_is_the_given_one_and_nothing_is_inherited() {
    let shim = Shim::run_with(
        "pwd; mkdir logs; echo x > logs/access.log; env; umask; ls -l /proc/self/fd | wc -l",
        |s| {
            s.env.push(("SECRET".into(), "with = and blanks".into()));
        },
    );
    shim.outcome();
    let mut lines = shim.out();
    lines.retain(|l| !l.starts_with("PWD=") && !l.starts_with("_=") && !l.starts_with("OLDPWD="));
    let dir = shim.dir.path().display().to_string();
    assert_eq!(lines, [dir.as_str(), "PATH=/usr/bin:/bin", "SECRET=with = and blanks", "0022", "5"]);
    assert!(shim.path("logs/access.log").exists());
    let environment = std::fs::read(format!("/proc/{}/environ", shim.pid)).unwrap();
    assert!(environment.is_empty(), "no secret in the shim's own environment");
}

#[test]
fn it_runs_as_the_given_user() {
    if !sys::user::is_root() {
        return;
    }
    let shim = Shim::run_with("id -u; id -g; id -G", |s| {
        s.dir = "/".into();
        s.user = Some(Credentials { uid: 65534, gid: 65534, groups: vec![65534, 4242] });
    });
    shim.outcome();
    assert_eq!(shim.out(), ["65534", "65534", "65534 4242"]);
}

#[test]
fn another_user_opens_its_output_by_path() {
    if !sys::user::is_root() {
        return; // one's own pipes can be opened again anyhow
    }
    let shim = Shim::run_with("echo one > /dev/stdout; sleep 0.01; echo two > /dev/stderr", |s| {
        s.dir = "/".into();
        s.user = Some(Credentials { uid: 65534, gid: 65534, groups: Vec::new() });
    });
    shim.outcome();
    let texts: Vec<_> = shim.records().into_iter().map(|record| record.text).collect();
    assert_eq!(texts, ["one", "two"]);
}

// req: OBS-28
#[test]
fn lines_of_several_workers_never_mix_and_none_is_lost_through_rotations() {
    let workers = "
import os, sys
for worker in range(4):
    if os.fork() == 0:
        for n in range(3000):
            os.write(1, b'%d %d %s\\n' % (worker, n, b'x' * (n % 300)))
        os._exit(0)
for _ in range(4): os.wait()
";
    let shim = Shim::run_with("", |s| {
        s.argv = vec!["python3".into(), "-c".into(), workers.into()];
        (s.log_size, s.log_keep) = (100_000, 100);
    });
    shim.outcome();
    let mut next: HashMap<u32, u32> = HashMap::new();
    let lines = shim.out();
    for line in &lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let (worker, n): (u32, u32) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        assert_eq!(fields[2], "x".repeat(n as usize % 300));
        let expected = next.entry(worker).or_default();
        assert_eq!(n, *expected, "worker {worker}");
        *expected += 1;
    }
    assert_eq!(lines.len(), 12_000);
    assert!(shim.path("out.log.10").exists());
}

#[test]
fn a_full_disk_never_blocks_the_application() {
    let shim = Shim::run_with("head -c 3000000 /dev/zero | tr '\\0' '\\n'; echo done >&2", |s| {
        s.out = "/dev/full".into();
    });
    let status = shim.outcome();
    assert!(matches!(status.state, ShimState::Ended { code: Some(0), .. }), "{status:?}");
    assert!(shim.records().iter().any(|r| r.text == "done"));
}

#[test]
fn memory_of_a_group_of_its_own_is_told_with_its_figures() {
    use sys::cgroup::{Controller, Host, Limits};
    if let Err(why) = Host::look().can(Controller::Memory) {
        return eprintln!("skipped: {why}");
    }
    let limits = Limits { memory: Some(32 << 20), ..Limits::default() };
    let group = Host::make(&format!("mainstay-shim-test-{}", std::process::id()), "oom", &limits).unwrap();
    // A child is over the limit: its parent would go on.
    let script = "sh -c 'a=x; while :; do a=$a$a; done'; exit 0";
    let shim = Shim::run_with(script, |spec| spec.groups = group.folders().to_vec());
    let status = shim.outcome();
    let ShimState::Ended { out_of_memory: true, held: Some((held, limit)), .. } = status.state else {
        panic!("{status:?}")
    };
    assert!(limit == 32 << 20 && held > 16 << 20, "{held} of {limit}");
    assert!(!group.folders()[0].exists(), "it is gone with the instance");
    shim.connect().send(&ToShim::Release);
}
