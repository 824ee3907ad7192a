//! Connections that last: WebSockets, event streams by the hundreds, and readers that do not keep up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

mod ended;
mod websocket;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST, wait_until};

/// The line of a route that leads to this backend.
fn proxy(backend: &Backend) -> String {
    format!("proxy = \"127.0.0.1:{}\"", backend.port())
}

/// A manifest of one site for one app.
fn one_app(script: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\ntimeout = \"20s\"\n\
         [app.web]\nrun = \"python3 -S -u {script}\"\n"
    )
}

const STREAMS: usize = 500;

#[test]
fn five_hundred_streams_get_each_event_within_a_second() {
    let door = FrontDoor::open(&one_app("events.py"), &[("events.py", include_str!("events.py"))]);
    let pid = door.edge_pid();
    let before = door.edge_memory(pid);
    let mut clients: Vec<Connection> = (0..STREAMS)
        .map(|_| {
            let mut client = door.connect();
            client.send(format!("GET /events HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n\r\n"));
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.head().header("content-type"), Some("text/event-stream"));
    }
    for number in 1..=5 {
        let begun = Instant::now();
        assert_eq!(door.get(&format!("/publish/{number}")).text(), STREAMS.to_string());
        for client in &mut clients {
            assert_eq!(client.chunk(), Some(format!("data: {number}\n\n").into_bytes()));
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "event {number} reached the last stream after {took:?}");
    }
    let each = door.edge_memory(pid).saturating_sub(before) / STREAMS as u64;
    assert!(each < 24 << 10, "{each} bytes for each stream");
    let edge = door.edge();
    assert!(edge["connections"].as_u64() >= Some(STREAMS as u64), "{edge}");
    // who leaves is noticed upstream, and nothing stays behind
    drop(clients);
    wait_until("the backend knows that all have left", || {
        (door.get("/publish/6").text() == "0").then_some(())
    });
    wait_until("no exchange is left", || (door.edge()["in_flight"] == 0).then_some(()));
}

/// Waits until a counter has stood still for a while, and gives it.
fn stalled(counter: &AtomicU64) -> u64 {
    let mut last = (0, Instant::now());
    wait_until("the sender is held back", || {
        let now = counter.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(700)).then_some(now)
    })
}

const SLOW: u64 = 20;
const PIECE: usize = 64 << 10;

#[test]
fn slow_readers_slow_the_backend_and_not_the_edges_memory_grows() {
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let backend = Backend::start(move |request, peer| {
        peer.body(request)?;
        if request.target() == "/quick" {
            return peer.ok("quick");
        }
        let total = 64 << 20;
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n"))?;
        for _ in 0..total / PIECE {
            peer.send(vec![7; PIECE])?;
            counter.fetch_add(PIECE as u64, Ordering::Relaxed);
        }
        Ok(())
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let pid = door.edge_pid();
    let before = door.edge_memory(pid);
    let mut slow: Vec<Connection> = (0..SLOW)
        .map(|_| {
            let mut client = door.connect();
            client.send(format!("GET /large HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
            client
        })
        .collect();
    let held = stalled(&written);
    assert!(held < SLOW * (32 << 20), "the backend was not held back: {held} bytes");
    let grown = door.edge_memory(pid).saturating_sub(before);
    // one buffer each, of at most 256 KiB
    assert!(grown < SLOW * (300 << 10), "{SLOW} slow readers cost {} KiB", grown >> 10);
    assert_eq!(door.get("/quick").text(), "quick", "others wait for slow readers");
    // who reads on gets the rest
    let answer = slow.remove(0).response();
    assert!(answer.body.len() == 64 << 20 && answer.body.iter().all(|&byte| byte == 7));
    drop(slow);
    wait_until("no exchange is left", || (door.edge()["in_flight"] == 0).then_some(()));
}

#[test]
fn a_slow_backend_slows_the_uploading_client() {
    let backend = Backend::start(|request, peer| {
        if request.target() == "/up" {
            wait_until("the edge is done with it", || {
                peer.stream().get_ref().peek(&mut [0]).is_err().then_some(())
            });
        }
        peer.close()
    });
    let door =
        FrontDoor::to(&[&format!("{}\nbody = \"2GB\"\ntimeout = {{ send = \"4s\" }}", proxy(&backend))]);
    let pid = door.edge_pid();
    let before = door.edge_memory(pid);
    let sent = Arc::new(AtomicU64::new(0));
    let mut client = door.connect();
    client.send(format!("POST /up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000000000\r\n\r\n"));
    let (counter, mut writer) = (Arc::clone(&sent), client.socket().try_clone().unwrap());
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        while writer.write_all(&[7; PIECE]).is_ok() {
            counter.fetch_add(PIECE as u64, Ordering::Relaxed);
        }
    });
    let held = stalled(&sent);
    assert!(held < 64 << 20, "the client was not held back: {held} bytes");
    let grown = door.edge_memory(pid).saturating_sub(before);
    assert!(grown < 1 << 20, "an upload that waits costs {} KiB", grown >> 10);
    // a backend that takes nothing for the send timeout has not answered in time
    assert_eq!(client.head().status, 504);
    drop(client);
    sender.join().unwrap();
}
