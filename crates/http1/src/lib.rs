//! The HTTP/1.1 codec: bytes in, decisions out (RFC 9110, RFC 9112). No I/O, no clock, no async.
//!
//! A head stays the bytes it came in: [`parse_request`] and [`parse_response`] return offsets ([`Span`]) into the caller's buffer and
//! recognise the names a proxy cares about once ([`FieldId`]). [`HeadWriter`] makes the forwarded head by copying the kept lines
//! in a few runs and appending others. [`BodyDecoder`] says where a message ends, whether it is relayed raw or decoded.
//!
//! Invariants:
//! - **One decision on framing.** What two parsers could read differently is refused ([`Reject`]), never repaired. After a
//!   `Reject` the connection is closed: where the next message starts is not known.
//! - **Any split, same result.** Feeding a message in pieces gives what feeding it whole gives.
//! - **No panic and no unbounded work** on any bytes: every length is held to [`Limits`].
//! - No allocation for a head of up to 32 fields.

mod authority;
mod body;
mod chunk;
mod diagnose;
mod field;
mod framing;
mod limits;
mod method;
mod names;
mod reject;
mod request;
mod response;
mod scan;
mod span;
mod splice;
mod target;
mod trailer;

pub use body::{BodyDecoder, BodyFraming, Decoded, Progress};
pub use chunk::{LAST_CHUNK, write_chunk_header};
pub use field::{Field, FieldId, FieldSet, Fields};
pub use limits::Limits;
pub use method::Method;
pub use reject::Reject;
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
pub use scan::is_token;
pub use span::Span;
pub use splice::HeadWriter;
pub use target::TargetForm;

/// The two versions this codec speaks. Any other is refused with 505 (RFC 9110 §15.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked bodies, no `Expect`, no upgrade; closes unless `Connection: keep-alive`.
    Http10,
    /// HTTP/1.1.
    Http11,
}
