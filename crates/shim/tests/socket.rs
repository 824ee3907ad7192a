//! The shim's socket: watchers, hostile clients, and what the shim costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
use common::*;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use wire::shim::{ShimState, ToShim};

#[test]
fn every_watcher_is_told_every_change_unasked() {
    let shim = Shim::run("exec sleep 1000");
    let watchers = [shim.connect(), shim.connect()];
    let idle = shim.connect();
    for watcher in &watchers {
        assert!(matches!(watcher.status(&ToShim::Watch).state, ShimState::Running { .. }));
    }
    shim.connect().status(&ToShim::Signal { signal: 9 });
    for watcher in &watchers {
        assert!(matches!(watcher.next_status().state, ShimState::Ended { .. }));
    }
    // Who did not watch is answered only what he asks.
    assert!(idle.refusal(&ToShim::Signal { signal: 9 }).contains("gone"));
}

#[test]
fn only_the_owner_may_connect() {
    let shim = Shim::run("sleep 1000");
    drop(shim.connect());
    assert_eq!(std::fs::metadata(&shim.spec.socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn hostile_clients_neither_stop_it_nor_make_it_grow() {
    let shim = Shim::run("sleep 1000");
    assert!(matches!(shim.connect().status(&ToShim::Watch).state, ShimState::Running { .. }));
    let before = anonymous_memory(shim.pid);
    let raw = || until("a connection", || UnixStream::connect(&shim.spec.socket).ok());

    // A frame announced too long ends the connection.
    let mut client = raw();
    client.write_all(&[0xff; 4]).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
    // What is no request is refused, and the connection lives on.
    let client = shim.connect();
    for rubbish in [&b"{}"[..], b"", b"\xff\xfe", b"[[[[[[[[[[[[", b"{\"type\":\"no_such\"}"] {
        client.0.send(rubbish, &[]).unwrap();
        assert!(matches!(client.next(), wire::shim::FromShim::Refused { .. }));
    }
    // Half a frame holds nobody up.
    let mut half = raw();
    half.write_all(&[0, 0, 1]).unwrap();
    // Requests without end from one who never reads: he is not read any more.
    let mut flood = raw();
    flood.set_nonblocking(true).unwrap();
    let mut taken = 0;
    while taken < 16 << 20 {
        match flood.write(&[0; 65536]) {
            Ok(n) => taken += n,
            Err(_) => break,
        }
    }
    // More connections than it keeps; when they are gone it answers again.
    let many: Vec<UnixStream> = (0..200).map(|_| raw()).collect();
    drop((client, half, flood, many));
    until("an answer", || {
        let client = sys::frame::FrameSocket::connect(&shim.spec.socket).ok()?;
        client.send(&wire::encode(&ToShim::Watch).unwrap(), &[]).ok()?;
        client.recv().ok()?
    });
    let after = anonymous_memory(shim.pid);
    assert!(after < before + (1 << 20), "grew from {before} to {after} bytes");
}

/// In bytes. Pages of the program itself do not count: which of them were touched so far says nothing about growth.
fn anonymous_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn it_is_small() {
    // Two of them, so that the program's own pages are shared as they are on a host that runs many.
    let shims = [(); 2].map(|()| Shim::run("seq 20000; echo done >&2; exec sleep 1000"));
    for shim in &shims {
        until("output", || shim.records().iter().any(|r| r.text == "done").then_some(()));
    }
    for shim in &shims {
        let private = sys::proc::private_memory(shim.pid).unwrap();
        println!("private memory of a shim that has carried output: {} KiB", private / 1024);
        assert!(private < 1 << 20, "{private} bytes");
    }
}
