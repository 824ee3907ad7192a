//! [`Reject`]: why a message is refused, and what to answer.

use thiserror::Error;

/// A message that is not passed on. The connection it came on must be closed, for nobody knows where its next message starts.
///
/// `to_string()` is the reason for the log and the answer. [`Reject::status`] is meant for requests; a rejected *response* is
/// answered with 502 whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[allow(missing_docs)]
pub enum Reject {
    // the first line
    #[error("the request line is malformed")]
    RequestLine,
    #[error("the request line is too long")]
    RequestLineTooLong,
    #[error("the method is no token")]
    Method,
    #[error("the request target contains a character it may not contain")]
    TargetChar,
    #[error("the request target has a form that does not fit the method")]
    TargetForm,
    #[error("HTTP version not supported")]
    Version,
    #[error("the status line is malformed")]
    StatusLine,
    #[error("the status code is outside 100 to 599")]
    StatusCode,

    // lines and fields
    #[error("a line ends in a bare LF")]
    BareLf,
    #[error("a CR stands without LF")]
    BareCr,
    #[error("a field line is folded")]
    ObsFold,
    #[error("a field name is empty or no token")]
    FieldName,
    #[error("white space before the colon of a field")]
    SpaceBeforeColon,
    #[error("a field value contains a control character")]
    FieldValue,
    #[error("a field line is too long")]
    FieldLineTooLong,
    #[error("too many fields")]
    TooManyFields,
    #[error("the head is too large")]
    HeadTooLarge,

    // routing
    #[error("the Host field is missing")]
    HostMissing,
    #[error("more than one Host field")]
    HostRepeated,
    #[error("the host is empty or contains a character it may not contain")]
    HostInvalid,
    #[error("the request target contradicts the Host field")]
    HostContradiction,

    // framing
    #[error("Content-Length is no plain decimal number")]
    ContentLength,
    #[error("more than one Content-Length")]
    ContentLengthRepeated,
    #[error("Content-Length together with Transfer-Encoding")]
    LengthAndEncoding,
    #[error("Transfer-Encoding does not end in one chunked")]
    TransferEncoding,
    #[error("a transfer coding other than chunked")]
    UnknownCoding,
    #[error("Transfer-Encoding in an HTTP/1.0 message")]
    EncodingInHttp10,
    #[error("a message that can have no body announces one")]
    UnexpectedBody,
    #[error("the Connection field is malformed or names a field it may not name")]
    Connection,
    #[error("an expectation other than 100-continue")]
    Expectation,

    // bodies
    #[error("the body is larger than allowed")]
    BodyTooLarge,
    #[error("a chunk size is malformed")]
    ChunkSize,
    #[error("a chunk-size line is too long")]
    ChunkLineTooLong,
    #[error("a chunk extension is malformed")]
    ChunkExtension,
    #[error("a chunk's data does not end in CRLF")]
    ChunkEnd,
    #[error("the trailer section is too large")]
    TrailersTooLarge,
    #[error("a trailer that may not stand in a trailer section")]
    TrailerForbidden,
    #[error("the connection ended inside the message")]
    Truncated,
}

impl Reject {
    /// The status to answer a rejected request with: 400, 413, 414, 417, 431, 501 or 505.
    pub fn status(self) -> u16 {
        match self {
            Reject::BodyTooLarge => 413,
            Reject::RequestLineTooLong => 414,
            Reject::Expectation => 417,
            Reject::FieldLineTooLong
            | Reject::TooManyFields
            | Reject::HeadTooLarge
            | Reject::TrailersTooLarge => 431,
            Reject::UnknownCoding => 501,
            Reject::Version => 505,
            _ => 400,
        }
    }
}
