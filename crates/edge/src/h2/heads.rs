//! Heads and trailer sections between HTTP/2 and HTTP/1.1.
//!
//! Towards HTTP/1.1 nothing is repaired: where a request says two things (`:authority` beside another `Host`, two lengths) both are
//! written, and [`http1::parse_request`] refuses it. `h2` has refused already what no field may contain (controls, capitals,
//! fields of a connection, RFC 9113 section 8.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http1::{Field, FieldId, FieldSet, RequestHead, ResponseHead};

/// What ends with an HTTP/1.1 connection, or says how its messages are framed (RFC 9113 section 8.2.2).
const DROPPED: FieldSet =
    FieldSet::HOP_BY_HOP.with(FieldId::TransferEncoding).with(FieldId::Upgrade).with(FieldId::Expect);
/// Of a switch of protocols: the handshake's answer, which HTTP/2 does without (RFC 8441 section 5).
const ACCEPT: &[u8] = b"sec-websocket-accept";
const KEY: &str = "sec-websocket-key";

/// How the body of a message is framed in HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// As long as `Content-Length` says.
    Length,
    /// In chunks.
    Chunked,
    /// No message: the bytes of another protocol, until the stream ends.
    Tunnel,
}

/// Writes a client's request. `ended`: it has no body.
pub fn write_request<B>(out: &mut Vec<u8>, request: &Request<B>, ended: bool) -> Framing {
    let (uri, fields) = (request.uri(), request.headers());
    let tunnel = is_websocket(request);
    let method = if tunnel { Method::GET.as_str() } else { request.method().as_str() };
    let connect = method == Method::CONNECT.as_str();
    let authority = uri.authority().map(|authority| authority.as_str());
    let target = match uri.path_and_query() {
        Some(path) if !connect => path.as_str(),
        _ => authority.unwrap_or_default(),
    };
    // A protocol over CONNECT names a path instead (RFC 8441 section 4); in HTTP/1.1 nobody is connected to without a port.
    let port = if connect && uri.port().is_none() { ":443" } else { "" };
    for part in [method, " ", target, port, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let Some(authority) = authority {
        line(out, "host", authority.as_bytes());
    }
    write_fields(out, fields, |name, value| {
        let same = authority.is_some_and(|authority| value.eq_ignore_ascii_case(authority.as_bytes()));
        !(name == HOST && same) && !(tunnel && (name == KEY || name == CONTENT_LENGTH))
    });
    if tunnel {
        let key = STANDARD.encode(fastrand::u128(..).to_ne_bytes());
        line(out, KEY, key.as_bytes());
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    }
    let framing = match ended {
        _ if tunnel || connect => Framing::Tunnel,
        true => Framing::Empty,
        false if fields.contains_key(CONTENT_LENGTH) => Framing::Length,
        false => Framing::Chunked,
    };
    let meant = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    match framing {
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // Applications refuse such a request without a length (RFC 9110 section 8.6).
        Framing::Empty if meant && !fields.contains_key(CONTENT_LENGTH) => line(out, "content-length", b"0"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    framing
}

/// The protocol that extended CONNECT (RFC 8441) asks for.
fn protocol<B>(request: &Request<B>) -> Option<&str> {
    let protocol = request.extensions().get::<::h2::ext::Protocol>();
    protocol.filter(|_| request.method() == Method::CONNECT).map(::h2::ext::Protocol::as_str)
}

/// A WebSocket. Other protocols stay `CONNECT`, which is refused.
fn is_websocket<B>(request: &Request<B>) -> bool {
    protocol(request).is_some_and(|name| name.eq_ignore_ascii_case("websocket"))
}

/// Extended CONNECT for a protocol that is not known here (RFC 9220 section 3).
pub fn is_unknown_protocol<B>(request: &Request<B>) -> bool {
    protocol(request).is_some() && !is_websocket(request)
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap, keep: impl Fn(&HeaderName, &[u8]) -> bool) {
    let mut cookies = fields.get_all(COOKIE).iter();
    for (name, value) in fields.iter().filter(|(name, value)| keep(name, value.as_bytes())) {
        if name != COOKIE {
            line(out, name.as_str(), value.as_bytes());
            continue;
        }
        // Taken apart for compression; HTTP/1.1 knows one line only (RFC 9113 section 8.2.3).
        let Some(first) = cookies.next() else { continue };
        out.extend_from_slice(b"cookie: ");
        out.extend_from_slice(first.as_bytes());
        for more in cookies.by_ref() {
            out.extend_from_slice(b"; ");
            out.extend_from_slice(more.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk, with the trailers that may stand behind it: the names that [`http1`] gives a meaning to may not.
pub fn write_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if matches!(FieldId::of(name.as_str().as_bytes()), FieldId::Other | FieldId::Etag) {
            line(out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A trailer section of HTTP/1.1, which [`http1::BodyDecoder`] has checked: lines, each with its end.
pub fn read_trailers(section: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in section.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            fields.append(name, value);
        }
    }
    fields
}

/// A head of HTTP/1.1 as the answer to a client. 101 has become 200: a stream is the tunnel that was asked for.
pub fn response(head: &ResponseHead, buf: &[u8]) -> Option<Response<()>> {
    let status = if head.status == 101 { 200 } else { head.status };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let dropped = |name: &[u8]| head.status == 101 && name.eq_ignore_ascii_case(ACCEPT);
    *response.headers_mut() = fields(&head.fields, buf.get(..head.len)?, dropped)?;
    Some(response)
}

/// All fields that go on. `None`: one cannot be said, which [`http1`] should have found.
fn fields(list: &[Field], head: &[u8], dropped: impl Fn(&[u8]) -> bool) -> Option<HeaderMap> {
    // One allocation for all values: they share it.
    let shared = Bytes::copy_from_slice(head);
    let mut fields = HeaderMap::with_capacity(list.len());
    for field in list {
        let name = field.name.of(head);
        if field.hop || DROPPED.contains(field.id) || dropped(name) {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(shared.slice(field.value.range())).ok()?;
        fields.append(HeaderName::from_bytes(name).ok()?, value);
    }
    Some(fields)
}

/// A forwarded head of HTTP/1.1 as a request to an instance; [`None`]: it cannot be said in HTTP/2.
///
/// `te: trailers` is always said: the relay passes trailers on, and gRPC servers ask for it.
pub fn request(head: &RequestHead, buf: &[u8]) -> Option<Request<()>> {
    let mut request = Request::new(());
    let method = head.method_span.of(buf);
    *request.method_mut() = Method::from_bytes(method).ok()?;
    let mut parts = Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let host = head.value(FieldId::Host, buf)?;
    parts.authority = Some(http::uri::Authority::try_from(host).ok()?);
    parts.path_and_query = Some(http::uri::PathAndQuery::try_from(head.target.of(buf)).ok()?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    let websocket = |name: &[u8]| head.upgrade && name.eq_ignore_ascii_case(KEY.as_bytes());
    let dropped = |name: &[u8]| name.eq_ignore_ascii_case(b"host") || websocket(name);
    *request.headers_mut() = fields(&head.fields, buf.get(..head.len)?, dropped)?;
    request.headers_mut().insert(http::header::TE, HeaderValue::from_static("trailers"));
    Some(request)
}

/// Writes an instance's answer to a request. `ended`: it has no body.
pub fn write_response<B>(out: &mut Vec<u8>, response: &Response<B>, ended: bool, to: &Method) -> Framing {
    let (status, fields) = (response.status(), response.headers());
    for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let bodiless = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || to == Method::HEAD;
    let length = fields.contains_key(CONTENT_LENGTH);
    write_fields(out, fields, |_, _| true);
    let framing = match (bodiless, ended) {
        (true, _) => Framing::Empty,
        (false, true) => {
            if !length {
                line(out, "content-length", b"0");
            }
            Framing::Empty
        }
        (false, false) if length => Framing::Length,
        (false, false) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    framing
}
