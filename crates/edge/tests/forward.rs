//! Connections and datagrams that are passed on without being looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::network::Protocol;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use support::*;
use wire::edge::{FromEdge, Listener, ToEdge};
use wire::snapshot::{Endpoint, Forward, Snapshot, UpstreamState};

fn endpoint(address: SocketAddr, draining: bool) -> Endpoint {
    let address = model::observed::Address::Tcp(address);
    Endpoint { instance: "s/db.1#1".into(), address, draining, weight: 1, release: 0, pid: None }
}

fn forwarding(revision: u64, address: SocketAddr, protocol: Protocol, endpoints: Vec<Endpoint>) -> Snapshot {
    let forwards = vec![Forward { address, protocol, upstream: "s/db".into() }];
    Snapshot { forwards, ..snapshot(revision, Vec::new(), vec![serving("s/db", endpoints)]) }
}

/// Answers each byte with itself, and the end with `bye`.
fn echo() -> Backend {
    Backend::start(|mut stream| {
        let mut bytes = [0; 4096];
        while let Ok(count) = stream.read(&mut bytes) {
            if count == 0 {
                let _ = stream.write_all(b"bye");
                return;
            }
            stream.write_all(&bytes[..count]).unwrap();
        }
    })
}

fn client(edge: &Edge) -> TcpStream {
    let client = TcpStream::connect(edge.address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

#[test]
fn bytes_go_both_ways_until_both_sides_have_ended() {
    let (backend, edge) = (echo(), Edge::start(&snapshot(1, Vec::new(), Vec::new())));
    edge.apply(&forwarding(2, edge.address, Protocol::Tcp, vec![endpoint(backend.address, false)]));
    let mut one = client(&edge);
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let mut writer = one.try_clone().unwrap();
    let upload = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&upload).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answer = Vec::new();
    one.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    assert!(answer.strip_suffix(b"bye").unwrap() == sent, "{} bytes came back", answer.len());
}

#[test]
fn a_connection_waits_for_an_instance_and_an_instance_for_its_connections() {
    let (backend, edge) = (echo(), Edge::start(&snapshot(1, Vec::new(), Vec::new())));
    let address = edge.address;
    let mut starting = forwarding(2, address, Protocol::Tcp, Vec::new());
    starting.upstreams[0].state = UpstreamState::Starting;
    edge.apply(&starting);
    let mut one = client(&edge);
    one.write_all(b"early").unwrap();
    edge.apply(&forwarding(3, address, Protocol::Tcp, vec![endpoint(backend.address, false)]));
    let mut five = [0; 5];
    one.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"early");
    // It drains: what is open goes on, and the keeper hears of the end.
    edge.apply(&forwarding(4, address, Protocol::Tcp, vec![endpoint(backend.address, true)]));
    one.write_all(b"still").unwrap();
    one.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"still");
    drop(one);
    let drained = FromEdge::Drained { instance: "s/db.1#1".into(), revision: 4 };
    assert_eq!(edge.hear(), drained);
}

#[test]
fn where_nobody_is_to_be_waited_for_the_connection_ends_at_once() {
    let edge = Edge::start(&snapshot(1, Vec::new(), Vec::new()));
    let mut down = forwarding(2, edge.address, Protocol::Tcp, Vec::new());
    down.upstreams[0].state = UpstreamState::Down;
    edge.apply(&down);
    assert_eq!(client(&edge).read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn datagrams_find_their_way_there_and_back() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let edge = Edge::start(&snapshot(1, Vec::new(), Vec::new()));
    let socket = sys::listen::bind_datagrams(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let at = server.local_addr().unwrap();
    edge.say(
        &ToEdge::Listen { listeners: vec![Listener { address, queue: 0, datagrams: true }] },
        &[socket.as_fd()],
    );
    edge.apply(&forwarding(2, address, Protocol::Udp, vec![endpoint(at, false)]));
    let clients: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut bytes = [0; 64];
    for (n, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.connect(address).unwrap();
        client.send(format!("question {n}").as_bytes()).unwrap();
        let (len, from) = server.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], format!("question {n}").as_bytes());
        server.send_to(format!("answer {n}").as_bytes(), from).unwrap();
    }
    for (n, client) in clients.iter().enumerate() {
        let len = client.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], format!("answer {n}").as_bytes(), "each gets its own");
    }
}
