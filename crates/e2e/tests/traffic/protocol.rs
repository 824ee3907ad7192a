//! HTTP/1.1 and 1.0 as clients and backends speak it (RFC 9110, RFC 9112).

use crate::proxy;
use std::time::Duration;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

/// RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5: none has a body, whatever its fields say, and the connection goes on.
#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        let status = match request.target() {
            "/head" => "200 OK\r\nContent-Length: 1000",
            "/head-chunked" => "200 OK\r\nTransfer-Encoding: chunked",
            "/204" => "204 No Content",
            "/304" => "304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"",
            "/empty" => "200 OK\r\nContent-Length: 0",
            _ => return peer.ok("a body"),
        };
        peer.send(format!("HTTP/1.1 {status}\r\n\r\n"))
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    for (path, status, length) in [
        ("/head", 200, Some("1000")),
        ("/head-chunked", 200, None),
        ("/204", 204, None),
        ("/304", 304, Some("1000")),
        ("/empty", 200, Some("0")),
    ] {
        let method = if path.starts_with("/head") { "HEAD" } else { "GET" };
        connection.send(get(path).replace("GET", method));
        let head = connection.head();
        assert_eq!((head.status, head.header("content-length")), (status, length), "{path}");
        connection.send(get("/after"));
        assert_eq!(connection.response().text(), "a body", "after {path}");
    }
    assert_eq!(backend.ledger().len(), 10);
}

#[test]
fn expect_continue_is_the_backends_to_answer() {
    let backend = Backend::start(|request, peer| {
        if request.header("expect").is_some() {
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = peer.body(request)?;
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")?;
        peer.ok(body)
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    let post =
        format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    connection.send(&post);
    assert_eq!(connection.line().as_deref(), Some("HTTP/1.1 100 Continue"));
    connection.fields();
    connection.send("hello");
    assert_eq!(connection.line().as_deref(), Some("HTTP/1.1 103 Early Hints"));
    assert_eq!(connection.fields()[0], ("link".to_owned(), "</a.css>; rel=preload".to_owned()));
    assert_eq!(connection.response().text(), "hello");
    // a client need not wait
    connection.send(format!("{post}again"));
    assert_eq!(connection.response().text(), "again");
    // HTTP/1.0 never gets an interim answer
    let mut old = door.connect();
    old.send(post.replace("HTTP/1.1", "HTTP/1.0") + "older");
    assert_eq!(old.line().as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(backend.ledger().last().unwrap().header("expect"), None);
}

#[test]
fn trailers_pass_both_ways() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
             5;ext=1\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Other: y\r\n\r\n",
        )
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    connection.send(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Mine\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Mine: 7\r\n\r\n"
    ));
    let head = connection.head();
    assert_eq!(head.header("trailer"), Some("X-Sum"));
    let size = connection.line().unwrap();
    assert_eq!(size.split(';').next(), Some("5"), "{size}");
    assert_eq!(connection.exactly(7), b"hello\r\n");
    assert_eq!(connection.chunk(), None);
    let trailers = connection.fields();
    assert_eq!(trailers, [("x-sum".into(), "42".into()), ("x-other".into(), "y".into())]);
    assert_eq!(backend.ledger()[0].header("x-mine"), Some("7"));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let backend = Backend::start(|request, peer| {
        let body = peer.body(request)?;
        // the first ones take longest: an order by speed would be another one
        let number: u64 = request.target()[1..].parse().map_err(std::io::Error::other)?;
        std::thread::sleep(Duration::from_millis(40 / number));
        peer.ok(format!("{number} {}", String::from_utf8_lossy(&body)))
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let request = |number: usize| match number % 3 {
        // with the line end that old clients put behind a body (RFC 9112 section 2.2)
        0 => format!("POST /{number} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc\r\n"),
        1 => get(&format!("/{number}")),
        _ => format!(
            "POST /{number} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        ),
    };
    let all: String = (1..=40).map(request).collect();
    for piece in [all.len(), 7] {
        let mut connection = door.connect();
        all.as_bytes().chunks(piece).for_each(|piece| connection.send(piece));
        for number in 1..=40 {
            let body = if number % 3 == 1 { "" } else { "abc" };
            assert_eq!(connection.response().text(), format!("{number} {body}"));
        }
    }
    // behind one that is refused nothing is answered any more
    let mut connection = door.connect();
    connection.send(format!("{}GET / HTTP/1.1\r\n\r\n{}", get("/1"), get("/2")));
    assert_eq!(connection.response().status, 200);
    assert_eq!(connection.response().status, 400);
    assert!(connection.is_closed());
    assert_eq!(backend.ledger().len(), 81);
}

#[test]
fn http_1_0_is_closed_unless_it_asks_to_be_kept() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        match request.target() {
            "/chunked" => peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n"),
            _ => peer.ok("abcde"),
        }
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let old = |path: &str, lines: &str| format!("GET {path} HTTP/1.0\r\nHost: {HOST}\r\n{lines}\r\n");

    let mut connection = door.connect();
    connection.send(old("/", ""));
    assert_eq!(connection.response().text(), "abcde");
    assert!(connection.is_closed());

    let mut connection = door.connect();
    for _ in 0..3 {
        connection.send(old("/", "Connection: keep-alive\r\n"));
        let answer = connection.response();
        assert_eq!((answer.text().as_str(), answer.header("connection")), ("abcde", Some("keep-alive")));
    }
    // a chunked answer is unwrapped and ends with the connection
    connection.send(old("/chunked", "Connection: keep-alive\r\n"));
    let answer = connection.head();
    assert_eq!((answer.header("transfer-encoding"), answer.header("content-length")), (None, None));
    assert_eq!(connection.rest(), b"abcde");

    assert!(
        backend.ledger().iter().all(|request| request.line.ends_with(" HTTP/1.1")),
        "{:?}",
        backend.ledger()
    );
}

#[test]
fn http_1_1_is_kept_unless_it_asks_to_be_closed() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        if request.target() == "/close" {
            peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")?; // neither length nor chunks
            return peer.close();
        }
        peer.ok("ok")
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    for path in ["/", "/close", "/"].repeat(3) {
        connection.send(get(path));
        let answer = connection.response();
        assert_eq!(answer.text(), if path == "/" { "ok" } else { "until the end" });
        assert_eq!(answer.header("connection"), None, "{path}: the backend's end is not the client's");
    }
    connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
    let answer = connection.response();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(connection.is_closed());
}

#[test]
fn heads_up_to_their_bounds_pass() {
    let large: String = (0..30).map(|n| format!("X-{n}: {}\r\n", "y".repeat(900))).collect();
    let answer = large.clone();
    let backend = Backend::start(move |request, peer| {
        let body = peer.body(request)?;
        peer.send(format!("HTTP/1.1 200 OK\r\n{answer}Content-Length: {}\r\n\r\n", body.len()))?;
        peer.send(body)
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let request = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\n{large}Content-Length: 5\r\n\r\nhello");
    for piece in [request.len(), 1000, 1] {
        let mut connection = door.connect();
        request.as_bytes().chunks(piece).for_each(|piece| connection.send(piece));
        let answer = connection.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        let fields = answer.headers.iter().filter(|(_, value)| value.len() == 900).count();
        assert_eq!(fields, 30);
        let arrived = backend.take_ledger();
        assert_eq!(arrived[0].headers.iter().filter(|(_, value)| value.len() == 900).count(), 30);
    }
    let long = format!("/{}?{}", "p".repeat(4000), "q".repeat(4000));
    assert_eq!(door.get(&long).status, 200);
    assert_eq!(backend.ledger()[0].target(), long);
}
