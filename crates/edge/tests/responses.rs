//! What the edge says on the way back: headers of the route's, CORS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::policy::{CorsSpec, HeaderChange, HeaderSpec};
use support::*;

fn header(name: &str, value: &str) -> HeaderSpec {
    let change = HeaderChange::Default(value.to_owned());
    HeaderSpec { name: name.to_owned(), change, paths: Vec::new(), https_only: false }
}

/// The headers that a stack gets without a word.
fn security() -> Vec<HeaderSpec> {
    let hsts = header("Strict-Transport-Security", "max-age=31536000");
    vec![
        header("X-Frame-Options", "DENY"),
        header("X-Content-Type-Options", "nosniff"),
        header("Content-Security-Policy", "default-src 'self'"),
        header("Referrer-Policy", "strict-origin-when-cross-origin"),
        header("X-XSS-Protection", "0"),
        HeaderSpec { https_only: true, ..hsts },
    ]
}

fn count(head: &str, name: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).count()
}

// req: EDGE-19, SEC-01, TLS-16
#[test]
fn an_application_that_sets_none_gets_the_configured_headers() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.response_headers = security();
    table.trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let edge = Edge::start(&table);
    let plain = edge.get("a.test", "/");
    for spec in &security()[..5] {
        assert_eq!(count(&plain.head, &spec.name), 1, "{} in {}", spec.name, plain.head);
    }
    assert_eq!(plain.header("Strict-Transport-Security"), None, "never on plain HTTP");
    let secure = edge
        .request("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n");
    assert_eq!(secure.header("Strict-Transport-Security").unwrap(), "max-age=31536000");
}

// req: SEC-02
#[test]
fn a_header_of_the_applications_is_not_doubled() {
    let app = Backend::answering(|_| {
        "HTTP/1.1 200 OK\r\nx-frame-options: SAMEORIGIN\r\nReferrer-Policy: no-referrer\r\nContent-Length: 2\r\n\r\nhi"
            .to_owned()
    });
    let mut table = proxying(&[app.address]);
    let special = HeaderSpec { paths: vec!["/special/*".to_owned()], ..header("X-Special", "1") };
    table.sites[0].routes[0].policy.response_headers = [security(), vec![special]].concat();
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", "/");
    assert_eq!(count(&reply.head, "X-Frame-Options"), 1);
    assert_eq!(reply.header("X-Frame-Options").unwrap(), "SAMEORIGIN");
    assert_eq!(count(&reply.head, "Referrer-Policy"), 1);
    assert_eq!(count(&reply.head, "X-Content-Type-Options"), 1);
    assert_eq!((reply.header("X-Special"), reply.text().as_str()), (None, "hi"));
    assert_eq!(edge.get("a.test", "/special/x").header("X-Special").unwrap(), "1", "by path");
}

// req: STAT-17
#[test]
fn hashed_files_of_the_frontend_live_a_year() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    let year = header("Cache-Control", "public, max-age=31536000, immutable");
    table.sites[0].routes[0].policy.response_headers =
        vec![HeaderSpec { paths: vec!["/_next/static/*".to_owned()], ..year }];
    let edge = Edge::start(&table);
    let hashed = edge.get("a.test", "/_next/static/chunks/main-0a1b2c.js?x=1");
    assert_eq!(hashed.header("Cache-Control").unwrap(), "public, max-age=31536000, immutable");
    assert!(hashed.text().starts_with("GET /_next/static/chunks/"), "passed through");
    assert_eq!(edge.get("a.test", "/").header("Cache-Control"), None);
}

#[test]
fn answers_of_the_edges_own_carry_the_headers_too() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut table = proxying(&[unused]);
    table.sites[0].routes[0].policy.response_headers = security();
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", "/");
    assert_eq!((reply.status, count(&reply.head, "X-Frame-Options")), (502, 1), "{}", reply.head);
}

fn cors() -> CorsSpec {
    CorsSpec {
        origins: vec!["https://a.test".to_owned(), "https://www.a.test".to_owned()],
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: true,
        max_age: 600,
    }
}

fn from_origin(edge: &Edge, origin: &str) -> Reply {
    edge.request(&format!(
        "GET /events HTTP/1.1\r\nHost: a.test\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
    ))
}

#[test]
fn origins_are_answered_whatever_the_application_says_and_on_errors_too() {
    let app = Backend::answering(|_| {
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 9\r\n\r\ndata: 1\n\n"
            .to_owned()
    });
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.cors = Some(cors());
    let mut failing = proxying(&[gone]);
    failing.revision = 2;
    failing.sites[0].hash = 2;
    failing.sites[0].routes[0].policy.cors = Some(cors());
    let edge = Edge::start(&table);
    for status in [200, 502] {
        let reply = from_origin(&edge, "https://www.a.test");
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("Access-Control-Allow-Origin").unwrap(), "https://www.a.test");
        assert_eq!(count(&reply.head, "Access-Control-Allow-Origin"), 1, "{}", reply.head);
        assert_eq!(reply.header("Access-Control-Allow-Credentials").unwrap(), "true");
        assert_eq!(reply.header("Vary").unwrap(), "Origin");
        let reply = from_origin(&edge, "https://evil.test");
        assert!(!reply.head.to_lowercase().contains("access-control-"), "{}", reply.head);
        edge.apply(&failing);
    }
}
