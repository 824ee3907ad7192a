//! The path of a request, decoded once, as the name of a file below a root.
//!
//! Refused is what could mean anything but a name below the root: a dot segment, a control character, a slash or a backslash
//! that was encoded (or a backslash at all), bytes that are no UTF-8, a `%` without its two digits. What is left has one
//! spelling only: empty segments are dropped, so `a//b` cannot get around a rule for `a/b`.

use std::borrow::Cow;

/// The path below the root: no slash before it, one behind it where a folder was asked for; empty for the root itself. `None`:
/// it names nothing that can be served. It is borrowed where nothing had to be changed.
pub fn decode(path: &[u8]) -> Option<Cow<'_, str>> {
    let below = path.strip_prefix(b"/")?;
    if is_plain(below) {
        return std::str::from_utf8(below).ok().map(Cow::Borrowed);
    }
    let decoded = String::from_utf8(unescape(below)?).ok()?;
    let mut name = String::with_capacity(decoded.len());
    for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
        if matches!(segment, "." | "..") {
            return None;
        }
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(segment);
    }
    if decoded.ends_with('/') && !name.is_empty() {
        name.push('/');
    }
    Some(Cow::Owned(name))
}

/// Nothing in it needs a second look.
fn is_plain(below: &[u8]) -> bool {
    let mut before = b'/';
    for &byte in below {
        let plain = match byte {
            b'/' | b'.' => before != b'/',
            b'%' | b'\\' | 0..0x20 | 0x7f.. => false,
            _ => true,
        };
        if !plain {
            return false;
        }
        before = byte;
    }
    true
}

fn unescape(below: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(below.len());
    let mut rest = below;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
                (Some(value).filter(|&value| value != b'/')?, after)
            }
            (b'%', _) => return None,
            (byte, after) => (byte, after),
        };
        if matches!(byte, b'\\' | 0..0x20 | 0x7f) {
            return None;
        }
        decoded.push(byte);
        rest = after;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip] // as tables
    #[test]
    fn only_names_below_the_root_come_out() {
        for path in [
            "", "x", "*", "/..", "/../x", "/a/../x", "/a/%2e%2e/x", "/%2E./x", "/./x", "/a/.", "/a%2fb",
            "/a%2Fb", "/a%5cb", "/a\\b", "/..%5cx", "/a%00", "/a%0a", "/%zz", "/%2", "/%",
            "/%c0%ae%c0%ae/x", "/%ff", "/a//../x",
        ] {
            assert_eq!(decode(path.as_bytes()), None, "{path}");
        }
        for (path, name) in [
            ("/", ""),
            ("//", ""),
            ("/a", "a"),
            ("/a/", "a/"),
            ("//evil.test", "evil.test"),
            ("/a//b///", "a/b/"),
            ("/a%20b/c.txt", "a b/c.txt"),
            ("/.well-known/x", ".well-known/x"),
            ("/%2eenv", ".env"),
            ("/a...b", "a...b"),
            ("/gr%C3%BCn", "grün"),
            ("/a%2541", "a%41"),
            ("/...", "..."),
            ("/palette%20GIF/x.gif", "palette GIF/x.gif"),
        ] {
            assert_eq!(decode(path.as_bytes()).as_deref(), Some(name), "{path}");
        }
    }

    #[test]
    fn what_is_plain_is_not_copied() {
        assert!(matches!(decode(b"/a/b.js"), Some(Cow::Borrowed("a/b.js"))));
    }
}
