//! The dashboard over a real socket: what of the stack it shows, to people and to programs, and that it shows nobody else's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::condition::Condition;
use model::policy::{PolicySpec, RewriteSpec};
use serde_json::Value;
use support::*;
use wire::snapshot::{Handler, Route, Site, UpstreamState};

fn edge() -> (Edge, Backend) {
    let backend = Backend::echoing();
    let when = Some(Condition::PathPrefix("/api<b>".into()));
    let rewrite = vec![RewriteSpec::StripPrefix("/api".into())];
    let (name, policy) = (Some("api<b>".to_owned()), PolicySpec { rewrite, ..PolicySpec::default() });
    let api = Route { name, when, policy, ..route("/*", "s/api") };
    let mut sick = upstream("s/sick", backend.address);
    (sick.state, sick.endpoints) = (UpstreamState::Unhealthy, Vec::new());
    let mine = vec![handled("/dash/*", Handler::Dashboard), api, route("/sick", "s/sick")];
    let other = Site { stack: "other".into(), ..site(2, &["secret.test"], vec![route("/*", "other/db")]) };
    let table = snapshot(
        1,
        vec![site(1, &["a.test"], mine), other],
        vec![upstream("s/api", backend.address), sick, upstream("other/db", backend.address)],
    );
    (Edge::start(&table), backend)
}

#[test]
fn programs_read_every_router_service_and_middleware_with_its_health() {
    let (edge, _backend) = edge();
    edge.get("a.test", "/api<b>/x");
    edge.get("a.test", "/api%3Cb%3E");
    let all: Value = serde_json::from_str(&edge.get("a.test", "/dash/api/rawdata").text()).unwrap();
    let routers = all["routers"].as_array().unwrap();
    assert_eq!(routers.len(), 3);
    assert_eq!(routers[1]["when"], "PathPrefix(`/api<b>`)");
    assert_eq!((&routers[1]["name"], &routers[1]["service"]), (&"api<b>".into(), &"s/api".into()));
    assert_eq!(routers[1]["middlewares"][0], "strip_prefix /api");
    assert_eq!((&routers[1]["status"], &routers[2]["status"]), (&"ready".into(), &"unhealthy".into()));
    let services = all["services"].as_array().unwrap();
    assert_eq!(services.len(), 2, "another stack's are its own business");
    assert_eq!(services[0]["servers"][0]["status"], "up");
    assert_eq!(services[1]["status"], "unhealthy");
    assert_eq!(all["middlewares"][0]["name"], "strip_prefix /api");
    let list: Value = serde_json::from_str(&edge.get("a.test", "/dash/api/http/services").text()).unwrap();
    assert_eq!(list, all["services"]);
}

#[test]
fn people_read_a_page_without_markup_from_outside() {
    let (edge, _backend) = edge();
    let page = edge.get("a.test", "/dash/");
    assert_eq!(page.header("content-type").unwrap(), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let text = page.text();
    assert!(
        text.contains("PathPrefix(`/api&lt;b&gt;`)")
            && text.contains("<td>api&lt;b&gt;</td>")
            && !text.contains("/api<b>"),
        "{text}"
    );
    assert!(!text.contains("secret.test") && text.contains("unhealthy"));
    let refused = edge
        .request("POST /dash/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(refused.status, 405);
}
