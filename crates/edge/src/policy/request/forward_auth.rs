//! Another server is asked first, by `GET` with the request's head: 2xx lets the request pass and may say who asks, any other
//! answer is the client's.
//!
//! ```text
//!   claim ──▶ connection (idle or new) ──▶ head out ──▶ head in, body in (bounded) ──▶ 2xx: lines to copy │ else: a refusal made of it
//!     ▲                                        │
//!     └────── once, where an idle connection had ended
//! ```
//! It fails closed: where nobody can be reached the client gets 502, where nobody answers in time 504. The server is claimed like
//! an application's instance and its idle connections wait in the same pool.

use super::headers::{is_free, same};
use crate::LIMITS;
use crate::buffer::Buffer;
use crate::circuit::Failed;
use crate::connect::{ConnectError, connect};
use crate::connection::Client;
use crate::error_page::Refusal;
use crate::h2;
use crate::headers::{FORWARDED, FRAMING, OURS, Peer, asking_lines};
use crate::policy::lines;
use crate::prepare::origin_form;
use crate::stream::Stream;
use crate::upstream::{Pick, Tried, Upstream};
use http1::{BodyDecoder, BodyFraming, FieldId, FieldSet, Method, RequestHead, ResponseHead, parse_response};
use model::policy::ForwardAuthSpec;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};
use wire::failure::Cause;

/// Largest body of an answer that is the client's.
const MAX_BODY: usize = 64 << 10;

/// Of the request's head: what is not asked with. What the edge says itself is added. Conditions and ranges are about the
/// application's answer: with them a server that knows tags would answer 304 to who has signed in.
const NOT_ASKED: FieldSet = OURS
    .union(FORWARDED)
    .union(FRAMING)
    .with(FieldId::IfMatch)
    .with(FieldId::IfModifiedSince)
    .with(FieldId::IfNoneMatch)
    .with(FieldId::IfRange)
    .with(FieldId::IfUnmodifiedSince)
    .with(FieldId::Range);

/// Other names for what `X-Forwarded-Uri` and `-Method` say, which some servers believe first.
const ALIASES: [&str; 5] =
    ["X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Rewrite-URL"];

/// Of the answer's head: what is not passed on to the client.
const NOT_ANSWERED: FieldSet =
    FieldSet::HOP_BY_HOP.union(FRAMING).with(FieldId::Date).with(FieldId::XRequestId);

/// Compiled.
#[derive(Debug)]
pub struct ForwardAuth {
    path: Box<str>,
    copy: Box<[Box<str>]>,
    timeout: Duration,
}

/// What the other server said.
pub enum Said {
    /// The request passes, with these lines.
    Passed(Vec<u8>),
    /// The client gets this.
    Refused(Refusal),
    /// Nobody waits any more.
    ClientGone,
}

/// An answer, whole.
struct Answer {
    /// Its head's bytes.
    text: Vec<u8>,
    head: ResponseHead,
    body: Vec<u8>,
    /// The connection can carry another request.
    reusable: bool,
}

enum Failure {
    TimedOut,
    ClientGone,
    Broken(&'static str),
}

impl ForwardAuth {
    /// Of a route.
    pub fn new(spec: &ForwardAuthSpec) -> Self {
        Self {
            path: spec.path.as_str().into(),
            copy: spec.copy.iter().filter(|name| is_free(name)).map(|name| name.as_str().into()).collect(),
            timeout: Duration::from_millis(spec.timeout_ms),
        }
    }

    /// Headers that only the other server may say.
    pub fn copied(&self) -> impl Iterator<Item = &str> {
        self.copy.iter().map(|name| &**name)
    }

    /// The head to ask with.
    pub fn question(&self, buf: &[u8], head: &RequestHead, who: Peer<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(head.len + 512);
        for part in [b"GET ", self.path.as_bytes(), b" HTTP/1.1\r\n"] {
            out.extend_from_slice(part);
        }
        let is_alias = |name: &[u8]| !who.trusted && ALIASES.iter().any(|alias| same(name, alias.as_bytes()));
        let asked = |field: &&http1::Field| !field.hop && !NOT_ASKED.contains(field.id);
        for field in head.fields.iter().filter(asked).filter(|field| !is_alias(field.name.of(buf))) {
            out.extend_from_slice(field.line.of(buf));
        }
        if head.field(FieldId::Host).is_none() {
            out.extend_from_slice(b"Host: localhost\r\n");
        }
        for (name, value) in [
            ("X-Forwarded-Method", head.method_span.of(buf)),
            ("X-Forwarded-Uri", &origin_form(buf, head)[..]),
        ] {
            lines::add(&mut out, name.as_bytes(), value);
        }
        let _ = asking_lines(&mut out, buf, head, who);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Asks. With `watch` the client's end is noticed (not while it still sends a body).
    pub async fn ask(&self, client: &mut Client, server: &Upstream, question: &[u8], watch: bool) -> Said {
        let refused = |status, cause| Said::Refused(Refusal::new(status, Cause::AuthServer, cause));
        let until = Instant::now() + self.timeout;
        let mut tried = Tried::default();
        let mut fresh = false;
        loop {
            let mut claim = match server.claim(&mut tried) {
                Pick::Claimed(claim) => claim,
                Pick::Busy => return refused(503, "the server that signs in is busy"),
                Pick::Cut(_) => {
                    return refused(502, "the server that signs in is left alone after failures in a row");
                }
                Pick::Draining | Pick::Exhausted => {
                    return refused(502, "the server that signs in cannot be reached");
                }
            };
            let Some(instance) = claim.instance() else { continue };
            let taken = !fresh && !server.http2;
            let idle = taken.then(|| client.worker.pool.take(instance.key, Instant::now(), true)).flatten();
            let millis = millis_until(until);
            let opened = match idle {
                Some(stream) => Ok((stream, true)),
                None if server.http2 => Box::pin(h2::stream(client, instance, millis, watch, fresh)).await,
                None => connect(client, &instance.address, millis, watch).await.map(|stream| (stream, false)),
            };
            let (mut stream, reused) = match opened {
                Ok(opened) => opened,
                Err(ConnectError::ClientGone) => return Said::ClientGone,
                Err(error) => {
                    if error.is_of_the_instance() {
                        server.failed(&mut claim, Failed::Unreachable);
                    }
                    if matches!(error, ConnectError::TimedOut) {
                        return refused(504, "the server that signs in does not answer");
                    }
                    continue;
                }
            };
            client.timer.set(Instant::now(), millis_until(until));
            let mut asking = Asking { client: &mut *client, stream: &mut stream, watch };
            match asking.run(question).await {
                Ok(answer) => {
                    instance.count_request();
                    let key = instance.key;
                    claim.answered();
                    if answer.reusable && server.keeps_connections() {
                        client.worker.pool.put(key, stream, Instant::now());
                    }
                    return self.judge(&answer);
                }
                Err(Failure::Broken(_)) if reused => {
                    fresh = true;
                    tried.pop();
                }
                Err(Failure::ClientGone) => return Said::ClientGone,
                Err(Failure::TimedOut) => {
                    server.failed(&mut claim, Failed::Unanswered);
                    return refused(504, "the server that signs in does not answer");
                }
                Err(Failure::Broken(cause)) => {
                    server.failed(&mut claim, Failed::Unanswered);
                    return refused(502, cause);
                }
            }
        }
    }

    fn judge(&self, answer: &Answer) -> Said {
        let Answer { text, head, body, .. } = answer;
        let mut said = Vec::new();
        if (200..300).contains(&head.status) {
            for name in self.copied() {
                for value in head.named(name.as_bytes(), text) {
                    lines::add(&mut said, name.as_bytes(), value);
                }
            }
            return Said::Passed(said);
        }
        for field in head.fields.iter().filter(|field| !field.hop && !NOT_ANSWERED.contains(field.id)) {
            said.extend_from_slice(field.line.of(text));
        }
        Said::Refused(Refusal {
            lines: Some(said.into()),
            body: Some(body.clone().into()),
            ..Refusal::new(head.status, Cause::SignIn, "the server that signs in refused")
        })
    }
}

fn millis_until(until: Instant) -> u64 {
    let left = until.saturating_duration_since(Instant::now()).as_millis();
    u64::try_from(left).unwrap_or(u64::MAX).max(1)
}

/// One question on one connection; the client's timer bounds it.
struct Asking<'a> {
    client: &'a mut Client,
    stream: &'a mut Stream,
    watch: bool,
}

impl Asking<'_> {
    async fn run(&mut self, question: &[u8]) -> Result<Answer, Failure> {
        self.write(question).await?;
        let mut bytes = Vec::new();
        let head = loop {
            match parse_response(&bytes, &LIMITS, Method::Get) {
                Err(_) => return Err(Failure::Broken("the answer of the server that signs in is malformed")),
                Ok(Some(head)) if head.status == 101 => {
                    return Err(Failure::Broken("the server that signs in switched protocols"));
                }
                Ok(Some(head)) if head.is_interim() => drop(bytes.drain(..head.len)),
                Ok(Some(head)) => break head,
                Ok(None) if bytes.len() > MAX_BODY => {
                    return Err(Failure::Broken("the answer of the server that signs in is too large"));
                }
                Ok(None) if self.read(&mut bytes).await? == 0 => {
                    return Err(Failure::Broken("the server that signs in closed the connection"));
                }
                Ok(None) => {}
            }
        };
        let rest = bytes.split_off(head.len);
        self.body(bytes, head, rest).await
    }

    async fn body(
        &mut self,
        text: Vec<u8>,
        head: ResponseHead,
        mut rest: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let mut decoder = BodyDecoder::new(head.body, &LIMITS);
        let mut body = Vec::new();
        let endless = head.body == BodyFraming::UntilClose;
        loop {
            let decoded = decoder
                .decode(&rest)
                .map_err(|_| Failure::Broken("the answer of the server that signs in is malformed"))?;
            body.extend_from_slice(rest.get(decoded.data).unwrap_or_default());
            rest.drain(..decoded.consumed);
            if body.len() > MAX_BODY {
                return Err(Failure::Broken("the answer of the server that signs in is too large"));
            }
            if decoded.done {
                let reusable = head.keep_alive && !endless && rest.is_empty();
                return Ok(Answer { text, head, body, reusable });
            }
            if rest.is_empty() && self.read(&mut rest).await? == 0 {
                if endless {
                    return Ok(Answer { text, head, body, reusable: false });
                }
                return Err(Failure::Broken("the server that signs in broke off its answer"));
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut sent = 0;
        poll_fn(|cx| {
            while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                match self.stream.poll_write(cx, rest) {
                    Poll::Ready(Ok(count)) if count > 0 => sent += count,
                    Poll::Ready(_) => {
                        return Poll::Ready(Err(Failure::Broken("the server that signs in stopped reading")));
                    }
                    Poll::Pending if self.client.timer.expired() => {
                        return Poll::Ready(Err(Failure::TimedOut));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Adds what came; 0 is the end.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, Failure> {
        poll_fn(|cx| {
            if let Poll::Ready(ready) = self.stream.poll_read_ready(cx) {
                let mut buffer = Buffer::small();
                match ready.map(|()| self.stream.poll_read(cx, &mut buffer)) {
                    Ok(Poll::Ready(Ok(count))) => {
                        bytes.extend_from_slice(buffer.filled());
                        return Poll::Ready(Ok(count));
                    }
                    Ok(Poll::Pending) => {}
                    Ok(Poll::Ready(Err(_))) | Err(_) => {
                        return Poll::Ready(Err(Failure::Broken(
                            "the server that signs in closed the connection",
                        )));
                    }
                }
            }
            if self.client.timer.expired() {
                return Poll::Ready(Err(Failure::TimedOut));
            }
            if self.watch && self.client.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Failure::ClientGone));
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::parse_request;

    fn question(request: &str) -> String {
        let spec = ForwardAuthSpec {
            upstream: String::new(),
            path: "/check".into(),
            copy: Vec::new(),
            timeout_ms: 1000,
        };
        let head = parse_request(request.as_bytes(), &LIMITS).unwrap().unwrap();
        let who = Peer {
            peer: "192.0.2.1",
            trusted: false,
            https: true,
            client: "192.0.2.1",
            id: b"1",
            certificate: b"",
        };
        String::from_utf8(ForwardAuth::new(&spec).question(request.as_bytes(), &head, who)).unwrap()
    }

    /// In absolute form the path stood behind another scheme and host, where a server's rules do not look for it.
    #[test]
    fn the_server_is_told_the_path_in_one_form_only() {
        for target in ["/admin?x=1", "http://a.test/admin?x=1"] {
            let asked = question(&format!("POST {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            assert!(asked.contains("\r\nX-Forwarded-Uri: /admin?x=1\r\n"), "{asked}");
        }
    }

    #[test]
    fn a_client_can_neither_rename_what_it_asks_for_nor_ask_for_a_part() {
        let lines = "X-Original-URL: /open\r\nx_original_uri: /open\r\nX-Rewrite-Url: /open\r\nX-Forwarded-Uri: /open\r\n\
If-None-Match: \"a\"\r\nRange: bytes=0-0\r\nCookie: a=b\r\n";
        let asked = question(&format!("GET /admin HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        assert!(
            !asked.contains("/open") && !asked.contains("If-None-Match") && !asked.contains("Range"),
            "{asked}"
        );
        assert!(asked.contains("Cookie: a=b\r\n"), "{asked}");
    }
}
