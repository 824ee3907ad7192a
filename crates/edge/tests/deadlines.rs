//! Clients that keep the edge waiting.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge::Deadlines;
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use support::*;

const LONG_MS: u64 = 60_000;
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// An edge with these deadlines before an app that answers.
fn edge(idle_ms: u64, head_ms: u64) -> Edge {
    let app = Backend::answering(|_| ok("here"));
    Edge::with_deadlines(Deadlines { idle_ms, head_ms }, 1, &proxying(&[app.address]))
}

#[test]
fn a_head_that_drips_is_cut_at_its_deadline_however_often_a_byte_comes() {
    let edge = edge(LONG_MS, 600);
    let mut client = edge.client();
    let began = Instant::now();
    let mut writer = client.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        let drops = GET[..16].iter().chain(std::iter::repeat(&b'x'));
        for drop in drops {
            if began.elapsed() > PATIENCE || writer.write_all(&[*drop]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50)); // the drip's own rhythm
        }
    });
    let (head, _) = read_head(&mut client);
    let took = began.elapsed();
    assert!(head.starts_with("HTTP/1.1 408 ") && head.contains("\r\nConnection: close\r\n"), "{head}");
    assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(3), "{took:?}");
    // The edge reads on for two seconds, so that the answer is not lost, and no longer.
    until(|| edge.stats().connections == 0);
    dripping.join().unwrap();
    assert_eq!(edge.log(1)[0]["status"], 408);
    let mut other = edge.client();
    other.write_all(GET).unwrap();
    read_until(&mut other, b"here");
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let edge = edge(LONG_MS, 300);
    let mut client = edge.client();
    let began = Instant::now();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    until(|| edge.stats().connections == 0);
    assert_eq!(edge.stats().requests, 0);
}

#[test]
fn an_idle_connection_is_closed_at_its_deadline_which_each_request_begins_anew() {
    let edge = edge(800, LONG_MS);
    let mut client = edge.client();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        client.write_all(GET).unwrap();
        read_until(&mut client, b"here");
        std::thread::sleep(Duration::from_millis(100)); // idle, but not for long
    }
    let idle = Instant::now();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    let took = idle.elapsed();
    assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(3), "{took:?}");
    until(|| edge.stats().connections == 0);
}
