//! Requests that wait for an instance: who gets which, in what order, how long, and what happens beyond the bounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::traffic::HoldSpec;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::hold::*;
use support::*;
use wire::edge::FromEdge;
use wire::snapshot::{Snapshot, UpstreamState};

#[test]
fn what_came_while_none_was_there_goes_to_the_one_that_a_newer_snapshot_names() {
    let (app, _) = noting();
    for state in [UpstreamState::Starting, UpstreamState::Restarting] {
        let edge = Edge::with_workers(2, &absent(state, 100, WAIT));
        let clients: Vec<TcpStream> = (0..20).map(|n| sent(&edge, &get(&format!("/{n}")))).collect();
        waiting(&edge, 20);
        edge.apply(&up(2, app.address));
        for (n, mut client) in clients.into_iter().enumerate() {
            let reply = read_reply(&mut client);
            assert_eq!((reply.status, reply.text()), (200, format!("/{n}")));
        }
        let stats = stats(&edge);
        assert_eq!((stats.waiting, stats.held, stats.overflowed, stats.requests), (0, 20, 0, 20));
        let line = &edge.log(20)[0];
        assert!(line["held_ms"].as_f64().unwrap() <= line["total_ms"].as_f64().unwrap(), "{line}");
        assert_eq!(line["upstream"], "s/a.1#2");
    }
}

#[test]
fn one_that_refuses_holds_and_another_address_answers() {
    let (app, _) = noting();
    let edge = Edge::start(&holding(&[closed()], 100, WAIT));
    let mut clients = [sent(&edge, &get("/x")), sent(&edge, &post("/y", "hello"))];
    waiting(&edge, 2);
    edge.apply(&up(2, app.address));
    let texts = clients.each_mut().map(|client| read_reply(client).status);
    assert_eq!(texts, [200, 200]);
}

/// The keeper has not said anything: the same instance listens again.
#[test]
fn one_that_refuses_for_a_moment_is_asked_again() {
    let address = closed();
    let edge = Edge::start(&holding(&[address], 100, WAIT));
    let mut client = sent(&edge, &get("/x"));
    waiting(&edge, 1);
    let listener = TcpListener::bind(address).unwrap();
    let mut stream = listener.accept().unwrap().0;
    next_head(&mut stream).unwrap();
    stream.write_all(ok("back").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut client).text(), "back");
}

#[test]
fn who_comes_while_the_only_one_drains_waits_for_its_successor() {
    let (old, take) = driven();
    let (new, _) = noting();
    let edge = Edge::start(&holding(&[old.address], 100, WAIT));
    let mut running = sent(&edge, &get("/running"));
    let mut stream = take.recv().unwrap();
    next_head(&mut stream).unwrap();
    let mut table = Snapshot { revision: 2, ..holding(&[old.address], 100, WAIT) };
    table.upstreams[0].endpoints[0].draining = true;
    table.upstreams[0].state = UpstreamState::Starting;
    edge.apply(&table);
    let mut late = sent(&edge, &get("/late"));
    waiting(&edge, 1);
    stream.write_all(ok("old").as_bytes()).unwrap();
    assert_eq!(read_reply(&mut running).text(), "old");
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#1".into(), revision: 2 });
    edge.apply(&up(3, new.address));
    assert_eq!(read_reply(&mut late).text(), "/late");
}

#[test]
fn beyond_the_bounds_it_is_503_with_a_time_to_come_again() {
    let edge = Edge::start(&absent(UpstreamState::Restarting, 2, Duration::from_millis(800)));
    let waiters = [sent(&edge, &get("/1")), sent(&edge, &get("/2"))];
    waiting(&edge, 2);
    let full = edge.get("a.test", "/3");
    assert_eq!(full.status, 503);
    assert!(full.header("Retry-After").is_some());
    assert_eq!(stats(&edge).waiting, 2, "the others still wait");
    for mut client in waiters {
        let late = read_reply(&mut client);
        assert_eq!(late.status, 503);
        assert!(late.header("Retry-After").is_some());
    }
    let stats = stats(&edge);
    assert_eq!((stats.waiting, stats.held, stats.overflowed, stats.requests), (0, 2, 3, 3));
    let errors: Vec<String> =
        edge.log(3).iter().map(|line| line["error"].as_str().unwrap().to_owned()).collect();
    assert!(
        errors[0].contains("too many requests wait") && errors[2].contains("while it waited"),
        "{errors:?}"
    );

    let mut small = absent(UpstreamState::Restarting, 100, WAIT);
    small.revision = 2;
    small.upstreams[0].traffic.hold.bytes = 10_000;
    edge.apply(&small);
    let reply = edge.request(&post("/", &"x".repeat(12_000)));
    assert_eq!(reply.status, 503, "its head and body take more than all may");
}

#[test]
fn a_routes_bounds_stand_before_the_apps() {
    let mut table = absent(UpstreamState::Restarting, 100, WAIT);
    let mut route = route("/now/*", "s/a");
    route.hold = Some(HoldSpec::OFF);
    table.sites[0].routes.insert(0, route);
    let edge = Edge::start(&table);
    assert_eq!(edge.get("a.test", "/now/x").status, 502);
    let _waiter = sent(&edge, &get("/later"));
    waiting(&edge, 1);
    assert_eq!(edge.get("a.test", "/now/x").status, 502, "nor behind who waits");
}

#[test]
fn what_will_not_come_is_not_waited_for() {
    let edge = Edge::start(&absent(UpstreamState::Restarting, 100, WAIT));
    let states = [(UpstreamState::Down, 502), (UpstreamState::Unhealthy, 503)];
    for (revision, (state, status)) in (2..).step_by(2).zip(states) {
        let mut client = sent(&edge, &get("/x"));
        waiting(&edge, 1);
        edge.apply(&Snapshot { revision, ..absent(state, 100, WAIT) });
        assert_eq!(read_reply(&mut client).status, status);
        assert_eq!(edge.get("a.test", "/y").status, status, "at once");
        edge.apply(&Snapshot { revision: revision + 1, ..absent(UpstreamState::Restarting, 100, WAIT) });
    }
    // Neither the upstream nor the route is there any more.
    let mut client = sent(&edge, &get("/x"));
    waiting(&edge, 1);
    edge.apply(&snapshot(10, Vec::new(), Vec::new()));
    assert_eq!(read_reply(&mut client).status, 502);
}

#[test]
fn a_route_that_leads_elsewhere_now_takes_along_who_waits() {
    let (app, _) = noting();
    let edge = Edge::start(&absent(UpstreamState::Restarting, 100, WAIT));
    let mut client = sent(&edge, &get("/moved"));
    waiting(&edge, 1);
    let mut table = absent(UpstreamState::Restarting, 100, WAIT);
    table.revision = 2;
    table.sites = vec![site(2, &["a.test"], vec![route("/*", "s/b")])];
    table.upstreams.push(upstream("s/b", app.address));
    edge.apply(&table);
    assert_eq!(read_reply(&mut client).text(), "/moved");
}

#[test]
fn who_goes_leaves_the_line() {
    let (app, asked) = noting();
    let edge = Edge::start(&absent(UpstreamState::Restarting, 100, WAIT));
    let whole = sent(&edge, &post("/whole", "body"));
    // Its body is still on its way, and is not read.
    let half = sent(&edge, &post("/half", &"x".repeat(100_000))[..50_000]);
    let mut stays = sent(&edge, &get("/stays"));
    waiting(&edge, 3);
    drop(whole);
    waiting(&edge, 2);
    drop(half);
    waiting(&edge, 1);
    edge.apply(&up(2, app.address));
    assert_eq!(read_reply(&mut stays).text(), "/stays");
    assert_eq!(*asked.lock().unwrap(), ["/stays"]);
}

/// Sends one more request each time, so that their order is known.
fn line_up(edge: &Edge, paths: &[&str]) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for (n, path) in (1..).zip(paths) {
        clients.push(sent(edge, &get(path)));
        waiting(edge, n);
    }
    clients
}

fn next_path(take: &Receiver<TcpStream>) -> (String, TcpStream) {
    let mut stream = take.recv_timeout(PATIENCE).unwrap();
    let head = next_head(&mut stream).unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), stream)
}

#[test]
fn a_place_goes_to_who_has_waited_longest_whichever_worker_he_is_on() {
    let (app, take) = driven();
    let mut table = holding(&[app.address], 100, WAIT);
    table.upstreams[0].traffic.concurrency = Some(2);
    let edge = Edge::with_workers(2, &table);
    let mut busy = Vec::new();
    for path in ["/a", "/b"] {
        let client = sent(&edge, &get(path));
        let (asked, stream) = next_path(&take);
        assert_eq!(asked, path);
        busy.push((client, stream));
    }
    let paths = ["/1", "/2", "/3", "/4", "/5", "/6"];
    let mut clients = line_up(&edge, &paths);
    assert_eq!(edge.in_flight("s/a.1#1"), 2);
    for path in paths {
        let (mut client, mut stream) = busy.remove(0);
        // Closed: on a connection that ends while it is used again a request would give its place away for a moment.
        let done = ok("done").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        stream.write_all(done.as_bytes()).unwrap();
        drop(stream);
        assert_eq!(read_reply(&mut client).text(), "done");
        let (asked, stream) = next_path(&take);
        assert_eq!(asked, path, "in order, and one for each place");
        busy.push((clients.remove(0), stream));
    }
    assert!(take.try_recv().is_err());
}

#[test]
fn one_at_a_time_and_all_are_answered() {
    let most = Arc::new(Mutex::new((0u32, 0u32)));
    let counted = Arc::clone(&most);
    let app = Backend::start(move |mut stream| {
        while next_head(&mut stream).is_some() {
            {
                let mut count = counted.lock().unwrap();
                count.0 += 1;
                count.1 = count.1.max(count.0);
            }
            std::thread::yield_now();
            counted.lock().unwrap().0 -= 1;
            if stream.write_all(ok("x").as_bytes()).is_err() {
                return;
            }
        }
    });
    let mut table = holding(&[app.address], 1000, WAIT);
    table.upstreams[0].traffic.concurrency = Some(1);
    let edge = Edge::with_workers(2, &table);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(edge.get("a.test", "/").status, 200)));
        }
    });
    assert_eq!(most.lock().unwrap().1, 1);
    let stats = stats(&edge);
    assert_eq!((stats.waiting, stats.overflowed, stats.requests), (0, 0, 800));
    assert!(stats.held > 0);
}

#[test]
fn what_sleeps_is_wanted_once() {
    let edge = Edge::start(&absent(UpstreamState::Asleep, 100, WAIT));
    let (app, _) = noting();
    let mut clients = [sent(&edge, &get("/1")), sent(&edge, &get("/2"))];
    assert_eq!(edge.hear(), FromEdge::Wanted { upstream: "s/a".into() });
    // Nothing more is said before the answer to this.
    waiting(&edge, 2);
    edge.connect_keeper();
    assert_eq!(edge.hear(), FromEdge::Wanted { upstream: "s/a".into() }, "a new keeper has not heard it");
    edge.apply(&Snapshot { revision: 2, ..absent(UpstreamState::Starting, 100, WAIT) });
    edge.apply(&up(3, app.address));
    assert!(clients.iter_mut().all(|client| read_reply(client).status == 200));
    edge.apply(&Snapshot { revision: 4, ..absent(UpstreamState::Asleep, 0, WAIT) });
    assert_eq!(edge.hear(), FromEdge::Drained { instance: "s/a.1#3".into(), revision: 4 });
    assert_eq!(edge.get("a.test", "/3").status, 503, "without a hold");
    assert_eq!(edge.hear(), FromEdge::Wanted { upstream: "s/a".into() });
}

#[test]
fn streams_of_http2_wait_too() {
    let (app, asked) = noting();
    let edge = Edge::start(&http2::trusting(absent(UpstreamState::Restarting, 100, WAIT)));
    http2::run(async {
        let send = http2::open(edge.address).await;
        let mut ready = send.clone().ready().await.unwrap();
        let (gone, _) = ready.send_request(http2::get("/gone"), true).unwrap();
        let asking = tokio::task::spawn_local(async move { http2::ask(&send, http2::get("/stays")).await });
        let wait = async |count| {
            while stats(&edge).waiting != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        wait(2).await;
        // Its stream is reset.
        drop(gone);
        wait(1).await;
        edge.apply(&http2::trusting(up(2, app.address)));
        let (head, body, _) = asking.await.unwrap();
        assert_eq!((head.status(), body.as_slice()), (http::StatusCode::OK, &b"/stays"[..]));
    });
    assert_eq!(*asked.lock().unwrap(), ["/stays"]);
}

#[test]
fn a_pipelined_request_is_not_lost_by_waiting() {
    let (app, _) = noting();
    let edge = Edge::start(&absent(UpstreamState::Restarting, 100, WAIT));
    let keep = get("/1").replace("Connection: close\r\n", "");
    let mut client = sent(&edge, &(keep + &get("/2")));
    waiting(&edge, 1);
    edge.apply(&up(2, app.address));
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert!(text.contains("\r\n\r\n/1HTTP/1.1") && text.ends_with("/2"), "{text}");
}
