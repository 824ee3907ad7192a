//! A client that belongs to an instance: by a cookie of the edge's own (`sticky` in the manifest).
//!
//! Its value is an HMAC of the instance's id under a key that the keeper made for this home and keeps: who reads it learns neither
//! address nor pid, how many instances there are, nor how often they were started, and cannot make one up for an instance he
//! would like to have. Every edge, and every keeper of the home, gives an instance the same value. The application never
//! sees it: the pair is taken out of the forwarded `Cookie`.

use crate::policy::lines;
use aws_lc_rs::hmac;
use http1::{FieldId, RequestHead};
use std::fmt;
use std::num::NonZeroU64;
use wire::snapshot::StickyKey;

/// What the cookie says of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(NonZeroU64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Tag {
    /// Of the instance of this id.
    pub fn new(key: &StickyKey, instance: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.0.as_bytes());
        let sum = hmac::sign(&key, instance.as_bytes());
        let tag = sum.as_ref().iter().take(8).fold(0, |tag, &byte| tag << 8 | u64::from(byte));
        Self(NonZeroU64::new(tag).unwrap_or(NonZeroU64::MAX))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
        u64::from_str_radix(text, 16).ok().and_then(NonZeroU64::new).map(Self)
    }
}

/// The cookie pairs of a head (RFC 6265 section 4.2).
fn pairs<'a>(buf: &'a [u8], head: &'a RequestHead) -> impl Iterator<Item = &'a [u8]> {
    let fields = head.fields.iter().filter(|field| field.id == FieldId::Cookie && !field.hop);
    fields.flat_map(|field| field.value.of(buf).split(|&byte| byte == b';')).map(<[u8]>::trim_ascii)
}

/// The value, where this pair has that name.
fn value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// Whether a head has a cookie of this name.
pub fn has(buf: &[u8], head: &RequestHead, name: &str) -> bool {
    pairs(buf, head).any(|pair| value(pair, name).is_some())
}

/// The instance that a client belongs to.
pub fn wish(buf: &[u8], head: &RequestHead, name: &str) -> Option<Tag> {
    pairs(buf, head).find_map(|pair| Tag::parse(value(pair, name)?))
}

/// Writes the cookies of a head without those of this name.
pub fn add_others(out: &mut Vec<u8>, buf: &[u8], head: &RequestHead, name: &str) {
    let mut before: &[u8] = b"Cookie: ";
    for pair in pairs(buf, head).filter(|pair| !pair.is_empty() && value(pair, name).is_none()) {
        out.extend_from_slice(before);
        out.extend_from_slice(pair);
        before = b"; ";
    }
    if before == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the line that has a client belong to an instance, until its browser is closed.
pub fn add_line(out: &mut Vec<u8>, name: &str, tag: Tag, https: bool) {
    let secure = if https { "; Secure" } else { "" };
    let line = format!("{name}={tag}; Path=/; HttpOnly; SameSite=Lax{secure}");
    lines::add(out, b"Set-Cookie", line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_whoever_makes_it_and_another_under_another_key() {
        let key = StickyKey("a key".to_owned());
        let tag = Tag::new(&key, "s/a.1#1");
        assert_eq!(tag, Tag::new(&key, "s/a.1#1"));
        assert_ne!(tag, Tag::new(&key, "s/a.1#2"));
        assert_ne!(tag, Tag::new(&StickyKey("another".to_owned()), "s/a.1#1"));
        assert_eq!(Tag::parse(tag.to_string().as_bytes()), Some(tag));
        for wrong in
            ["", "+", "1", &"g".repeat(16), &format!("+{}", "1".repeat(15)), &"1".repeat(17), &"0".repeat(16)]
        {
            assert_eq!(Tag::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_found_among_others_and_taken_out() {
        let tag = Tag::new(&StickyKey::default(), "s/a.1#1");
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: theme=dark; to={tag};toto=1\r\ncookie: to=x; last=2\r\n\r\n"
        );
        let head = http1::parse_request(text.as_bytes(), &crate::LIMITS).unwrap().unwrap();
        assert!(has(text.as_bytes(), &head, "to") && !has(text.as_bytes(), &head, "tot"));
        assert_eq!(wish(text.as_bytes(), &head, "to"), Some(tag));
        assert_eq!(wish(text.as_bytes(), &head, "last"), None, "no tag");
        let mut out = Vec::new();
        add_others(&mut out, text.as_bytes(), &head, "to");
        assert_eq!(String::from_utf8(out).unwrap(), "Cookie: theme=dark; toto=1; last=2\r\n");
    }

    #[test]
    fn a_lone_one_leaves_no_line() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nCookie: to=1\r\n\r\n";
        let head = http1::parse_request(text.as_bytes(), &crate::LIMITS).unwrap().unwrap();
        let mut out = Vec::new();
        add_others(&mut out, text.as_bytes(), &head, "to");
        assert!(out.is_empty());
    }
}
