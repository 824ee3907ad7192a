//! An edge that another one takes over from: no client sees a request cut, what lasts goes on until the deadline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::sync::mpsc::sync_channel;
use support::*;
use wire::edge::{FromEdge, Retiring, ToEdge};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const LONG: u64 = 600_000;

fn retiring(edge: &Edge) -> Option<Retiring> {
    match edge.connect_keeper() {
        FromEdge::Hello { retiring, .. } => retiring,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_waiting_connection_brings_one_more_request_and_a_running_one_ends_by_itself() {
    let (give, take) = sync_channel(4);
    let app = Backend::start(move |stream| give.send(stream).unwrap());
    let edge = Edge::with_workers(2, &proxying(&[app.address]));
    assert_eq!(retiring(&edge), None);
    let (mut idle, mut busy) = (edge.client(), edge.client());
    busy.write_all(GET).unwrap();
    let mut upstream = take.recv().unwrap();
    next_head(&mut upstream).unwrap();
    until(|| edge.stats().connections == 2);

    edge.say(&ToEdge::Retire { deadline_ms: LONG }, &[]);
    until(|| std::net::TcpStream::connect(edge.address).is_err());
    let told = retiring(&edge).unwrap();
    assert!(told.left_ms <= LONG && told.left_ms + told.for_ms >= LONG - 1, "{told:?}");
    idle.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(idle.read(&mut [0]).is_err(), "it waits on");
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    idle.write_all(GET).unwrap();
    let mut second = take.recv().unwrap();
    next_head(&mut second).unwrap();
    second.write_all(ok("more").as_bytes()).unwrap();
    let reply = read_reply(&mut idle);
    assert_eq!((reply.text().as_str(), reply.header("Connection").as_deref()), ("more", Some("close")));

    upstream.write_all(ok("late").as_bytes()).unwrap();
    let reply = read_reply(&mut busy);
    assert_eq!((reply.text().as_str(), reply.header("Connection").as_deref()), ("late", Some("close")));
    edge.ended();
}

#[test]
fn it_takes_snapshots_and_says_what_has_drained() {
    let (give, take) = sync_channel(4);
    let old = Backend::start(move |stream| give.send(stream).unwrap());
    let new = Backend::answering(|_| ok("new"));
    let edge = Edge::start(&proxying(&[old.address]));
    let (mut busy, mut idle) = (edge.client(), edge.client());
    busy.write_all(GET).unwrap();
    let mut upstream = take.recv().unwrap();
    next_head(&mut upstream).unwrap();
    until(|| edge.stats().connections == 2);
    edge.say(&ToEdge::Retire { deadline_ms: LONG }, &[]);

    let mut table = proxying(&[old.address, new.address]);
    table.revision = 2;
    table.upstreams[0].endpoints[0].draining = true;
    edge.apply(&table);
    idle.write_all(GET).unwrap();
    assert_eq!(read_reply(&mut idle).text(), "new", "its last request goes where there is somebody");
    assert_eq!(edge.in_flight("s/a.1#1"), 1);
    upstream.write_all(ok("old").as_bytes()).unwrap();
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    assert_eq!(read_reply(&mut busy).text(), "old");
    edge.ended();
}

#[test]
fn the_deadline_cuts_and_who_is_told_to_end_does_not_wait_for_it() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        let _ = stream.read(&mut [0]);
    });
    for shut_down in [false, true] {
        let edge = Edge::start(&proxying(&[app.address]));
        let mut stream = edge.client();
        stream.write_all(GET).unwrap();
        read_until(&mut stream, b"data: 1\n\n");
        edge.say(&ToEdge::Retire { deadline_ms: if shut_down { LONG } else { 200 } }, &[]);
        if shut_down {
            edge.say(&ToEdge::Shutdown { deadline_ms: 100 }, &[]);
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest); // its end, or a reset
        assert_eq!(rest, b"");
        edge.ended();
    }
}

#[test]
fn a_connection_of_http2_is_told_and_its_streams_end() {
    use support::http2::{asked, get, open, run, trusting, whole};
    let (give, take) = sync_channel(4);
    let app = Backend::start(move |stream| give.send(stream).unwrap());
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let mut client = open(edge.address).await;
        let (answer, _) = client.send_request(get("/"), true).unwrap();
        let mut upstream = asked(take).await;
        edge.say(&ToEdge::Retire { deadline_ms: LONG }, &[]);
        // GOAWAY: no new streams
        while client.clone().ready().await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        upstream.write_all(ok("late").as_bytes()).unwrap();
        let (head, body, _) = whole(answer.await.unwrap()).await.unwrap();
        assert_eq!((head.status().as_u16(), &*body), (200, &b"late"[..]));
    });
    edge.ended();
}
