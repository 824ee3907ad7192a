//! Answers that come before their request is through: a client that is still sending must get them.

use crate::proxy;
use std::io::Write;
use testkit::backend::Backend;
use testkit::http::Response;
use testkit::{FrontDoor, HOST};

const LARGE: usize = 8 << 20;

/// Sends a head and then as much of a large body as anybody takes, and reads meanwhile.
fn upload(door: &FrontDoor, framing: &str) -> Response {
    let mut connection = door.connect();
    connection.send(format!("POST /up HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n\r\n"));
    let mut writer = connection.socket().try_clone().unwrap();
    let chunked = framing.contains("chunked");
    let sender = std::thread::spawn(move || {
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..LARGE / piece.len() {
            let head = if chunked { format!("{:x}\r\n", piece.len()) } else { String::new() };
            let end: &[u8] = if chunked { b"\r\n" } else { b"" };
            if [head.as_bytes(), &piece, end].iter().any(|bytes| writer.write_all(bytes).is_err()) {
                return; // nobody takes it any more: so be it
            }
        }
    });
    let answer = connection.response();
    drop(connection);
    sender.join().unwrap();
    answer
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("{}\nbody = \"1MB\"", proxy(&backend))]);
    for framing in [format!("Content-Length: {LARGE}"), "Transfer-Encoding: chunked".to_owned()] {
        for _ in 0..10 {
            assert_eq!(upload(&door, &framing).status, 413, "{framing}");
        }
    }
    assert!(backend.ledger().is_empty(), "a body over the limit arrived");
}

#[test]
fn the_applications_own_refusal_reaches_it_too() {
    let backend = Backend::start(|request, peer| {
        let _ = peer.exactly(100_000)?;
        peer.arrived(request);
        peer.send(
            "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 6\r\nConnection: close\r\n\r\nno csv",
        )?;
        peer.close()
    });
    let door = FrontDoor::to(&[&format!("{}\nbody = \"100MB\"", proxy(&backend))]);
    for framing in [format!("Content-Length: {LARGE}"), "Transfer-Encoding: chunked".to_owned()] {
        for _ in 0..10 {
            let answer = upload(&door, &framing);
            assert_eq!((answer.status, answer.text().as_str()), (422, "no csv"), "{framing}");
        }
    }
    assert_eq!(backend.ledger().len(), 20, "an upload was sent again");
}

/// Two large uploads and a question, all sent before the first answer is read.
#[test]
fn large_uploads_can_be_pipelined() {
    let backend = Backend::start(|request, peer| {
        let body = peer.body(request)?;
        let same = body.iter().all(|byte| *byte == body[0]);
        peer.ok(format!("{} {} {same}", request.target(), body.len()))
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let sizes = [300_000, 140_000, 1, 700_001, 20_000];
    let mut connection = door.connect();
    let mut writer = connection.socket().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for (number, size) in sizes.iter().enumerate() {
            let mut bytes =
                format!("POST /{number} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n")
                    .into_bytes();
            bytes.resize(bytes.len() + size, b'a' + number as u8);
            writer.write_all(&bytes).unwrap();
        }
    });
    for (number, size) in sizes.iter().enumerate() {
        assert_eq!(connection.response().text(), format!("/{number} {size} true"));
    }
    sender.join().unwrap();
}

/// A large answer that breaks off must not look like a whole one, and its connection must not be used again.
#[test]
fn a_large_answer_that_breaks_off_is_cut() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        if request.target() == "/whole" {
            return peer.ok(vec![b'w'; 300_000]);
        }
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))?;
        peer.send(vec![b'x'; 600_000])?;
        peer.close()
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    for _ in 0..3 {
        let mut connection = door.connect();
        connection.send(format!("GET /cut HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        let head = connection.head();
        assert_eq!(connection.rest().len(), 600_000, "not all that came was passed on");
        let line = door.line_of(&head);
        assert!(line["error"].as_str().is_some_and(|error| error.contains("broke off")), "{line}");
        assert!(door.get("/whole").body == vec![b'w'; 300_000]);
    }
}
