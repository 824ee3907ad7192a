//! Response heads (RFC 9112 §4 to §6), as strict with an upstream as with a client: an application must not be able to
//! desynchronise a shared connection.

use crate::diagnose::{Tokens, diagnose};
use crate::framing::Facts;
use crate::request::collect;
use crate::scan::{HeadBounds, head_bounds};
use crate::{BodyFraming, Field, FieldId, Fields, Limits, Method, Reject, Span, Version};

/// A response head as offsets into the buffer it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code, 100 to 599 (a 101 without an `Upgrade` field is refused).
    pub status: u16,
    /// The reason phrase, often empty.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// All field lines.
    pub fields: Fields,
    /// Length of the head in bytes, with the final empty line. The body starts here.
    pub len: usize,
    /// How the body is framed (RFC 9112 §6.3); [`BodyFraming::None`] for answers to `HEAD`, for 1xx, 204 and 304.
    pub body: BodyFraming,
    /// Whether the upstream connection can be used again once the body has ended.
    pub keep_alive: bool,
    /// 101 with an `Upgrade` field, or 2xx to `CONNECT`: what follows is another protocol in both directions.
    pub upgrade: bool,
}

impl ResponseHead {
    /// 1xx other than 101: an interim answer, the final one follows (RFC 9110 §15.2).
    #[inline]
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

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

/// Parses the response head at the start of `buf`, the answer to a request of method `to`.
///
/// `Ok(None)`: more bytes are needed; call again with the same bytes and those that came behind them. Interim answers are heads of
/// their own: the caller parses on behind them.
///
/// # Errors
/// [`Reject`] where the head is malformed, ambiguous or over `limits`: answer 502 and close the upstream connection.
pub fn parse_response(buf: &[u8], limits: &Limits, to: Method) -> Result<Option<ResponseHead>, Reject> {
    match buf {
        [] => return Ok(None),
        [b'H', ..] => {}
        _ => return Err(Reject::StatusLine),
    }
    match head_bounds(buf, 0, limits, Reject::HeadTooLarge)? {
        Some(bounds) => complete(buf, &bounds, to).map(Some),
        None => Ok(None),
    }
}

/// Takes a complete head apart.
fn complete(buf: &[u8], bounds: &HeadBounds, to: Method) -> Result<ResponseHead, Reject> {
    let head = buf.get(..bounds.end).unwrap_or_default();
    let mut room: Tokens<'_> = [const { std::mem::MaybeUninit::uninit() }; Limits::MAX_FIELDS];
    let mut tokens = httparse::Response::new(&mut []);
    httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut tokens, head, &mut room)
        .map_err(|error| diagnose(error, head, Reject::StatusLine))?;
    let (Some(minor), Some(status)) = (tokens.version, tokens.code) else { return Err(Reject::StatusLine) };
    let version = if minor == 1 { Version::Http11 } else { Version::Http10 };
    if !(100..=599).contains(&status) {
        return Err(Reject::StatusCode);
    }
    let mut fields = Fields::new();
    let mut facts = Facts::default();
    collect(buf, bounds, tokens.headers, &mut fields, |id, value| facts.note(id, value, buf))?;
    facts.mark_named(&mut fields, buf)?;
    let (body, upgrade) = body_after(status, &facts, version, to)?;
    if matches!(status, 100..=199 | 204) {
        // a length of 0 that may not stand here ends with us
        fields.iter_mut().filter(|f| f.id == FieldId::ContentLength).for_each(|f| f.hop = true);
    }
    // "HTTP/1.1 200 " is 13 bytes long
    let reason_end = bounds.first_end - 2;
    Ok(ResponseHead {
        status,
        reason: Span::new(reason_end.min(13), reason_end),
        version,
        len: bounds.end,
        body,
        keep_alive: facts.persistent(version) && body != BodyFraming::UntilClose && !upgrade,
        upgrade,
        fields,
    })
}

/// The body that follows, and whether another protocol does (RFC 9112 §6.3, in its order).
fn body_after(
    status: u16,
    facts: &Facts,
    version: Version,
    to: Method,
) -> Result<(BodyFraming, bool), Reject> {
    if to == Method::Connect && matches!(status, 200..=299) {
        return Ok((BodyFraming::None, true));
    }
    let announced = facts.framing(version)?;
    match status {
        100..=199 | 204 => {
            // RFC 9110 §8.6, RFC 9112 §6.1: neither field may stand here. A length of 0 is common and harmless, anything else means
            // bytes that would be taken for the next response.
            if !announced.is_empty() {
                return Err(Reject::UnexpectedBody);
            }
            if status == 101 && !facts.upgrade_field {
                return Err(Reject::StatusCode);
            }
            Ok((BodyFraming::None, status == 101))
        }
        304 => Ok((BodyFraming::None, false)),
        _ if to == Method::Head => Ok((BodyFraming::None, false)),
        _ if announced == BodyFraming::None => Ok((BodyFraming::UntilClose, false)),
        _ => Ok((announced, false)),
    }
}
