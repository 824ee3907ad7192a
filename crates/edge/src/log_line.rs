//! One request's line in the access log: JSON (OBS-27), or as Apache and nginx write it.
//!
//! Both hold whatever a client sent without letting it end a line, a text, or reach a terminal as a control character.

use crate::access_log::Texts;
use crate::metrics::CacheStatus;
use crate::record::{Answerer, Record};
use std::io::Write as _;
use std::ops::Range;
use std::time::Duration;

/// One JSON object and a line feed. `stamp` is the time of the line. Gives where in `out` the texts of the client's are.
pub fn json(record: &Record, stamp: &str, total: Duration, out: &mut Vec<u8>) -> Texts {
    out.extend_from_slice(b"{\"ts\":\"");
    out.extend_from_slice(stamp.as_bytes());
    out.extend_from_slice(b"\",\"client\":");
    let client = text(out, |out| json_text(record.client.as_bytes(), out));
    out.extend_from_slice(b",\"method\":");
    let method = text(out, |out| json_text(record.get(record.method), out));
    out.extend_from_slice(b",\"host\":");
    let host = text(out, |out| json_text(record.get(record.host), out));
    out.extend_from_slice(b",\"path\":");
    let path = text(out, |out| json_text(record.get(record.target), out));
    out.extend_from_slice(b",\"protocol\":\"");
    out.extend_from_slice(record.version.label().as_bytes());
    out.extend_from_slice(b"\",\"status\":");
    number(u64::from(record.status), out);
    out.extend_from_slice(b",\"bytes\":");
    number(record.sent, out);
    out.extend_from_slice(b",\"upstream\":");
    match &record.answerer {
        Answerer::Edge => out.extend_from_slice(b"null"),
        Answerer::Upstream(upstream) => json_text(upstream.id.as_bytes(), out),
        Answerer::Instance(instance) => json_text(instance.name.as_bytes(), out),
    }
    out.extend_from_slice(b",\"upstream_ms\":");
    match record.upstream_time {
        Some(time) => millis(time, out),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(held) = record.held_for() {
        out.extend_from_slice(b",\"held_ms\":");
        millis(held, out);
    }
    out.extend_from_slice(b",\"total_ms\":");
    millis(total, out);
    out.extend_from_slice(b",\"tls\":");
    word(record.tls, out);
    out.extend_from_slice(b",\"cache\":");
    word(record.cache.map(CacheStatus::label), out);
    out.extend_from_slice(b",\"request_id\":");
    json_text(record.get(record.id), out);
    let trace = record.get(record.trace);
    if !trace.is_empty() {
        out.extend_from_slice(b",\"trace_id\":");
        json_text(trace, out);
    }
    if let Some(cause) = &record.cause {
        out.extend_from_slice(b",\"error\":");
        json_text(cause.as_bytes(), out);
    }
    out.extend_from_slice(b"}\n");
    [client, method, host, path]
}

/// Where in `out` a quoted text stands, its quotes aside.
fn text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let start = out.len() + 1;
    write(out);
    start..out.len().saturating_sub(1)
}

/// `client - - [time] "request line" status bytes "referer" "agent"` and a line feed. The bytes include the answer's head.
/// Gives what [`json`] does.
pub fn combined(record: &Record, time: &str, out: &mut Vec<u8>) -> Texts {
    let start = out.len();
    out.extend_from_slice(record.client.as_bytes());
    let client = start..out.len();
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"] ");
    let request = text(out, |out| request_line(record, out));
    out.push(b' ');
    number(u64::from(record.status), out);
    out.push(b' ');
    number(record.sent, out);
    out.push(b' ');
    let referer = text(out, |out| quoted(record.get(record.referer), out));
    out.push(b' ');
    let agent = text(out, |out| quoted(record.get(record.agent), out));
    out.push(b'\n');
    [client, request, referer, agent]
}

fn request_line(record: &Record, out: &mut Vec<u8>) {
    let method = record.get(record.method);
    if method.is_empty() {
        return quoted(b"", out);
    }
    out.push(b'"');
    escaped(method, out);
    out.push(b' ');
    escaped(record.get(record.target), out);
    out.push(b' ');
    out.extend_from_slice(record.version.label().as_bytes());
    out.push(b'"');
}

/// A text in quotes, `"-"` where there is none.
fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(if bytes.is_empty() { b"-" } else { bytes }, out);
    out.push(b'"');
}

/// Quotes, backslashes, control characters and what is not ASCII, as Apache escapes them.
fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x20..0x7f => out.push(byte),
            // Writing to a vector cannot fail.
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
}

/// One of our own words as a JSON string, or `null`.
fn word(word: Option<&str>, out: &mut Vec<u8>) {
    match word {
        Some(word) => {
            out.push(b'"');
            out.extend_from_slice(word.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn number(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Milliseconds with three decimals.
fn millis(time: Duration, out: &mut Vec<u8>) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    number(micros / 1000, out);
    let rest = micros % 1000;
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or_default();
    out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

/// A JSON string of any bytes: UTF-8 stays, bytes that are none stand as U+0080 to U+00FF.
fn json_text(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if bytes.iter().all(|&byte| plain(byte)) {
        out.extend_from_slice(bytes);
    } else {
        let utf8 = std::str::from_utf8(bytes).is_ok();
        for &byte in bytes {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0x80.. if utf8 => out.push(byte),
                _ if plain(byte) => out.push(byte),
                // Writing to a vector cannot fail.
                _ => drop(write!(out, "\\u{:04x}", byte)),
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_client_sends_ends_a_combined_line_or_a_text_in_it() {
        let mut out = Vec::new();
        quoted(b"a\"b\\c\r\n\x1b[31m \xff", &mut out);
        assert_eq!(out, br#""a\"b\\c\r\n\x1b[31m \xff""#);
        out.clear();
        quoted(b"", &mut out);
        assert_eq!(out, b"\"-\"");
    }

    fn text(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        json_text(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn any_bytes_make_a_json_string() {
        for bytes in [&b"/plain?x=1"[..], b"a\"b\\c", b"\x00\x1f\x7f", "grün".as_bytes(), b"\xff\xfe", b""] {
            let read: String = serde_json::from_str(&text(bytes)).unwrap();
            let meant = String::from_utf8(bytes.to_vec())
                .unwrap_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect());
            assert_eq!(read, meant);
        }
    }

    #[test]
    fn numbers_and_times() {
        let mut out = Vec::new();
        number(0, &mut out);
        out.push(b' ');
        number(u64::MAX, &mut out);
        out.push(b' ');
        millis(Duration::from_micros(12_034), &mut out);
        assert_eq!(out, b"0 18446744073709551615 12.034");
    }
}
