//! What clients are held to: connections, new connections, bans, and what happens near the limits. Clients come from different
//! addresses of loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge::{Bounds, Deadlines};
use model::site::{BanRule, EdgeSpec};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::*;
use wire::edge::FromEdge;
use wire::snapshot::{Ban, Snapshot};

const GET: &[u8] = b"GET /api/health HTTP/1.1\r\nHost: a.test\r\n\r\n";
const BOUNDS: Bounds = Bounds { connections: 64, in_flight: 64, buffers: 1 << 30 };

/// A connection from 127.0.0.`last`.
fn from(last: u8, edge: &Edge) -> TcpStream {
    connected(last, edge.address)
}

/// The same, to this address. Who is refused may be reset before its `connect` is back: then nothing is written or read on it.
fn connected(last: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
    match socket.connect(&to.into()) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        connected => connected.unwrap(),
    }
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Whether it was closed without a byte, by an end or a reset.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

/// Whether a request on it is answered.
fn answers(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 12];
    stream.write_all(GET).is_ok() && stream.read_exact(&mut bytes).is_ok() && bytes == *b"HTTP/1.1 200"
}

fn limited(edge: EdgeSpec) -> Snapshot {
    let app = Backend::answering(|_| ok("here"));
    Snapshot { edge: EdgeSpec { limit_loopback: true, ..edge }, ..proxying(&[app.address]) }
}

#[test]
fn one_client_gets_so_many_connections_and_another_is_not_touched() {
    let edge = Edge::with_workers(2, &limited(EdgeSpec { client_connections: 5, ..EdgeSpec::default() }));
    let mut held: Vec<TcpStream> = (0..5).map(|_| from(2, &edge)).collect();
    assert!(held.iter_mut().all(answers));
    assert!(is_closed(&mut from(2, &edge)), "the sixth");
    assert!(answers(&mut from(3, &edge)));
    held.pop();
    until(|| answers(&mut from(2, &edge)));
}

#[test]
fn one_client_gets_so_many_new_connections_a_second() {
    let edge = Edge::start(&limited(EdgeSpec { client_connects: 2, ..EdgeSpec::default() }));
    let taken = (0..30).filter(|_| answers(&mut from(2, &edge))).count();
    assert!((20..=22).contains(&taken), "{taken}");
    assert!(answers(&mut from(3, &edge)));
    // And it comes back by itself.
    until(|| answers(&mut from(2, &edge)));
}

#[test]
fn trusted_peers_have_no_limit() {
    let mut table = limited(EdgeSpec { client_connections: 1, client_connects: 1, ..EdgeSpec::default() });
    table.trusted = vec!["127.0.0.2/32".parse().unwrap()];
    let edge = Edge::start(&table);
    let mut held: Vec<TcpStream> = (0..20).map(|_| from(2, &edge)).collect();
    assert!(held.iter_mut().all(answers));
}

/// 2,000 connections that say nothing, more than there is room for: of one client first, then of many.
#[test]
fn idle_attackers_do_not_keep_a_client_out() {
    let many = EdgeSpec { client_connections: 4000, client_connects: 4000, ..EdgeSpec::default() };
    for (spec, attackers) in [(EdgeSpec::default(), 1), (many.clone(), 1), (many, 100)] {
        let bounds = Bounds { connections: 500, in_flight: 500, buffers: 1 << 30 };
        let edge = Edge::with_bounds(Some(bounds), Deadlines::default(), 1, &limited(spec));
        let mut attack = Vec::new();
        for n in 0..2000 {
            attack.push(from(u8::try_from(10 + n % attackers).unwrap(), &edge));
        }
        let began = Instant::now();
        assert!(answers(&mut from(2, &edge)), "{attackers} attackers");
        // A second is what is asked for; a machine that builds beside this test needs more.
        assert!(began.elapsed() < Duration::from_secs(10), "{attackers} attackers: {:?}", began.elapsed());
    }
}

#[test]
fn near_the_limit_who_waits_goes_and_who_is_at_work_stays() {
    let (backend, connections) = driven();
    let edge = Edge::with_bounds(Some(BOUNDS), Deadlines::default(), 1, &proxying(&[backend.address]));
    let mut working = edge.client();
    working.write_all(GET).unwrap();
    let mut app = connections.recv_timeout(PATIENCE).unwrap();
    let dripping = edge.client();
    (&dripping).write_all(b"GET /").unwrap();
    let idle: Vec<TcpStream> = (0..200).map(|_| edge.client()).collect();
    until(|| edge.stats().connections <= 64);
    next_head(&mut app).unwrap();
    app.write_all(ok("late").as_bytes()).unwrap();
    read_until(&mut working, b"late");
    drop(idle);
}

#[test]
fn beyond_its_memory_the_edge_refuses_new_requests_at_once() {
    let (backend, connections) = driven();
    let bounds = Bounds { buffers: 0, ..BOUNDS };
    let edge = Edge::with_bounds(Some(bounds), Deadlines::default(), 1, &proxying(&[backend.address]));
    let refused = edge.get("a.test", "/");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1".to_owned())));
    assert!(connections.try_recv().is_err());
    until(|| edge.stats().connections == 0);
}

fn banning(offences: u32) -> EdgeSpec {
    EdgeSpec { ban: Some(BanRule { offences, within_s: 60, ban_s: 600 }), ..EdgeSpec::default() }
}

/// Breaks the protocol.
fn offend(last: u8, edge: &Edge) {
    let mut client = from(last, edge);
    client.write_all(b"GET /\x00 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut client);
}

#[test]
fn who_offends_again_and_again_is_banned_until_the_keeper_lifts_it() {
    let table = limited(banning(3));
    let edge = Edge::with_workers(2, &table);
    let mut held = from(2, &edge);
    assert!(answers(&mut held));
    (0..3).for_each(|_| offend(2, &edge));
    (0..2).for_each(|_| offend(3, &edge));
    let FromEdge::Banned(ban) = edge.hear() else { panic!("no ban") };
    assert_eq!(ban.net.to_string(), "127.0.0.2/32");
    assert!(is_closed(&mut from(2, &edge)));
    held.write_all(GET).unwrap();
    let (_, rest) = read_head(&mut held);
    let mut rest = rest;
    while !rest.windows(13).any(|window| window == b"HTTP/1.1 403 ") {
        let mut piece = [0; 4096];
        let count = held.read(&mut piece).unwrap();
        assert!(count > 0, "the open connection was not refused");
        rest.extend_from_slice(&piece[..count]);
    }
    assert!(answers(&mut from(3, &edge)), "one too few");
    // A snapshot from before the keeper knew: still banned. A new keeper hears of it again.
    edge.apply(&Snapshot { revision: 2, ..table.clone() });
    assert!(is_closed(&mut from(2, &edge)));
    assert!(matches!(edge.connect_keeper(), FromEdge::Hello { .. }));
    assert_eq!(edge.hear(), FromEdge::Banned(ban.clone()));
    // Named, then not: lifted.
    edge.apply(&Snapshot { revision: 3, bans: vec![ban], ..table.clone() });
    assert!(is_closed(&mut from(2, &edge)));
    edge.apply(&Snapshot { revision: 4, ..table });
    assert!(answers(&mut from(2, &edge)));
}

#[test]
fn behind_a_trusted_peer_the_client_is_banned_and_not_the_peer() {
    let mut table = limited(banning(1));
    table.trusted = vec!["127.0.0.9/32".parse().unwrap()];
    let net = "192.0.2.0/24".parse().unwrap();
    table.bans = vec![Ban { net, until_ms: u64::MAX, reason: "by hand".to_owned() }];
    let edge = Edge::start(&table);
    let status = |client: &str| {
        let mut peer = from(9, &edge);
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {client}\r\n\r\n");
        peer.write_all(head.as_bytes()).unwrap();
        read_head(&mut peer).0[9..12].to_owned()
    };
    assert_eq!((&*status("192.0.2.7"), &*status("198.51.100.1")), ("403", "200"));
    (0..3).for_each(|_| offend(9, &edge));
    assert_eq!(status("198.51.100.1"), "200", "nobody bans the proxy in front");
}

/// Who is named by the balancer that 127.0.0.9 is, with a PROXY header, over one connection for each.
#[test]
fn whom_a_proxy_header_names_is_held_to_limits_and_bans() {
    let spec = EdgeSpec { client_connections: 2, ..banning(2) };
    let mut table = limited(spec);
    table.trusted = vec!["127.0.0.9/32".parse().unwrap()];
    let door = Door { tls: false, proxy_protocol: true };
    let edge = Edge::with_doors(Deadlines::default(), 1, &[door], &table);
    let named = |client: &str, request: &[u8]| {
        let mut stream = connected(9, edge.doors[0].address);
        let header = format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n");
        stream.write_all(&[header.as_bytes(), request].concat()).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(count) if count > 0 => answer.extend_from_slice(&piece[..count]),
                _ => break,
            }
        }
        let status = answer.get(9..12).map(|status| String::from_utf8(status.to_vec()).unwrap());
        (stream, status.unwrap_or_default())
    };
    let held: Vec<_> = (0..2).map(|_| named("192.0.2.7", GET)).collect();
    assert!(held.iter().all(|(_, status)| status == "200"), "{held:?}");
    assert_eq!(named("192.0.2.7", GET).1, "", "the third connection of this client");
    assert_eq!(named("192.0.2.8", GET).1, "200", "another one behind the same balancer");
    drop(held);
    until(|| named("192.0.2.7", GET).1 == "200");
    for _ in 0..2 {
        until(|| named("192.0.2.7", b"GET /\x00 HTTP/1.1\r\n\r\n").1 == "400");
    }
    let FromEdge::Banned(ban) = edge.hear() else { panic!("no ban") };
    assert_eq!(ban.net.to_string(), "192.0.2.7/32");
    assert_eq!((&*named("192.0.2.7", GET).1, &*named("192.0.2.8", GET).1), ("", "200"));
}

/// 127.0.0.`last` asks with what another server refuses, breaks HTTP/2, names what is no path; each is an offence.
#[test]
fn every_kind_of_offence_is_counted() {
    let auth = Backend::answering(|_| "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned());
    let mut table = limited(banning(3));
    table.sites[0].routes[0].policy.forward_auth = Some(model::policy::ForwardAuthSpec {
        upstream: "s/auth".into(),
        path: "/".into(),
        copy: Vec::new(),
        timeout_ms: 5000,
    });
    table.upstreams.push(upstream("s/auth", auth.address));
    table.trusted = vec!["127.0.0.9/32".parse().unwrap()];
    let edge = Edge::start(&table);
    let ask = |last: u8, bytes: &[u8]| {
        let mut client = from(last, &edge);
        client.write_all(bytes).unwrap();
        let _ = client.read(&mut [0; 4096]);
    };
    let signed: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer guess\r\n\r\n";
    let dots: &[u8] = b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: a.test\r\n\r\n";
    (0..4).for_each(|_| ask(2, GET));
    for (last, bytes) in [(3, signed), (4, dots)] {
        (0..3).for_each(|_| ask(last, bytes));
        let FromEdge::Banned(ban) = edge.hear() else { panic!("no ban") };
        assert_eq!(ban.net.to_string(), format!("127.0.0.{last}/32"), "who shows nothing offends nobody");
    }
}
