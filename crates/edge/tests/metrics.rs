//! Figures for Prometheus and the access log's forms, as whoever reads them gets them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::site::{EdgeSpec, LogFormat};
use std::io::Write;
use std::os::fd::AsFd;
use support::*;
use wire::edge::{FromEdge, ToEdge};
use wire::snapshot::{Handler, Snapshot};

/// The metrics as the keeper gets them.
fn asked(edge: &Edge) -> String {
    edge.say(&ToEdge::Metrics, &[]);
    let (message, fds) = edge.hear_with_files();
    assert_eq!(message, FromEdge::Metrics);
    String::from_utf8(sys::memfile::read(&fds[0].as_fd(), 1 << 20).unwrap()).unwrap()
}

/// Value of this series; 0 where it is not there.
fn value(metrics: &str, series: &str) -> f64 {
    let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    lines.next().map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn requests_bytes_and_latency_are_counted_by_site_and_survive_a_snapshot() {
    let app = Backend::answering(|head| {
        if head.starts_with("GET /missing") {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else {
            ok("here")
        }
    });
    let mut table = proxying(&[app.address]);
    table.sites[0].routes.insert(0, handled("/metrics", Handler::Metrics));
    let edge = Edge::with_workers(2, &table);
    (0..10).for_each(|_| drop(edge.get("a.test", "/")));
    (0..3).for_each(|_| drop(edge.get("a.test", "/missing")));
    drop(edge.get("unknown.test", "/"));
    edge.apply(&Snapshot { revision: 2, ..table.clone() });
    until(|| edge.stats().requests == 14);
    let metrics = asked(&edge);
    for (series, wanted) in [
        (r#"mainstay_requests_total{site="a.test",status="2xx"}"#, 10.0),
        (r#"mainstay_requests_total{site="a.test",status="4xx"}"#, 3.0),
        (r#"mainstay_requests_total{site="other",status="4xx"}"#, 1.0),
        (r#"mainstay_request_duration_seconds_count{site="a.test"}"#, 13.0),
        (r#"mainstay_request_duration_seconds_bucket{le="+Inf",site="a.test"}"#, 13.0),
        (r#"mainstay_upstream_requests_total{upstream="s/a",server="s/a.1"}"#, 13.0),
        (r#"mainstay_http_requests_total{version="HTTP/1.1"}"#, 14.0),
        ("mainstay_connections", 0.0),
        ("mainstay_buffer_bytes", 0.0),
        ("mainstay_workers", 2.0),
    ] {
        assert_eq!(value(&metrics, series), wanted, "{series} in\n{metrics}");
    }
    assert!(value(&metrics, r#"mainstay_sent_bytes_total{site="a.test"}"#) > 500.0, "{metrics}");
    assert!(value(&metrics, r#"mainstay_received_bytes_total{site="a.test"}"#) > 400.0, "{metrics}");
    assert!(value(&metrics, r#"mainstay_request_duration_seconds_sum{site="a.test"}"#) > 0.0, "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
}

#[test]
fn a_route_may_show_the_metrics() {
    let app = Backend::answering(|_| ok("here"));
    let mut table = proxying(&[app.address]);
    table.sites[0].routes.insert(0, handled("/metrics", Handler::Metrics));
    let edge = Edge::start(&table);
    let shown = edge.get("a.test", "/metrics");
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert_eq!(value(&shown.text(), "mainstay_requests_in_flight"), 1.0);
    let post = edge.request("POST /metrics HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD".to_owned())));
}

#[test]
fn a_snapshot_switches_the_logs_form_and_nothing_sent_breaks_a_line() {
    let app = Backend::answering(|_| ok("here"));
    let table = proxying(&[app.address]);
    let edge = Edge::start(&table);
    let get = |agent: &str| {
        edge.request(&format!(
            "GET /a?b HTTP/1.1\r\nHost: a.test\r\nReferer: http://r/\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        ));
    };
    get("one");
    let first = edge.log(1);
    assert_eq!((&first[0]["protocol"], &first[0]["tls"]), (&"HTTP/1.1".into(), &serde_json::Value::Null));
    let combined = EdgeSpec { access_log: LogFormat::Combined, ..EdgeSpec::default() };
    edge.apply(&Snapshot { revision: 2, edge: combined, ..table.clone() });
    get("two \"three\" \u{e9}");
    edge.client().write_all(b"GARBAGE\r\n\r\n").unwrap();
    let path = edge.folder.path().join("access.log");
    let read = || std::fs::read_to_string(&path).unwrap();
    until(|| read().lines().count() == 3);
    edge.apply(&Snapshot { revision: 3, ..table });
    get("four");
    until(|| read().lines().count() == 4);
    let text = read();
    let lines: Vec<&str> = text.lines().collect();
    let (client, rest) = lines[1].split_once(" - - [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!((client, time.len()), ("127.0.0.1", "21/Nov/2025:08:00:00 +0000".len()));
    assert!(rest.starts_with(r#""GET /a?b HTTP/1.1" 200 "#), "{rest}");
    assert!(rest.ends_with(r#" "http://r/" "two \"three\" \xc3\xa9""#), "{rest}");
    assert!(lines[2].contains(r#""-" 400 "#), "{}", lines[2]);
    assert!(lines[3].starts_with('{'), "{}", lines[3]);
}
