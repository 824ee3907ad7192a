//! One row for each rule on bodies (RFC 9112 §6, §7), and the writing of chunks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in the helpers of tests

mod checks;

use checks::decode;
use http1::{BodyDecoder, BodyFraming, LAST_CHUNK, Limits, Reject, write_chunk_header};

fn chunked(raw: &[u8]) -> Result<checks::Outcome, Reject> {
    checks::chunked(raw);
    decode(BodyFraming::Chunked, &Limits::DEFAULT, [raw])
}

#[test]
fn malformed_chunks_are_refused() {
    use Reject::*;
    let rows: [(&str, &[u8], Reject); 24] = [
        ("7.1", b"\r\n", ChunkSize),
        ("7.1", b"+5\r\n", ChunkSize),
        ("7.1", b"-5\r\n", ChunkSize),
        ("7.1", b"0x5\r\n", ChunkSize),
        ("7.1", b" 5\r\n", ChunkSize),
        ("7.1", b"5 \r\n", ChunkSize),
        ("7.1", b"5 ;x\r\n", ChunkSize),
        ("7.1", b"5_0\r\n", ChunkSize),
        ("7.1", b"g\r\n", ChunkSize),
        ("7.1", b";x\r\n", ChunkSize),
        ("7.1", b"8000000000000000\r\n", ChunkSize),
        ("7.1", b"ffffffffffffffff\r\n", ChunkSize),
        ("7.1", b"00000000000000005\r\n", ChunkSize),
        ("2.2", b"5\nhello\r\n", BareLf),
        ("2.2", b"5\rhello\r\n", BareCr),
        ("2.2", b"5;x\nhello\r\n", BareLf),
        ("7.1.1", b"5;x\0\r\n", ChunkExtension),
        ("7.1.1", b"5;x=\xff\r\n", ChunkExtension),
        ("7.1", b"5\r\nhelloo\r\n", ChunkEnd),
        ("7.1", b"5\r\nhello\n", ChunkEnd),
        ("7.1", b"5\r\nhello\rx", ChunkEnd),
        ("7.1.2", b"0\r\nX: y\n\r\n", BareLf),
        ("7.1.2", b"0\r\n\n", BareLf),
        ("7.1.2", b"0\r\nX: y\r\n z\r\n\r\n", ObsFold),
    ];
    for (section, raw, why) in rows {
        assert_eq!(chunked(raw), Err(why), "{section}: {}", raw.escape_ascii());
    }
}

#[test]
fn trailers_must_not_reopen_what_the_head_decided() {
    use Reject::*;
    for (lines, why) in [
        ("Content-Length: 5", TrailerForbidden),
        ("transfer-encoding: chunked", TrailerForbidden),
        ("Host: h", TrailerForbidden),
        ("X-Forwarded-For: 1", TrailerForbidden),
        ("X_Real_IP: 1", TrailerForbidden),
        ("Authorization: x", TrailerForbidden),
        ("Set-Cookie: x", TrailerForbidden),
        ("Content-Encoding: gzip", TrailerForbidden),
        ("X : y", SpaceBeforeColon),
        ("X: a\0", FieldValue),
        ("X: a\rb", BareCr),
        (": y", FieldName),
    ] {
        let raw = format!("0\r\n{lines}\r\n\r\n");
        assert_eq!(chunked(raw.as_bytes()), Err(why), "RFC 9110 6.5.1: {lines:?}");
    }
    let outcome = chunked(b"0\r\nGrpc-Status: 0\r\nETag: \"x\"\r\n\r\n").unwrap();
    assert_eq!(outcome.trailers, b"Grpc-Status: 0\r\nETag: \"x\"\r\n");
}

#[test]
fn bounds_on_chunk_lines_and_trailers() {
    let limits = Limits { chunk_line: 8, trailers: 12, fields: 1, ..Limits::DEFAULT };
    let run = |raw: &str| decode(BodyFraming::Chunked, &limits, [raw.as_bytes()]).map(|o| o.done);
    assert_eq!(run("1;abcd\r\nx\r\n0\r\n\r\n"), Ok(true));
    assert_eq!(run("1;abcde\r\n"), Err(Reject::ChunkLineTooLong));
    assert_eq!(run("1;abcdef"), Ok(false));
    assert_eq!(run("1;abcdefg"), Err(Reject::ChunkLineTooLong));
    assert_eq!(run("0\r\nA: bcdef\r\n\r\n"), Ok(true), "12 bytes: 10 and the empty line");
    assert_eq!(run("0\r\nA: bcdefg\r\n\r\n"), Err(Reject::TrailersTooLarge));
    assert_eq!(run("0\r\nA: bcdefghijk"), Err(Reject::TrailersTooLarge));
    assert_eq!(run("0\r\nA:\r\nC:\r\n\r\n"), Err(Reject::TooManyFields));
}

#[test]
fn data_comes_out_and_the_next_message_stays() {
    let raw = b"5\r\nhello\r\nA;e=\"v\"\r\n0123456789\r\n00\r\n\r\nGET / HTTP/1.1\r\n";
    let outcome = chunked(raw).unwrap();
    assert_eq!(outcome.data, b"hello0123456789");
    assert!(outcome.done);
    assert_eq!(&raw[outcome.consumed..], b"GET / HTTP/1.1\r\n");

    let mut plain = BodyDecoder::new(BodyFraming::Length(5), &Limits::DEFAULT);
    assert_eq!(plain.eof(), Err(Reject::Truncated));
    assert_eq!(plain.advance(b"hel").map(|p| (p.consumed, p.done)), Ok((3, false)));
    assert_eq!(plain.advance(b"loGET").map(|p| (p.consumed, p.done)), Ok((2, true)));
    assert_eq!((plain.data_len(), plain.eof(), plain.is_done()), (5, Ok(()), true));
}

#[test]
fn ends_of_input() {
    let limits = Limits::DEFAULT;
    assert!(BodyDecoder::new(BodyFraming::None, &limits).is_done());
    assert!(BodyDecoder::new(BodyFraming::Length(0), &limits).is_done());
    let mut open = BodyDecoder::new(BodyFraming::UntilClose, &limits);
    assert_eq!(open.advance(b"x").map(|p| (p.consumed, p.done)), Ok((1, false)));
    assert_eq!(open.eof(), Ok(()), "6.3: only here the end of the connection ends the body");
    let mut cut = BodyDecoder::new(BodyFraming::Chunked, &limits);
    cut.advance(b"5\r\nhello\r\n0\r\n").unwrap();
    assert_eq!(cut.eof(), Err(Reject::Truncated), "8: also inside the trailer section");
    assert_eq!(cut.advance(b"\n"), Err(Reject::BareLf));
    assert_eq!(cut.advance(b"\r\n"), Err(Reject::BareLf), "an error stays");
}

#[test]
fn written_chunks_are_read_back() {
    for len in [1, 9, 10, 15, 16, 17, 255, 256, 65_535, 65_536] {
        let mut raw = Vec::new();
        write_chunk_header(&mut raw, len);
        assert_eq!(raw, format!("{len:x}\r\n").into_bytes());
        raw.resize(raw.len() + len, b'x');
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(LAST_CHUNK);
        let outcome = decode(BodyFraming::Chunked, &Limits::DEFAULT, [raw.as_slice()]).unwrap();
        assert_eq!((outcome.data.len(), outcome.done, outcome.consumed), (len, true, raw.len()));
    }
}

/// A relay passes on what was taken. What it has passed on when a section is refused must not be a request to who reads
/// line ends, or lines, less strictly.
#[test]
fn a_trailer_section_is_refused_at_its_first_wrong_byte() {
    for (taken, wrong) in [
        ("0\r\n\r", "\r\nGET /admin HTTP/1.1\r\n"),
        ("0\r\nX: 1\r\n\r", "\r\nGET /admin HTTP/1.1\r\n"),
        ("0\r\nGET", " /admin HTTP/1.1\r\n"),
        ("0\r\n", ": x\r\n"),
        ("0\r\nX", "\r\n"),
        ("0\r\nX: a", "\0"),
        ("0\r\nX: a\r", "b"),
        ("0\r\nContent-Length", ": 5"),
        ("0\r\nX: 1\r\nTransfer-Encoding", ": chunked"),
    ] {
        let mut decoder = BodyDecoder::new(BodyFraming::Chunked, &Limits::DEFAULT);
        assert!(decoder.advance(taken.as_bytes()).is_ok(), "{taken:?}");
        assert!(decoder.advance(&wrong.as_bytes()[..1]).is_err(), "{taken:?} then {wrong:?}");
    }
}
