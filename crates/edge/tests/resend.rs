//! Requests whose instance died before it answered: which are sent again, to whom, and how often.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::traffic::HoldSpec;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use support::deaf::Deaf;
use support::hold::*;
use support::*;
use wire::edge::FromEdge;
use wire::snapshot::{Snapshot, UpstreamState};

/// A request with a body, on a connection that is kept.
fn with_body(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Not the same everywhere.
fn body(length: usize) -> String {
    (0..length).map(|n| char::from(b'a' + u8::try_from(n % 25).unwrap())).collect()
}

/// The next request that the app gets, with so many bytes of its body.
fn taken(take: &Receiver<TcpStream>, length: usize) -> (TcpStream, String, String) {
    let mut stream = take.recv_timeout(PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = next_head(&mut stream).unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (stream, head, String::from_utf8(body).unwrap())
}

/// The only instance is gone, and is started again.
fn ended(edge: &Edge) {
    edge.apply(&Snapshot { revision: 2, ..absent(UpstreamState::Restarting, 100, WAIT) });
}

#[test]
fn what_was_sent_is_sent_again_only_if_that_changes_nothing() {
    let (old, take) = driven();
    let (new, asked) = noting();
    let edge = Edge::start(&holding(&[old.address], 100, WAIT));
    let (mut safe, mut unsafe_one) = (sent(&edge, &get("/safe")), sent(&edge, &post("/unsafe", "x")));
    let mut streams = [take.recv().unwrap(), take.recv().unwrap()];
    for stream in &mut streams {
        next_head(stream).unwrap();
    }
    ended(&edge);
    drop(streams);
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    assert_eq!(read_reply(&mut unsafe_one).status, 502);
    waiting(&edge, 1);
    edge.apply(&up(3, new.address));
    assert_eq!(read_reply(&mut safe).text(), "/safe");
    assert_eq!(*asked.lock().unwrap(), ["/safe"]);
    assert_eq!(stats(&edge).retried, 1);
}

/// Whole in one piece with its head, and in several.
#[test]
fn a_small_body_goes_along_to_the_next_instance() {
    for length in [5, 40_000, 65_536] {
        let (old, take) = driven();
        let (new, take_new) = driven();
        let edge = Edge::start(&holding(&[old.address], 100, WAIT));
        let text = body(length);
        let mut client = sent(&edge, &with_body("PUT", "/x", &text));
        let (stream, head, first) = taken(&take, length);
        assert_eq!(first, text);
        ended(&edge);
        drop(stream);
        assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
        waiting(&edge, 1);
        // What comes behind it meanwhile is the next request.
        client.write_all(get("/next").as_bytes()).unwrap();
        edge.apply(&up(3, new.address));
        let (mut stream, again, second) = taken(&take_new, length);
        assert_eq!((again, &second), (head, &text));
        stream.write_all(ok("put").as_bytes()).unwrap();
        assert!(next_head(&mut stream).unwrap().starts_with("GET /next "), "and nothing between them");
        stream.write_all(ok("next").as_bytes()).unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        assert!(answers.contains("\r\n\r\nputHTTP/1.1 200") && answers.ends_with("next"), "{answers}");
        assert_eq!(stats(&edge).retried, 1);
    }
}

/// The instance dies while the client is still sending.
#[test]
fn a_body_that_is_still_on_its_way_goes_on_to_the_next_instance() {
    let (old, take) = driven();
    let (new, take_new) = driven();
    let edge = Edge::start(&holding(&[old.address], 100, WAIT));
    let text = body(30_000);
    let request = with_body("PUT", "/x", &text).replace("Host", "Connection: close\r\nHost");
    let (early, late) = request.split_at(request.len() - 10_000);
    let mut client = sent(&edge, early);
    let (stream, ..) = taken(&take, 20_000);
    ended(&edge);
    drop(stream);
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    waiting(&edge, 1);
    edge.apply(&up(3, new.address));
    client.write_all(late.as_bytes()).unwrap();
    let (mut stream, _, again) = taken(&take_new, text.len());
    assert_eq!(again, text);
    stream.write_all(ok("put").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut client).text(), "put");
}

#[test]
fn what_may_not_run_twice_or_is_not_kept_is_not_sent_again() {
    let large = body(65_537);
    let chunked = "PUT /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let cases = [
        (with_body("POST", "/x", "a"), ""),
        (with_body("PATCH", "/x", "a"), ""),
        (with_body("PUT", "/x", &large), "not kept for another try"),
        (chunked.to_owned(), "not kept for another try"),
    ];
    let (app, take) = driven();
    let (other, take_other) = driven();
    // To which of both it goes is not said.
    let edge = Edge::start(&holding(&[app.address, other.address], 100, WAIT));
    for (n, (request, why)) in (1..).zip(cases) {
        let mut client = sent(&edge, &request.replace("Host", "Connection: close\r\nHost"));
        let body = request.len() - request.find("\r\n\r\n").unwrap() - 4;
        let stream = wait_for(|| take.try_recv().or_else(|_| take_other.try_recv()).ok());
        let mut whole = Read::take(&stream, 1 << 20);
        next_head(&mut whole).unwrap();
        whole.read_exact(&mut vec![0; body]).unwrap();
        drop(stream);
        assert_eq!(read_reply(&mut client).status, 502, "{n}");
        let line = edge.log(n).pop().unwrap();
        let error = line["error"].as_str().unwrap();
        assert!(error.contains("closed the connection before its answer") && error.contains(why), "{error}");
    }
    assert!(take.try_recv().is_err() && take_other.try_recv().is_err());
    assert_eq!(stats(&edge).retried, 0);
}

/// A request that kills whoever gets it does not go round.
#[test]
fn once_and_no_more() {
    let ends = || {
        Backend::start(|mut stream| {
            next_head(&mut stream).unwrap();
            stream.read_exact(&mut [0; 4]).unwrap();
        })
    };
    let apps = [ends(), ends(), ends()];
    let edge = Edge::start(&holding(&apps.each_ref().map(|app| app.address), 100, WAIT));
    let request = with_body("DELETE", "/x", "body").replace("Host", "Connection: close\r\nHost");
    assert_eq!(edge.request(&request).status, 502);
    let asked: usize = apps.iter().map(|app| app.connections.load(std::sync::atomic::Ordering::SeqCst)).sum();
    assert_eq!(asked, 2);
}

/// The bound is the hold's.
#[test]
fn no_more_bodies_are_kept_than_the_hold_has_room_for() {
    let (app, take) = driven();
    let mut table = holding(&[app.address], 100, WAIT);
    table.upstreams[0].traffic.hold = HoldSpec { bytes: 70_000, ..table.upstreams[0].traffic.hold };
    let edge = Edge::start(&table);
    let request = |length| with_body("PUT", "/x", &body(length)).replace("Host", "Connection: close\r\nHost");
    let kept = sent(&edge, &request(20_000));
    let (first, ..) = taken(&take, 20_000);
    let mut other = sent(&edge, &request(60_000));
    drop(taken(&take, 60_000));
    assert_eq!(read_reply(&mut other).status, 502);
    drop(first);
    let (mut again, _, text) = taken(&take, 20_000);
    assert_eq!(text, body(20_000));
    again.write_all(ok("put").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut { kept }).text(), "put");
}

/// Not a byte of it was sent.
#[test]
fn whom_nobody_accepts_goes_on_as_if_refused() {
    let (_deaf, address) = Deaf::new();
    let (app, _) = noting();
    let impatient = |addresses: &[_], wait| {
        let mut table = holding(addresses, 100, wait);
        table.sites[0].routes[0].connect_ms = 100;
        table
    };
    // Another instance takes it, also what may not run twice.
    let edge = Edge::start(&impatient(&[address, app.address], WAIT));
    for _ in 0..2 {
        assert_eq!(edge.request(&post("/x", "")).status, 200);
    }
    // There is none: it waits for one.
    let edge = Edge::start(&impatient(&[address], WAIT));
    let mut client = sent(&edge, &post("/y", ""));
    waiting(&edge, 1);
    edge.apply(&up(2, app.address));
    assert_eq!(read_reply(&mut client).text(), "/y");
    // And none comes. The time of all that is bounded together.
    let edge = Edge::start(&impatient(&[address], Duration::from_millis(500)));
    let begun = Instant::now();
    assert_eq!(edge.get("a.test", "/z").status, 504);
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    assert!(edge.log(1)[0]["error"].as_str().unwrap().contains("connect: timed out"));
}
