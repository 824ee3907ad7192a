//! What the edge says on the way back: headers of the route's, CORS, the user's error pages, compression.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use model::policy::{Coding, CompressSpec, CorsSpec, ErrorPageSpec, HeaderChange, HeaderSpec};
use model::spec::RedirectSpec;
use std::io::{Read, Write};
use std::path::Path;
use support::*;
use wire::snapshot::{Handler, Snapshot};

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

// req: EDGE-19, TLS-16
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
    let app = Backend::answering(|head| match head.contains("gone") {
        true => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
        false => ok(head),
    });
    let mut table = proxying(&[app.address]);
    let year = header("Cache-Control", "public, max-age=31536000, immutable");
    table.sites[0].routes[0].policy.response_headers =
        vec![HeaderSpec { paths: vec!["/_next/static/*".to_owned()], ..year }];
    let edge = Edge::start(&table);
    let hashed = edge.get("a.test", "/_next/static/chunks/main-0a1b2c.js?x=1");
    assert_eq!(hashed.header("Cache-Control").unwrap(), "public, max-age=31536000, immutable");
    assert!(hashed.text().starts_with("GET /_next/static/chunks/"), "passed through");
    assert_eq!(edge.get("a.test", "/").header("Cache-Control"), None);
    assert_eq!(
        edge.get("a.test", "/_next/static/gone.js").header("Cache-Control"),
        None,
        "not a missing one"
    );
}

// req: STAT-13
#[test]
fn every_hosted_answer_carries_the_headers_of_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<h1>the app</h1>").unwrap();
    std::fs::write(folder.path().join("script.js"), "code()").unwrap();
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    std::fs::write(folder.path().join("docs/index.html"), "docs").unwrap();
    let mut route = files("/*", folder.path());
    if let Handler::Static(spec) = &mut route.handler {
        spec.spa = Some("index.html".to_owned());
    }
    let for_paths = |paths: &[&str], spec| HeaderSpec {
        paths: paths.iter().map(|&path| path.to_owned()).collect(),
        ..spec
    };
    route.policy.response_headers = security();
    route.policy.response_headers.push(for_paths(&["**/*.js"], header("X-Code", "1")));
    route.policy.response_headers.push(for_paths(&["/deep/*"], header("X-Deep", "1")));
    let mut table = snapshot(1, vec![site(1, &["a.test"], vec![route])], Vec::new());
    table.trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let edge = Edge::start(&table);
    let ask = |path: &str, more: &str| {
        edge.request(&format!(
            "GET {path} HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n{more}\r\n"
        ))
    };
    let navigation = "Accept: text/html\r\n";
    let tag = ask("/script.js", "").header("ETag").unwrap();
    let unchanged = format!("If-None-Match: {tag}\r\n");
    for (path, more, status, special) in [
        ("/", navigation, 200, None),
        ("/deep/link", navigation, 200, Some("X-Deep")),
        ("/script.js", "", 200, Some("X-Code")),
        ("/script.js", &unchanged, 304, Some("X-Code")),
        ("/deep/missing.js", "", 404, Some("X-Code")),
        ("/.env", "", 404, None),
        ("/docs", "", 301, None),
    ] {
        let reply = ask(path, more);
        assert_eq!(reply.status, status, "{path}: {}", reply.head);
        for spec in security() {
            assert_eq!(count(&reply.head, &spec.name), 1, "{path}: {} in {}", spec.name, reply.head);
        }
        for name in ["X-Code", "X-Deep"] {
            let expected = special == Some(name) || path.starts_with("/deep/") && name == "X-Deep";
            assert_eq!(count(&reply.head, name) == 1, expected, "{path}: {name} in {}", reply.head);
        }
        assert_eq!(reply.text().contains("the app"), status == 200 && path != "/script.js", "{path}");
    }
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

#[test]
fn every_answer_says_once_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "text").unwrap();
    let date = "Thu, 01 Jan 1970 00:00:00 GMT";
    let dated =
        Backend::answering(move |_| format!("HTTP/1.1 200 OK\r\ndate: {date}\r\nContent-Length: 0\r\n\r\n"));
    let auth =
        Backend::answering(move |_| format!("HTTP/1.1 401 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"));
    let undated = Backend::echoing();
    let mut signed = route("/signed", "s/undated");
    signed.policy.forward_auth = Some(model::policy::ForwardAuthSpec {
        upstream: "s/auth".into(),
        path: "/".into(),
        copy: Vec::new(),
        timeout_ms: 5000,
    });
    let moved = RedirectSpec { to: "/a.txt".into(), status: 308 };
    let routes = vec![
        handled("/moved", Handler::Redirect(moved)),
        handled("/metrics", Handler::Metrics),
        route("/dated", "s/dated"),
        route("/undated", "s/undated"),
        route("/nobody", "s/nobody"),
        signed,
        files("/*", folder.path()),
    ];
    let upstreams = vec![
        upstream("s/dated", dated.address),
        upstream("s/undated", undated.address),
        upstream("s/auth", auth.address),
        serving("s/nobody", Vec::new()),
    ];
    let edge = Edge::start(&snapshot(1, vec![site(1, &["a.test"], routes)], upstreams));
    for (path, status) in [
        ("/a.txt", 200),
        ("/missing", 404),
        ("/moved", 308),
        ("/metrics", 200),
        ("/undated", 200),
        ("/nobody", 502),
        ("/signed", 401),
        ("/../x", 400),
    ] {
        let reply = edge.get("a.test", path);
        assert_eq!((reply.status, count(&reply.head, "Date")), (status, 1), "{path}: {}", reply.head);
        let said = httpdate::parse_http_date(&reply.header("Date").unwrap()).unwrap();
        assert!(said.elapsed().unwrap_or_default().as_secs() < 60, "{path}: {}", reply.head);
    }
    assert_eq!(edge.request("GARBAGE\r\n\r\n").head.matches("Date: ").count(), 1);
    let dated = edge.get("a.test", "/dated");
    assert_eq!((count(&dated.head, "Date"), dated.header("Date").as_deref()), (1, Some(date)));
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

fn preflight(edge: &Edge, origin: &str) -> Reply {
    edge.request(&format!(
        "OPTIONS /events HTTP/1.1\r\nHost: a.test\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
Access-Control-Request-Headers: x-session, content-type\r\nConnection: close\r\n\r\n"
    ))
}

// req: SEC-15
#[test]
fn only_listed_origins_are_allowed_each_echoed_with_credentials() {
    let app = Backend::answering(|head| {
        assert!(!head.starts_with("OPTIONS"), "a preflight is the edge's");
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\nhi".to_owned()
    });
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.cors = Some(cors());
    let edge = Edge::start(&table);
    for origin in ["https://a.test", "https://www.a.test"] {
        let reply = from_origin(&edge, origin);
        assert_eq!(reply.header("Access-Control-Allow-Origin").unwrap(), origin);
        assert_eq!(count(&reply.head, "Access-Control-Allow-Origin"), 1, "{}", reply.head);
        assert_eq!(reply.header("Access-Control-Allow-Credentials").unwrap(), "true");
        let reply = preflight(&edge, origin);
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        assert_eq!(reply.header("Access-Control-Allow-Origin").unwrap(), origin);
        assert_eq!(reply.header("Access-Control-Allow-Credentials").unwrap(), "true");
        assert_eq!(reply.header("Access-Control-Allow-Methods").unwrap(), "GET, POST");
        assert_eq!(reply.header("Access-Control-Allow-Headers").unwrap(), "x-session, content-type");
        assert_eq!(reply.header("Access-Control-Max-Age").unwrap(), "600");
    }
    for origin in ["https://evil.test", "http://a.test", "https://a.test.evil.test", "null"] {
        for reply in [from_origin(&edge, origin), preflight(&edge, origin)] {
            assert!(!reply.head.to_lowercase().contains("access-control-"), "{origin}: {}", reply.head);
        }
        assert_eq!(preflight(&edge, origin).status, 403, "{origin}");
    }
}

// req: SEC-16
#[test]
fn event_streams_say_their_origin_and_strangers_hear_of_none() {
    let (app, connections) = driven();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.cors = Some(cors());
    let edge = Edge::start(&table);
    for (origin, allowed) in [("https://www.a.test", true), ("https://evil.test", false)] {
        let mut client = edge.client();
        let request =
            format!("GET /events HTTP/1.1\r\nHost: a.test\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut instance = connections.recv_timeout(PATIENCE).unwrap();
        next_head(&mut instance).unwrap();
        instance
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\n\r\ndata: 1\n\n")
            .unwrap();
        let (head, _) = read_head(&mut client);
        assert_eq!(
            head.contains(&format!("\r\nAccess-Control-Allow-Origin: {origin}\r\n")),
            allowed,
            "{head}"
        );
        assert!(!head.contains("Access-Control-Allow-Origin: *"), "{head}");
        assert_eq!(head.to_lowercase().contains("access-control-"), allowed, "{head}");
    }
    let stranger = preflight(&edge, "https://evil.test");
    assert!(!stranger.head.to_lowercase().contains("access-control-"), "{}", stranger.head);
}

#[test]
fn a_body_that_is_refused_for_its_length_is_answered_as_the_route_wants_it() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    let route = &mut table.sites[0].routes[0];
    route.body_limit = 10;
    route.policy.cors = Some(cors());
    route.policy.response_headers = security();
    let edge = Edge::start(&table);
    let reply = edge.request(
        "POST / HTTP/1.1\r\nHost: a.test\r\nOrigin: https://a.test\r\nContent-Length: 11\r\n\r\nhello world",
    );
    assert_eq!(reply.status, 413);
    assert_eq!(reply.header("Access-Control-Allow-Origin").unwrap(), "https://a.test");
    assert_eq!(count(&reply.head, "X-Frame-Options"), 1, "{}", reply.head);
}

fn page(page: &Path, from: u16, to: u16, replace: bool) -> ErrorPageSpec {
    ErrorPageSpec { from, to, page: page.to_owned(), replace }
}

#[test]
fn pages_of_the_users_stand_for_errors_and_programs_still_get_json() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("error.html");
    std::fs::write(&file, "<h1>{status} {title}</h1> {request_id}").unwrap();
    let mut table = proxying(&[unused]);
    table.sites[0].routes[0].policy.error_pages = vec![page(&file, 500, 599, false)];
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", "/");
    let id = reply.header("X-Request-Id").unwrap();
    assert_eq!((reply.status, reply.text()), (502, format!("<h1>502 Bad Gateway</h1> {id}")));
    assert_eq!(reply.header("Content-Type").unwrap(), "text/html; charset=utf-8");
    let json = edge
        .request("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    let value: serde_json::Value = serde_json::from_str(&json.text()).unwrap();
    assert_eq!(value["status"], 502);
}

#[test]
fn an_answer_of_the_applications_gives_way_to_a_page() {
    let app = Backend::answering(|head| {
        let status = if head.starts_with("GET /fine") { "200 OK" } else { "404 Not Found" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nContent-Length: 7\r\n\r\nfrom me"
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("error.html");
    std::fs::write(&file, "page of {status}").unwrap();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.error_pages = vec![page(&file, 400, 499, true)];
    let edge = Edge::start(&table);
    let mut client = edge.client();
    for _ in 0..3 {
        client.write_all(b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (head, body) = read_head(&mut client);
        assert!(
            head.starts_with("HTTP/1.1 404 Not Found\r\n") && head.contains("Set-Cookie: a=1\r\n"),
            "{head}"
        );
        assert_eq!(String::from_utf8(body).unwrap(), "page of 404");
        client.write_all(b"HEAD /x HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n").unwrap();
        let (head, body) = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 404") && body.is_empty(), "{head}");
        client.write_all(b"GET /fine HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        assert!(read_until(&mut client, b"from me").starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    client.write_all(b"GET /x HTTP/1.1\r\nHost: a.test\r\nAccept: application/json\r\n\r\n").unwrap();
    assert!(
        read_until(&mut client, b"from me").starts_with(b"HTTP/1.1 404 Not Found\r\n"),
        "a program gets the application's"
    );
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_replaced_answer_with_a_body_still_to_come_costs_only_its_connection() {
    let (app, connections) = driven();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("error.html");
    std::fs::write(&file, "page").unwrap();
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].policy.error_pages = vec![page(&file, 500, 500, true)];
    let edge = Edge::start(&table);
    let mut client = edge.client();
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let mut instance = connections.recv_timeout(PATIENCE).unwrap();
        next_head(&mut instance).unwrap();
        instance.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000\r\n\r\nbegin").unwrap();
        let (_, body) = read_head(&mut client);
        assert_eq!(body, b"page");
        until(|| edge.in_flight("s/a.1#1") == 0);
    }
}

fn compressing(address: std::net::SocketAddr) -> Snapshot {
    let mut table = proxying(&[address]);
    table.sites[0].routes[0].policy.compress = Some(CompressSpec {
        types: vec!["text/*".to_owned(), "application/json".to_owned()],
        min: 256,
        codings: vec![Coding::Br, Coding::Zstd, Coding::Gzip],
    });
    table
}

fn decoded(coding: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    // What has not ended yet gives an error behind what could be read.
    let _ = match coding {
        "br" => brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text),
        "zstd" => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_string(&mut text),
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_string(&mut text),
        other => panic!("{other}"),
    };
    text
}

/// The data of a chunked body, as far as it has come.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        data.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    data
}

fn accepting(edge: &Edge, path: &str, accept: &str) -> Reply {
    edge.request(&format!(
        "GET {path} HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: {accept}\r\nConnection: close\r\n\r\n"
    ))
}

#[test]
fn answers_are_compressed_in_what_the_client_takes() {
    let text = "It was the best of times, it was the worst of times. ".repeat(20_000);
    let body = text.clone();
    let app = Backend::answering(move |head| {
        let (form, end) = if head.starts_with("GET /chunked") {
            ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
        } else {
            (format!("Content-Length: {}", body.len()), body.clone())
        };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n{form}\r\n\r\n{end}"
        )
    });
    let edge = Edge::start(&compressing(app.address));
    for path in ["/", "/chunked"] {
        for coding in ["br", "zstd", "gzip"] {
            let reply = accepting(&edge, path, coding);
            assert_eq!(reply.header("Content-Encoding").unwrap(), coding);
            assert_eq!(reply.header("Vary").unwrap(), "Accept-Encoding");
            assert_eq!(reply.header("ETag").unwrap(), "W/\"v1\"");
            assert_eq!(count(&reply.head, "Transfer-Encoding"), 1, "{}", reply.head);
            assert_eq!((reply.header("Content-Length"), reply.header("Accept-Ranges")), (None, None));
            assert!(reply.body.ends_with(b"\r\n0\r\n\r\n") && reply.body.len() < text.len() / 20);
            assert!(decoded(coding, &unchunked(&reply.body)) == text, "{path} {coding}");
        }
    }
    let plain = accepting(&edge, "/", "identity");
    assert_eq!((plain.header("Content-Encoding"), plain.header("ETag").unwrap().as_str()), (None, "\"v1\""));
    assert_eq!(plain.header("Vary").unwrap(), "Accept-Encoding");
    assert!(plain.text() == text);
    let old = edge.request("GET / HTTP/1.0\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
    assert_eq!((old.header("Transfer-Encoding"), old.header("Content-Length")), (None, None));
    assert!(decoded("gzip", &old.body) == text, "until the connection ends");
}

#[test]
fn a_connection_goes_on_behind_a_compressed_answer() {
    let app = Backend::answering(|_| {
        let body = "abc".repeat(1000);
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let edge = Edge::start(&compressing(app.address));
    let mut client = edge.client();
    for _ in 0..5 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip, br\r\n\r\n").unwrap();
        let all = read_until(&mut client, b"\r\n0\r\n\r\n");
        let at = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        assert_eq!(decoded("br", &unchunked(&all[at + 4..])), "abc".repeat(1000));
    }
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_page_that_is_made_step_by_step_is_not_held_back() {
    let (app, connections) = driven();
    let edge = Edge::start(&compressing(app.address));
    for coding in ["br", "zstd", "gzip"] {
        let mut client = edge.client();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nAccept-Encoding: {coding}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
        let mut instance = connections.recv_timeout(PATIENCE).unwrap();
        next_head(&mut instance).unwrap();
        instance.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n").unwrap();
        let (_, mut body) = read_head(&mut client);
        let mut said = String::new();
        for step in 0..5 {
            let text = format!("<p>step {step}</p>\n");
            instance.write_all(text.as_bytes()).unwrap();
            said.push_str(&text);
            let mut piece = [0; 4096];
            while decoded(coding, &unchunked(&body)) != said {
                let count = client.read(&mut piece).unwrap();
                assert!(count > 0, "{coding}: ended after {said}");
                body.extend_from_slice(&piece[..count]);
            }
        }
    }
}

#[test]
fn event_streams_parts_and_small_answers_are_not_compressed() {
    let app = Backend::answering(|head| {
        let path = head.split(' ').nth(1).unwrap();
        let (status, lines) = match path {
            "/events" => ("200 OK", "Content-Type: text/event-stream"),
            "/part" => ("206 Partial Content", "Content-Type: text/css\r\nContent-Range: bytes 0-999/2000"),
            "/done" => ("200 OK", "Content-Type: text/css\r\nContent-Encoding: gzip"),
            "/fixed" => ("200 OK", "Content-Type: text/css\r\nCache-Control: no-transform"),
            _ => ("200 OK", "Content-Type: image/png"),
        };
        format!("HTTP/1.1 {status}\r\n{lines}\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000))
    });
    let edge = Edge::start(&compressing(app.address));
    for path in ["/events", "/part", "/done", "/fixed", "/image"] {
        let reply = accepting(&edge, path, "br, gzip");
        assert_eq!((reply.body.len(), reply.header("Vary")), (1000, None), "{path}: {}", reply.head);
    }
}

#[test]
fn a_trace_is_passed_on_or_begun_and_named_in_the_log() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let ask = |line: &str| {
        let reply =
            edge.request(&format!("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{line}\r\n"));
        let text = reply.text();
        let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("traceparent: ")).collect();
        assert_eq!(lines.len(), 1, "{text}");
        lines[0].to_owned()
    };
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(ask(&format!("Traceparent: {valid}\r\n")), valid);
    let begun = ask("");
    let other = ask("traceparent: nonsense\r\n");
    assert!(begun.len() == 55 && other.len() == 55 && begun != other);
    let log = edge.log(3);
    for (line, trace) in log.iter().zip([valid, &begun, &other]) {
        assert_eq!(line["trace_id"], trace[3..35]);
    }
}
