//! Apps whose requests wait, for tests.
#![allow(dead_code)]

use super::*;
use model::traffic::HoldSpec;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::edge::UpstreamStats;
use wire::snapshot::{Snapshot, UpstreamState};

pub const WAIT: Duration = Duration::from_secs(20);

/// Proxying to these addresses, with this hold.
pub fn holding(addresses: &[SocketAddr], requests: u32, wait: Duration) -> Snapshot {
    let mut table = proxying(addresses);
    table.upstreams[0].traffic.hold = HoldSpec { requests, wait, ..HoldSpec::default() };
    table
}

/// The same of an app that has no instance yet.
pub fn absent(state: UpstreamState, requests: u32, wait: Duration) -> Snapshot {
    let mut table = holding(&[], requests, wait);
    table.upstreams[0].state = state;
    table
}

/// The next snapshot: the app's instance is up, as the run of this number.
pub fn up(revision: u64, address: SocketAddr) -> Snapshot {
    let mut table = Snapshot { revision, ..holding(&[address], 100, WAIT) };
    table.upstreams[0].endpoints[0].instance = format!("s/a.1#{revision}");
    table
}

pub fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn stats(edge: &Edge) -> UpstreamStats {
    edge.stats().upstreams.into_iter().find(|stats| stats.upstream == "s/a").unwrap()
}

pub fn waiting(edge: &Edge, count: u64) {
    until(|| stats(edge).waiting == count);
}

/// A client that has sent this request.
pub fn sent(edge: &Edge, request: &str) -> TcpStream {
    let mut client = edge.client();
    client.write_all(request.as_bytes()).unwrap();
    client
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Answers with the path that was asked for, and notes it.
pub fn noting() -> (Backend, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = Arc::clone(&asked);
    let backend = Backend::answering(move |head| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        note.lock().unwrap().push(path.clone());
        ok(&path)
    });
    (backend, asked)
}
