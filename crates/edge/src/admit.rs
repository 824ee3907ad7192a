//! What can be decided about a request without waiting, in this order: log guard, trusted peer, id, ambiguity, route, limits,
//! policies; then the forwarded head is written and the body's first bytes are given to its pump.
//!
//! ```text
//!   admit ──▶ prepare: everything that is made of the head ──▶ finish: what came behind it ──▶ a step
//!     └─────▶ gate (waits) ──▶ prepare …
//! ```

use crate::buffer::Buffer;
use crate::coding;
use crate::connection::Client;
use crate::dashboard::Wanted;
use crate::error_page::{Refusal, wants_json};
use crate::files::FileRequest;
use crate::gate::Waiting;
use crate::guard::Offence;
use crate::headers::{self, Facts};
use crate::metrics::Version;
use crate::policy::request::{Asked, Granted, Verdict};
use crate::policy::response::cors::Preflight;
use crate::prepare::{Entry, describe, finish, prepare};
use crate::proxy::Job;
use crate::record::Record;
use crate::request_id;
use crate::stream::Stream;
use crate::table::{Found, Table};
use crate::tls::misplaced;
use crate::when::Seen;
use http1::{BodyFraming, FieldId, Method, Reject, RequestHead, TargetForm};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Cause;

/// Methods of RFC 9110 section 9.1 that are passed on; any that it does not know is, too.
const PASSED_ON: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What was decided about a request.
pub enum Step {
    /// It is refused; the flag: in JSON.
    Refuse(Box<Refusal>, bool),
    /// An upstream answers.
    Proxy(Job),
    /// A file answers.
    File(Box<FileRequest>),
    /// The metrics are shown; `close`: a body is still to come.
    Metrics {
        /// The connection ends with it.
        close: bool,
    },
    /// What is routed where is shown; `close` as above.
    Dashboard {
        /// Which part, and how.
        wanted: Wanted,
        /// The connection ends with it.
        close: bool,
    },
    /// It is a preflight; the flag: the connection ends.
    Preflight(Box<Preflight>, bool),
    /// Somebody has to be waited for.
    Wait(Box<Waiting>),
}

impl Step {
    /// A refusal; boxed, because every other exchange would be as large.
    pub fn refuse(refusal: Refusal, json: bool) -> Self {
        Self::Refuse(Box::new(refusal), json)
    }
}

/// Decides about a request whose head is whole.
pub fn admit(client: &mut Client, mut buffer: Buffer, head: &RequestHead) -> (Record, Step) {
    let worker = Rc::clone(&client.worker);
    let started = Instant::now();
    let mut record = Record::new(&worker, started, &client.peer_text);
    let table = worker.table();
    let buf = buffer.filled();
    let (trusted, address) = recognise(client, &table, &mut record, buf, head);
    let mut made = [0; request_id::LEN];
    let taken = head.value(FieldId::XRequestId, buf).filter(|id| trusted && request_id::is_sane(id));
    let id = taken.unwrap_or_else(|| {
        request_id::generate(worker.log.wall(started), &mut made);
        &made
    });
    let turned_away = worker.turns_away(address);
    let routed = turned_away
        .map_or_else(|| route(client, &table, record.facts.https, Seen { buf, head, client: address }), Err);
    let fitting = routed.and_then(|found| {
        // Also what is refused now is answered as the route's policies want it.
        record.route = Some(Arc::clone(found.route));
        (record.site, record.lane) = (found.number, found.lane);
        fits(head, &found).map(|()| found)
    });
    let passed = match fitting {
        Ok(found) => {
            let entry = Entry { found, trusted, address, id };
            decide(client, &mut record, &table, buf, head, entry).map(|granted| (entry, granted))
        }
        Err(refusal) => {
            record.lane = table.lane(*client.door, head.host.map(|host| host.of(buf)));
            if refusal.status == 400 {
                worker.offend(address, Offence::Malformed);
            }
            describe(&mut record, buf, head, id);
            Err(Step::refuse(refusal, json_wanted(buf, head)))
        }
    };
    match passed {
        Ok((entry, granted)) => {
            let prepared = prepare(client, &mut record, buf, head, entry, granted);
            buffer.consume(head.len);
            let step = finish(client, &record, prepared, head, Some(buffer));
            (record, step)
        }
        Err(mut step) => {
            buffer.consume(head.len);
            match &mut step {
                // Behind a head without a body is the next request: the client's end is looked for behind that.
                Step::Wait(waiting) if !head.body.is_empty() => waiting.rest = Some(buffer),
                _ => give_back(client, buffer),
            }
            (record, step)
        }
    }
}

/// Notes what came and by which way; gives whether the peer's forwarded fields are believed, and who asks.
fn recognise(
    client: &Client,
    table: &Table,
    record: &mut Record,
    buf: &[u8],
    head: &RequestHead,
) -> (bool, IpAddr) {
    record.facts = Facts::from(head);
    record.version = version_of(client).unwrap_or(record.version);
    let trusted = !table.trusted.is_empty() && table.trusts(client.peer);
    let mut address = client.peer;
    if trusted && let Some(named) = headers::client_of(buf, head, &table.trusted) {
        address = named.to_canonical();
        record.client = address.to_string().into();
    }
    record.tls = client.secure.as_ref().map(|secure| secure.version);
    record.facts.https = match head.value(FieldId::XForwardedProto, buf).filter(|_| trusted) {
        Some(b"https") => true,
        Some(b"http") => false,
        _ => client.secure.is_some(),
    };
    (trusted, address)
}

/// What the route's policies say without waiting: what was granted, or the step that comes in the handler's place.
fn decide(
    client: &Client,
    record: &mut Record,
    table: &Arc<Table>,
    buf: &[u8],
    head: &RequestHead,
    entry: Entry<'_>,
) -> Result<Granted, Step> {
    let Entry { found, trusted, address, id } = entry;
    let policy = &found.route.policy;
    if let Some(compress) = &policy.response.compress {
        record.facts.coding = coding::choose(buf, head, &compress.codings);
    }
    let Some(rules) = policy.request.rules() else { return Ok(Granted::default()) };
    let asked = Asked { buf, head, path: path_of(buf, head), client: address };
    let verdict = rules.decide(&asked, policy.response.cors.as_ref(), record.started);
    if !matches!(verdict, Verdict::Pass(_)) {
        describe(record, buf, head, id);
    }
    let refuse = |refusal| Step::refuse(closing_with_body(refusal, head), json_wanted(buf, head));
    Err(match verdict {
        Verdict::Pass(granted) => return Ok(granted),
        Verdict::Wait(credentials, granted) => Step::Wait(Box::new(Waiting {
            table: Arc::clone(table),
            text: buf.get(..head.len).unwrap_or_default().into(),
            rest: None,
            head: head.clone(),
            trusted,
            address,
            id: id.into(),
            credentials,
            granted,
        })),
        Verdict::Refuse(refusal) => refuse(refusal),
        Verdict::Limit { refusal, cause, offence } => {
            record.cause = Some(cause.into());
            offence.into_iter().for_each(|offence| client.worker.offend(address, offence));
            refuse(refusal)
        }
        Verdict::Preflight(preflight) => Step::Preflight(Box::new(preflight), !head.body.is_empty()),
    })
}

/// Where the connection goes on, so do the requests behind this one.
pub fn give_back(client: &mut Client, rest: Buffer) {
    client.pending = Some(rest).filter(|rest| !rest.is_empty());
}

/// What is refused with a body still to come ends the connection: nobody will read that body.
pub fn closing_with_body(refusal: Refusal, head: &RequestHead) -> Refusal {
    Refusal { close: refusal.close || !head.body.is_empty(), ..refusal }
}

/// Whether the client of a request wants JSON where the edge refuses it.
pub fn json_wanted(buf: &[u8], head: &RequestHead) -> bool {
    wants_json(head.value(FieldId::Accept, buf).unwrap_or_default())
}

/// The route, or why there is none.
fn route<'t>(client: &Client, table: &'t Table, https: bool, seen: Seen<'_>) -> Result<Found<'t>, Refusal> {
    let Seen { buf, head, .. } = seen;
    if let Some(answer) = table.challenges.answer(head.method, path_of(buf, head)) {
        return Err(closing_with_body(answer, head));
    }
    if matches!(&client.stream, Stream::H2(channel) if channel.asks_unknown_protocol()) {
        return Err(Refusal::closing(
            501,
            Cause::Malformed,
            "a protocol over CONNECT that is not known here",
        ));
    }
    if matches!(head.method, Method::Connect | Method::Trace) {
        let refusal = Refusal::method(PASSED_ON, "a method that is not passed on");
        return Err(Refusal { close: true, ..refusal });
    }
    let path = path_of(buf, head);
    if has_dot_segment(path) {
        return Err(Refusal::closing(400, Cause::Malformed, "the path contains a dot segment"));
    }
    if let Some(misplaced) = misplaced(client, table, https, buf, head) {
        return Err(closing_with_body(misplaced, head));
    }
    let host = head.host.map(|host| host.of(buf));
    table.find(*client.door, host, path, Some(&seen)).ok_or_else(|| {
        let nowhere = match table.site(*client.door, host) {
            Some(_) => Refusal::new(404, Cause::NoRoute, "no route of the site matches"),
            None => Refusal::new(404, Cause::NoSite, "no site has this host name"),
        };
        closing_with_body(nowhere, head)
    })
}

/// Whether the body, as far as it is told how long it is, is one that the route takes.
fn fits(head: &RequestHead, found: &Found<'_>) -> Result<(), Refusal> {
    match head.body {
        BodyFraming::Length(length) if length > found.route.limits.body => {
            Err(Refusal::closing(413, Cause::TooLarge, "the body is larger than the route allows"))
        }
        _ => Ok(()),
    }
}

/// The path to route by: `/` where the target names only a host, `*` for `OPTIONS *`.
pub fn path_of<'b>(buf: &'b [u8], head: &RequestHead) -> &'b [u8] {
    match head.form {
        TargetForm::Asterisk => b"*",
        _ if head.path.is_empty() => b"/",
        _ => head.path.of(buf),
    }
}

/// `.` or `..` as a segment, however it is spelled: percent-encoded, between encoded slashes or backslashes, before a parameter
/// (`/..;x/`). Routed by one reading and answered by another, such a path would lead around every rule. Clients resolve
/// dot segments before they send (RFC 3986 section 5.2.4).
pub fn has_dot_segment(path: &[u8]) -> bool {
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

/// A request that breaks the protocol: answered, then closed.
pub fn malformed(client: &Client, reject: Reject) -> (Record, Step) {
    client.worker.offend(client.peer, Offence::Malformed);
    let mut made = unreadable(client, Refusal::closing(reject.status(), why(reject), ""));
    made.0.cause = Some(reject.to_string().into());
    made
}

/// Why a request with this mistake fails.
pub fn why(reject: Reject) -> Cause {
    match reject.status() {
        413 => Cause::TooLarge,
        _ => Cause::Malformed,
    }
}

/// The version of a stream's request, whatever the head says that it was written as.
fn version_of(client: &Client) -> Option<Version> {
    matches!(client.stream, Stream::H2(_)).then_some(Version::Http2)
}

/// A request of which nothing is known.
pub fn unreadable(client: &Client, refusal: Refusal) -> (Record, Step) {
    let started = Instant::now();
    let mut record = Record::new(&client.worker, started, &client.peer_text);
    record.version = version_of(client).unwrap_or(record.version);
    let mut id = [0; request_id::LEN];
    request_id::generate(client.worker.log.wall(started), &mut id);
    record.id = record.add(&id);
    record.facts.keep_alive = false;
    (record, Step::refuse(refusal, false))
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
