//! Routes with conditions, over a real socket: which of them answers a request, and that no other spelling of a path goes around one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::condition::Condition;
use std::sync::Arc;
use support::*;
use wire::snapshot::{Route, Snapshot};

fn when(condition: Condition, upstream: &str) -> Route {
    Route { when: Some(condition), ..route("/*", upstream) }
}

/// An edge whose site has these routes; each upstream answers with its name.
fn edge(routes: Vec<Route>, names: &[&str]) -> Edge {
    let upstreams = names.iter().map(|name| {
        let own = (*name).to_owned();
        upstream(name, Backend::answering(move |_| ok(&own)).address)
    });
    let table: Snapshot = snapshot(1, vec![site(1, &["a.test", "b.test"], routes)], upstreams.collect());
    Edge::start(&table)
}

fn prefix(path: &str) -> Condition {
    Condition::PathPrefix(path.into())
}

#[test]
fn the_first_route_whose_condition_holds_answers() {
    let routes = vec![
        when(Condition::All(vec![prefix("/api"), Condition::Host("b.test".into())]), "b-api"),
        when(Condition::All(vec![prefix("/api"), Condition::Method("POST".into())]), "post"),
        when(Condition::Header("X-Beta".into(), "yes".into()), "beta"),
        when(Condition::Query("old".into(), None), "old"),
        when(Condition::Not(Box::new(Condition::ClientIp("127.0.0.0/8".parse().unwrap()))), "elsewhere"),
        when(prefix("/api"), "api"),
    ];
    let edge = edge(routes, &["b-api", "post", "beta", "old", "elsewhere", "api"]);
    let ask = |line: &str, rest: &str| {
        edge.request(&format!("{line} HTTP/1.1\r\nConnection: close\r\n{rest}\r\n\r\n"))
    };
    for (line, rest, answer) in [
        ("GET /api/x", "Host: b.test", "b-api"),
        ("GET /api/x", "Host: a.test", "api"),
        ("GET /apiary", "Host: a.test", "api"),
        ("POST /api/x", "Host: a.test\r\nContent-Length: 0", "post"),
        ("GET /", "Host: a.test\r\nx-beta: yes", "beta"),
        ("GET /?a=1&old", "Host: a.test", "old"),
    ] {
        assert_eq!(ask(line, rest).text(), answer, "{line} {rest}");
    }
    assert_eq!(ask("GET /", "Host: a.test").status, 404, "no condition holds");
}

/// The condition would be true of one reading of the path only.
#[test]
fn another_spelling_does_not_lead_around_a_condition() {
    let open = Condition::Not(Box::new(prefix("/admin")));
    let routes = vec![when(prefix("/admin"), "admin"), when(open, "open")];
    let edge = edge(routes, &["admin", "open"]);
    assert_eq!(edge.get("a.test", "/admin/x").text(), "admin");
    assert_eq!(edge.get("a.test", "/x%20y").text(), "open");
    for path in ["/%61dmin/x", "//admin", "/x;/../admin", "/;a/admin"] {
        assert!(matches!(edge.get("a.test", path).status, 404 | 400), "{path}");
    }
}

#[test]
fn a_changed_condition_holds_from_the_next_snapshot_on() {
    let edge = edge(vec![when(prefix("/a"), "one")], &["one"]);
    assert_eq!(edge.get("a.test", "/a").text(), "one");
    let backend = Arc::new(Backend::echoing());
    let table = snapshot(
        2,
        vec![site(2, &["a.test"], vec![when(prefix("/b"), "two")])],
        vec![upstream("two", backend.address)],
    );
    edge.apply(&table);
    assert_eq!(edge.get("a.test", "/a").status, 404);
    assert_eq!(edge.get("a.test", "/b").status, 200);
}
