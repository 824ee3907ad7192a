//! The first pass over a head: where its lines end and whether it keeps to its bounds.
//!
//! It looks at a line only as far as its limit reaches, and from left to right: what it says about a prefix it says about every
//! continuation, so a head refused in pieces is refused for the same reason as in one. Only a complete head goes to the tokenizer, once.

use memchr::memchr;

use crate::{Limits, Reject};

/// Where a complete head lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadBounds {
    /// Start of the first line.
    pub start: usize,
    /// Behind the first line's CRLF.
    pub first_end: usize,
    /// Behind the empty line.
    pub end: usize,
    /// Number of field lines.
    pub fields: usize,
}

/// Finds the end of the head whose first line starts at `start`; `first_too_long` is the reason for a first line over the limit.
pub(crate) fn head_bounds(
    buf: &[u8],
    start: usize,
    limits: &Limits,
    first_too_long: Reject,
) -> Result<Option<HeadBounds>, Reject> {
    let head_max = limits.head.min(Limits::MAX_HEAD);
    let fields_max = limits.fields.min(Limits::MAX_FIELDS);
    let too_long = |fields: usize| if fields == 0 { first_too_long } else { Reject::FieldLineTooLong };
    let (mut pos, mut first_end, mut lines) = (start, 0, 0usize);
    loop {
        let window_end = buf.len().min(pos.saturating_add(limits.line)).min(head_max);
        let window = buf.get(pos..window_end).unwrap_or_default();
        if lines > 0 {
            // at the first byte of a field line
            match window {
                [b' ' | b'\t', ..] => return Err(Reject::ObsFold),
                [b'\r', b'\n', ..] => {
                    return Ok(Some(HeadBounds { start, first_end, end: pos + 2, fields: lines - 1 }));
                }
                [b'\r', _, ..] => return Err(Reject::BareCr),
                [b'\r'] | [] => {}
                _ if lines > fields_max => return Err(Reject::TooManyFields),
                _ => {}
            }
        }
        match memchr(b'\n', window) {
            Some(lf) => {
                if lf.checked_sub(1).and_then(|before| window.get(before)) != Some(&b'\r') {
                    return Err(Reject::BareLf);
                }
                pos += lf + 1;
                if lines == 0 {
                    first_end = pos;
                }
                lines += 1;
            }
            None if window.len() >= limits.line => return Err(too_long(lines)),
            None if pos + window.len() >= head_max => return Err(Reject::HeadTooLarge),
            None => return Ok(None),
        }
    }
}

/// `tchar` of RFC 9110 §5.6.2.
#[inline]
pub(crate) fn is_tchar(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// A token: a field's name, a method (RFC 9110 §5.6.2).
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

/// The elements of a comma-separated list without the white space around them; empty ones are left out (RFC 9110 §5.6.1.2).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty())
}

/// Offset of `part` in `buf`, of which it is a slice.
#[inline]
pub(crate) fn offset(buf: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(buf.as_ptr().addr())
}
