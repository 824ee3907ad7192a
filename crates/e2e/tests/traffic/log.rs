//! The access log, and the id that connects it with the application and the client.

use crate::{echoed, proxy};
use std::time::Duration;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

// req: OBS-27
#[test]
fn a_line_says_everything_about_its_request() {
    let pause = Duration::from_millis(120);
    let backend = Backend::start(move |request, peer| {
        let body = peer.body(request)?;
        std::thread::sleep(pause); // the time that the log has to show
        peer.ok(format!(
            "x-request-id: {}\n\n{}",
            request.header("x-request-id").unwrap_or_default(),
            body.len()
        ))
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    connection.send(format!(
        "POST /a/b?q=\"%20\\x HTTP/1.1\r\nHost: {HOST}:99\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
    ));
    let raw = String::from_utf8(connection.rest()).unwrap();
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    let id = echoed(body, "x-request-id");
    assert!(head.contains(&format!("\r\nX-Request-Id: {id}")), "the client did not get the id:\n{head}");

    let line = door.log_line(id);
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["host"], HOST);
    assert_eq!(line["path"], "/a/b?q=\"%20\\x");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes"], raw.len());
    let upstream = line["upstream"].as_str().unwrap();
    assert!(upstream.contains(&format!("127.0.0.1:{}", backend.port())), "{upstream}");
    let (upstream_ms, total_ms) = (line["upstream_ms"].as_f64().unwrap(), line["total_ms"].as_f64().unwrap());
    let least = pause.as_secs_f64() * 1000.0;
    assert!(upstream_ms >= least && total_ms >= upstream_ms && total_ms < least + 5000.0, "{line}");
    // present, though this connection has no TLS and this route no cache
    assert!(line.get("tls").is_some_and(serde_json::Value::is_null), "{line}");
    assert!(line.get("cache").is_some_and(serde_json::Value::is_null), "{line}");
    let stamp = line["ts"].as_str().unwrap();
    assert!(stamp.len() == 24 && stamp.starts_with("20") && stamp.ends_with('Z'), "{stamp}");
}

#[test]
fn ids_differ_and_errors_have_them_too() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("path = \"/app/*\"\n{}", proxy(&backend))]);
    let mut ids: Vec<String> = ["/app/1", "/app/2", "/missing", "/app/3"]
        .iter()
        .map(|path| door.get(path).header("x-request-id").unwrap().to_owned())
        .collect();
    for (id, status) in ids.iter().zip([200, 200, 404, 200]) {
        assert_eq!(door.log_line(id)["status"], status);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // a request nobody could read is logged as well
    let mut connection = door.connect();
    connection.send("NONSENSE\r\n\r\n");
    let answer = connection.response();
    let line = door.line_of(&answer);
    assert_eq!(
        (answer.status, &line["status"], &line["upstream"]),
        (400, &400.into(), &serde_json::Value::Null)
    );
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("request line") || error.contains("method"))
    );
}

#[test]
fn a_client_that_left_is_logged_as_such() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.closed()
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    connection.send(format!("GET /left HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    testkit::wait_until("the backend has the request", || (!backend.ledger().is_empty()).then_some(()));
    drop(connection);
    let line =
        testkit::wait_until("the line", || door.log_lines().into_iter().find(|line| line["path"] == "/left"));
    assert_eq!((&line["status"], line["bytes"].as_u64()), (&499.into(), Some(0)), "{line}");
}
