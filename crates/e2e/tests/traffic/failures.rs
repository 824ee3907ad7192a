//! Backends that do not answer, and what the client and the log are told.

use crate::proxy;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST, free_port};

/// Asks, and gives the answer and the time it took.
fn timed(door: &FrontDoor, request: &str) -> (testkit::http::Response, Duration) {
    let begun = Instant::now();
    let answer = door.ask(request);
    (answer, begun.elapsed())
}

const GET: &str = "GET /x HTTP/1.1\r\nHost: HOST\r\n\r\n";

/// Answers 502 within the connect timeout, and the log has the upstream and the cause.
#[track_caller]
pub fn is_502(door: &FrontDoor, path: &str, upstream: &str, cause: &str) {
    let (answer, took) = timed(door, &GET.replace("/x", path));
    assert_eq!(answer.status, 502, "{path}");
    assert!(took < Duration::from_secs(2), "{path}: {took:?}");
    let line = door.line_of(&answer);
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_ascii_lowercase();
    assert!(text("upstream").contains(upstream), "{path}: the upstream is missing: {line}");
    assert!(text("error").contains(cause), "{path}: the cause is missing: {line}");
}

// req: EDGE-13
#[test]
fn a_refusing_and_a_crashed_backend_are_502_and_logged_with_name_and_cause() {
    let crashing = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.close()
    });
    let refusing = free_port();
    let door = FrontDoor::to(&[
        &format!("path = \"/refusing\"\nproxy = \"127.0.0.1:{refusing}\"\ntimeout = {{ connect = \"2s\" }}"),
        &format!("{}\ntimeout = {{ connect = \"2s\" }}", proxy(&crashing)),
    ]);
    is_502(&door, "/refusing", &format!("127.0.0.1:{refusing}"), "refused");
    is_502(&door, "/x", &format!("127.0.0.1:{}", crashing.port()), "closed the connection");
    assert_eq!(crashing.ledger().len(), 1, "a request was sent again");
}

#[test]
fn a_silent_backend_is_504_at_the_read_timeout() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.closed()
    });
    let door = FrontDoor::to(&[&format!("{}\ntimeout = {{ read = \"1s\" }}", proxy(&backend))]);
    let post = "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nhello";
    for request in [GET, post] {
        let (answer, took) = timed(&door, request);
        assert_eq!(answer.status, 504);
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
        let line = door.line_of(&answer);
        assert_eq!(line["status"], 504);
        assert!(line["upstream"].as_str().is_some_and(|name| name.contains("127.0.0.1:")), "{line}");
        assert!(
            line["error"].as_str().is_some_and(|error| error.contains("did not answer within 1000 ms")),
            "{line}"
        );
    }
    assert_eq!(backend.ledger().len(), 2, "a request was sent again");
}

#[test]
fn a_client_that_stops_in_its_body_is_408() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("{}\ntimeout = {{ send = \"1s\" }}", proxy(&backend))]);
    let (answer, took) = timed(&door, "POST /x HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9\r\n\r\nhello");
    assert_eq!(answer.status, 408);
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(backend.ledger().len(), 0);
}

/// An answer that breaks off must not look like a whole one.
#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        let framing =
            if request.target() == "/chunked" { "Transfer-Encoding: chunked" } else { "Content-Length: 100" };
        peer.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n"))?;
        peer.close()
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    for path in ["/chunked", "/length"] {
        let mut connection = door.connect();
        connection.send(GET.replace("HOST", HOST).replace("/x", path));
        let head = connection.head();
        assert_eq!((head.status, connection.rest()), (200, b"5\r\nhello\r\n".to_vec()), "{path}");
        let line = door.line_of(&head);
        assert!(line["error"].as_str().is_some_and(|error| error.contains("broke off")), "{line}");
    }
}

#[test]
fn errors_are_a_page_for_people_and_json_for_programs() {
    let port = free_port();
    let door = FrontDoor::to(&[&format!("path = \"/app/*\"\nproxy = \"127.0.0.1:{port}\"")]);
    for (path, status) in [("/app/x", 502), ("/nowhere", 404)] {
        for (accept, json) in [
            ("application/json", true),
            ("application/problem+json, */*;q=0.1", true),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("*/*", false),
        ] {
            let answer = door.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nAccept: {accept}\r\n\r\n"));
            assert_eq!(answer.status, status);
            let id = answer.header("x-request-id").expect("a request id").to_owned();
            if json {
                assert_eq!(answer.header("content-type"), Some("application/json"), "{accept}");
                assert_eq!(
                    (answer.json()["request_id"].as_str(), answer.json()["status"].as_u64()),
                    (Some(&*id), Some(u64::from(status)))
                );
            } else {
                assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{accept}");
                assert!(answer.text().contains(&id), "the page does not show the id");
            }
            // addresses and causes are for the log
            assert!(
                !answer.text().contains(&port.to_string()) && !answer.text().contains("refused"),
                "{}",
                answer.text()
            );
        }
        let mut head = door.connect();
        head.send(format!("HEAD {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        assert_eq!(head.head().status, status);
        assert!(head.is_closed(), "an answer to HEAD has a body");
    }
}
