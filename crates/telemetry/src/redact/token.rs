//! Tokens, and values whose name says that they are secret: in queries, headers, JSON, or written `name: value` in a sentence.
//!
//! ```text
//! "api_key": "abc"    token%3Dabc    {\"password\":\"abc\"}    Authorization: Bearer abc    mysql://name:abc@host
//!            ~~~~~           ~~~                  ~~~~~                           ~~~                    ~~~
//! ```
//!
//! Where a value's end is in doubt more is masked, not less.

use super::{Hit, Mask, View, automaton};
use aho_corasick::{AhoCorasick, BuildError};

/// What is looked for, in any case: these three first, then names.
const SIGNS: [&str; 21] = [
    "bearer ",
    "eyj",
    "://",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "privatekey",
    "authorization",
    "session",
];
const BEARER: usize = 0;
const JWT: usize = 1;
const URL: usize = 2;
/// A name may go on with one of these: `secret_key`, `sessionId`.
const SUFFIXES: [&[u8]; 8] = [b"_key", b"-key", b"key", b"_id", b"-id", b"id", b"_value", b"_hash"];
/// Before the token in a header.
const SCHEMES: [&[u8]; 4] = [b"bearer", b"basic", b"token", b"apikey"];
/// Values that give nothing away.
const NOTHING: [&[u8]; 6] = [b"null", b"none", b"nil", b"true", b"false", b"undefined"];
/// Spaces between a name, its sign and its value.
const SPACES: usize = 8;

/// The names that are looked for.
pub(super) struct Names(AhoCorasick);

impl Names {
    pub(super) fn new() -> Result<Self, BuildError> {
        Ok(Self(automaton(&SIGNS, true)?))
    }

    pub(super) fn find(&self, view: &View<'_>, hits: &mut Vec<Hit>) {
        // A value is masked as a whole; what seems to be a name in it is part of it.
        let mut done = 0;
        let mut tried = 0;
        let mut asked = 0;
        for found in self.0.find_overlapping_iter(view.text) {
            if found.end() <= done {
                continue;
            }
            let hit = match found.pattern().as_usize() {
                BEARER => token(view, found.end()),
                // Each text once: it is one token, or none of its parts is.
                JWT if found.start() < tried => None,
                JWT => jwt(view, found.start(), &mut tried),
                // Likewise: what stands in an address without a password has none either.
                URL if found.end() < asked => None,
                URL => password_of_url(view, found.end(), &mut asked),
                _ => value_of(view, found.end()),
            };
            if let Some((start, end, mask)) = hit {
                done = end;
                // What is a mask, or the beginning of one up to what ends a bare value, was masked before.
                if !b"[token]".starts_with(view.text.get(start..end).unwrap_or_default()) {
                    hits.push(Hit { from: view.written(found.start()), ..view.hit(start..end, mask) });
                }
            }
        }
    }
}

type Found = Option<(usize, usize, Mask)>;

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte)
}

/// How many of these stand at `at`.
fn count(view: &View<'_>, at: usize, is: impl Fn(u8) -> bool) -> usize {
    view.text.get(at..).unwrap_or_default().iter().take_while(|byte| is(**byte)).count()
}

/// What follows `Bearer` (RFC 6750), unless it is a short word of a sentence.
fn token(view: &View<'_>, at: usize) -> Found {
    let start = at + count(view, at, |byte| byte == b' ');
    let length = count(view, start, is_token);
    (length >= 8).then_some((start, start + length, Mask::Token))
}

/// A JSON web token (RFC 7519): three parts, the first of which is a JSON object's beginning in Base64.
fn jwt(view: &View<'_>, start: usize, tried: &mut usize) -> Found {
    if view.text.get(start..start + 3) != Some(b"eyJ")
        || view.before(start).is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    let end = start + count(view, start, |byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    *tried = end;
    let parts = view.text.get(start..end).unwrap_or_default().split(|byte| *byte == b'.').count();
    (parts >= 3).then_some((start, end, Mask::Token))
}

/// The password of `scheme://name:password@host`.
fn password_of_url(view: &View<'_>, at: usize, asked: &mut usize) -> Found {
    let ends = |index: usize, byte: u8| {
        !view.is_escaped(index) && (byte.is_ascii_whitespace() || b"/?#\"'<>".contains(&byte))
    };
    let rest = view.text.get(at..)?;
    let length = rest.iter().enumerate().take_while(|(index, byte)| !ends(at + index, **byte)).count();
    *asked = at + length;
    let authority = rest.get(..length)?;
    let end = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority.iter().position(|byte| *byte == b':').filter(|colon| colon + 1 < end)?;
    Some((at + colon + 1, at + end, Mask::Token))
}

/// The value of the name that ends at `at`, if a sign of one follows.
fn value_of(view: &View<'_>, at: usize) -> Found {
    let rest = view.text.get(at..)?;
    let suffix = SUFFIXES
        .iter()
        .find(|suffix| rest.get(..suffix.len()).is_some_and(|start| start.eq_ignore_ascii_case(suffix)));
    let mut at = at + suffix.map_or(0, |suffix| suffix.len());
    at += count(view, at, |byte| byte == b'\\');
    let closing = view.byte(at).filter(|byte| matches!(byte, b'"' | b'\'' | b']'));
    // Only there a bare value is one of JSON that stands for itself.
    let json = closing == Some(b'"') && !view.is_escaped(at);
    at += usize::from(closing.is_some());
    at = spaces(view, at);
    let signs = count(view, at, |byte| matches!(byte, b':' | b'=' | b'>'));
    if signs == 0 || signs > 3 || view.byte(at) == Some(b'>') {
        return None;
    }
    at = spaces(view, at + signs);
    let quote = at + count(view, at, |byte| byte == b'\\');
    match view.byte(quote) {
        Some(byte @ (b'"' | b'\'')) => quoted(view, quote, byte),
        Some(b'{' | b'[') if json => None,
        _ => bare(view, at, json),
    }
}

fn spaces(view: &View<'_>, at: usize) -> usize {
    at + count(view, at, |byte| matches!(byte, b' ' | b'\t')).min(SPACES)
}

/// Up to the next quote that is written as the first one is; to the end of the line where there is none.
fn quoted(view: &View<'_>, quote: usize, byte: u8) -> Found {
    let escaped = view.is_escaped(quote);
    let start = quote + 1;
    let closes = |index: &usize| view.byte(*index) == Some(byte) && view.is_escaped(*index) == escaped;
    let end = (start..view.text.len()).find(closes).unwrap_or(view.text.len());
    (end > start).then_some((start, end, Mask::Token))
}

fn bare(view: &View<'_>, start: usize, json: bool) -> Found {
    let ends = |index: usize| match view.byte(index) {
        None => true,
        Some(_) if view.is_escaped(index) => false,
        Some(b',' | b'}' | b']') => json,
        Some(byte) => byte.is_ascii_whitespace() || b"&\"'<>".contains(&byte),
    };
    let word = |from: usize| (from..).find(|index| ends(*index)).unwrap_or(from);
    let mut end = word(start);
    let text = |end: usize| view.text.get(start..end).unwrap_or_default();
    if SCHEMES.iter().any(|scheme| text(end).eq_ignore_ascii_case(scheme)) && view.byte(end) == Some(b' ') {
        let next = spaces(view, end);
        return Some((next, word(next), Mask::Token)).filter(|(start, end, _)| end > start);
    }
    let plain = text(end).split(|byte| b",;)}]".contains(byte)).next().unwrap_or_default();
    if NOTHING.iter().any(|nothing| plain.eq_ignore_ascii_case(nothing)) {
        end = start;
    }
    (end > start).then_some((start, end, if json { Mask::TokenString } else { Mask::Token }))
}
