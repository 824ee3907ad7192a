//! Stopping: nobody of an application remains, however it resists and however the stop comes about.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
use common::*;
use std::time::{Duration, Instant};
use sys::process::Exit;
use wire::shim::{ShimState, ToShim};

/// A main process, a child, and a grandchild that has forked twice and leads a session of its own: all deaf to
/// SIGTERM. Each writes its id.
const STUBBORN: &str = "
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def stay():
    os.write(1, b'%d\\n' % os.getpid())
    while True: time.sleep(100)
if os.fork() == 0:
    stay()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: stay()
    os._exit(0)
os.wait()
stay()
";

fn python(script: &str, stop_ms: u64, lifetime: bool) -> Shim {
    Shim::run_with("", |s| {
        s.argv = vec!["python3".into(), "-c".into(), script.into()];
        (s.stop_ms, s.lifetime) = (stop_ms, lifetime);
    })
}

// req: PROC-15
#[test]
fn a_stubborn_tree_is_killed_at_the_deadline_and_nobody_remains() {
    let shim = python(STUBBORN, 300, false);
    let pids = shim.pids(3);
    let (client, begin) = (shim.connect(), Instant::now());
    client.status(&ToShim::Watch);
    let status = client.status(&ToShim::Stop { deadline_ms: None });
    assert!(matches!(status.state, ShimState::Running { .. }), "not before the deadline");
    let status = client.next_status();
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert!(matches!(
        status.state,
        ShimState::Ended { signal: Some(9), stopped: true, out_of_memory: false, .. }
    ));
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
}

#[test]
fn an_orderly_application_has_its_time_and_keeps_its_status() {
    let shim = Shim::run("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    until("the trap", || (shim.out() == ["ready"]).then_some(()));
    shim.connect().status(&ToShim::Stop { deadline_ms: None });
    let status = shim.outcome();
    assert!(matches!(status.state, ShimState::Ended { code: Some(7), stopped: true, .. }), "{status:?}");
    assert_eq!(shim.out(), ["ready", "bye"]);
}

#[test]
fn a_second_stop_brings_the_deadline_forward_and_never_back() {
    let shim = python(STUBBORN, 3_600_000, false);
    shim.pids(3);
    let client = shim.connect();
    client.status(&ToShim::Stop { deadline_ms: None });
    client.status(&ToShim::Stop { deadline_ms: Some(0) });
    client.status(&ToShim::Stop { deadline_ms: Some(u64::MAX) });
    assert!(matches!(shim.outcome().state, ShimState::Ended { signal: Some(9), .. }));
}

// req: PROC-15
#[test]
fn workers_left_behind_by_their_main_process_are_ended_too() {
    // One that ends on the stop signal, one that does not.
    let shim = Shim::run_with(
        "sleep 1000 & echo $!; sh -c 'trap \"\" TERM; echo $$; touch ready; exec sleep 1000' & \
         until [ -e ready ]; do sleep 0.01; done; kill -9 $$",
        |s| s.stop_ms = 300,
    );
    let pids = shim.pids(2);
    let status = shim.outcome();
    assert!(matches!(status.state, ShimState::Ended { signal: Some(9), stopped: false, .. }), "{status:?}");
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
}

#[test]
fn the_end_of_the_lifetime_pipe_ends_everything() {
    let mut shim = python(STUBBORN, 200, true);
    let pids = shim.pids(3);
    drop(shim.lifetime.take());
    assert_eq!(shim.exit(), Exit::Code(0));
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
    assert!(!shim.spec.socket.exists());
    let status = shim.status_file().expect("a later keeper can still read how it ended");
    assert!(matches!(status.state, ShimState::Ended { stopped: true, .. }), "{status:?}");
}

#[test]
fn after_the_end_it_waits_for_the_keeper_or_for_the_lifetime_pipe() {
    let mut shim = Shim::run_with("exit 4", |s| s.lifetime = true);
    assert!(matches!(shim.outcome().state, ShimState::Ended { code: Some(4), .. }));
    assert!(
        matches!(shim.outcome().state, ShimState::Ended { code: Some(4), .. }),
        "still there to be asked"
    );
    drop(shim.lifetime.take());
    assert_eq!(shim.exit(), Exit::Code(0));
}

#[test]
fn the_shim_ignores_hup_and_int_and_stops_in_order_on_term() {
    let mut shim = Shim::run("trap 'exit 6' TERM; echo ready; while :; do sleep 0.01; done");
    until("the trap", || (shim.out() == ["ready"]).then_some(()));
    for signal in [1, 2] {
        sys::process::signal(shim.pid, signal).unwrap();
    }
    let client = shim.connect();
    assert!(matches!(client.status(&ToShim::Watch).state, ShimState::Running { .. }));
    sys::process::signal(shim.pid, 15).unwrap();
    let stopping = client.next_status();
    assert!(stopping.stopping && matches!(stopping.state, ShimState::Running { .. }), "watchers know of it");
    let over = client.next_status();
    assert!(!over.stopping && matches!(over.state, ShimState::Ended { code: Some(6), stopped: true, .. }));
    assert_eq!(shim.exit(), Exit::Code(0));
}

#[test]
fn a_stranger_who_holds_the_output_does_not_hold_up_the_end() {
    let shim = Shim::run("echo ready; sleep 1000");
    until("output", || (shim.out() == ["ready"]).then_some(()));
    let held =
        std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", shim.main_pid())).unwrap();
    shim.connect().status(&ToShim::Stop { deadline_ms: Some(100) });
    assert!(matches!(shim.outcome().state, ShimState::Ended { stopped: true, .. }));
    drop(held);
}
