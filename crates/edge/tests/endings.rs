//! How exchanges end: tunnels whose one side is gone, streams that are cut, answers that overtake their request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use support::*;
use wire::edge::{FromEdge, ToEdge};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n";

/// Both ends of a tunnel.
fn tunnel(edge: &Edge, streams: &std::sync::mpsc::Receiver<TcpStream>) -> (TcpStream, TcpStream) {
    let mut client = edge.client();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
        .unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(SWITCH).unwrap();
    assert!(read_head(&mut client).0.starts_with("HTTP/1.1 101"));
    (client, upstream)
}

#[test]
fn a_tunnel_ended_by_its_instance_is_drained_at_once_and_gone_soon() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let (mut client, mut upstream) = tunnel(&edge, &streams);
    let mut table = proxying(&[]);
    table.revision = 2;
    edge.apply(&table);
    upstream.write_all(b"last words").unwrap();
    drop(upstream);
    let ended = Instant::now();
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    assert!(ended.elapsed() < Duration::from_secs(1), "the client's side is not waited for");
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"last words");
    until(|| edge.stats().in_flight == 0);
    let line = &edge.log(1)[0];
    assert_eq!(
        (&line["upstream"], &line["status"], &line["error"]),
        (&"s/a.1#1".into(), &101.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_tunnel_ended_by_its_client_is_gone_soon() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let (mut client, mut upstream) = tunnel(&edge, &streams);
    client.write_all(b"all I have to say").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    upstream.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"all I have to say");
    upstream.write_all(b"the rest").unwrap();
    read_until(&mut client, b"the rest");
    until(|| edge.in_flight("s/a.1#1") == 0 && edge.stats().in_flight == 0);
}

#[test]
fn a_stream_cut_by_a_shutdown_is_logged_as_what_it_was() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(STREAM).unwrap();
    let (head, rest) = read_head(&mut client);
    let got =
        head.len() + rest.len() + if rest.is_empty() { read_until(&mut client, b"1\n\n").len() } else { 0 };
    edge.say(&ToEdge::Shutdown { deadline_ms: 1 }, &[]);
    let line = &edge.log(1)[0];
    assert_eq!((&line["upstream"], &line["status"]), (&"s/a.1#1".into(), &200.into()));
    assert!(line["bytes"].as_u64().unwrap() >= got as u64, "{line}");
    assert!(line["upstream_ms"].is_number());
    assert_eq!(line["error"], "cut at the end of the edge");
}

#[test]
fn a_stream_left_by_its_client_is_logged_as_what_it_was() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(STREAM).unwrap();
    read_until(&mut client, b"data: 1");
    drop(client);
    let line = &edge.log(1)[0];
    assert_eq!((&line["upstream"], &line["status"]), (&"s/a.1#1".into(), &200.into()));
    assert!(line["bytes"].as_u64().unwrap() > STREAM.len() as u64, "{line}");
    assert_eq!(line["error"], "the client closed the connection");
}

/// RFC 9110 section 10.1.1, RFC 9112 section 9.6.
#[test]
fn an_answer_before_the_body_says_that_the_connection_ends() {
    let (app, streams) = driven();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    let mut upstream = streams.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(ok("no").as_bytes()).unwrap();
    let reply = read_reply(&mut client);
    assert_eq!((reply.text().as_str(), reply.header("Connection").as_deref()), ("no", Some("close")));
}
