//! From a request that may pass to what its handler needs: for a proxied one the forwarded head, with what the policies change in
//! it, and the pump of its body.

use crate::admit::{Step, closing_with_body, give_back, json_wanted, path_of, why};
use crate::body::{Form, Pump};
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::dashboard;
use crate::error_page::Refusal;
use crate::files::FileRequest;
use crate::headers::{self, Forwarded, Peer};
use crate::policy::request::{Asked, Changed, Granted};
use crate::proxy::Job;
use crate::record::{Place, Record};
use crate::redirect::Wanted;
use crate::sticky::{self, Tag};
use crate::table::{Found, Handler, Limits};
use crate::upstream::Upstream;
use http1::{FieldId, RequestHead};
use std::net::IpAddr;
use std::sync::Arc;
use wire::failure::Cause;

/// A request that was routed and may reach its handler.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Where it goes.
    pub found: Found<'a>,
    /// The peer's forwarded fields are believed.
    pub trusted: bool,
    /// Who asks: the peer, or whom a trusted peer names.
    pub address: IpAddr,
    /// The request's id.
    pub id: &'a [u8],
}

/// What was made of a head.
pub enum Prepared {
    /// The forwarded head is in the record.
    Proxy(Arc<Upstream>, Limits, Option<Tag>),
    /// A file answers.
    File(Box<FileRequest>),
    /// The metrics are shown.
    Metrics,
    /// What is routed where is shown.
    Dashboard(dashboard::Wanted),
    /// It is refused after all.
    Refuse(Refusal, bool),
}

/// Makes of a head what its handler needs: for a proxied request the head to be forwarded.
pub fn prepare(
    client: &Client,
    record: &mut Record,
    buf: &[u8],
    head: &RequestHead,
    entry: Entry<'_>,
    granted: Granted,
) -> Prepared {
    let Entry { found, trusted, address, id } = entry;
    let changed = match found.route.policy.request.rules() {
        None => Ok(None),
        Some(rules) => {
            let asked = Asked { buf, head, path: path_of(buf, head), client: address };
            rules.change(&asked, record.facts.https, &granted)
        }
    };
    record.held = granted.held;
    let changed = match changed {
        Ok(changed) => changed,
        Err(refusal) => {
            describe(record, buf, head, id);
            return Prepared::Refuse(closing_with_body(refusal, head), json_wanted(buf, head));
        }
    };
    match (&found.route.handler, found.upstream) {
        (Handler::Proxy(_), Some(upstream)) => {
            let https = record.facts.https;
            let certificate = client.certificate(found.asks);
            let peer = &client.peer_text;
            let who = Peer { peer, trusted, https, client: &record.client, id, certificate };
            let cookie = upstream.traffic.sticky.as_ref().map(|sticky| sticky.cookie.as_str());
            let forwarded = Forwarded {
                target: changed.as_ref().and_then(|changed| changed.target.as_deref()),
                lines: changed.as_ref().map_or(&[], |changed| &changed.lines),
                without: cookie.filter(|name| sticky::has(buf, head, name)),
            };
            let wish = forwarded.without.and_then(|name| sticky::wish(buf, head, name));
            let head = changed.as_ref().map_or(head, |changed| &changed.head);
            let trace = headers::to_instance(&mut record.text, buf, head, who, forwarded);
            record.trace = Place::new(trace.start, trace.end);
            describe_forwarded(record, buf, head, id.len());
            if changed.as_ref().is_some_and(|changed| changed.target.is_some()) {
                // The log, and whoever routes again, want the path as it came.
                record.target = record.add(&origin_form(buf, head));
            }
            Prepared::Proxy(Arc::clone(upstream), found.route.limits, wish)
        }
        (handler, _) => {
            describe(record, buf, head, id);
            answer_itself(client, record, buf, head, handler, changed)
        }
    }
}

/// What the edge answers itself.
fn answer_itself(
    client: &Client,
    record: &Record,
    buf: &[u8],
    head: &RequestHead,
    handler: &Handler,
    changed: Option<Changed>,
) -> Prepared {
    match handler {
        Handler::Static(root) => {
            let target = changed.and_then(|changed| changed.target);
            let path = target.as_deref().map_or_else(|| path_of(buf, head), without_query);
            let files = &client.worker.files;
            Prepared::File(Box::new(FileRequest::new(files, root, path, buf, head, record.started)))
        }
        Handler::Redirect(redirect) => {
            let target = changed.and_then(|changed| changed.target).unwrap_or_else(|| origin_form(buf, head));
            let host = head.host.map_or(&b""[..], |host| host.of(buf));
            let refusal = redirect.answer(Wanted { https: record.facts.https, host, target: &target });
            Prepared::Refuse(closing_with_body(refusal, head), json_wanted(buf, head))
        }
        Handler::Metrics => Prepared::Metrics,
        Handler::Dashboard => {
            Prepared::Dashboard(dashboard::Wanted::of(path_of(buf, head), json_wanted(buf, head)))
        }
        Handler::Proxy(_) => {
            Prepared::Refuse(Refusal::closing(502, Cause::Down, "the upstream is not there"), false)
        }
    }
}

/// Gives what came behind a head to whom it belongs: to the body's pump, or back to the client. None: it is there already.
pub fn finish(
    client: &mut Client,
    record: &Record,
    prepared: Prepared,
    head: &RequestHead,
    rest: Option<Buffer>,
) -> Step {
    let rest = rest.or_else(|| client.pending.take()).unwrap_or_else(Buffer::small);
    let step = match prepared {
        Prepared::Proxy(upstream, limits, wish) => {
            return match begin_body(client, record, &upstream, limits.body, head, rest) {
                Ok(body) => Step::Proxy(Job { upstream, limits, body, wish }),
                Err(refusal) => Step::refuse(refusal, false),
            };
        }
        Prepared::File(request) => Step::File(request),
        Prepared::Metrics => Step::Metrics { close: !head.body.is_empty() },
        Prepared::Dashboard(wanted) => Step::Dashboard { wanted, close: !head.body.is_empty() },
        Prepared::Refuse(refusal, json) => Step::refuse(refusal, json),
    };
    give_back(client, rest);
    step
}

fn without_query(target: &[u8]) -> &[u8] {
    target.split(|&byte| byte == b'?').next().unwrap_or_default()
}

/// Path and query, whatever form the target has.
pub fn origin_form(buf: &[u8], head: &RequestHead) -> Vec<u8> {
    let mut target = path_of(buf, head).to_vec();
    if let Some(query) = head.query {
        target.push(b'?');
        target.extend_from_slice(query.of(buf));
    }
    target
}

/// A pump for the body, fed with its first bytes and led by the forwarded head; what is behind a request without a body
/// goes back to the client.
fn begin_body(
    client: &mut Client,
    record: &Record,
    upstream: &Upstream,
    limit: u64,
    head: &RequestHead,
    buffer: Buffer,
) -> Result<Option<Box<Pump>>, Refusal> {
    if head.body.is_empty() {
        give_back(client, buffer);
        return Ok(None);
    }
    let repeatable = record.facts.method.is_idempotent();
    let kept = repeatable.then(|| upstream.keep(head.body)).flatten();
    let mut body = Box::new(Pump::new(head.body, Form::Raw, limit).keeping(kept));
    match body.feed(buffer) {
        Ok(()) => {
            body.lead(record.head());
            Ok(Some(body))
        }
        Err(reject) => {
            Err(Refusal::closing(reject.status(), why(reject), "the body is malformed or too large"))
        }
    }
}

/// Texts for the log of a request that is not forwarded.
pub fn describe(record: &mut Record, buf: &[u8], head: &RequestHead, id: &[u8]) {
    let host = head.host.map_or(0, |host| host.len());
    record.text.reserve(head.method_span.len() + head.target.len() + host + id.len());
    record.method = record.add(head.method_span.of(buf));
    record.target = record.add(head.target.of(buf));
    record.host = record.add(head.host.map_or(&[], |host| host.of(buf)));
    record.id = record.add(id);
    record.note(buf, head);
    note_origin(record, buf, head);
}

/// For answers whose head depends on it.
fn note_origin(record: &mut Record, buf: &[u8], head: &RequestHead) {
    if record.policy().is_some_and(|policy| policy.response.cors.is_some())
        && let Some(origin) = head.value(FieldId::Origin, buf)
    {
        record.origin = record.add(origin);
    }
}

/// Finds the texts in the forwarded head, and adds the host.
fn describe_forwarded(record: &mut Record, buf: &[u8], head: &RequestHead, id_len: usize) {
    record.head_len = record.text.len();
    let method = head.method_span.len();
    let target = record.text.get(method + 1..).unwrap_or_default();
    let length = target.iter().position(|&byte| byte == b' ').unwrap_or_default();
    record.method = Place::new(0, method);
    record.target = Place::new(method + 1, method + 1 + length);
    // `X-Request-Id` is the last line: its value stands before two line ends.
    let end = record.head_len.saturating_sub(b"\r\n\r\n".len());
    record.id = Place::new(end.saturating_sub(id_len), end);
    record.host = record.add(head.host.map_or(&[], |host| host.of(buf)));
    record.note(buf, head);
    note_origin(record, buf, head);
}
