//! Payment cards and telephone numbers.

use super::{Hit, Mask, View};

/// Digits of a card number (ISO/IEC 7812-1); of a group of them, where they are written in groups.
const CARD: std::ops::RangeInclusive<usize> = 13..=19;
const GROUP: std::ops::RangeInclusive<usize> = 3..=6;
/// Digits of a telephone number with its country (E.164); what has fewer than eight is something else.
const PHONE: std::ops::RangeInclusive<usize> = 8..=15;

/// Card numbers: in one piece, or in groups with the same space, dash or plus (a form's space) between them. So neither a UUID nor a
/// date is one. They begin with 2 to 6, as those of all card schemes do that shops take; a time in milliseconds begins with 1.
pub(super) fn cards(view: &View<'_>, hits: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(start) = next(view, at, |byte| byte.is_ascii_digit()) {
        at = match card(view, start) {
            Some(end) => {
                hits.push(view.hit(start..end, Mask::Card));
                end
            }
            None => start + digits(view, start),
        };
    }
}

/// Where the card number ends that begins here.
fn card(view: &View<'_>, start: usize) -> Option<usize> {
    let is_first = matches!(view.byte(start), Some(b'2'..=b'6'));
    // The digits after a point are a fraction's.
    let fraction =
        view.before(start) == Some(b'.') && view.before(start - 1).is_some_and(|b| b.is_ascii_digit());
    if !is_first || fraction || view.before(start).is_some_and(is_word) {
        return None;
    }
    let first = digits(view, start);
    let ends = |end: usize| !view.byte(end).is_some_and(is_word);
    if CARD.contains(&first) {
        return (ends(start + first) && luhn(view, start, start + first)).then_some(start + first);
    }
    let separator = view.byte(start + first).filter(|byte| matches!(byte, b' ' | b'-' | b'+'))?;
    let (mut end, mut count, mut group) = (start, 0, first);
    let mut found = None;
    while GROUP.contains(&group) && count + group <= *CARD.end() {
        count += group;
        end += group;
        if CARD.contains(&count) && ends(end) && luhn(view, start, end) {
            found = Some(end);
        }
        if view.byte(end) != Some(separator) {
            break;
        }
        end += 1;
        group = digits(view, end);
    }
    found
}

/// The check digit of ISO/IEC 7812-1 over the digits from `start` to `end`.
fn luhn(view: &View<'_>, start: usize, end: usize) -> bool {
    let digits =
        view.text.get(start..end).unwrap_or_default().iter().rev().filter(|byte| byte.is_ascii_digit());
    let weighed = digits.zip([1, 2].into_iter().cycle()).map(|(digit, weight)| {
        let product = u32::from(digit - b'0') * weight;
        product / 10 + product % 10
    });
    weighed.sum::<u32>() % 10 == 0
}

/// Telephone numbers: a plus, the country, then digits with at most two of space, point, slash, dash and brackets between them.
pub(super) fn phones(view: &View<'_>, hits: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(start) = next(view, at, |byte| byte == b'+') {
        at = start + 1;
        if !matches!(view.byte(at), Some(b'1'..=b'9')) {
            continue;
        }
        let (mut end, mut count, mut between) = (at, 0, 0);
        while let Some(byte) = view.byte(at).filter(|_| count < *PHONE.end() && between <= 3) {
            match byte {
                b'0'..=b'9' => (end, count, between) = (at + 1, count + 1, 0),
                b' ' | b'.' | b'/' | b'-' | b'(' | b')' => between += 1,
                _ => break,
            }
            at += 1;
        }
        if PHONE.contains(&count) {
            hits.push(view.hit(start..end, Mask::Phone));
        }
        at = end;
    }
}

/// The next place from `at` on whose byte is one of these.
fn next(view: &View<'_>, at: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    let found = view.text.get(at..)?.iter().position(|byte| is(*byte))?;
    Some(at + found)
}

/// How many digits stand here.
fn digits(view: &View<'_>, at: usize) -> usize {
    let rest = view.text.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A letter or digit, of any script.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}
