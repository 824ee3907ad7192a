//! One row for each rule on request heads, with the section it comes from (RFC 9112 unless said otherwise).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in the helpers of tests

use http1::{
    BodyFraming, FieldId, Limits, Method, Reject, RequestHead, TargetForm as Form, Version as V,
    parse_request,
};

fn parse(raw: &[u8]) -> Result<Option<RequestHead>, Reject> {
    parse_request(raw, &Limits::DEFAULT)
}

fn accepted(raw: &[u8]) -> RequestHead {
    parse(raw).unwrap_or_else(|why| panic!("{why}: {}", raw.escape_ascii())).expect("complete")
}

/// A GET with these lines behind its `Host`.
fn with(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
}

fn refuse(rows: &[(&str, &[u8], Reject)]) {
    for (section, raw, why) in rows {
        assert_eq!(parse(raw), Err(*why), "{section}: {}", raw.escape_ascii());
    }
}

#[test]
fn the_request_line() {
    use Reject::*;
    refuse(&[
        ("3", b"GET /\r\nHost: h\r\n\r\n", RequestLine),
        ("3", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", RequestLine),
        ("3", b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", RequestLine),
        ("3", b"GET / HTTP/1.1\tx\r\nHost: h\r\n\r\n", RequestLine),
        ("3", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", RequestLine),
        ("3", b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", Method),
        ("3.1", b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", Method),
        ("3.1", b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", Method),
        ("3.1", b"\x16\x03\x01\x02\x00", Method),
        ("2.3", b"GET / http/1.1\r\nHost: h\r\n\r\n", RequestLine),
        ("2.3", b"GET / HTTP/1.10\r\nHost: h\r\n\r\n", RequestLine),
        ("2.3", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", Version),
        ("2.3", b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", Version),
        ("RFC 9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
        ("2.2", b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", RequestLine),
        ("2.2", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", BareLf),
        ("2.2", b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", BareCr),
    ]);
    assert_eq!(parse(&[b'A'; 65]), Err(Method), "no method is that long");
    let head = accepted(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((head.len, head.method), (29, http1::Method::Get));
    assert_eq!(accepted(b"get / HTTP/1.1\r\nHost: h\r\n\r\n").method, http1::Method::Other);
}

#[test]
fn the_target() {
    use Reject::*;
    refuse(&[
        ("3.2", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("3.2", b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("3.2", b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("RFC 9110 4.2.5", b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("RFC 9110 4.2.5", b"GET /?a#b HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("3.2.1", b"GET /a\\..\\b HTTP/1.1\r\nHost: h\r\n\r\n", TargetChar),
        ("3.2.1", b"GET index.html HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.1", b"GET ?q HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.2", b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.2", b"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", HostInvalid),
        ("3.2.2", b"GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", HostInvalid),
        ("3.2.2", b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HostContradiction),
        ("3.2.2", b"GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n", HostContradiction),
        ("3.2.3", b"CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.3", b"CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.3", b"CONNECT h:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", HostContradiction),
        ("3.2.3", b"GET h:443 HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.4", b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
        ("3.2.4", b"OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n", TargetForm),
    ]);
    type Row<'r> = (&'r [u8], Form, &'r str, Option<&'r str>, &'r str, Option<u16>);
    let rows: [Row<'_>; 8] = [
        (
            b"GET /a/b?c=d|e\\?f HTTP/1.1\r\nHost: h\r\n\r\n",
            Form::Origin,
            "/a/b",
            Some("c=d|e\\?f"),
            "h",
            None,
        ),
        (b"GET //x? HTTP/1.1\r\nHost: H:8080\r\n\r\n", Form::Origin, "//x", Some(""), "H", Some(8080)),
        (b"GET http://h/p?q HTTP/1.1\r\nHost: H:80\r\n\r\n", Form::Absolute, "/p", Some("q"), "h", None),
        (b"GET HTTPS://h:443 HTTP/1.1\r\nHost: h\r\n\r\n", Form::Absolute, "", None, "h", Some(443)),
        (b"GET http://h?q HTTP/1.0\r\n\r\n", Form::Absolute, "", Some("q"), "h", None),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", Form::Asterisk, "", None, "h", None),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", Form::Authority, "", None, "h", Some(443)),
        (b"GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", Form::Origin, "/", None, "[::1]", Some(81)),
    ];
    for (raw, form, path, query, host, port) in rows {
        let head = accepted(raw);
        assert_eq!((head.form, head.port), (form, port), "{}", raw.escape_ascii());
        assert_eq!(head.path.str(raw), path);
        assert_eq!(head.query.map(|q| q.str(raw)), query);
        assert_eq!(head.host.unwrap().str(raw), host);
    }
}

#[test]
fn the_host() {
    use Reject::*;
    refuse(&[
        ("3.2", b"GET / HTTP/1.1\r\n\r\n", HostMissing),
        ("3.2.2", b"GET http://h/ HTTP/1.1\r\n\r\n", HostMissing),
        ("3.2", b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", HostRepeated),
        ("3.2", b"GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", HostRepeated),
    ]);
    for host in [
        "",
        "a b",
        "a,b",
        "a/b",
        "a@b",
        "a?b",
        "a#b",
        "a\\b",
        "a%41",
        "h:x",
        "h:65536",
        "h:-1",
        "h:000080",
        "h:80:80",
        "::1",
        "[::1",
        "[::1]x",
        "[]",
        "[v1.x]",
        "[::1%25eth0]",
        ":80",
        "\u{e9}",
        "a'b",
        "a_b:",
    ] {
        let raw = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let expected = if host == "a_b:" { None } else { Some(HostInvalid) };
        assert_eq!(parse(raw.as_bytes()).err(), expected, "{host}");
    }
    let head = accepted(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((head.host, head.port, head.version), (None, None, V::Http10));
}

#[test]
fn field_lines() {
    use Reject::*;
    for (section, lines, why) in [
        ("5.1", "X : y\r\n", SpaceBeforeColon),
        ("5.1", "X\t: y\r\n", SpaceBeforeColon),
        ("5.1", "Content-Length : 5\r\n", SpaceBeforeColon),
        ("5.1", ": y\r\n", FieldName),
        ("5.1", "X y\r\n", FieldName),
        ("5.1", "X(: y\r\n", FieldName),
        ("5.1", "X\0: y\r\n", FieldName),
        ("5.1", "X\u{e9}: y\r\n", FieldName),
        ("5.2", "X: a\r\n b\r\n", ObsFold),
        ("5.2", "X: a\r\n\tb\r\n", ObsFold),
        ("5.2", " X: a\r\n", ObsFold),
        ("5.5", "X: a\0b\r\n", FieldValue),
        ("5.5", "X: a\x0bb\r\n", FieldValue),
        ("5.5", "X: a\x7f\r\n", FieldValue),
        ("2.2", "X: a\rb\r\n", BareCr),
        ("2.2", "X: a\r\r\n", BareCr),
        ("2.2", "\rX: a\r\n", BareCr),
        ("2.2", "X: a\n", BareLf),
        ("2.2", "X: a\nY: b\r\n", BareLf),
        ("2.2", "X: a\r\n\n", BareLf),
        ("RFC 9110 10.1.1", "Expect: 200-ok\r\n", Expectation),
    ] {
        assert_eq!(parse(&with(lines)), Err(why), "{section}: {lines:?}");
    }
    let raw = with("X:  a\tb \t\r\nEmpty:\r\nLatin: \u{e9}\r\n");
    let head = accepted(&raw);
    let values: Vec<&[u8]> = head.fields.iter().map(|f| f.value.of(&raw)).collect();
    assert_eq!(values, [b"h".as_slice(), b"a\tb", b"", "\u{e9}".as_bytes()]);
    assert_eq!(head.fields[1].line.of(&raw), b"X:  a\tb \t\r\n");
    assert_eq!(head.fields[1].name.of(&raw), b"X");
}

#[test]
fn framing() {
    use Reject::*;
    for (section, lines, why) in [
        ("6.3", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", LengthAndEncoding),
        ("6.3", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", LengthAndEncoding),
        ("6.3", "Content-Length: 5\r\nContent-Length: 6\r\n", ContentLengthRepeated),
        ("6.3", "Content-Length: 5\r\nContent-Length: 5\r\n", ContentLengthRepeated),
        ("6.3", "Content-Length: 5, 5\r\n", ContentLength),
        ("6.3", "Content-Length: 5,6\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length:\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: +5\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: -5\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: 0x5\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: 5 5\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: 5.0\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: 9223372036854775808\r\n", ContentLength),
        ("RFC 9110 8.6", "Content-Length: 99999999999999999999\r\n", ContentLength),
        ("6.1", "Transfer-Encoding: gzip, chunked\r\n", UnknownCoding),
        ("6.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", UnknownCoding),
        ("6.1", "Transfer-Encoding: chunked, gzip\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: identity\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: chunked;q=1\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        ("6.1", "Transfer-Encoding: \x0bchunked\r\n", FieldValue),
        ("6.1", "Transfer-Encoding:\r\n", TransferEncoding),
    ] {
        assert_eq!(parse(&with(lines)), Err(why), "{section}: {lines:?}");
    }
    refuse(&[
        ("6.1", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", EncodingInHttp10),
        ("RFC 9110 9.3.8", b"TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", UnexpectedBody),
        ("RFC 9110 9.3.6", b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\n", UnexpectedBody),
    ]);
    assert_eq!(UnknownCoding.status(), 501);
    for (lines, framing) in [
        ("", BodyFraming::None),
        ("Content-Length: 0\r\n", BodyFraming::Length(0)),
        ("Content-Length: 9223372036854775807\r\n", BodyFraming::Length(i64::MAX as u64)),
        ("Transfer-Encoding: Chunked\r\n", BodyFraming::Chunked),
        ("Transfer-Encoding: , chunked ,\r\n", BodyFraming::Chunked),
    ] {
        assert_eq!(accepted(&with(lines)).body, framing, "{lines:?}");
    }
}

#[test]
fn the_connection() {
    for (version, lines, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let raw = format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n");
        assert_eq!(accepted(raw.as_bytes()).keep_alive, keep_alive, "9.3: {version} {lines:?}");
    }
    for lines in [
        "Connection: Content-Length\r\n".to_owned(),
        "Connection: host\r\n".to_owned(),
        "Connection: a b\r\n".to_owned(),
        format!("Connection: {}\r\n", "a,".repeat(33)),
    ] {
        assert_eq!(parse(&with(&lines)), Err(Reject::Connection), "RFC 9110 7.6.1: {lines:?}");
    }
    let raw = with(
        "Connection: X-A, transfer-encoding, TE\r\nx-a: 1\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n",
    );
    let head = accepted(&raw);
    let hop: Vec<&str> = head.fields.iter().filter(|f| f.hop).map(|f| f.name.str(&raw)).collect();
    assert_eq!(hop, ["x-a", "TE"], "the framing of a body that is relayed as it came stays");
    assert!(head.te_trailers);
}

#[test]
fn upgrades_and_expectations() {
    for (version, lines, upgrade) in [
        ("1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true),
        ("1.1", "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n", true),
        ("1.1", "Upgrade: websocket\r\n", false),
        ("1.1", "Connection: upgrade\r\n", false),
        ("1.1", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false),
    ] {
        let raw = format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n");
        assert_eq!(accepted(raw.as_bytes()).upgrade, upgrade, "RFC 9110 7.8: {version} {lines:?}");
    }
    for (version, lines, expected) in [
        ("1.1", "Expect: 100-Continue\r\nContent-Length: 5\r\n", true),
        ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("1.1", "Expect: 100-continue\r\n", false),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", false),
    ] {
        let raw = format!("POST / HTTP/{version}\r\nHost: h\r\n{lines}\r\n");
        assert_eq!(
            accepted(raw.as_bytes()).expect_continue,
            expected,
            "RFC 9110 10.1.1: {version} {lines:?}"
        );
    }
}

#[test]
fn limits_hold_before_the_head_is_complete() {
    let limits = Limits { line: 40, fields: 2, head: 100, ..Limits::DEFAULT };
    let parse = |raw: &str| parse_request(raw.as_bytes(), &limits).map(|head| head.is_some());
    let line = |n: usize| format!("GET /{} HTTP/1.1\r\n", "a".repeat(n - 16));
    assert_eq!(parse(&line(40)), Ok(false));
    assert_eq!(parse(&line(41)), Err(Reject::RequestLineTooLong));
    assert_eq!(parse(&line(60)[..39]), Ok(false));
    assert_eq!(parse(&line(60)[..40]), Err(Reject::RequestLineTooLong));
    let start = "GET / HTTP/1.1\r\n";
    assert_eq!(parse(&format!("{start}X: {}", "a".repeat(37))), Err(Reject::FieldLineTooLong));
    assert_eq!(parse(&format!("{start}Host: h\r\nA: b\r\n\r\n")), Ok(true));
    assert_eq!(parse(&format!("{start}Host: h\r\nA: b\r\nC")), Err(Reject::TooManyFields));
    let long = format!("X: {}\r\n", "a".repeat(34));
    assert_eq!(parse(&format!("{}{long}{long}", line(40))), Err(Reject::HeadTooLarge));
    assert_eq!(
        [Reject::RequestLineTooLong, Reject::FieldLineTooLong, Reject::HeadTooLarge].map(Reject::status),
        [414, 431, 431]
    );
    // what is set beyond the hard bounds does not count
    let wide = Limits { fields: 9999, head: 1 << 30, line: 1 << 30, ..limits };
    assert_eq!(parse_request(&with(&"X: y\r\n".repeat(256)), &wide), Err(Reject::TooManyFields));
    assert_eq!(
        parse_request(&with(&format!("X: {}\r\n", "y".repeat(70_000))), &wide),
        Err(Reject::HeadTooLarge)
    );
}

#[test]
fn known_names_are_told_and_pipelined_bytes_left_alone() {
    let raw = b"POST /x HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\nContent_Length: 9\r\nContent-Length: 3\r\n\r\nabcGET / HTTP";
    let head = accepted(raw);
    assert_eq!(&raw[head.len..], b"abcGET / HTTP");
    assert_eq!((head.method, head.method_span.of(raw)), (Method::Post, b"POST".as_slice()));
    assert_eq!(head.value(FieldId::XForwardedFor, raw), Some(b"1".as_slice()));
    let ids: Vec<FieldId> = head.fields.iter().map(|f| f.id).collect();
    assert_eq!(
        ids,
        [FieldId::Host, FieldId::XForwardedFor, FieldId::UnderscoreAlias, FieldId::ContentLength]
    );
    assert_eq!(head.target.str(raw), "/x");
}
