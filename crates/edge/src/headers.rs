//! The heads that go out: what is kept of the one that came in, what is added.
//!
//! To the instance: `Host` as it came, `X-Real-IP`, `X-Forwarded-For` (the peer appended to what was there),
//! `X-Forwarded-Proto`, `X-Forwarded-Host`, `X-Client-Cert-Subject` and `-Fingerprint` where the site asks for certificates, `traceparent` ([`crate::trace`]), `X-Request-Id`; no field of this connection only (RFC 9110 section 7.6.1), and
//! no name that a CGI-minded application would take for one of these (`X_Real_IP`).
//! To the client: `X-Request-Id`, and what the connection needs.
//!
//! Forwarded fields of an untrusted peer are not believed: they are dropped, only the chain in `X-Forwarded-For` is passed
//! on with the peer's own address behind it, so that an application counting from the right finds the truth.

use crate::{coding, sticky, trace};
use http1::{FieldId, FieldSet, HeadWriter, Method, RequestHead, ResponseHead, Version};
use ipnet::IpNet;
use model::policy::Coding;
use std::net::IpAddr;
use std::ops::Range;

/// What the edge says itself, whoever the peer is.
pub const OURS: FieldSet = FieldSet::HOP_BY_HOP
    .with(FieldId::UnderscoreAlias)
    .with(FieldId::Traceparent)
    .with(FieldId::XClientCertFingerprint)
    .with(FieldId::XClientCertSubject)
    .with(FieldId::XForwardedFor)
    .with(FieldId::XForwardedHost)
    .with(FieldId::XForwardedProto)
    .with(FieldId::XRealIp)
    .with(FieldId::XRequestId);

/// What is taken from trusted peers only.
pub const FORWARDED: FieldSet =
    FieldSet::EMPTY.with(FieldId::Forwarded).with(FieldId::XForwardedPort).with(FieldId::XForwardedOther);

/// What says how a message is framed, and so belongs to whoever writes it.
pub const FRAMING: FieldSet = FieldSet::EMPTY
    .with(FieldId::ContentLength)
    .with(FieldId::Expect)
    .with(FieldId::Trailer)
    .with(FieldId::TransferEncoding)
    .with(FieldId::Upgrade);

/// Of a response: what does not cross, and what the edge says itself.
const RESPONSE: FieldSet = FieldSet::HOP_BY_HOP.with(FieldId::XRequestId);

/// Of a response whose body is compressed here: what holds for its former form.
const OF_ANOTHER_FORM: FieldSet = FieldSet::EMPTY
    .with(FieldId::AcceptRanges)
    .with(FieldId::ContentEncoding)
    .with(FieldId::ContentLength)
    .with(FieldId::Etag)
    .with(FieldId::Trailer)
    .with(FieldId::TransferEncoding);

/// Who sent the request.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// The connection's other end, as text.
    pub peer: &'a str,
    /// Whether its forwarded fields are believed.
    pub trusted: bool,
    /// The client came over HTTPS, here or at a trusted peer.
    pub https: bool,
    /// The client: the peer, or whom a trusted peer names.
    pub client: &'a str,
    /// The request's id.
    pub id: &'a [u8],
    /// Lines that name the certificate it has shown, where the site asks for one.
    pub certificate: &'a [u8],
}

/// What policies have a head go on with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forwarded<'a> {
    /// Path and query in place of the ones that came.
    pub target: Option<&'a [u8]>,
    /// Lines beside those that came.
    pub lines: &'a [u8],
    /// Name of a cookie that does not go on.
    pub without: Option<&'a str>,
}

/// Writes the head for the instance; gives the place of the trace id in it.
pub fn to_instance(
    out: &mut Vec<u8>,
    buf: &[u8],
    head: &RequestHead,
    who: Peer<'_>,
    forwarded: Forwarded<'_>,
) -> Range<usize> {
    let mut dropped = OURS;
    if !who.trusted {
        dropped = dropped.union(FORWARDED);
    }
    if !head.upgrade {
        dropped = dropped.with(FieldId::Upgrade);
    }
    if !head.expect_continue {
        dropped = dropped.with(FieldId::Expect);
    }
    if forwarded.without.is_some() {
        dropped = dropped.with(FieldId::Cookie);
    }
    out.reserve(head.len + 400);
    let writer = match forwarded.target {
        Some(target) => HeadWriter::request_to(out, buf, head, target),
        None => HeadWriter::request(out, buf, head),
    };
    drop(writer.keep(&head.fields, dropped));
    if let Some(name) = forwarded.without {
        sticky::add_others(out, buf, head, name);
    }
    if head.upgrade {
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
    if head.field(FieldId::Host).is_none() {
        // HTTP/1.0 may go without, HTTP/1.1 to the instance may not.
        out.extend_from_slice(b"Host: localhost\r\n");
    }
    out.extend_from_slice(forwarded.lines);
    let trace = asking_lines(out, buf, head, who);
    out.extend_from_slice(b"\r\n");
    trace
}

/// Who asks, and by what ids: the lines that the edge says itself, the request's id the last. Gives the place of the trace id.
pub fn asking_lines(out: &mut Vec<u8>, buf: &[u8], head: &RequestHead, who: Peer<'_>) -> Range<usize> {
    let believed = |id| head.value(id, buf).filter(|_| who.trusted);
    let proto: &[u8] = if who.https { b"https" } else { b"http" };
    let host = believed(FieldId::XForwardedHost).or(head.value(FieldId::Host, buf)).unwrap_or(b"localhost");
    let begun = trace::begin();
    let trace = trace::of(buf, head).unwrap_or(&begun);
    // Addresses, an id that was checked, and values of a head that was: no control character can be among them.
    let mut say = |part: &[u8]| out.extend_from_slice(part);
    say(b"X-Real-IP: ");
    say(who.client.as_bytes());
    say(b"\r\nX-Forwarded-For: ");
    for field in head.fields.iter().filter(|field| field.id == FieldId::XForwardedFor) {
        say(field.value.of(buf));
        say(b", ");
    }
    say(who.peer.as_bytes());
    say(b"\r\nX-Forwarded-Proto: ");
    say(proto);
    say(b"\r\nX-Forwarded-Host: ");
    say(host);
    say(b"\r\n");
    say(who.certificate);
    say(b"traceparent: ");
    say(trace);
    say(b"\r\nX-Request-Id: ");
    say(who.id);
    say(b"\r\n");
    let behind = b"\r\nX-Request-Id: ".len() + who.id.len() + b"\r\n".len();
    let start = out.len().saturating_sub(behind + trace.len());
    start + trace::ID.start..start + trace::ID.end
}

/// The client that a trusted peer names: from the right, the first address that is not trusted itself; `X-Real-IP`
/// where there is no chain. `None`: the peer itself.
pub fn client_of(buf: &[u8], head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    let text =
        |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<IpAddr>().ok());
    let fields = head.fields.iter().rev().filter(|field| field.id == FieldId::XForwardedFor);
    let mut leftmost = None;
    for entry in fields.flat_map(|field| field.value.of(buf).rsplit(|&byte| byte == b',')) {
        // What is no address ends the chain: beyond it nothing can be believed.
        let Some(address) = text(entry) else { return leftmost };
        leftmost = Some(address);
        if !trusted.iter().any(|net| net.contains(&address)) {
            return leftmost;
        }
    }
    leftmost.or_else(|| head.value(FieldId::XRealIp, buf).and_then(text))
}

/// What the client's connection needs to know of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Nothing: HTTP/1.1 goes on by default.
    Silent,
    /// It ends after this.
    Close,
    /// HTTP/1.0 must be told that it goes on.
    KeepAlive,
    /// It becomes another protocol.
    Upgrade,
}

impl Connection {
    /// What is said about a connection that becomes another protocol, is kept, or is neither.
    pub fn of(upgrade: bool, keep: bool, http10: bool) -> Self {
        match (upgrade, keep, http10) {
            (true, ..) => Self::Upgrade,
            (_, false, _) => Self::Close,
            (_, true, true) => Self::KeepAlive,
            (_, true, false) => Self::Silent,
        }
    }
}

/// How a response goes to the client.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The request's id.
    pub id: &'a [u8],
    /// What is said about the connection.
    pub connection: Connection,
    /// The body is chunked here, it was not upstream.
    pub chunk: bool,
    /// The body was chunked upstream, it is not here.
    pub unchunk: bool,
    /// The body is compressed here.
    pub coding: Option<Coding>,
}

/// Writes the head of a response for the client. `change` sees what the instance said of it, before the connection's own lines.
pub fn to_client(
    out: &mut Vec<u8>,
    buf: &[u8],
    head: &ResponseHead,
    response: Response<'_>,
    change: impl FnOnce(&mut Vec<u8>),
) {
    let mut dropped = RESPONSE;
    if response.connection != Connection::Upgrade {
        dropped = dropped.with(FieldId::Upgrade);
    }
    if response.unchunk {
        dropped = dropped.with(FieldId::TransferEncoding).with(FieldId::Trailer);
    }
    if response.coding.is_some() {
        dropped = dropped.union(OF_ANOTHER_FORM);
    }
    out.reserve(head.len + 128);
    drop(HeadWriter::response(out, buf, head).keep(&head.fields, dropped));
    if let Some(coding) = response.coding {
        encoded(out, buf, head, coding);
    }
    change(out);
    if response.chunk {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(match response.connection {
        Connection::Silent => b"X-Request-Id: ",
        Connection::Close => b"Connection: close\r\nX-Request-Id: ",
        Connection::KeepAlive => b"Connection: keep-alive\r\nX-Request-Id: ",
        Connection::Upgrade => b"Connection: upgrade\r\nX-Request-Id: ",
    });
    out.extend_from_slice(response.id);
    out.extend_from_slice(b"\r\n\r\n");
}

/// What is said of a body that is compressed here.
fn encoded(out: &mut Vec<u8>, buf: &[u8], head: &ResponseHead, coding: Coding) {
    for part in [b"Content-Encoding: ", coding::token(coding).as_bytes(), b"\r\n"] {
        out.extend_from_slice(part);
    }
    if let Some(tag) = head.value(FieldId::Etag, buf) {
        // It names what it stands for no more byte by byte, only by its meaning (RFC 9110 section 8.8.1).
        let weak: &[u8] = if tag.starts_with(b"W/") { b"" } else { b"W/" };
        for part in [b"ETag: ", weak, tag, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

/// What the exchange must remember of a request's head: everything else is forgotten once it is written out.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Its method.
    pub method: Method,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The client wants its connection kept.
    pub keep_alive: bool,
    /// The client asks for another protocol.
    pub upgrade: bool,
    /// The client came over HTTPS, here or at a trusted peer.
    pub https: bool,
    /// What an answer would be compressed with, where the route's policies do that.
    pub coding: Option<Coding>,
}

impl Default for Facts {
    /// Of a request that could not be read.
    fn default() -> Self {
        Self {
            method: Method::Other,
            http10: false,
            keep_alive: false,
            upgrade: false,
            https: false,
            coding: None,
        }
    }
}

impl From<&RequestHead> for Facts {
    fn from(head: &RequestHead) -> Self {
        Self {
            method: head.method,
            http10: head.version == Version::Http10,
            keep_alive: head.keep_alive,
            upgrade: head.upgrade,
            https: false,
            coding: None,
        }
    }
}
