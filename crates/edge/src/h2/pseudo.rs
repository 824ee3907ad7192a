//! Finds pseudo-header fields in a trailer section, where none may stand (RFC 9113 section 8.1); `h2` drops them silently.
//!
//! Names are looked at as HPACK writes them (RFC 7541 section 6): an index into the static table, or a literal. One that hides behind the
//! dynamic table is not seen: it is dropped by `h2`, as all of them would be, and never becomes anything.

/// Entries of the static table whose names begin with a colon.
const PSEUDO: usize = 14;

/// Whether a header block names a pseudo-header field, as far as the block can be read.
pub fn is_named(mut block: &[u8]) -> bool {
    while let Some(&first) = block.first() {
        let (bits, literal) = match first {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let Some(index) = integer(&mut block, bits) else { return false };
        let resizes = bits == 5;
        if !resizes && (1..=PSEUDO).contains(&index) {
            return true;
        }
        if !literal {
            continue;
        }
        if index == 0 {
            match string(&mut block) {
                Some((name, huffman)) if begins_with_colon(name, huffman) => return true,
                Some(_) => {}
                None => return false,
            }
        }
        if string(&mut block).is_none() {
            return false;
        }
    }
    false
}

/// The code of a colon is the seven bits 1011100 (RFC 7541 appendix B).
fn begins_with_colon(name: &[u8], huffman: bool) -> bool {
    name.first().is_some_and(|&first| if huffman { first >> 1 == 0b101_1100 } else { first == b':' })
}

/// RFC 7541 section 5.1.
fn integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (&first, mut rest) = block.split_first()?;
    let most = (1 << bits) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        for shift in [0, 7, 14, 21] {
            let (&byte, behind) = rest.split_first()?;
            rest = behind;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                *block = rest;
                return Some(value);
            }
        }
        return None;
    }
    *block = rest;
    Some(value)
}

/// RFC 7541 section 5.2; the flag: in Huffman code.
fn string<'b>(block: &mut &'b [u8]) -> Option<(&'b [u8], bool)> {
    let huffman = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some((text, huffman))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudo_fields_are_seen_in_each_form() {
        let named: [&[u8]; 5] = [
            &[0x82],
            &[0x00, 7, b':', b'm', b'e', b't', b'h', b'o', b'd', 1, b'x'],
            &[0x44, 1, b'/'],
            &[0x00, 1, b'a', 1, b'b', 0x04, 1, b'/'],
            &[0x3f, 0xe1, 0x1f, 0x10, 0x82, 0b1011_1000, 0xff, 0],
        ];
        for block in named {
            assert!(is_named(block), "{block:x?}");
        }
        let others: [&[u8]; 6] = [
            &[],
            &[0x00, 1, b'a', 1, b':'],
            &[0x40, 1, b'a', 1, b'b', 0xbe],
            &[0x0f, 1, 1, b'x'],
            &[0x3f],
            &[0xff, 0xff],
        ];
        for block in others {
            assert!(!is_named(block), "{block:x?}");
        }
    }
}
