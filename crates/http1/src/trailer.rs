//! Which trailer sections pass (RFC 9110 §6.5.1, RFC 9112 §7.1.2).
//!
//! Trailers come after routing, limits and framing were decided; a recipient that merges them into the head would decide anew. So every
//! name the proxy treats by name is refused, apart from `ETag`.

use crate::diagnose::diagnose;
use crate::scan::is_tchar;
use crate::{FieldId, Limits, Reject};

/// Checks a whole section: field lines, each with its CRLF, and the empty line.
pub(crate) fn check(section: &[u8], limits: &Limits) -> Result<(), Reject> {
    let mut room = [httparse::EMPTY_HEADER; Limits::MAX_FIELDS];
    let room = room.get_mut(..limits.fields.min(Limits::MAX_FIELDS)).unwrap_or_default();
    match httparse::parse_headers(section, room) {
        Ok(httparse::Status::Complete((_, fields))) => {
            fields.iter().try_for_each(|field| name(field.name.as_bytes()))
        }
        Ok(httparse::Status::Partial) => Err(Reject::Truncated),
        Err(error) => Err(diagnose(error, &[b"\r\n", section].concat(), Reject::FieldName)),
    }
}

/// Checks a name, once its colon is there.
pub(crate) fn name(name: &[u8]) -> Result<(), Reject> {
    match FieldId::of(name) {
        _ if name.is_empty() => Err(Reject::FieldName),
        FieldId::Other | FieldId::Etag => Ok(()),
        _ => Err(Reject::TrailerForbidden),
    }
}

/// Checks one byte of a name.
pub(crate) fn name_byte(byte: u8) -> Result<(), Reject> {
    match byte {
        _ if is_tchar(byte) => Ok(()),
        b' ' | b'\t' => Err(Reject::SpaceBeforeColon),
        _ => Err(Reject::FieldName),
    }
}

/// Checks one byte of a value: no control character but the tab.
pub(crate) fn value_byte(byte: u8) -> Result<(), Reject> {
    if byte < b' ' && byte != b'\t' || byte == 0x7f { Err(Reject::FieldValue) } else { Ok(()) }
}
