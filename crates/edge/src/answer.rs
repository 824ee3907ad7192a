//! Sends answers of the edge itself: refusals, and whatever else has its body at hand.

use crate::LIMITS;
use crate::connection::{Client, Next};
use crate::date;
use crate::error_page::{self, Refusal, wants_json};
use crate::policy::response::change_head;
use crate::policy::response::cors::Preflight;
use crate::record::Record;
use http1::{FieldId, Method, parse_request};
use std::borrow::Cow;
use std::io::Write as _;
use std::time::{Instant, SystemTime};
use wire::failure::Cause;

/// An answer of the edge itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Lines for its head, each with its line end. Its length and the connection's own lines are added.
    pub lines: &'a [u8],
    /// Lines that the route's policies do not change.
    pub fixed: &'a [u8],
    /// Body; to a `HEAD` only its length is told.
    pub body: &'a [u8],
    /// The connection ends with this answer.
    pub close: bool,
}

/// Sends an answer; nothing of another one was sent before.
pub async fn answer(client: &mut Client, record: &mut Record, answer: Answer<'_>) -> Next {
    let keep = !answer.close && record.facts.keep_alive && !client.worker.is_leaving();
    let now = client.worker.log.wall(Instant::now());
    let bytes = render(record, answer, keep, now);
    record.status = answer.status;
    if !client.send(&bytes).await {
        return Next::Close;
    }
    record.sent += bytes.len() as u64;
    if keep { Next::Again } else { Next::Linger }
}

/// Answers with a refusal; nothing of another answer was sent before.
pub async fn refuse(client: &mut Client, record: &mut Record, refusal: &Refusal, json: bool) -> Next {
    if let Some(cause) = refusal.cause.filter(|cause| !cause.is_empty()) {
        record.cause.get_or_insert(Cow::Borrowed(cause));
    }
    if refusal.status >= 400 {
        record.why.get_or_insert(refusal.why);
    }
    let mut lines = Vec::new();
    if let Some(seconds) = refusal.retry_after {
        // Writing to a vector cannot fail.
        let _ = write!(lines, "Retry-After: {seconds}\r\n");
    }
    lines.extend_from_slice(refusal.lines.as_deref().unwrap_or_default());
    let (status, close) = (refusal.status, refusal.close);
    if let Some(body) = &refusal.body {
        return answer(client, record, Answer { status, lines: &lines, body, close, fixed: b"" }).await;
    }
    let policy = record.policy().cloned();
    let id = record.get(record.id);
    let pages = policy.as_ref().and_then(|policy| policy.response.pages.as_ref()).filter(|_| !json);
    let (kind, body) = pages
        .and_then(|pages| pages.body(refusal.status, id))
        .unwrap_or_else(|| error_page::body(refusal.status, id, json));
    // Writing to a vector cannot fail.
    let _ = write!(lines, "Content-Type: {kind}\r\nCache-Control: no-store\r\n");
    answer(client, record, Answer { status, lines: &lines, body: body.as_bytes(), close, fixed: b"" }).await
}

/// Answers a preflight.
pub async fn preflight(client: &mut Client, record: &mut Record, preflight: &Preflight, close: bool) -> Next {
    let status = if preflight.allowed { 204 } else { 403 };
    record.why = (!preflight.allowed).then_some(Cause::Access);
    answer(client, record, Answer { status, fixed: &preflight.lines, close, ..Answer::default() }).await
}

fn render(record: &Record, answer: Answer<'_>, keep: bool, now: SystemTime) -> Vec<u8> {
    let Answer { status, lines, fixed, body, .. } = answer;
    let mut out = Vec::with_capacity(lines.len() + fixed.len() + body.len() + 1024);
    // Writing to a vector cannot fail.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", error_page::title(status));
    out.extend_from_slice(lines);
    change_head(record, &mut out, 0);
    out.extend_from_slice(fixed);
    date::add(&mut out, now);
    if !matches!(status, 204 | 304) {
        let _ = write!(out, "Content-Length: {}\r\n", body.len());
    }
    let id = record.get(record.id);
    if !id.is_empty() {
        out.extend_from_slice(b"X-Request-Id: ");
        out.extend_from_slice(id);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(match (keep, record.facts.http10) {
        (false, _) => b"Connection: close\r\n\r\n",
        (true, true) => b"Connection: keep-alive\r\n\r\n",
        (true, false) => b"\r\n",
    });
    if record.facts.method != Method::Head {
        out.extend_from_slice(body);
    }
    out
}

/// Whether the client of a forwarded request wants JSON: looked up again in the forwarded head, because only failures need it.
pub fn forwarded_wants_json(record: &Record) -> bool {
    let head = record.head();
    match parse_request(head, &LIMITS) {
        Ok(Some(parsed)) => wants_json(parsed.value(FieldId::Accept, head).unwrap_or_default()),
        _ => false,
    }
}
