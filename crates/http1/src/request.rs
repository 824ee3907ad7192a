//! Request heads (RFC 9112 §3 to §6).

use crate::authority::Authority;
use crate::diagnose::{Tokens, diagnose};
use crate::framing::Facts;
use crate::scan::{HeadBounds, head_bounds, is_tchar, list, offset};
use crate::target::{self, Target};
use crate::{BodyFraming, Field, FieldId, Fields, Limits, Method, Reject, Span, TargetForm, Version};

/// A request head as offsets into the buffer it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, where it is one of the known ones.
    pub method: Method,
    /// The method's text.
    pub method_span: Span,
    /// The whole request target.
    pub target: Span,
    /// The target's form.
    pub form: TargetForm,
    /// The path, not decoded. Empty in `http://host` and `http://host?query` (to be read as `/`), in authority and asterisk form.
    pub path: Span,
    /// The query without its `?`; `None` where there is no `?`.
    pub query: Option<Span>,
    /// The version.
    pub version: Version,
    /// All field lines.
    pub fields: Fields,
    /// Length of the head in bytes, with a skipped leading empty line and the final one. The body starts here.
    pub len: usize,
    /// How the body is framed; never [`BodyFraming::UntilClose`].
    pub body: BodyFraming,
    /// Whether the client wants the connection to go on afterwards (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// `Connection: upgrade` together with an `Upgrade` field, in HTTP/1.1, naming no `h2c` (RFC 9110 §7.8; RFC 9113 dropped
    /// `h2c`, and passed on it would carry requests past the proxy).
    pub upgrade: bool,
    /// `Expect: 100-continue` with a body to come, in HTTP/1.1 (a client of 1.0 must never be sent a 100): the client waits for a 100 or a final answer (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// The client takes trailers (`TE: trailers`, RFC 9110 §10.1.4).
    pub te_trailers: bool,
    /// The host without its port: from the target where that has one, else from `Host`. Brackets around IPv6 stay. `None` only in
    /// HTTP/1.0. Only letters, digits, `.`, `-`, `_`, `~`, or an IP literal; case as sent.
    pub host: Option<Span>,
    /// The port beside it, where one was written.
    pub port: Option<u16>,
}

impl RequestHead {
    /// The first field of that name.
    #[inline]
    pub fn field(&self, id: FieldId) -> Option<&Field> {
        self.fields.iter().find(|f| f.id == id)
    }

    /// The value of the first field of that name.
    #[inline]
    pub fn value<'b>(&self, id: FieldId, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.field(id).map(|f| f.value.of(buf))
    }

    /// The values of all fields of a name that has no [`FieldId`] of its own (any case).
    pub fn named<'b>(&self, name: &[u8], buf: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
        let fields = self.fields.iter().filter(move |f| f.name.of(buf).eq_ignore_ascii_case(name));
        fields.map(|f| f.value.of(buf))
    }
}

/// Parses the request head at the start of `buf`.
///
/// `Ok(None)`: more bytes are needed; call again with the same bytes and those that came behind them. One empty line in front is
/// skipped (RFC 9112 §2.2). Offsets count from the start of `buf`.
///
/// # Errors
/// [`Reject`] where the head is malformed, ambiguous or over `limits`: answer [`Reject::status`] and close.
pub fn parse_request(buf: &[u8], limits: &Limits) -> Result<Option<RequestHead>, Reject> {
    let start = match buf {
        [b'\r', b'\n', ..] => 2,
        [b'\r', _, ..] => return Err(Reject::BareCr),
        [b'\n', ..] => return Err(Reject::BareLf),
        [b'\r'] | [] => return Ok(None),
        _ => 0,
    };
    check_method(buf, start, limits)?;
    match head_bounds(buf, start, limits, Reject::RequestLineTooLong)? {
        Some(bounds) => complete(buf, &bounds).map(Some),
        None => Ok(None),
    }
}

/// A method longer than this is none that anybody implements.
const MAX_METHOD: usize = 64;

/// Refuses what cannot be a request at its first bytes: a TLS hello would otherwise be waited on until a time limit.
fn check_method(buf: &[u8], start: usize, limits: &Limits) -> Result<(), Reject> {
    let rest = buf.get(start..).unwrap_or_default();
    let window = rest.get(..MAX_METHOD.min(limits.line)).unwrap_or(rest);
    match window.iter().position(|&b| !is_tchar(b)) {
        None if window.len() >= MAX_METHOD => Err(Reject::Method),
        None => Ok(()),
        Some(0) if matches!(window.first(), Some(b'\r' | b'\n')) => Err(Reject::RequestLine),
        Some(0) => Err(Reject::Method),
        Some(end) if window.get(end) == Some(&b' ') => Ok(()),
        Some(_) => Err(Reject::Method),
    }
}

/// Takes a complete head apart.
fn complete(buf: &[u8], bounds: &HeadBounds) -> Result<RequestHead, Reject> {
    let head = buf.get(bounds.start..bounds.end).unwrap_or_default();
    let mut room: Tokens<'_> = [const { std::mem::MaybeUninit::uninit() }; Limits::MAX_FIELDS];
    let mut tokens = httparse::Request::new(&mut []);
    tokens
        .parse_with_uninit_headers(head, &mut room)
        .map_err(|error| diagnose(error, head, Reject::RequestLine))?;
    let (Some(method_text), Some(target_text), Some(minor)) = (tokens.method, tokens.path, tokens.version)
    else {
        return Err(Reject::RequestLine);
    };
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    let method = Method::from_bytes(method_text.as_bytes());
    let target_span = span_of(buf, target_text.as_bytes());
    let target = target::parse(buf, target_span, method)?;

    let mut fields = Fields::new();
    let seen = gather(buf, bounds, tokens.headers, version, &mut fields)?;
    let (host, port) = effective_host(buf, &target, seen.host, version)?;
    let body = seen.facts.framing(version)?;
    if matches!(method, Method::Connect | Method::Trace) && !body.is_empty() {
        return Err(Reject::UnexpectedBody);
    }
    seen.facts.mark_named(&mut fields, buf)?;
    let facts = &seen.facts;
    Ok(RequestHead {
        method,
        method_span: span_of(buf, method_text.as_bytes()),
        target: target_span,
        form: target.form,
        path: target.path,
        query: target.query,
        version,
        len: bounds.end,
        body,
        keep_alive: facts.persistent(version),
        upgrade: facts.upgrade_option
            && facts.upgrade_field
            && !facts.upgrade_h2c
            && version == Version::Http11,
        expect_continue: seen.expect_continue && !body.is_empty(),
        te_trailers: seen.te_trailers,
        host,
        port,
        fields,
    })
}

/// What the fields said.
#[derive(Default)]
struct Seen {
    facts: Facts,
    host: Option<Authority>,
    expect_continue: bool,
    te_trailers: bool,
}

/// One pass over the fields: recognise, note, remember their lines.
fn gather(
    buf: &[u8],
    bounds: &HeadBounds,
    headers: &[httparse::Header<'_>],
    version: Version,
    fields: &mut Fields,
) -> Result<Seen, Reject> {
    let mut seen = Seen::default();
    collect(buf, bounds, headers, fields, |id, value| {
        match id {
            FieldId::Host => {
                let authority = Authority::parse(value, offset(buf, value))?;
                if seen.host.replace(authority).is_some() {
                    return Err(Reject::HostRepeated);
                }
            }
            FieldId::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reject::Expectation);
                }
                seen.expect_continue = version == Version::Http11;
            }
            FieldId::Te => seen.te_trailers |= list(value).any(|t| t.eq_ignore_ascii_case(b"trailers")),
            _ => seen.facts.note(id, value, buf)?,
        }
        Ok(())
    })?;
    Ok(seen)
}

/// Appends the tokenizer's fields to `fields`, with their lines, and shows each to `note`.
pub(crate) fn collect(
    buf: &[u8],
    bounds: &HeadBounds,
    headers: &[httparse::Header<'_>],
    fields: &mut Fields,
    mut note: impl FnMut(FieldId, &[u8]) -> Result<(), Reject>,
) -> Result<(), Reject> {
    if headers.len() != bounds.fields {
        return Err(Reject::FieldName); // the two passes see different lines: not a head to trust
    }
    let mut line_start = bounds.first_end;
    for (i, header) in headers.iter().enumerate() {
        let line_end = match headers.get(i + 1) {
            Some(next) => offset(buf, next.name.as_bytes()),
            None => bounds.end - 2,
        };
        let id = FieldId::of(header.name.as_bytes());
        note(id, header.value)?;
        fields.push(Field {
            name: span_of(buf, header.name.as_bytes()),
            value: span_of(buf, header.value),
            line: Span::new(line_start, line_end),
            id,
            hop: false,
        });
        line_start = line_end;
    }
    Ok(())
}

fn span_of(buf: &[u8], part: &[u8]) -> Span {
    let start = offset(buf, part);
    Span::new(start, start + part.len())
}

/// The host the request is for (RFC 9112 §3.2, §3.3). `Host` has to be there in HTTP/1.1 even beside an absolute target, and has to agree
/// with it: the next hop might look at the other one.
fn effective_host(
    buf: &[u8],
    target: &Target,
    field: Option<Authority>,
    version: Version,
) -> Result<(Option<Span>, Option<u16>), Reject> {
    if field.is_none() && version == Version::Http11 {
        return Err(Reject::HostMissing);
    }
    let authority = match (target.authority, field) {
        (Some((of_target, default_port)), Some(field)) => {
            if !of_target.same(&field, buf, default_port) {
                return Err(Reject::HostContradiction);
            }
            Some(of_target)
        }
        (Some((of_target, _)), None) => Some(of_target),
        (None, field) => field,
    };
    Ok((authority.map(|a| a.host), authority.and_then(|a| a.port)))
}
