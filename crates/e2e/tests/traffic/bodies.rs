//! Bodies: streamed both ways, bounded before the application is called, byte for byte the same.

use crate::proxy;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

const MULTIPART: &str =
    "POST /upload HTTP/1.1\r\nHost: t.localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n";

// req: EDGE-17
#[test]
fn a_body_over_the_limit_is_413_before_the_backend_is_called() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("{}\nbody = \"10KB\"", proxy(&backend))]);
    let large = "x".repeat(10_001);
    // by its length, before a byte of it is sent
    let mut connection = door.connect();
    connection.send(format!("{MULTIPART}Content-Length: 10001\r\n\r\n"));
    let answer = connection.response();
    assert_eq!(answer.status, 413);
    assert!(connection.is_closed(), "the unread body would be taken for a request");
    // and with it
    assert_eq!(door.ask(&format!("{MULTIPART}Content-Length: 10001\r\n\r\n{large}")).status, 413);
    let expect = format!("{MULTIPART}Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(door.ask(&expect).status, 413);
    // chunked: as soon as it is too much
    assert_eq!(
        door.ask(&format!("{MULTIPART}Transfer-Encoding: chunked\r\n\r\n2711\r\n{large}\r\n0\r\n\r\n"))
            .status,
        413
    );
    assert_eq!(backend.connections(), 0, "the backend was called");
    assert_eq!(door.line_of(&answer)["status"], 413);
    // chunks that come one after the other: what was begun is broken off, never finished
    let mut connection = door.connect();
    connection.send(format!("{MULTIPART}Transfer-Encoding: chunked\r\n\r\n"));
    for _ in 0..11 {
        connection.send(format!("3e8\r\n{}\r\n", &large[..1000]));
    }
    assert_eq!(connection.response().status, 413);
    assert!(backend.ledger().is_empty(), "a body over the limit arrived");
    // exactly the limit passes, both ways of framing
    let exact = &large[1..];
    assert_eq!(door.ask(&format!("{MULTIPART}Content-Length: 10000\r\n\r\n{exact}")).status, 200);
    assert_eq!(
        door.ask(&format!("{MULTIPART}Transfer-Encoding: chunked\r\n\r\n2710\r\n{exact}\r\n0\r\n\r\n"))
            .status,
        200
    );
}

// req: EDGE-17
#[test]
fn an_upload_reaches_the_backend_while_it_is_sent() {
    let first = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n";
    let last = "--B\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\ntwo\r\n--B--\r\n";
    let (tell, told) = sync_channel(1);
    let backend = Backend::start(move |request, peer| {
        let chunked = request.header("transfer-encoding").is_some();
        let mut body = if chunked { peer.chunk()?.unwrap_or_default() } else { peer.exactly(first.len())? };
        let _ = tell.send(());
        body.extend(if chunked { peer.chunk()?.unwrap_or_default() } else { peer.exactly(last.len())? });
        if chunked {
            peer.chunk()?;
            peer.fields()?;
        }
        peer.ok(body)
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let arrived = || told.recv_timeout(Duration::from_secs(10)).expect("the first part was held back");
    let mut connection = door.connect();
    connection.send(format!("{MULTIPART}Content-Length: {}\r\n\r\n{first}", first.len() + last.len()));
    arrived();
    connection.send(last);
    assert_eq!(connection.response().text(), format!("{first}{last}"));

    let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
    connection.send(format!("{MULTIPART}Transfer-Encoding: chunked\r\n\r\n{}", chunk(first)));
    arrived();
    connection.send(format!("{}0\r\n\r\n", chunk(last)));
    assert_eq!(connection.response().text(), format!("{first}{last}"));
}

/// Both sides speak at the same time: an answer may begin, and go on, while its request is still being sent.
#[test]
fn request_and_answer_can_be_under_way_together() {
    let backend = Backend::start(|request, peer| {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while let Some(chunk) = peer.chunk()? {
            peer.send(format!(
                "{:x}\r\n{}\r\n",
                chunk.len(),
                String::from_utf8_lossy(&chunk).to_uppercase()
            ))?;
        }
        peer.fields()?;
        peer.arrived(request);
        peer.send("0\r\n\r\n")
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    connection.send(format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"));
    assert_eq!(connection.head().status, 200);
    for word in ["one", "two", "three", "four"].repeat(5) {
        connection.send(format!("{:x}\r\n{word}\r\n", word.len()));
        assert_eq!(connection.chunk(), Some(word.to_uppercase().into_bytes()));
    }
    connection.send("0\r\n\r\n");
    assert_eq!(connection.chunk(), None);
    assert_eq!(backend.ledger().len(), 1);
}

/// An upload that breaks off never looks like a whole one.
#[test]
fn a_broken_off_upload_does_not_arrive() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&proxy(&backend)]);
    for part in ["Content-Length: 9\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut connection = door.connect();
        connection.send(format!("POST /part HTTP/1.1\r\nHost: {HOST}\r\n{part}"));
        connection.socket().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(connection.rest(), b"", "an answer to half a request");
    }
    testkit::wait_until("both are logged", || {
        (door.log_lines().iter().filter(|line| line["status"] == 499).count() == 2).then_some(())
    });
    assert!(backend.ledger().is_empty(), "{:?}", backend.ledger());
}

/// Sizes around every buffer, one after the other on one connection: nothing is lost, added or left over.
#[test]
fn bodies_of_every_size_pass_unchanged() {
    let backend = Backend::start(|request, peer| {
        let body = peer.body(request)?;
        if request.target() == "/length" {
            return peer.ok(body);
        }
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in body.chunks(70_001) {
            peer.send(format!("{:x}\r\n", piece.len()))?;
            peer.send(piece)?;
            peer.send("\r\n")?;
        }
        peer.send("0\r\n\r\n")
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let mut connection = door.connect();
    let around = |size: usize| [size - 1, size, size + 1];
    let sizes = [1, 1000].into_iter().chain((12..=20).flat_map(|power| around(1 << power)));
    let bytes = pattern(2 << 20);
    for size in sizes {
        let body = &bytes[size / 3..size / 3 + size];
        for path in ["/length", "/chunked"] {
            connection
                .send(format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n"));
            connection.send(body);
            let answer = connection.response();
            assert!(
                answer.status == 200 && answer.body == body,
                "{size} bytes to {path}: {}",
                answer.body.len()
            );
        }
        let mut chunked = format!(
            "POST /length HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n"
        )
        .into_bytes();
        chunked.extend_from_slice(body);
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        connection.send(chunked);
        let answer = connection.response();
        assert!(answer.status == 200 && answer.body == body, "{size} bytes in one chunk");
    }
}

const LARGE: usize = 50 << 20;

/// Bytes that never repeat in step with any buffer.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at >> 16) as u8).collect()
}

fn digest(mut from: impl Read, len: usize) -> std::io::Result<u64> {
    let (mut hasher, mut left, mut piece) = (DefaultHasher::new(), len, vec![0; 1 << 16]);
    while left > 0 {
        let want = piece.len().min(left);
        let count = from.read(&mut piece[..want])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        hasher.write(&piece[..count]);
        left -= count;
    }
    Ok(hasher.finish())
}

/// 50 MB each way, as a whole and in chunks of odd sizes; the edge must not hold them.
#[test]
fn large_bodies_pass_unchanged_in_bounded_memory() {
    let bytes = pattern(LARGE);
    let expected = digest(&bytes[..], LARGE).unwrap();
    let answer = bytes.clone();
    let backend = Backend::start(move |request, peer| {
        if request.method() == "GET" {
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"))?;
            return peer.send(&answer);
        }
        let sum = match request.header("content-length") {
            Some(_) => digest(peer.stream(), LARGE)?,
            None => {
                let mut whole = Vec::with_capacity(LARGE);
                while let Some(chunk) = peer.chunk()? {
                    whole.extend(chunk);
                }
                peer.fields()?;
                digest(&whole[..], LARGE)?
            }
        };
        peer.ok(sum.to_string())
    });
    let door = FrontDoor::to(&[&format!("{}\nbody = \"60MB\"", proxy(&backend))]);
    assert_eq!(door.ask("POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 60000001\r\n\r\n").status, 413);
    let pid = door.edge_pid();
    let before = door.edge_memory(pid);
    let (done, most) = (AtomicBool::new(false), Mutex::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let now = door.edge_memory(pid);
                let mut most = most.lock().unwrap();
                *most = now.max(*most);
                std::thread::sleep(Duration::from_millis(10)); // a sample, not a wait
            }
        });
        let mut connection = door.connect();
        connection.send(format!("POST /up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {LARGE}\r\n\r\n"));
        connection.send(&bytes);
        assert_eq!(connection.response().text(), expected.to_string(), "the upload changed");
        connection.send(format!("POST /up HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for piece in bytes.chunks(99_991) {
            connection.send(format!("{:x}\r\n", piece.len()));
            connection.send(piece);
            connection.send("\r\n");
        }
        connection.send("0\r\n\r\n");
        assert_eq!(connection.response().text(), expected.to_string(), "the chunked upload changed");
        let mut stream = TcpStream::connect(("127.0.0.1", door.port)).unwrap();
        write!(stream, "GET /down HTTP/1.1\r\nHost: {HOST}\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(String::from_utf8_lossy(&head).contains(&format!("Content-Length: {LARGE}\r\n")));
        assert_eq!(digest(&stream, LARGE).unwrap(), expected, "the download changed");
        done.store(true, Ordering::Relaxed);
    });
    let grown = most.into_inner().unwrap().saturating_sub(before);
    assert!(grown < 8 << 20, "the edge grew by {} KiB", grown >> 10);
}
