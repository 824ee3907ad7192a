//! Requests that two readers could read differently, sent to the real binary: each is refused with the status that RFC 9112
//! and 9110 demand, in one piece and byte by byte, the connection is closed, and the backend never gets it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;
use testkit::FrontDoor;
use testkit::backend::Backend;

/// A request, what is wrong with it, and what it must be answered with.
#[derive(Clone)]
struct Row {
    section: &'static str,
    what: &'static str,
    raw: Vec<u8>,
    status: u16,
}

fn row(section: &'static str, what: &'static str, raw: impl Into<Vec<u8>>, status: u16) -> Row {
    Row { section, what, raw: raw.into(), status }
}

/// A head that is right but for these lines.
fn lines(section: &'static str, lines: &'static str, status: u16) -> Row {
    row(section, lines, format!("POST /x HTTP/1.1\r\nHost: t.localhost\r\n{lines}\r\n"), status)
}

/// A right head of a chunked request, and this body.
fn chunked(section: &'static str, what: &'static str, body: impl AsRef<[u8]>) -> Row {
    let mut raw = b"POST /x HTTP/1.1\r\nHost: t.localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    raw.extend_from_slice(body.as_ref());
    row(section, what, raw, 400)
}

/// Sends it, in one piece or byte by byte, and reads until the other side closes; it may be refused before its end.
fn exchange(address: impl ToSocketAddrs, raw: &[u8], piece: usize) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for bytes in raw.chunks(piece) {
        if stream.write_all(bytes).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    if let Err(error) = read {
        return format!("the connection was not closed ({error}) after: {text}");
    }
    text
}

/// Refuses all rows: right status, exactly one answer, closed, and nothing that arrived.
fn refuse(rows: &[Row]) {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]);
    let mut wrong = Vec::new();
    // first all in one piece: what a head begun byte by byte leaves open must not be counted for the next row
    for piece in [usize::MAX, 1] {
        for row in rows {
            let connections = backend.connections();
            let answer = exchange(("127.0.0.1", door.port), &row.raw, piece);
            // the head before a wrong chunk is right, and may have gone on before the chunk came
            let begun =
                backend.connections() > connections && !(row.section.starts_with("7.1") && piece == 1);
            let status = format!("HTTP/1.1 {} ", row.status);
            let closes = answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n");
            let arrived = backend.take_ledger();
            let one = answer.matches("HTTP/1.1 ").count() == 1;
            if !(answer.starts_with(&status) && closes && one && arrived.is_empty() && !begun) {
                let way = if piece == 1 { "byte by byte" } else { "in one piece" };
                let head = answer.split("\r\n\r\n").next().unwrap_or_default();
                wrong.push(format!(
                    "{} {:?} {way}: wanted {}, got {head:?}; arrived: {arrived:?}, begun: {begun}",
                    row.section, row.what, row.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // and an honest request still passes
    assert_eq!(door.get("/after").status, 200);
    assert_eq!(backend.ledger().len(), 1);
}

fn framing() -> Vec<Row> {
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX";
    vec![
        row("6.3", "Content-Length, then Transfer-Encoding", post(both), 400),
        lines("6.3", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        lines("6.3", "Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        lines("6.3", "Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        lines("6.3", "Content-Length: 3, 3\r\n", 400),
        lines("6.3", "Content-Length: 3, 4\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length:\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: +3\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: -3\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: 0x3\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: 3 3\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: 3.0\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: 3;a\r\n", 400),
        lines("RFC 9110 8.6", "Content-Length: 18446744073709551616\r\n", 400),
        lines("6.1", "Transfer-Encoding: gzip\r\n", 400),
        lines("6.1", "Transfer-Encoding: chunked, gzip\r\n", 400),
        lines("6.1", "Transfer-Encoding: chunked, chunked\r\n", 400),
        lines("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        lines("6.1", "Transfer-Encoding: identity\r\n", 400),
        lines("6.1", "Transfer-Encoding: xchunked\r\n", 400),
        lines("6.1", "Transfer-Encoding: chunked;a=b\r\n", 400),
        lines("6.1", "Transfer-Encoding: \x0bchunked\r\n", 400),
        lines("6.1", "Transfer-Encoding:\r\n", 400),
        lines("6.1", "Transfer-Encoding: gzip, chunked\r\n", 501),
        row(
            "6.1",
            "a coding in HTTP/1.0",
            "POST /x HTTP/1.0\r\nHost: t.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        lines("RFC 9110 7.6.1", "Connection: Content-Length\r\nContent-Length: 3\r\n", 400),
        lines("RFC 9110 7.6.1", "Connection: Host\r\n", 400),
        lines("RFC 9110 10.1.1", "Expect: 200-ok\r\n", 417),
    ]
}

#[test]
fn heads_that_frame_their_body_ambiguously() {
    refuse(&framing());
}

fn post(rest: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: t.localhost\r\n{rest}")
}

fn no_lines() -> Vec<Row> {
    vec![
        row("2.2", "bare LF after the request line", "GET / HTTP/1.1\nHost: t.localhost\r\n\r\n", 400),
        row("2.2", "bare LF after a field", "GET / HTTP/1.1\r\nHost: t.localhost\n\r\n", 400),
        row("2.2", "bare LF at the end", "GET / HTTP/1.1\r\nHost: t.localhost\r\n\n", 400),
        row("2.2", "only LF", "GET / HTTP/1.1\nHost: t.localhost\n\n", 400),
        lines("2.2", "X: a\rTransfer-Encoding: chunked\r\n", 400),
        lines("2.2", "X: a\r\r\n", 400),
        row("2.2", "CR before the request", "\rGET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        lines("5.2", "X: a\r\n b\r\n", 400),
        lines("5.2", "X: a\r\n\tb\r\n", 400),
        row("5.2", "the first line folded", "GET / HTTP/1.1\r\n Host: t.localhost\r\n\r\n", 400),
        lines("5.1", "X : a\r\n", 400),
        lines("5.1", "Content-Length : 3\r\n", 400),
        lines("5.1", "Transfer-Encoding\t: chunked\r\n", 400),
        lines("5.1", ": a\r\n", 400),
        lines("5.1", "X a\r\n", 400),
        lines("5.1", "X\0: a\r\n", 400),
        lines("5.1", "(X): a\r\n", 400),
        lines("5.5", "X: a\0b\r\n", 400),
        lines("5.5", "X: a\x01b\r\n", 400),
        lines("5.5", "X: a\x7fb\r\n", 400),
        lines("5.5", "X: a\x0bb\r\n", 400),
        row("3", "no version", "GET /\r\nHost: t.localhost\r\n\r\n", 400),
        row("3", "two spaces", "GET  / HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("3", "a space in the target", "GET /a b HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("3", "a space behind the version", "GET / HTTP/1.1 \r\nHost: t.localhost\r\n\r\n", 400),
        row("3.1", "no token as method", "G@T / HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("3.2", "NUL in the target", "GET /\0 HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("3.2", "bytes beyond ASCII in the target", "GET /é HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("3.2", "a fragment", "GET /a#b HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("2.3", "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        row("2.3", "a version nobody knows", "GET / HTTP/1.2\r\nHost: t.localhost\r\n\r\n", 505),
        row("2.3", "lower case", "GET / http/1.1\r\nHost: t.localhost\r\n\r\n", 400),
        row("2.2", "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), 400),
    ]
}

#[test]
fn lines_that_are_no_lines() {
    refuse(&no_lines());
}

fn hosts() -> Vec<Row> {
    let get = |what, target: &str, hosts: &str, status| {
        row("3.2", what, format!("GET {target} HTTP/1.1\r\n{hosts}\r\n"), status)
    };
    vec![
        get("none", "/", "", 400),
        get("two", "/", "Host: t.localhost\r\nHost: t.localhost\r\n", 400),
        get("two that differ", "/", "Host: t.localhost\r\nHost: u.localhost\r\n", 400),
        get("empty", "/", "Host:\r\n", 400),
        get("a list", "/", "Host: t.localhost, u.localhost\r\n", 400),
        get("a path", "/", "Host: t.localhost/x\r\n", 400),
        get("user information", "/", "Host: u@t.localhost\r\n", 400),
        get("no port", "/", "Host: t.localhost:http\r\n", 400),
        get("too large a port", "/", "Host: t.localhost:65536\r\n", 400),
        get("a space", "/", "Host: t.localhost u.localhost\r\n", 400),
        get("absolute form against Host", "http://u.localhost/", "Host: t.localhost\r\n", 400),
        get("absolute form with another port", "http://t.localhost:1/", "Host: t.localhost:2\r\n", 400),
        get("absolute form without Host", "http://t.localhost/", "", 400),
        get("absolute form of another scheme", "ftp://t.localhost/", "Host: t.localhost\r\n", 400),
        get("asterisk form but for OPTIONS", "*", "Host: t.localhost\r\n", 400),
        get("authority form but for CONNECT", "t.localhost:80", "Host: t.localhost\r\n", 400),
        row("9.3.6", "CONNECT", "CONNECT t.localhost:80 HTTP/1.1\r\nHost: t.localhost:80\r\n\r\n", 405),
        row("9.3.8", "TRACE", "TRACE / HTTP/1.1\r\nHost: t.localhost\r\n\r\n", 405),
        row(
            "3.2",
            "a request hidden in a body for nobody",
            "POST / HTTP/1.1\r\nHost: u.localhost\r\nContent-Length: 40\r\n\r\nGET / HTTP/1.1\r\nHost: t.localhost\r\n\r\n \r\n",
            404,
        ),
        get("a dot segment", "/a/../b", "Host: t.localhost\r\n", 400),
        get("a dot segment, encoded", "/a/%2e%2E/b", "Host: t.localhost\r\n", 400),
    ]
}

#[test]
fn hosts_that_are_none_or_several() {
    refuse(&hosts());
}

fn chunks() -> Vec<Row> {
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(300));
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(2000));
    let mut rows = vec![
        chunked("7.1", "no size", "\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "no digit", "g\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "a sign", "+5\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "negative", "-5\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "space before", " 5\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "space behind", "5 \r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "more than 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "bare LF after the size", "5\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "bare CR after the size", "5\rhello\r\n0\r\n\r\n"),
        chunked("7.1", "data longer than said", "5\r\nhello!\r\n0\r\n\r\n"),
        chunked("7.1", "data shorter than said", "6\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1", "bare LF after the data", "5\r\nhello\n0\r\n\r\n"),
        chunked("7.1.1", "bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1.1", "a control in an extension", "5;a=\x01\r\nhello\r\n0\r\n\r\n"),
        chunked("7.1.1", "a long extension", &long),
        chunked("7.1.2", "Content-Length as trailer", "0\r\nContent-Length: 3\r\n\r\n"),
        chunked("7.1.2", "Host as trailer", "0\r\nHost: u.localhost\r\n\r\n"),
        chunked("7.1.2", "Transfer-Encoding as trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        chunked("7.1.2", "X-Forwarded-For as trailer", "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
        chunked("7.1.2", "a folded trailer", "0\r\nX: a\r\n b\r\n\r\n"),
        chunked("7.1.2", "bare LF in the trailers", "0\r\nX: a\n\r\n"),
    ];
    rows.push(Row { status: 431, ..chunked("7.1.2", "large trailers", &trailers) });
    rows
}

#[test]
fn chunks_that_can_be_read_in_two_ways() {
    refuse(&chunks());
}

fn bounds() -> Vec<Row> {
    let get = |rest: &str| format!("GET / HTTP/1.1\r\nHost: t.localhost\r\n{rest}\r\n");
    let many = "X: y\r\n".repeat(200);
    let large: String = (0..90).map(|n| format!("X-{n}: {}\r\n", "y".repeat(900))).collect();
    let long = format!("X: {}\r\n", "y".repeat(20_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: t.localhost\r\n\r\n", "y".repeat(20_000));
    vec![
        row("3", "a long request line", target.clone(), 414),
        row("3", "a request line without an end", &target.as_bytes()[..12_000], 414),
        row("RFC 6585 5", "many fields", get(&many), 431),
        row("RFC 6585 5", "a long field", get(&long), 431),
        row("RFC 6585 5", "a field without an end", &get(&long).as_bytes()[..12_000], 431),
        row("RFC 6585 5", "a large head", get(&large), 431),
    ]
}

#[test]
fn heads_beyond_their_bounds() {
    refuse(&bounds());
}

/// The same table against whatever listens at `HOSTILE_ADDRESS`, for comparison: `bench/conformance/hostile`. Only what the client
/// sees is judged: the status that the RFC demands, one answer, an end.
#[test]
#[ignore = "asks another server: bench/conformance/hostile"]
fn the_table_against_another_server() {
    let address = std::env::var("HOSTILE_ADDRESS").expect("HOSTILE_ADDRESS is host:port");
    let mut right = [0, 0];
    let rows = [framing(), no_lines(), hosts(), chunks(), bounds()].concat();
    for row in &rows {
        let mut got = Vec::new();
        for (piece, right) in [usize::MAX, 1].into_iter().zip(&mut right) {
            let answer = exchange(&address, &row.raw, piece);
            let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or("none");
            let one = answer.matches("HTTP/1.1 ").count() == 1;
            let good = status == row.status.to_string() && one;
            *right += usize::from(good);
            got.push(format!("{status}{}", if good { "" } else { " !" }));
        }
        println!(
            "{:<16} {:<60.60} {} | {}",
            row.section,
            format!("{:?}", row.what),
            row.status,
            got.join(" | ")
        );
    }
    println!("{} of {} as demanded in one piece, {} byte by byte", right[0], rows.len(), right[1]);
}

/// What another server could take for a second request is body, and stays body.
#[test]
fn a_request_hidden_in_a_body_is_no_request() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: t.localhost\r\n\r\n";
    let length = hidden.len();
    let chunk = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    for (what, head, body) in [
        ("POST with a length", format!("POST /x HTTP/1.1\r\nContent-Length: {length}"), hidden),
        ("GET with a length", format!("GET /x HTTP/1.1\r\nContent-Length: {length}"), hidden),
        ("HEAD with a length", format!("HEAD /x HTTP/1.1\r\nContent-Length: {length}"), hidden),
        ("OPTIONS with a length", format!("OPTIONS /x HTTP/1.1\r\nContent-Length: {length}"), hidden),
        ("chunked", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked".to_owned(), &chunk),
        ("chunked GET", "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked".to_owned(), &chunk),
        ("HTTP/1.0", format!("POST /x HTTP/1.0\r\nContent-Length: {length}"), hidden),
        (
            "h2c asked for",
            format!(
                "GET /x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nContent-Length: {length}"
            ),
            hidden,
        ),
        (
            "an underscore for a hyphen",
            format!(
                "POST /x HTTP/1.1\r\nContent_Length: 0\r\nTransfer_Encoding: chunked\r\nContent-Length: {length}"
            ),
            hidden,
        ),
    ] {
        let raw = format!("{head}\r\nHost: t.localhost\r\nConnection: close\r\n\r\n{body}");
        for piece in [usize::MAX, 1] {
            let answer = exchange(("127.0.0.1", door.port), raw.as_bytes(), piece);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer}");
            let arrived = backend.take_ledger();
            assert_eq!(arrived.len(), 1, "{what}: {arrived:?}");
            assert_eq!(arrived[0].target(), "/x", "{what}");
            for name in ["upgrade", "http2-settings", "content_length", "transfer_encoding"] {
                assert_eq!(arrived[0].header(name), None, "{what} passed {name} on");
            }
        }
    }
}

/// Answers that a client could read in two ways do not get through either.
#[test]
fn answers_that_are_ambiguous_become_502() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n",
        "",
    ];
    let backend = Backend::start(move |request, peer| {
        peer.body(request)?;
        let which: usize = request.target()[1..].parse().map_err(std::io::Error::other)?;
        peer.send(answers[which])?;
        let _ = peer.stream().get_ref().shutdown(Shutdown::Write);
        peer.closed()?;
        peer.close()
    });
    let door = FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]);
    for (which, answer) in answers.iter().enumerate() {
        let response = door.get(&format!("/{which}"));
        assert_eq!(response.status, 502, "{answer:?} got through as {response:?}");
        let line = door.line_of(&response);
        assert!(line["upstream"].as_str().is_some_and(|name| name.contains(&format!(":{}", backend.port()))));
        assert!(line["error"].as_str().is_some_and(|error| !error.is_empty()), "{answer:?}: {line}");
    }
    assert_eq!(backend.ledger().len(), answers.len(), "a request was sent again");
}
