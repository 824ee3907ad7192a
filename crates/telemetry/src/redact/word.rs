//! E-mail and network addresses.

use super::{Hit, Mask, View};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Ends of file names (`logo@2x.png`) that no domain has.
const NO_DOMAINS: [&[u8]; 8] = [b"png", b"jpg", b"jpeg", b"gif", b"webp", b"svg", b"avif", b"css"];

/// E-mail addresses as people write them (a part of RFC 5321): letters, digits and `._+-'` before the sign, a domain behind it.
pub(super) fn emails(view: &View<'_>, hits: &mut Vec<Hit>) {
    for sign in memchr::memchr_iter(b'@', view.text) {
        let (before, after) = view.text.split_at(sign);
        let local = before.iter().rev().take_while(|byte| is_local(**byte)).count();
        let domain = domain(after.get(1..).unwrap_or_default());
        if local > 0 && domain > 0 {
            hits.push(view.hit(sign - local..sign + 1 + domain, Mask::Email));
        }
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"._+-'".contains(&byte)
}

/// Length of the domain at the start of `text`: at least two labels, the last one of letters; 0 where there is none.
fn domain(text: &[u8]) -> usize {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
    // No further than a domain can go, or each of many signs would have the whole line looked through.
    let goes_on = |byte: &&u8| is_letter(byte) || byte.is_ascii_digit() || matches!(**byte, b'-' | b'.');
    let text = text.get(..text.iter().take_while(goes_on).count()).unwrap_or_default();
    let (mut length, mut at) = (0, 0);
    for label in text.split(|byte| *byte == b'.') {
        let inner = label
            .iter()
            .take_while(|byte| is_letter(byte) || byte.is_ascii_digit() || **byte == b'-')
            .count();
        let name = label.get(..inner).unwrap_or_default();
        let letters = name.iter().take_while(|byte| is_letter(byte)).count();
        let coded = name.len() > 4 && name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"));
        if at > 0 && letters >= 2 {
            length = if coded { at + inner } else { at + letters };
        }
        at += inner + 1;
        if inner == 0 || inner < label.len() {
            break;
        }
    }
    let last = text.get(..length).unwrap_or_default().rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    if NO_DOMAINS.iter().any(|name| name.eq_ignore_ascii_case(last)) { 0 } else { length }
}

/// Network addresses: of IPv4 ones the last octet, of IPv6 ones the last 80 bits become 0. Loopback addresses are nobody's.
pub(super) fn addresses(view: &View<'_>, hits: &mut Vec<Hit>) {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut at = 0;
    while let Some(skip) = view.text.get(at..).and_then(|rest| rest.iter().position(is_part)) {
        let start = at + skip;
        let rest = view.text.get(start..).unwrap_or_default();
        at = start + rest.iter().take_while(|byte| is_part(byte)).count();
        let fresh = !view.before(start).is_some_and(is_word);
        if fresh && let Some((range, mask)) = v6(view, start..at) {
            hits.push(view.hit(range, mask));
            continue;
        }
        // What is no IPv6 address may be one of IPv4 between colons: a label before it, a port behind it.
        let mut from = start;
        for piece in view.text.get(start..at).unwrap_or_default().split(|byte| *byte == b':') {
            let range = from..from + piece.len();
            from = range.end + 1;
            let starts = fresh || range.start > start;
            if starts && let Some((range, mask)) = v4(view, range) {
                hits.push(view.hit(range, mask));
            }
        }
    }
}

fn v6(view: &View<'_>, range: Range<usize>) -> Option<(Range<usize>, Mask)> {
    let text = view.text.get(range.clone())?;
    if text.iter().filter(|byte| **byte == b':').count() < 2 || view.byte(range.end).is_some_and(is_word) {
        return None;
    }
    let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<Ipv6Addr>().ok();
    // A sentence's point or colon behind it is not its own.
    let shorter = text.split_last().map(|(_, shorter)| shorter).unwrap_or_default();
    let (address, length) =
        parse(text).map(|found| (found, text.len())).or_else(|| Some((parse(shorter)?, shorter.len())))?;
    let masked = match address.to_ipv4_mapped() {
        Some(inner) => last_octet(inner)?.to_ipv6_mapped(),
        None => Ipv6Addr::from_bits(address.to_bits() & !0 << 80),
    };
    let kept = masked == address || address.is_loopback();
    (!kept).then_some((range.start..range.start + length, Mask::V6(masked)))
}

fn v4(view: &View<'_>, range: Range<usize>) -> Option<(Range<usize>, Mask)> {
    let text = view.text.get(range.clone())?;
    let points = text.iter().rev().take_while(|byte| **byte == b'.').count();
    let text = text.get(..text.len() - points)?;
    // `1.2.3.4x` is none; neither is a number of more than four parts.
    let goes_on = points == 0 && view.byte(range.end).is_some_and(is_word);
    if goes_on || is_version(view.text.get(..range.start)?) {
        return None;
    }
    let address: Ipv4Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((range.start..range.start + text.len(), Mask::V4(last_octet(address)?)))
}

/// None: nothing to mask.
fn last_octet(address: Ipv4Addr) -> Option<Ipv4Addr> {
    let masked = Ipv4Addr::from_bits(address.to_bits() & !0xff);
    (masked != address && !address.is_loopback()).then_some(masked)
}

/// Whether what follows this is a version: of a product (`Chrome/99.0.48.51`, not `/path/203.0.113.7`), or after that word.
fn is_version(before: &[u8]) -> bool {
    if let Some(product) = before.strip_suffix(b"/") {
        let name = product
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(byte))
            .count();
        let (before, name) = product.split_at(product.len() - name);
        let starts = before.last().is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'(;,".contains(byte));
        return starts && name.first().is_some_and(u8::is_ascii_alphabetic);
    }
    let word = before.trim_ascii_end();
    let word = word.strip_suffix(b":").or(word.strip_suffix(b"=")).unwrap_or(word);
    let word = word.get(word.len().saturating_sub(7)..).unwrap_or_default();
    word.eq_ignore_ascii_case(b"version")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
