//! Snapshots, upstreams that change or are missing, drains and the keeper's protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use std::sync::mpsc::sync_channel;
use support::*;
use wire::edge::{FromEdge, ToEdge};
use wire::snapshot::UpstreamState;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn drained_is_said_when_the_last_claim_ends_and_not_before() {
    let (give, take) = sync_channel(4);
    let old = Backend::start(move |stream| give.send(stream).unwrap());
    let new = Backend::answering(|_| ok("new"));
    let edge = Edge::with_workers(2, &proxying(&[old.address]));
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = take.recv().unwrap();
    next_head(&mut upstream).unwrap();

    let mut table = proxying(&[old.address, new.address]);
    table.revision = 2;
    table.upstreams[0].endpoints[0].draining = true;
    edge.apply(&table);
    assert_eq!(edge.in_flight("s/a.1#1"), 1);
    for _ in 0..10 {
        assert_eq!(edge.get("a.test", "/").text(), "new", "no new claims on what drains");
    }
    // The next word would be `Drained`: here it is the answer to a question asked later.
    let stats = edge.stats();
    assert_eq!(stats.instances.iter().find(|stats| stats.instance == "s/a.1#1").unwrap().in_flight, 1);

    upstream.write_all(ok("old").as_bytes()).unwrap();
    read_until(&mut client, b"old");
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
}

#[test]
fn what_vanishes_drains_too() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    assert_eq!(edge.get("a.test", "/").status, 200);
    let mut table = proxying(&[]);
    table.revision = 2;
    edge.apply(&table);
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    assert_eq!(edge.get("a.test", "/").status, 502);
}

#[test]
fn what_vanished_as_unhealthy_and_is_told_to_drain_afterwards_is_said_to_be_drained_again() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut gone = proxying(&[]);
    gone.revision = 2;
    edge.apply(&gone);
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    let mut draining = proxying(&[app.address]);
    (draining.revision, draining.upstreams[0].endpoints[0].draining) = (3, true);
    edge.apply(&draining);
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 3 });
}

#[test]
fn what_was_unhealthy_for_a_while_has_drained_when_its_requests_from_before_have_ended_too() {
    for the_former_ends_first in [true, false] {
        let (give, take) = sync_channel(4);
        let app = Backend::start(move |stream| give.send(stream).unwrap());
        let edge = Edge::start(&proxying(&[app.address]));
        let begun = || {
            let mut client = edge.client();
            client.write_all(GET).unwrap();
            let mut upstream = take.recv().unwrap();
            next_head(&mut upstream).unwrap();
            (client, upstream)
        };
        let mut requests = vec![begun()];
        for revision in [2, 3, 4] {
            let mut table = proxying(if revision == 2 { &[] } else { std::slice::from_ref(&app.address) });
            table.revision = revision;
            table.upstreams[0].endpoints.iter_mut().for_each(|endpoint| endpoint.draining = revision == 4);
            edge.apply(&table);
            if revision == 3 {
                requests.insert(usize::from(the_former_ends_first), begun());
            }
        }
        for (place, (client, upstream)) in requests.iter_mut().enumerate() {
            // The next word would be `Drained`: here it is the answer to a question.
            let in_flight: u64 = edge.stats().instances.iter().map(|seen| seen.in_flight).sum();
            assert_eq!(in_flight, 2 - place as u64);
            upstream.write_all(ok("done").as_bytes()).unwrap();
            read_until(client, b"done");
        }
        assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 4 });
    }
}

// req: LB-10
#[test]
fn no_healthy_instance_is_said_at_once() {
    let mut table = proxying(&[]);
    table.upstreams[0].state = UpstreamState::Unhealthy;
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", "/");
    assert_eq!((reply.status, reply.header("Retry-After")), (503, None));
    let logged = |line: usize| {
        let line = edge.log(line + 1).swap_remove(line);
        (line["upstream"].as_str().unwrap().to_owned(), line["error"].as_str().unwrap().to_owned())
    };
    assert_eq!(logged(0), ("s/a".into(), "all instances are unhealthy".into()));
    table.revision = 2;
    table.upstreams[0].state = UpstreamState::Starting;
    edge.apply(&table);
    let reply = edge.get("a.test", "/");
    assert_eq!(reply.status, 503);
    assert!(reply.header("Retry-After").is_some());
    assert_eq!(logged(1), ("s/a".into(), "the app is starting".into()));
    table.revision = 3;
    table.upstreams[0].state = UpstreamState::Down;
    edge.apply(&table);
    assert_eq!(edge.get("a.test", "/").status, 502);
    assert_eq!(logged(2), ("s/a".into(), "the app is not running".into()));
}

#[test]
fn without_a_keeper_it_serves_on_and_tells_the_next_one() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    edge.drop_keeper();
    assert_eq!(edge.get("a.test", "/").status, 200);
    match edge.connect_keeper() {
        FromEdge::Hello { version, revision, listeners, pid, retiring: None, .. } => {
            assert_eq!((version, revision, pid), (wire::VERSION, 1, std::process::id()));
            assert_eq!(listeners.iter().map(|listener| listener.address).collect::<Vec<_>>(), [edge.address]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(edge.get("a.test", "/").status, 200);
}

#[test]
fn a_table_that_cannot_be_served_from_is_refused_and_changes_nothing() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let mut broken = proxying(&[app.address]);
    broken.revision = 2;
    broken.upstreams.clear();
    edge.send_snapshot(&broken);
    assert!(matches!(edge.hear(), FromEdge::Rejected { revision: 2, .. }));
    assert_eq!(edge.get("a.test", "/").status, 200);
}

#[test]
fn every_core_serves() {
    let app = Backend::echoing();
    let edge = Edge::with_workers(4, &proxying(&[app.address]));
    for _ in 0..100 {
        assert_eq!(edge.get("a.test", "/").status, 200);
    }
    until(|| edge.stats().requests == 100);
}

// req: OBS-27, OBS-28
#[test]
fn each_request_of_every_core_has_its_line_whole() {
    let app = Backend::answering(|_| ok("hello"));
    let edge = Edge::with_workers(4, &proxying(&[app.address]));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let address = edge.address;
            std::thread::spawn(move || {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                for n in 0..200 {
                    let request = format!("GET /{thread}/{n}?q=\"\\ HTTP/1.1\r\nHost: a.test:80\r\n\r\n");
                    client.write_all(request.replace('\\', "%5C").as_bytes()).unwrap();
                    read_until(&mut client, b"hello");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let lines = edge.log(1600);
    assert_eq!(lines.len(), 1600);
    let mut ids: Vec<&str> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1600);
    for line in &lines {
        assert_eq!((line["client"].as_str(), line["method"].as_str()), (Some("127.0.0.1"), Some("GET")));
        assert_eq!((line["host"].as_str(), line["status"].as_u64()), (Some("a.test"), Some(200)));
        assert_eq!(line["upstream"], "s/a.1#1");
        assert!(line["bytes"].as_u64().unwrap() > 50);
        assert!(line["upstream_ms"].as_f64().unwrap() <= line["total_ms"].as_f64().unwrap());
        assert!(line["path"].as_str().unwrap().ends_with("?q=\"%5C"));
        assert!(line["tls"].is_null() && line["cache"].is_null());
        assert!(line["ts"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(edge.stats().log_lost, 0);
}

#[test]
fn a_shutdown_lets_running_requests_end() {
    let (give, take) = sync_channel(4);
    let app = Backend::start(move |stream| give.send(stream).unwrap());
    let edge = Edge::start(&proxying(&[app.address]));
    let mut idle = edge.client();
    let mut client = edge.client();
    client.write_all(GET).unwrap();
    let mut upstream = take.recv().unwrap();
    next_head(&mut upstream).unwrap();
    edge.say(&ToEdge::Shutdown { deadline_ms: 10_000 }, &[]);
    assert_eq!(std::io::Read::read(&mut idle, &mut [0]).unwrap(), 0, "idle connections end at once");
    upstream.write_all(ok("late").as_bytes()).unwrap();
    let reply = read_reply(&mut client);
    assert_eq!((reply.text().as_str(), reply.header("Connection").as_deref()), ("late", Some("close")));
    until(|| std::net::TcpStream::connect(edge.address).is_err());
}
