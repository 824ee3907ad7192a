//! One row for each rule on response heads, and what splicing makes of them (RFC 9112 unless said otherwise).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in the helpers of tests

use http1::{
    BodyFraming, FieldId, FieldSet, HeadWriter, Limits, Method as M, Reject, ResponseHead, Version,
    parse_request, parse_response,
};

fn parse(raw: &[u8], to: M) -> Result<Option<ResponseHead>, Reject> {
    parse_response(raw, &Limits::DEFAULT, to)
}

fn accepted(raw: &[u8], to: M) -> ResponseHead {
    parse(raw, to).unwrap_or_else(|why| panic!("{why}: {}", raw.escape_ascii())).expect("complete")
}

#[test]
fn malformed_heads_are_refused() {
    use Reject::*;
    let rows: [(&str, &[u8], Reject); 21] = [
        ("4", b"HTTP/1.1  200 OK\r\n\r\n", StatusLine),
        ("4", b"HTTP/1.1 20 OK\r\n\r\n", StatusLine),
        ("4", b"HTTP/1.1 2000 OK\r\n\r\n", StatusLine),
        ("4", b"HTTP/1.1 +20 OK\r\n\r\n", StatusLine),
        ("4", b"ICY 200 OK\r\n\r\n", StatusLine),
        ("4", b"\r\nHTTP/1.1 200 OK\r\n\r\n", StatusLine),
        ("4", b"HTTP/1.1 200 O\0K\r\n\r\n", StatusLine),
        ("2.3", b"HTTP/2.0 200 OK\r\n\r\n", Version),
        ("RFC 9110 15", b"HTTP/1.1 099 x\r\n\r\n", StatusCode),
        ("RFC 9110 15", b"HTTP/1.1 600 x\r\n\r\n", StatusCode),
        ("RFC 9110 15.2.2", b"HTTP/1.1 101 x\r\n\r\n", StatusCode),
        ("2.2", b"HTTP/1.1 200 OK\n\n", BareLf),
        ("2.2", b"HTTP/1.1 200 OK\r\nX: a\n\r\n", BareLf),
        ("5.1", b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", SpaceBeforeColon),
        ("5.2", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", ObsFold),
        ("5.5", b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n", FieldValue),
        (
            "6.3",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            LengthAndEncoding,
        ),
        ("6.3", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ContentLengthRepeated),
        ("6.1", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", TransferEncoding),
        ("6.1", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", EncodingInHttp10),
        ("RFC 9110 8.6", b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", UnexpectedBody),
    ];
    for (section, raw, why) in rows {
        assert_eq!(parse(raw, M::Get), Err(why), "{section}: {}", raw.escape_ascii());
    }
    let interim = b"HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(interim, M::Get), Err(UnexpectedBody), "6.1");
    // also an answer to HEAD is held to one framing
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(parse(both, M::Head), Err(LengthAndEncoding), "6.3");
}

#[test]
fn the_body_follows_status_method_and_fields() {
    use BodyFraming::*;
    use M::{Connect, Get, Head};
    for (status, lines, to, body, keep_alive) in [
        ("200", "", Get, UntilClose, false),
        ("200", "Content-Length: 5\r\n", Get, Length(5), true),
        ("200", "Content-Length: 5\r\nConnection: close\r\n", Get, Length(5), false),
        ("200", "Transfer-Encoding: chunked\r\n", Get, Chunked, true),
        ("200", "Content-Length: 5\r\n", Head, None, true),
        ("200", "", Head, None, true),
        ("200", "Content-Length: 5\r\n", Connect, None, false),
        ("407", "Content-Length: 5\r\n", Connect, Length(5), true),
        ("304", "Content-Length: 5\r\n", Get, None, true),
        ("204", "", Get, None, true),
        ("204", "Content-Length: 0\r\n", Get, None, true),
        ("100", "", Get, None, true),
        ("103", "Link: </x>\r\n", Get, None, true),
        ("101", "Upgrade: websocket\r\n", Get, None, false),
    ] {
        let raw = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        let head = accepted(raw.as_bytes(), to);
        assert_eq!((head.body, head.keep_alive), (body, keep_alive), "6.3: {status} {lines:?} to {to:?}");
        assert_eq!(head.upgrade, status == "101" || (to == Connect && status == "200"));
        assert_eq!(head.is_interim(), matches!(status, "100" | "103"));
    }
    let old = accepted(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Get);
    assert_eq!((old.version, old.keep_alive), (Version::Http10, false));
    assert!(
        accepted(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", Get).keep_alive
    );
}

#[test]
fn the_reason_may_be_missing_and_odd() {
    for (raw, reason) in [
        (&b"HTTP/1.1 404\r\n\r\n"[..], &b""[..]),
        (b"HTTP/1.1 404 \r\n\r\n", b""),
        (b"HTTP/1.1 404 Not  Found\r\n\r\n", b"Not  Found"),
        (b"HTTP/1.1 404 \xe9\r\n\r\n", b"\xe9"),
    ] {
        let head = accepted(raw, M::Get);
        assert_eq!((head.status, head.reason.of(raw)), (404, reason), "4");
        let mut out = Vec::new();
        HeadWriter::response(&mut out, raw, &head).finish();
        assert_eq!(out, [b"HTTP/1.1 404 ", reason, b"\r\n\r\n"].concat());
    }
}

#[test]
fn splicing_drops_what_is_for_one_connection_only() {
    let raw = b"HTTP/1.0 200 OK\r\nA: 1\r\nB: 2\r\nConnection: X-Hop\r\nKeep-Alive: timeout=5\r\nx-hop: 3\r\nC: 4\r\nServer: s\r\n\
        Content-Length: 5\r\n\r\nhello";
    let head = accepted(raw, M::Get);
    let mut out = b"before ".to_vec();
    HeadWriter::response(&mut out, raw, &head)
        .keep(&head.fields, FieldSet::HOP_BY_HOP.with(FieldId::Server))
        .field("X-Request-Id", b"7\r\nSet-Cookie: x")
        .lines(b"Connection: close\r\n")
        .finish();
    let expected = "before HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 4\r\nContent-Length: 5\r\nX-Request-Id: 7  Set-Cookie: x\r\n\
        Connection: close\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_length_where_none_may_stand_is_not_passed_on() {
    let raw = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: y\r\n\r\n";
    let head = accepted(raw, M::Get);
    let mut out = Vec::new();
    HeadWriter::response(&mut out, raw, &head).keep(&head.fields, FieldSet::EMPTY).finish();
    assert_eq!(out, b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", "RFC 9110 8.6");
}

#[test]
fn splicing_a_request_gives_it_origin_form_and_version() {
    for (raw, line) in [
        ("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a?b HTTP/1.1\r\n"),
        ("GET /a?b HTTP/1.0\r\nHost: h\r\n\r\n", "GET /a?b HTTP/1.1\r\n"),
        ("\r\nBREW /a HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /a HTTP/1.1\r\n"),
        ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\n"),
        ("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?q HTTP/1.1\r\n"),
        ("OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\n"),
    ] {
        let head = parse_request(raw.as_bytes(), &Limits::DEFAULT).unwrap().unwrap();
        let mut out = Vec::new();
        HeadWriter::request(&mut out, raw.as_bytes(), &head).keep(&head.fields, FieldSet::EMPTY).finish();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{line}Host: h\r\n\r\n"), "3.2");
        let mut out = Vec::new();
        HeadWriter::request_to(&mut out, raw.as_bytes(), &head, b"/new").finish();
        assert!(out.ends_with(b" /new HTTP/1.1\r\n\r\n"));
    }
}
