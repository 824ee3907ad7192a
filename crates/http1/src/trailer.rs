//! Which trailer sections pass (RFC 9110 §6.5.1, RFC 9112 §7.1.2).
//!
//! Trailers come after routing, limits and framing were decided; a recipient that merges them into the head would decide anew. So every
//! name the proxy treats by name is refused, apart from `ETag`.

use crate::diagnose::diagnose;
use crate::{FieldId, Limits, Reject};

/// Checks a whole section: field lines, each with its CRLF, and the empty line.
pub(crate) fn check(section: &[u8], limits: &Limits) -> Result<(), Reject> {
    let mut room = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
    let room = room.get_mut(..limits.fields.min(Limits::MAX_FIELDS)).unwrap_or_default();
    match httparse::parse_headers(section, room) {
        Ok(httparse::Status::Complete((_, fields))) => {
            let passes = |name: &str| matches!(FieldId::of(name.as_bytes()), FieldId::Other | FieldId::Etag);
            if fields.iter().all(|f| passes(f.name)) { Ok(()) } else { Err(Reject::TrailerForbidden) }
        }
        Ok(httparse::Status::Partial) => Err(Reject::Truncated),
        Err(error) => Err(diagnose(error, &[b"\r\n", section].concat(), Reject::FieldName)),
    }
}
