//! [`Field`]: one field line by offsets, [`FieldId`]: its name recognised once, [`FieldSet`]: a set of names as bits.

use smallvec::SmallVec;

use crate::Span;

/// All field lines of a head in their order; no allocation up to 32.
pub type Fields = SmallVec<[Field; 32]>;

/// One field line (RFC 9112 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name as it was written.
    pub name: Span,
    /// The value without the white space around it; may contain `obs-text` (bytes from 0x80).
    pub value: Span,
    /// The whole line with its CRLF.
    pub line: Span,
    /// Which name it is.
    pub id: FieldId,
    /// It ends with this connection and is dropped by [`crate::HeadWriter::keep`]: the `Connection` field names it (RFC 9110
    /// §7.6.1), or it is a `Content-Length` in a 1xx or 204 (§8.6).
    pub hop: bool,
}

/// Field names that the proxy treats by name, at most 64 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum FieldId {
    /// A name without a meaning to the proxy.
    Other,
    /// A name that becomes one of those below where `_` is read as `-`, as CGI and WSGI do (`Content_Length`, `X_Real_IP`).
    UnderscoreAlias,
    /// `X-Forwarded-` with an ending not listed below.
    XForwardedOther,
    Accept,
    AcceptEncoding,
    AcceptLanguage,
    AcceptRanges,
    Age,
    Authorization,
    CacheControl,
    Connection,
    ContentDisposition,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentSecurityPolicy,
    ContentType,
    Cookie,
    Date,
    Etag,
    Expect,
    Expires,
    Forwarded,
    Host,
    Http2Settings,
    IfMatch,
    IfModifiedSince,
    IfNoneMatch,
    IfRange,
    IfUnmodifiedSince,
    KeepAlive,
    LastModified,
    Link,
    Location,
    Origin,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Range,
    Referer,
    RetryAfter,
    SecFetchDest,
    SecFetchMode,
    Server,
    SetCookie,
    StrictTransportSecurity,
    Te,
    Traceparent,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Vary,
    WwwAuthenticate,
    XAccelBuffering,
    XClientCertFingerprint,
    XClientCertSubject,
    XContentTypeOptions,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRealIp,
    XRequestId,
}

const _: () = assert!((FieldId::XRequestId as u8) < 64);

impl FieldId {
    /// Recognises a name, in any case.
    #[inline]
    pub fn of(name: &[u8]) -> FieldId {
        crate::names::recognise(name)
    }
}

/// A set of [`FieldId`]s, buildable in constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldSet(u64);

impl FieldSet {
    /// No name.
    pub const EMPTY: FieldSet = FieldSet(0);

    /// What never crosses a proxy (RFC 9110 §7.6.1), apart from `Transfer-Encoding`, which follows how the body is relayed, and
    /// `Upgrade`, which follows the caller's decision. `TE` and `Connection` are written anew where they are wanted.
    pub const HOP_BY_HOP: FieldSet = FieldSet::EMPTY
        .with(FieldId::Connection)
        .with(FieldId::KeepAlive)
        .with(FieldId::ProxyConnection)
        .with(FieldId::ProxyAuthenticate)
        .with(FieldId::ProxyAuthorization)
        .with(FieldId::Http2Settings)
        .with(FieldId::Te);

    /// This set and `id`.
    #[must_use]
    pub const fn with(self, id: FieldId) -> FieldSet {
        FieldSet(self.0 | 1 << id as u8)
    }

    /// This set and all of `other`.
    #[must_use]
    pub const fn union(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 | other.0)
    }

    /// Whether `id` is in it.
    #[inline]
    pub const fn contains(self, id: FieldId) -> bool {
        self.0 >> id as u8 & 1 == 1
    }
}
