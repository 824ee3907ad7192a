//! Failed requests in the ring, each cause by real traffic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::policy::{AccessSpec, ConcurrencySpec, ForwardAuthSpec, KeySpec, MaintenanceSpec, RateSpec};
use model::redact::RedactKind;
use model::site::StaticSpec;
use std::io::Write;
use support::deaf::Deaf;
use support::*;
use wire::failure::{Cause, FOLDER, Failure, Ring};
use wire::snapshot::{Handler, LogPlace, Route, Snapshot, Upstream, UpstreamState};

/// Failures of both rings.
fn failures(edge: &Edge) -> Vec<(Ring, Failure)> {
    let files = std::fs::read_dir(edge.folder.path().join(FOLDER)).into_iter().flatten().flatten();
    let text =
        |path: std::path::PathBuf| Some((Ring::of_file(&path)?.0, std::fs::read_to_string(&path).ok()?));
    let texts: Vec<_> = files.filter_map(|entry| text(entry.path())).collect();
    let parse = |ring: Ring, text: String| {
        let lines: Vec<_> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        lines.into_iter().map(move |failure| (ring, failure))
    };
    texts.into_iter().flat_map(|(ring, text)| parse(ring, text)).collect()
}

fn of_id(edge: &Edge, id: &str) -> (Ring, Failure) {
    wait_for(|| failures(edge).into_iter().find(|(_, failure)| failure.id == id))
}

fn down(id: &str, state: UpstreamState) -> Upstream {
    Upstream { state, ..serving(id, Vec::new()) }
}

/// A route that the policy is changed of.
fn with(path: &str, change: impl FnOnce(&mut Route)) -> Route {
    let mut made = route(path, "s/fine");
    change(&mut made);
    made
}

/// This one is asked first.
fn asking(upstream: &str) -> ForwardAuthSpec {
    ForwardAuthSpec { upstream: upstream.into(), path: "/".into(), copy: Vec::new(), timeout_ms: 5_000 }
}

fn table() -> Snapshot {
    let fine = Backend::answering(|head| {
        if head.contains("/sick") { "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into() } else { ok("") }
    });
    let ends = Backend::start(|mut stream| drop(next_head(&mut stream)));
    let babbles = Backend::answering(|_| "what?\r\n\r\n".into());
    let (silent, held) = driven();
    std::mem::forget(held); // its connections stay open
    let no = Backend::answering(|_| "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".into());
    let (deaf, unheard) = Deaf::new();
    std::mem::forget(deaf); // nobody accepts
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let routes = vec![
        route("/fine", "s/fine"),
        route("/sick", "s/fine"),
        route("/ends", "s/ends"),
        route("/babbles", "s/babbles"),
        with("/silent", |route| {
            (route.handler, route.read_ms) = (Handler::Proxy { upstream: "s/silent".into() }, 100)
        }),
        route("/closed", "s/closed"),
        route("/down", "s/down"),
        route("/unhealthy", "s/unhealthy"),
        with("/limited", |route| {
            let by = KeySpec::Client;
            route.policy.rates =
                vec![RateSpec { zone: "z".into(), count: 1, per_ms: 3_600_000, burst: 0, by, status: 429 }];
        }),
        with("/crowded", |route| {
            route.policy.concurrency =
                vec![ConcurrencySpec { zone: "c".into(), most: 0, by: KeySpec::Client, status: 503 }];
        }),
        with("/secret", |route| {
            route.policy.access =
                AccessSpec { deny: vec!["127.0.0.0/8".parse().unwrap()], ..AccessSpec::default() };
        }),
        with("/closed-for-now", |route| {
            route.policy.maintenance =
                Some(MaintenanceSpec { page: None, retry_after: 1, allow: Vec::new() });
        }),
        with("/small", |route| route.body_limit = 4),
        with("/signed-in", |route| route.policy.forward_auth = Some(asking("s/no"))),
        with("/unasked", |route| route.policy.forward_auth = Some(asking("s/closed"))),
        with("/deaf", |route| {
            (route.handler, route.connect_ms) = (Handler::Proxy { upstream: "s/deaf".into() }, 100)
        }),
        handled(
            "/files/*",
            Handler::Static(StaticSpec {
                root: std::env::temp_dir().join("there-is-none"),
                ..StaticSpec::default()
            }),
        ),
    ];
    let mut table = snapshot(
        1,
        vec![site(1, &["a.test"], routes)],
        vec![
            upstream("s/fine", fine.address),
            upstream("s/ends", ends.address),
            upstream("s/babbles", babbles.address),
            upstream("s/silent", silent.address),
            upstream("s/closed", closed),
            upstream("s/no", no.address),
            upstream("s/deaf", unheard),
            down("s/down", UpstreamState::Down),
            down("s/unhealthy", UpstreamState::Unhealthy),
        ],
    );
    for endpoint in table.upstreams.iter_mut().flat_map(|upstream| &mut upstream.endpoints) {
        (endpoint.release, endpoint.pid) = (7, Some(4711));
    }
    for upstream in &mut table.upstreams {
        upstream.traffic.hold = model::traffic::HoldSpec::OFF;
    }
    table
}

#[test]
fn each_cause_is_noted_with_route_instance_and_release() {
    let edge = Edge::start(&table());
    assert_eq!(edge.get("a.test", "/limited").status, 200);
    let post = |path: &str| {
        format!(
            "POST {path}?secret=1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
        )
    };
    let get = |host: &str, path: &str| {
        format!("GET {path}?secret=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    let cases = [
        (get("b.test", "/"), 404, Cause::NoSite, None),
        (get("a.test", "/nowhere"), 404, Cause::NoRoute, None),
        (get("a.test", "/files/x"), 404, Cause::NoFile, None),
        (get("a.test", "/a/../b"), 400, Cause::Malformed, None),
        ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n".to_owned(), 400, Cause::Malformed, None),
        (post("/small"), 413, Cause::TooLarge, None),
        (get("a.test", "/secret"), 403, Cause::Access, None),
        (get("a.test", "/limited"), 429, Cause::RateLimit, None),
        (get("a.test", "/crowded"), 503, Cause::Concurrency, None),
        (get("a.test", "/closed-for-now"), 503, Cause::Maintenance, None),
        (get("a.test", "/down"), 502, Cause::Down, None),
        (get("a.test", "/unhealthy"), 503, Cause::Unhealthy, None),
        (post("/closed"), 502, Cause::Refused, Some("s/closed.1#1")),
        (post("/signed-in"), 403, Cause::SignIn, None),
        (post("/unasked"), 502, Cause::AuthServer, None),
        (post("/deaf"), 504, Cause::ConnectTimeout, Some("s/deaf.1#1")),
        (post("/silent"), 504, Cause::ReadTimeout, Some("s/silent.1#1")),
        (post("/ends"), 502, Cause::BrokenOff, Some("s/ends.1#1")),
        (post("/babbles"), 502, Cause::BadAnswer, Some("s/babbles.1#1")),
        (get("a.test", "/sick"), 500, Cause::Application, Some("s/fine.1#1")),
    ];
    for (request, status, cause, instance) in cases {
        let reply = edge.request(&request);
        assert_eq!(reply.status, status, "{request}");
        let (ring, failure) = of_id(&edge, &reply.header("X-Request-Id").unwrap());
        assert_eq!((failure.cause, failure.status, failure.cut), (cause, status, false), "{failure:?}");
        assert_eq!(ring, if cause.is_clients() { Ring::Refused } else { Ring::Errors }, "{cause:?}");
        assert_eq!(failure.tries.last().map(|tried| tried.instance.as_str()), instance, "{failure:?}");
        if let Some(tried) = failure.tries.last() {
            assert_eq!((tried.release, tried.pid), (7, Some(4711)), "{failure:?}");
        }
        let routed = !matches!(cause, Cause::NoSite | Cause::NoRoute | Cause::Malformed);
        assert_eq!(failure.route.is_some(), routed, "{failure:?}");
        assert_eq!(
            failure.stack.as_str(),
            if cause == Cause::NoSite || failure.host.is_empty() { "" } else { "s" },
            "{failure:?}"
        );
        assert!(!serde_json::to_string(&failure).unwrap().contains("secret=1"), "{failure:?}");
    }
    assert_eq!(edge.get("a.test", "/fine").status, 200);
    assert_eq!(failures(&edge).len(), 20, "what did not fail is not in it");
}

#[test]
fn an_answer_cut_off_by_the_end_of_a_drain_is_an_overrun() {
    let (backend, given) = driven();
    let mut table = proxying(&[backend.address]);
    let edge = Edge::start(&table);
    let mut client = edge.client();
    client.write_all(b"GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    let mut upstream = given.recv().unwrap();
    next_head(&mut upstream).unwrap();
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    let (head, _) = read_head(&mut client);
    (table.revision, table.upstreams[0].endpoints[0].draining) = (2, true);
    edge.apply(&table);
    drop(upstream);
    let id = head.lines().find_map(|line| line.strip_prefix("X-Request-Id: ")).unwrap();
    let (ring, failure) = of_id(&edge, id);
    assert_eq!(
        (ring, failure.cause, failure.cut, failure.status),
        (Ring::Errors, Cause::DrainOverrun, true, 200)
    );
}

// req: PRIV-12
#[test]
fn what_a_stack_wants_masked_is_masked_in_the_ring() {
    let mut table = proxying(&[]);
    let redact = vec![RedactKind::Email, RedactKind::Card];
    table.logs.insert("s".into(), LogPlace { dir: None, redact });
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", "/of/bob@example.org/4111111111111111");
    let (_, failure) = of_id(&edge, &reply.header("X-Request-Id").unwrap());
    assert_eq!(failure.path, "/of/[email]/[card]");
}

#[test]
fn who_waited_in_vain_and_who_found_no_room_to_wait_are_told_apart() {
    let mut table = snapshot(
        1,
        vec![site(1, &["a.test"], vec![route("/*", "s/a")])],
        vec![down("s/a", UpstreamState::Starting)],
    );
    let wait = std::time::Duration::from_millis(700);
    table.upstreams[0].traffic.hold = model::traffic::HoldSpec { requests: 1, wait, ..Default::default() };
    let edge = Edge::start(&table);
    let mut first = edge.client();
    first.write_all(b"GET /first HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").unwrap();
    until(|| edge.stats().upstreams.iter().any(|upstream| upstream.waiting == 1));
    let of = |reply: &Reply| of_id(&edge, &reply.header("X-Request-Id").unwrap()).1;
    let second = edge.get("a.test", "/second");
    assert_eq!((second.status, of(&second).cause), (503, Cause::HoldFull));
    let waited = of(&read_reply(&mut first));
    assert_eq!(waited.cause, Cause::HoldTimeout);
    assert!(!waited.was_held_busy(), "{waited:?}");
    assert!(waited.held_ms >= 600 && waited.took_ms >= waited.held_ms, "{waited:?}");
}

// `why` blamed the last crash, though the instance was there and had no room.
#[test]
fn who_waited_for_a_place_at_a_busy_instance_is_not_told_that_none_was_ready() {
    let (silent, held) = driven();
    let site = site(1, &["a.test"], vec![route("/*", "s/a")]);
    let mut table = snapshot(1, vec![site], vec![upstream("s/a", silent.address)]);
    let wait = std::time::Duration::from_millis(300);
    let traffic = &mut table.upstreams[0].traffic;
    traffic.concurrency = Some(1);
    traffic.hold = model::traffic::HoldSpec { requests: 1, wait, ..Default::default() };
    let edge = Edge::start(&table);
    let mut first = edge.client();
    first.write_all(b"GET /first HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").unwrap();
    until(|| edge.stats().instances.iter().any(|it| it.in_flight == 1));
    let reply = edge.get("a.test", "/second");
    let failure = of_id(&edge, &reply.header("X-Request-Id").unwrap()).1;
    assert_eq!((reply.status, failure.cause), (503, Cause::HoldTimeout));
    assert!(failure.was_held_busy(), "{failure:?}");
    drop(held);
}

#[test]
fn an_app_that_is_left_alone_is_told_from_one_that_refuses() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut table = proxying(&[closed]);
    table.upstreams[0].traffic.circuit.failures = 2;
    let edge = Edge::start(&table);
    let asked = || {
        let reply = edge.get("a.test", "/x");
        (reply.status, of_id(&edge, &reply.header("X-Request-Id").unwrap()).1.cause)
    };
    assert_eq!([asked(), asked()], [(502, Cause::Refused); 2]);
    // Tried again each second, so maybe not the very next one.
    let (status, _) = wait_for(|| Some(asked()).filter(|(_, cause)| *cause == Cause::CircuitOpen));
    assert_eq!(status, 503);
}
