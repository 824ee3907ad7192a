//! Mixed traffic with clients that abort, backends that die and tables that change: at the end nothing is left. No claim, no connection,
//! no buffer, no descriptor; and, where it runs for a minute or longer, no more memory than after a quarter of the time.
//!
//! `SOAK_SECONDS` says how long (default: a few seconds); `bench/soak` runs it for ten minutes with the release build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::*;
use wire::edge::{FromEdge, ToEdge};
use wire::snapshot::Snapshot;

const CLIENTS: u64 = 12;
/// Bytes of a large answer.
const LARGE: usize = 512 << 10;
/// What memory may grow by after a quarter of the time: stocks that fill, fragments of the allocator.
const GROWTH: u64 = 16 << 20;

/// Descriptors of the pipes that two workers keep for reuse.
const PIPES: usize = 2 * 2 * 16;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Takes what comes and answers by the path; dies in the middle where it is asked to.
fn backend() -> Backend {
    Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = (&mut stream).take(length.unwrap_or(0));
            if std::io::copy(&mut body, &mut std::io::sink()).is_err() {
                return;
            }
            let answer = match head.split(' ').nth(1).unwrap_or_default() {
                "/large" => ok(&"x".repeat(LARGE)),
                "/silent-end" => return,
                "/half" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf".to_owned(),
                "/chunked" => {
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned()
                }
                _ => ok("here"),
            };
            if stream.write_all(answer.as_bytes()).is_err() || head.contains(" /half ") {
                return;
            }
        }
    })
}

/// One thing a client does, well-behaved or not. Errors are part of the game.
fn act(edge: &Edge, random: &mut fastrand::Rng) -> std::io::Result<()> {
    let mut client = TcpStream::connect(edge.address)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let paths = ["/", "/large", "/silent-end", "/half", "/chunked", "/missing"];
    let path = paths[random.usize(..paths.len())];
    let get = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let upload = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n");
    let mut some = vec![0; 1 + random.usize(..60_000)];
    match random.u8(..9) {
        // One after the other on one connection, and several at once.
        0 => (0..5).try_for_each(|_| {
            client.write_all(get.as_bytes()).and_then(|()| client.read(&mut some)).map(drop)
        })?,
        1 => client.write_all(get.repeat(4).as_bytes()).and_then(|()| client.read(&mut some)).map(drop)?,
        // Gone within the head, the body, before the answer, within it.
        2 => client.write_all(&get.as_bytes()[..random.usize(1..get.len())])?,
        3 => client.write_all(upload.as_bytes()).and_then(|()| client.write_all(&some))?,
        4 => client.write_all(get.as_bytes())?,
        5 => client.write_all(get.as_bytes()).and_then(|()| client.read_exact(&mut some[..1]))?,
        // Half closed, malformed, whole.
        6 => {
            client.write_all(get.as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            client.read_to_end(&mut Vec::new()).map(drop)?;
        }
        7 => client
            .write_all(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
            .and_then(|()| client.read(&mut some))
            .map(drop)?,
        _ => {
            client.write_all(upload.as_bytes())?;
            client.write_all(&vec![b'x'; 100_000])?;
            client.read(&mut some).map(drop)?;
        }
    }
    Ok(())
}

/// Publishes a table; what drains meanwhile is said in between.
fn publish(edge: &Edge, table: &Snapshot) {
    let file = sys::memfile::create("snapshot", &wire::encode(table).unwrap()).unwrap();
    edge.say(&ToEdge::Snapshot { revision: table.revision }, &[file.as_fd()]);
    while edge.hear() != (FromEdge::Applied { revision: table.revision }) {}
}

/// Every table has an instance nobody listens at, and others' names move on: instances drain and come.
fn table(revision: u64, backends: &[Backend]) -> Snapshot {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = usize::try_from(revision).unwrap() % backends.len();
    let mut table =
        proxying(&[backends[first].address, backends[(first + 1) % backends.len()].address, closed]);
    table.revision = revision;
    for (n, endpoint) in table.upstreams[0].endpoints.iter_mut().enumerate() {
        endpoint.instance = format!("s/a.{n}#{}", revision + n as u64);
    }
    table
}

#[test]
fn nothing_is_left_of_aborting_clients_and_dying_backends() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(4, |text| text.parse().unwrap());
    let lasts = Duration::from_secs(seconds);
    let backends = [backend(), backend(), backend()];
    let edge = Edge::with_workers(2, &table(1, &backends));
    let _ = act(&edge, &mut fastrand::Rng::with_seed(0));
    let before = descriptors();
    let (done, acts, began) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    let mut memory = None;
    let mut revision = 1;
    std::thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let (edge, done, acts) = (&edge, &done, &acts);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                while !done.load(Ordering::Relaxed) {
                    let _ = act(edge, &mut random);
                    acts.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while began.elapsed() < lasts {
            std::thread::sleep(Duration::from_millis(200)); // the rhythm of changes
            revision += 1;
            publish(&edge, &table(revision, &backends));
            if began.elapsed() > lasts / 4 {
                memory.get_or_insert_with(resident);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    // One more: what was named and has drained is forgotten.
    publish(&edge, &table(revision + 1, &backends));
    // Statistics come between reports of what has drained.
    let stats = || {
        edge.say(&ToEdge::Stats, &[]);
        loop {
            if let FromEdge::Stats(stats) = edge.hear() {
                return stats;
            }
        }
    };
    until(|| {
        let stats = stats();
        stats.connections == 0 && stats.in_flight == 0 && stats.instances.iter().all(|one| one.in_flight == 0)
    });
    until(|| descriptors() <= before + PIPES);
    let (acts, requests) = (acts.into_inner(), stats().requests);
    let memory = memory.unwrap_or_default();
    println!("{acts} acts, {requests} requests, {revision} tables, {memory} bytes, then {}", resident());
    assert!(requests > seconds * 20, "{requests}");
    assert!(seconds < 60 || resident() <= memory + GROWTH, "{memory} bytes have become {}", resident());
}
