//! `traceparent` (W3C Trace Context, level 2): passed on where a client sends a valid one, begun here otherwise, so that what the
//! edge logs and what an application records of one request can be found by the same id.
//!
//! Also a client that is not trusted may say one: a trace names nobody and grants nothing, and the browser's part of it would be
//! lost. The edge records no spans, so it does not put itself between parent and child. A trace begun here is marked as
//! sampled: most tracers keep to that mark, and would otherwise record nothing where they record all today.

use http1::{FieldId, RequestHead};

/// Bytes of a value of version 00.
const LEN: usize = 55;
/// Where the trace id stands in it.
pub const ID: std::ops::Range<usize> = 3..35;
const PARENT: std::ops::Range<usize> = 36..52;

/// What the client says, if it says one that may be passed on, and no second one.
pub fn of<'b>(buf: &'b [u8], head: &RequestHead) -> Option<&'b [u8]> {
    let mut fields = head.fields.iter().filter(|field| field.id == FieldId::Traceparent);
    let value = fields.next()?.value.of(buf);
    (fields.next().is_none() && is_valid(value)).then_some(value)
}

/// Whether this is a `traceparent` that may be passed on (section 3.2).
fn is_valid(value: &[u8]) -> bool {
    let hex = |range: std::ops::Range<usize>| {
        let digits = value.get(range).unwrap_or_default();
        digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set =
        |range: std::ops::Range<usize>| value.get(range).unwrap_or_default().iter().any(|&byte| byte != b'0');
    // Later versions may only add to it.
    let length = match value {
        [b'f', b'f', ..] => false,
        [b'0', b'0', ..] => value.len() == LEN,
        _ => value.len() == LEN || value.get(LEN) == Some(&b'-'),
    };
    length
        && [2, 35, 52].iter().all(|&at| value.get(at) == Some(&b'-'))
        && [0..2, ID, PARENT, 53..LEN].into_iter().all(hex)
        && is_set(ID)
        && is_set(PARENT)
}

/// A trace that begins here.
pub fn begin() -> [u8; LEN] {
    let mut value = *b"00-................................-................-01";
    let digits = value.get_mut(ID.start..PARENT.end).unwrap_or_default();
    let (id, rest) = digits.split_at_mut(ID.len());
    let parent = rest.get_mut(1..).unwrap_or_default();
    for eight in id.chunks_exact_mut(8).chain(parent.chunks_exact_mut(8)) {
        // All zeros would stand for none.
        eight.copy_from_slice(&hex(fastrand::u32(1..)));
    }
    value
}

/// Eight digits at once: each half byte gets a byte of its own, then what makes it a digit or a letter.
fn hex(bits: u32) -> [u8; 8] {
    let mut spread = u64::from(bits);
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_here_is_valid_and_differs() {
        let (first, second) = (begin(), begin());
        assert!(is_valid(&first) && is_valid(&second), "{}", String::from_utf8_lossy(&first));
        assert_ne!(first, second);
    }

    #[test]
    fn digits_are_hexadecimal() {
        for bits in [0, 1, 0x0123_4567, 0x89ab_cdef, u32::MAX] {
            assert_eq!(std::str::from_utf8(&hex(bits)).unwrap(), format!("{bits:08x}"));
        }
    }

    #[test]
    fn only_what_the_standard_allows_is_passed_on() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert!(is_valid(valid.as_bytes()));
        assert!(is_valid(format!("cc{}-more", &valid[2..]).as_bytes()), "a later version");
        for wrong in [
            String::new(),
            valid[..54].to_owned(),
            format!("{valid}-more"),
            format!("{valid}0"),
            format!("ff{}", &valid[2..]),
            format!("cc{}more", &valid[2..]),
            valid.to_uppercase(),
            valid.replace("4bf9", "4bg9"),
            valid.replace('-', "_"),
            format!("00-{}-00f067aa0ba902b7-00", "0".repeat(32)),
            format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-00", "0".repeat(16)),
        ] {
            assert!(!is_valid(wrong.as_bytes()), "{wrong}");
        }
    }
}
