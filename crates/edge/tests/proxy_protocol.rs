//! The PROXY protocol: believed from trusted peers, on the doors where it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge::Deadlines;
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::tls::*;
use support::*;
use wire::snapshot::Snapshot;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\x12\x67\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

const PLAIN: Door = Door { tls: false, proxy_protocol: true };
const TLS: Door = Door { tls: true, proxy_protocol: true };

fn table(trusted: &str) -> Snapshot {
    Snapshot { trusted: vec![trusted.parse().unwrap()], ..proxying(&[Backend::echoing().address]) }
}

fn send(address: std::net::SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    for piece in pieces {
        let _ = socket.write_all(piece);
    }
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

#[test]
fn the_client_a_trusted_peer_names_is_the_client() {
    let edge = behind(&[PLAIN], &table("127.0.0.0/8"));
    let address = edge.doors[0].address;
    let request = get("a.test", "/").replace("\r\n\r\n", "\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    for (header, client) in [(V1, "192.0.2.7"), (V2, "192.0.2.8")] {
        let answer = String::from_utf8(send(address, &[header, request.as_bytes()])).unwrap();
        assert!(answer.contains(&format!("X-Real-IP: {client}\r\n")), "{answer}");
        assert!(answer.contains(&format!("X-Forwarded-For: 203.0.113.9, {client}\r\n")), "{answer}");
    }
    // In one piece, and byte by byte.
    let whole = [V2, request.as_bytes()].concat();
    assert!(send(address, &[&whole]).starts_with(b"HTTP/1.1 200 "));
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert!(send(address, &bytes).starts_with(b"HTTP/1.1 200 "));
    // The balancer's own connection: it is the peer, and trusted.
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let answer = String::from_utf8(send(address, &[header, request.as_bytes()])).unwrap();
        assert!(answer.contains("X-Real-IP: 203.0.113.9\r\n"), "{answer}");
    }
    let clients: Vec<_> =
        edge.log(6).iter().map(|line| line["client"].as_str().unwrap().to_owned()).collect();
    assert_eq!(clients, ["192.0.2.7", "192.0.2.8", "192.0.2.8", "192.0.2.8", "203.0.113.9", "203.0.113.9"]);
    assert!(send(address, &[request.as_bytes()]).is_empty(), "no header, no service");
    assert!(send(address, &[b"PROXY TCP4 nonsense\r\n", request.as_bytes()]).is_empty());
}

#[test]
fn nobody_else_is_believed() {
    let edge = behind(&[PLAIN], &table("192.0.2.0/24"));
    let request = get("a.test", "/");
    for header in [V1, V2, LOCAL] {
        let answer = send(edge.doors[0].address, &[header, request.as_bytes()]);
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    }
    let answer = String::from_utf8(send(edge.doors[0].address, &[request.as_bytes()])).unwrap();
    assert!(answer.contains("X-Real-IP: 127.0.0.1\r\n"), "{answer}");
    // Nor anybody on a door where it is not asked for.
    let edge = behind(&[], &table("127.0.0.0/8"));
    assert!(send(edge.address, &[V1, request.as_bytes()]).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn the_header_comes_before_the_handshake() {
    let (given, der) = pair(&["a.test"]);
    let table = Snapshot { certificates: vec![given], ..table("127.0.0.0/8") };
    let edge = behind(&[TLS], &table);
    for header in [V1, V2] {
        let mut socket = TcpStream::connect(edge.doors[0].address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // The hello right behind it, in the same packet.
        let mut connection =
            ClientConnection::new(client(&[&der], &[TLS13]), ServerName::try_from("a.test").unwrap())
                .unwrap();
        let mut first = header.to_vec();
        connection.write_tls(&mut first).unwrap();
        socket.write_all(&first).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let reply = exchange(&mut stream, &get("a.test", "/"));
        assert!(reply.text().contains("X-Real-IP: 192.0.2."), "{}", reply.text());
        assert!(reply.text().contains("X-Forwarded-Proto: https\r\n"));
    }
}

#[test]
fn a_header_that_does_not_come_is_not_waited_for() {
    let deadlines = Deadlines { head_ms: 400, ..Deadlines::default() };
    let edge = Edge::with_doors(deadlines, 1, &[PLAIN], &table("127.0.0.0/8"));
    for sent in [&b""[..], b"PROXY ", &V2[..15]] {
        let began = Instant::now();
        assert!(send(edge.doors[0].address, &[sent]).is_empty());
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(5), "{took:?}");
    }
    until(|| edge.stats().connections == 0);
}
