//! Sends an answer of the edge itself.

use crate::LIMITS;
use crate::connection::{Client, Next};
use crate::error_page::{Asked, Refusal, render, wants_json};
use crate::record::Record;
use http1::{FieldId, Method, parse_request};
use std::borrow::Cow;

/// Answers with a refusal; nothing of another answer was sent before.
pub async fn refuse(client: &mut Client, record: &mut Record, refusal: &Refusal, json: bool) -> Next {
    let keep = !refusal.close && record.facts.keep_alive && !client.worker.is_closing();
    let refusal = Refusal { close: !keep, ..*refusal };
    let asked = Asked {
        id: record.get(record.id),
        json,
        head: record.facts.method == Method::Head,
        http10: record.facts.http10,
    };
    let answer = render(&refusal, asked);
    record.status = refusal.status;
    if let Some(cause) = refusal.cause.filter(|cause| !cause.is_empty()) {
        record.cause.get_or_insert(Cow::Borrowed(cause));
    }
    if !client.send(&answer).await {
        return Next::Close;
    }
    record.sent += answer.len() as u64;
    if keep { Next::Again } else { Next::Linger }
}

/// Whether the client of a forwarded request wants JSON: looked up again in the forwarded head, because only failures need it.
pub fn forwarded_wants_json(record: &Record) -> bool {
    let head = record.head();
    match parse_request(head, &LIMITS) {
        Ok(Some(parsed)) => wants_json(parsed.value(FieldId::Accept, head).unwrap_or_default()),
        _ => false,
    }
}
