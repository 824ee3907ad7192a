//! One request's line in the access log, and the guard that writes it: exactly once, when the record is dropped, however
//! the exchange ended. A client's abort drops it like a proper end does.
//!
//! The texts it needs are kept in one allocation: the head that is sent to the instance, and behind it what that
//! does not show (the host without its port). Long exchanges cut it down to what the line needs ([`Record::shrink`]).

use crate::headers::Facts;
use crate::instance::{Claim, Instance};
use crate::policy::Policy;
use crate::upstream::Upstream;
use crate::worker::Worker;
use std::borrow::Cow;
use std::io::Write as _;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a text lies in [`Record::text`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The bytes from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Who was to answer a request, as the access log names it.
#[derive(Debug)]
pub enum Answerer {
    /// The edge itself.
    Edge,
    /// This upstream, none of whose instances could be tried.
    Upstream(Arc<Upstream>),
    /// The instance it was sent to last.
    Instance(Arc<Instance>),
}

/// What is known of a request; its drop writes the access log's line.
pub struct Record {
    worker: Rc<Worker>,
    /// When its first byte was read.
    pub started: Instant,
    /// The forwarded head, if there is one, then other texts.
    pub text: Vec<u8>,
    /// Length of the forwarded head in `text`.
    pub head_len: usize,
    /// Places in `text`.
    pub method: Place,
    /// Path and query.
    pub target: Place,
    /// Without port.
    pub host: Place,
    /// The request's id.
    pub id: Place,
    /// `Origin`, where the route's policies ask for it.
    pub origin: Place,
    /// Address of the client: the peer's, or what a trusted peer says.
    pub client: Rc<str>,
    /// What was answered; 499 when the client (or the edge) had gone before.
    pub status: u16,
    /// Bytes sent to the client, heads included.
    pub sent: u64,
    /// Who was to answer it.
    pub answerer: Answerer,
    /// When it was.
    pub upstream_started: Option<Instant>,
    /// Time from then to the end of the answer (or its failure).
    pub upstream_time: Option<Duration>,
    /// When it ended; now, if nobody said so.
    pub ended: Option<Instant>,
    /// What the head said that is still needed.
    pub facts: Facts,
    /// What applies to its route, once that is known.
    pub policy: Option<Arc<Policy>>,
    /// What went wrong, if anything did.
    pub cause: Option<Cow<'static, str>>,
}

impl Record {
    /// Of a request that begins now.
    pub fn new(worker: &Rc<Worker>, started: Instant, client: &Rc<str>) -> Self {
        worker.stats.begin();
        Self {
            worker: Rc::clone(worker),
            started,
            text: Vec::new(),
            head_len: 0,
            method: Place::default(),
            target: Place::default(),
            host: Place::default(),
            id: Place::default(),
            origin: Place::default(),
            client: Rc::clone(client),
            status: 0,
            sent: 0,
            answerer: Answerer::Edge,
            upstream_started: None,
            upstream_time: None,
            ended: None,
            facts: Facts::default(),
            policy: None,
            cause: None,
        }
    }

    /// Adds a text behind what is there.
    pub fn add(&mut self, bytes: &[u8]) -> Place {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Place::new(start, self.text.len())
    }

    /// The text at a place.
    pub fn get(&self, place: Place) -> &[u8] {
        self.text.get(place.range()).unwrap_or_default()
    }

    /// The head to send to the instance.
    pub fn head(&self) -> &[u8] {
        self.text.get(..self.head_len).unwrap_or_default()
    }

    /// Ends the claim; its instance is the last one that was tried.
    pub fn release(&mut self, claim: Claim) {
        if let Some(instance) = claim.release() {
            self.answerer = Answerer::Instance(instance);
        }
    }

    /// The instance's answer has ended, or it has failed.
    pub fn upstream_ended(&mut self, now: Instant) {
        self.upstream_time = self.upstream_started.map(|started| now.saturating_duration_since(started));
    }

    /// Drops the head, which is not needed once an answer has begun. For exchanges that may last.
    pub fn shrink(&mut self) {
        if self.head_len == 0 {
            return;
        }
        let mut kept = Vec::with_capacity(
            [self.method, self.target, self.host, self.id, self.origin]
                .iter()
                .map(|place| place.range().len())
                .sum(),
        );
        let places = [&mut self.method, &mut self.target, &mut self.host, &mut self.id, &mut self.origin];
        for place in places {
            let start = kept.len();
            kept.extend_from_slice(self.text.get(place.range()).unwrap_or_default());
            *place = Place::new(start, kept.len());
        }
        self.text = kept;
        self.head_len = 0;
    }

    /// One JSON object and a line feed (OBS-27). `stamp` is the time of the line.
    fn line(&self, stamp: &str, total: Duration, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"ts\":\"");
        out.extend_from_slice(stamp.as_bytes());
        out.extend_from_slice(b"\",\"client\":\"");
        out.extend_from_slice(self.client.as_bytes());
        out.extend_from_slice(b"\",\"method\":");
        json_text(self.get(self.method), out);
        out.extend_from_slice(b",\"host\":");
        json_text(self.get(self.host), out);
        out.extend_from_slice(b",\"path\":");
        json_text(self.get(self.target), out);
        out.extend_from_slice(b",\"status\":");
        number(u64::from(self.status), out);
        out.extend_from_slice(b",\"bytes\":");
        number(self.sent, out);
        out.extend_from_slice(b",\"upstream\":");
        match &self.answerer {
            Answerer::Edge => out.extend_from_slice(b"null"),
            Answerer::Upstream(upstream) => json_text(upstream.id.as_bytes(), out),
            Answerer::Instance(instance) => json_text(instance.name.as_bytes(), out),
        }
        out.extend_from_slice(b",\"upstream_ms\":");
        match self.upstream_time {
            Some(time) => millis(time, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"total_ms\":");
        millis(total, out);
        out.extend_from_slice(b",\"tls\":null,\"cache\":null,\"request_id\":");
        json_text(self.get(self.id), out);
        if let Some(cause) = &self.cause {
            out.extend_from_slice(b",\"error\":");
            json_text(cause.as_bytes(), out);
        }
        out.extend_from_slice(b"}\n");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(|| {
            // Nobody came to its end: its task was dropped, which only the worker's end does.
            self.cause.get_or_insert(Cow::Borrowed("cut at the end of the edge"));
            Instant::now()
        });
        if self.status == 0 {
            self.status = 499;
            self.cause.get_or_insert(Cow::Borrowed("the client closed the connection"));
        }
        self.worker.stats.end();
        let total = now.saturating_duration_since(self.started);
        self.worker.log.write(now, |stamp, out| self.line(stamp, total, out));
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
