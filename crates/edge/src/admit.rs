//! What can be decided about a request without waiting, in this order: log guard, trusted peer, id, ambiguity, route, limits;
//! then the forwarded head is written and the body's first bytes are given to its pump.

use crate::body::{Form, Pump};
use crate::buffer::Buffer;
use crate::coding;
use crate::connection::Client;
use crate::error_page::{Refusal, wants_json};
use crate::files::FileRequest;
use crate::guard::Offence;
use crate::headers::{self, Facts, Peer};
use crate::metrics::Version;
use crate::proxy::Job;
use crate::record::{Place, Record};
use crate::request_id;
use crate::stream::Stream;
use crate::table::{Found, Handler, Table};
use crate::tls::misplaced;
use http1::{BodyFraming, FieldId, Method, Reject, RequestHead, TargetForm};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Methods of RFC 9110 section 9.1 that are passed on; any that it does not know is, too.
const PASSED_ON: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What was decided about a request.
pub enum Step {
    /// It is refused; the flag: in JSON.
    Refuse(Refusal, bool),
    /// An upstream answers.
    Proxy(Job),
    /// A file answers.
    File(Box<FileRequest>),
    /// The metrics are shown; `close`: a body is still to come.
    Metrics {
        /// The connection ends with it.
        close: bool,
    },
}

/// Decides about a request whose head is whole.
pub fn admit(client: &mut Client, mut buffer: Buffer, head: &RequestHead) -> (Record, Step) {
    let worker = Rc::clone(&client.worker);
    let started = Instant::now();
    let mut record = Record::new(&worker, started, &client.peer_text);
    record.facts = Facts::from(head);
    if matches!(client.stream, Stream::H2(_)) {
        record.version = Version::Http2;
    }
    let table = worker.table();
    let trusted = !table.trusted.is_empty() && table.trusts(client.peer);
    let mut address = client.peer;
    if trusted && let Some(named) = headers::client_of(buffer.filled(), head, &table.trusted) {
        address = named.to_canonical();
        record.client = address.to_string().into();
    }
    record.tls = client.secure.as_ref().map(|secure| secure.version);
    record.facts.https = match head.value(FieldId::XForwardedProto, buffer.filled()).filter(|_| trusted) {
        Some(b"https") => true,
        Some(b"http") => false,
        _ => client.secure.is_some(),
    };
    let mut made = [0; request_id::LEN];
    let taken =
        head.value(FieldId::XRequestId, buffer.filled()).filter(|id| trusted && request_id::is_sane(id));
    let id = taken.unwrap_or_else(|| {
        request_id::generate(worker.log.wall(started), &mut made);
        &made
    });
    let turned_away = worker.turns_away(address);
    let found = match turned_away
        .map_or_else(|| route(client, &table, record.facts.https, buffer.filled(), head), Err)
    {
        Ok(found) => found,
        Err(refusal) => {
            let json = wants_json(head.value(FieldId::Accept, buffer.filled()).unwrap_or_default());
            describe(&mut record, buffer.filled(), head, id);
            // Where the connection goes on, so do the requests behind this one.
            buffer.consume(head.len);
            client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
            return (record, Step::Refuse(refusal, json));
        }
    };
    record.policy = Some(Arc::clone(&found.route.policy));
    if let Some(compress) = &found.route.policy.response.compress {
        record.facts.coding = coding::choose(buffer.filled(), head, &compress.codings);
    }
    record.site = found.number;
    let step = match (&found.route.handler, found.upstream) {
        (Handler::Static(root), _) => {
            describe(&mut record, buffer.filled(), head, id);
            let request = FileRequest::new(
                &worker.files,
                root,
                path_of(buffer.filled(), head),
                buffer.filled(),
                head,
                started,
            );
            buffer.consume(head.len);
            client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
            Step::File(Box::new(request))
        }
        (Handler::Proxy(_), Some(upstream)) => {
            let https = record.facts.https;
            let who = Peer { peer: &client.peer_text, trusted, https, client: &record.client, id };
            let trace = headers::to_instance(&mut record.text, buffer.filled(), head, who);
            record.trace = Place::new(trace.start, trace.end);
            describe_forwarded(&mut record, buffer.filled(), head, id.len());
            buffer.consume(head.len);
            match begin_body(client, &record, found.route.limits.body, head, buffer) {
                Ok(body) => {
                    Step::Proxy(Job { upstream: Arc::clone(upstream), limits: found.route.limits, body })
                }
                Err(refusal) => Step::Refuse(refusal, false),
            }
        }
        (Handler::Metrics, _) => {
            describe(&mut record, buffer.filled(), head, id);
            buffer.consume(head.len);
            client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
            Step::Metrics { close: !head.body.is_empty() }
        }
        (Handler::Redirect(_), _) => Step::Refuse(Refusal::closing(501, ""), false),
        (Handler::Proxy(_), None) => Step::Refuse(Refusal::closing(502, "the upstream is not there"), false),
    };
    (record, step)
}

/// A pump for the body, fed with its first bytes and led by the forwarded head; what is behind a request without a body
/// goes back to the client.
fn begin_body(
    client: &mut Client,
    record: &Record,
    limit: u64,
    head: &RequestHead,
    buffer: Buffer,
) -> Result<Option<Box<Pump>>, Refusal> {
    if head.body.is_empty() {
        client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
        return Ok(None);
    }
    let mut body = Box::new(Pump::new(head.body, Form::Raw, limit));
    match body.feed(buffer) {
        Ok(()) => {
            body.lead(record.head());
            Ok(Some(body))
        }
        Err(reject) => Err(Refusal::closing(reject.status(), "the body is malformed or too large")),
    }
}

/// The route, or why there is none.
fn route<'t>(
    client: &Client,
    table: &'t Table,
    https: bool,
    buf: &[u8],
    head: &RequestHead,
) -> Result<Found<'t>, Refusal> {
    // What is refused with a body still to come ends the connection: nobody will read that body.
    let refusal = |status, cause| Refusal { close: !head.body.is_empty(), ..Refusal::new(status, cause) };
    if matches!(head.method, Method::Connect | Method::Trace) {
        let refusal = Refusal::method(PASSED_ON, "a method that is not passed on");
        return Err(Refusal { close: true, ..refusal });
    }
    let path = path_of(buf, head);
    if has_dot_segment(path) {
        return Err(Refusal::closing(400, "the path contains a dot segment"));
    }
    if let Some(misplaced) = misplaced(client, table, https, buf, head) {
        return Err(Refusal { close: !head.body.is_empty(), ..misplaced });
    }
    let host = head.host.map(|host| host.of(buf));
    let found = table.find(host, path).ok_or(refusal(404, "no site or route matches"))?;
    match head.body {
        BodyFraming::Length(length) if length > found.route.limits.body => {
            Err(Refusal::closing(413, "the body is larger than the route allows"))
        }
        _ => Ok(found),
    }
}

/// The path to route by: `/` where the target names only a host, `*` for `OPTIONS *`.
fn path_of<'b>(buf: &'b [u8], head: &RequestHead) -> &'b [u8] {
    match head.form {
        TargetForm::Asterisk => b"*",
        _ if head.path.is_empty() => b"/",
        _ => head.path.of(buf),
    }
}

/// `.` or `..` as a segment, however it is spelled: percent-encoded, between encoded slashes or backslashes, before a parameter
/// (`/..;x/`). Routed by one reading and answered by another, such a path would lead around every rule. Clients resolve
/// dot segments before they send (RFC 3986 section 5.2.4).
fn has_dot_segment(path: &[u8]) -> bool {
    if memchr::memchr2(b'.', b'%', path).is_none() {
        return false;
    }
    // Dots since the segment's begin; `None`: something else was in it.
    let mut dots = Some(0);
    let is_dots = |dots: Option<usize>| matches!(dots, Some(1 | 2));
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, behind) = match rest {
            [b'%', b'2', b'e' | b'E', behind @ ..] => (b'.', behind),
            [b'%', b'2', b'f' | b'F', behind @ ..] => (b'/', behind),
            [b'%', b'5', b'c' | b'C', behind @ ..] => (b'\\', behind),
            [b'%', b'3', b'b' | b'B', behind @ ..] => (b';', behind),
            _ => (first, behind),
        };
        rest = behind;
        if matches!(byte, b'/' | b'\\' | b';') && is_dots(dots) {
            return true;
        }
        dots = match byte {
            b'/' | b'\\' => Some(0),
            b'.' => dots.map(|count| count + 1),
            _ => None,
        };
    }
    is_dots(dots)
}

/// Texts for the log of a request that is not forwarded.
fn describe(record: &mut Record, buf: &[u8], head: &RequestHead, id: &[u8]) {
    record.method = record.add(head.method_span.of(buf));
    record.target = record.add(head.target.of(buf));
    record.host = record.add(head.host.map_or(&[], |host| host.of(buf)));
    record.id = record.add(id);
    record.note(buf, head);
    note_origin(record, buf, head);
}

/// For answers whose head depends on it.
fn note_origin(record: &mut Record, buf: &[u8], head: &RequestHead) {
    if record.policy.as_ref().is_some_and(|policy| policy.response.cors.is_some())
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

/// A request that breaks the protocol: answered, then closed.
pub fn malformed(client: &Client, reject: Reject) -> (Record, Step) {
    client.worker.offend(client.peer, Offence::Malformed);
    let mut made = unreadable(client, Refusal::closing(reject.status(), ""));
    made.0.cause = Some(reject.to_string().into());
    made
}

/// A request of which nothing is known.
pub fn unreadable(client: &Client, refusal: Refusal) -> (Record, Step) {
    let started = Instant::now();
    let mut record = Record::new(&client.worker, started, &client.peer_text);
    let mut id = [0; request_id::LEN];
    request_id::generate(client.worker.log.wall(started), &mut id);
    record.id = record.add(&id);
    record.facts.keep_alive = false;
    (record, Step::Refuse(refusal, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_seen_in_any_spelling() {
        for path in ["/..", "/a/../b", "/./a", "/a/.", "/%2e%2e/a", "/a/.%2E", "/a/%2e"].into_iter().chain([
            "/a/%2e%2e%2fb",
            "/a%2F..",
            "/a%2f.%2fb",
            "/a\\..\\b",
            "/a%5C%2e%2e",
            "/..;x/b",
            "/a/.%3bx",
        ]) {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/a.b",
            "/...",
            "/.well-known/x",
            "/a/%2Fb",
            "/..a",
            "/a;..",
            "/a%2Fb.c",
            "/a.%2e.b",
            "/%",
            "/%2",
            "*",
        ] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }
}
