//! A text as it is meant: percent escapes (RFC 3986) and backslash escapes (JSON, and what languages print) decoded once, with the
//! way back to the bytes that were written.

use super::{Hit, Mask};
use std::ops::Range;

/// Memory of views, kept for the next line.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: Vec<u8>,
    at: Vec<usize>,
}

/// A text as it is meant.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) text: &'v [u8],
    /// Where each byte of `text` was written, and the end; empty: each at its own place.
    at: &'v [usize],
}

impl Scratch {
    pub(super) fn view<'v>(&'v mut self, written: &'v [u8]) -> View<'v> {
        if memchr::memchr2(b'%', b'\\', written).is_none() {
            return View { text: written, at: &[] };
        }
        self.text.clear();
        self.at.clear();
        let mut rest = written;
        while let Some(first) = rest.first() {
            let (byte, length) = escape(rest).unwrap_or((*first, 1));
            self.text.push(byte);
            self.at.push(written.len() - rest.len());
            rest = rest.get(length..).unwrap_or_default();
        }
        self.at.push(written.len());
        View { text: &self.text, at: &self.at }
    }
}

impl View<'_> {
    /// Something in it was written as an escape.
    pub(super) fn is_decoded(&self) -> bool {
        !self.at.is_empty()
    }

    /// Whether this byte was.
    pub(super) fn is_escaped(&self, index: usize) -> bool {
        self.is_decoded() && self.written(index + 1) - self.written(index) > 1
    }

    pub(super) fn byte(&self, index: usize) -> Option<u8> {
        self.text.get(index).copied()
    }

    /// The byte before this one.
    pub(super) fn before(&self, index: usize) -> Option<u8> {
        self.byte(index.checked_sub(1)?)
    }

    /// These bytes as they were written.
    pub(super) fn hit(&self, range: Range<usize>, mask: Mask) -> Hit {
        Hit::new(self.written(range.start)..self.written(range.end), mask)
    }

    /// The last place up to this one that is not inside an escape.
    pub(super) fn floor(&self, written: usize) -> usize {
        let next = self.at.partition_point(|at| *at <= written);
        next.checked_sub(1).and_then(|last| self.at.get(last)).copied().unwrap_or(written)
    }

    pub(super) fn written(&self, index: usize) -> usize {
        if self.is_decoded() { self.at.get(index).or(self.at.last()).copied().unwrap_or(0) } else { index }
    }
}

/// The byte that an escape at the start of `text` stands for, and the escape's length. Of a letter beyond ASCII only that it is one.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let hex = |from: usize, to: usize| {
        let digits = std::str::from_utf8(text.get(from..to)?).ok()?;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let narrow = |code: u32| u8::try_from(code).unwrap_or(0x80);
    match text {
        [b'%', ..] => Some((narrow(hex(1, 3)?), 3)),
        [b'\\', b'x', ..] => Some((narrow(hex(2, 4)?), 4)),
        [b'\\', b'u', ..] => Some((narrow(hex(2, 6)?), 6)),
        [b'\\', b'n', ..] => Some((b'\n', 2)),
        [b'\\', b'r', ..] => Some((b'\r', 2)),
        [b'\\', b't', ..] => Some((b'\t', 2)),
        [b'\\', b'b' | b'f' | b'0', ..] => Some((0, 2)),
        [b'\\', byte @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((*byte, 2)),
        _ => None,
    }
}
