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
    Edge::with_deadlines(
        Deadlines { idle_ms, head_ms, body_ms: LONG_MS, ..Deadlines::default() },
        1,
        &proxying(&[app.address]),
    )
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

/// An edge with this deadline for bodies, and what its app's connections are given to.
fn edge_for_bodies(body_ms: u64) -> (Edge, std::sync::mpsc::Receiver<std::net::TcpStream>) {
    let (app, connections) = driven();
    let deadlines = Deadlines { idle_ms: LONG_MS, head_ms: LONG_MS, body_ms, ..Deadlines::default() };
    (Edge::with_deadlines(deadlines, 1, &proxying(&[app.address])), connections)
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n";

#[test]
fn a_body_that_drips_is_cut_however_often_a_byte_comes() {
    let (edge, _connections) = edge_for_bodies(600);
    let mut client = edge.client();
    client.write_all(POST).unwrap();
    let began = Instant::now();
    let mut writer = client.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        while began.elapsed() < PATIENCE && writer.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50)); // the drip's own rhythm
        }
    });
    let (head, _) = read_head(&mut client);
    let took = began.elapsed();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(3), "{took:?}");
    until(|| edge.stats().connections == 0);
    dripping.join().unwrap();
}

#[test]
fn a_slow_body_that_comes_steadily_arrives() {
    let (edge, connections) = edge_for_bodies(600);
    let mut client = edge.client();
    client.write_all(POST).unwrap();
    let mut instance = connections.recv_timeout(PATIENCE).unwrap();
    next_head(&mut instance).unwrap();
    for _ in 0..20 {
        client.write_all(&[b'x'; 5000]).unwrap();
        std::thread::sleep(Duration::from_millis(100)); // slow, but not too slow
    }
    instance.read_exact(&mut vec![0; 100_000]).unwrap();
    instance.write_all(ok("all of it").as_bytes()).unwrap();
    read_until(&mut client, b"all of it");
}

#[test]
fn who_is_answered_already_may_take_its_time_with_the_rest() {
    let (edge, connections) = edge_for_bodies(300);
    let mut client = edge.client();
    client.write_all(POST).unwrap();
    let mut instance = connections.recv_timeout(PATIENCE).unwrap();
    next_head(&mut instance).unwrap();
    instance.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").unwrap();
    read_until(&mut client, b"hi");
    std::thread::sleep(Duration::from_millis(900)); // longer than a body may take that is waited for
    client.write_all(b"still here").unwrap();
    instance.read_exact(&mut [0; 10]).unwrap();
    instance.write_all(b"3\r\nbye\r\n").unwrap();
    read_until(&mut client, b"bye");
}
