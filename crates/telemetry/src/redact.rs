//! Masks in text what a log shall not show: bytes in, the same bytes out with `[email]`, `[card]`, … in the place of what was there.
//!
//! ```text
//! line ─▶ view (what escapes stand for) ─▶ hits: secrets, tokens, email, card, phone, ip ─▶ merge ─▶ replace ─┐
//!           ▲                                                                                     once more ──┘ until nothing is hit
//! ```
//!
//! Rules look at the text that percent and backslash escapes stand for and mask the bytes that were written, escape by escape:
//! a JSON text stays one. No rule needs a regular expression's automaton: each shim has a redactor of its own, and is meant to be
//! small. Time is linear in the text; nothing is allocated for a line without a hit, once the first escape was seen.
//!
//! Limits: what is encoded otherwise (Base64, compressed, encoded twice) or spread over several lines is not seen, but the lines of a
//! secret of several lines are, each by itself.

mod number;
mod token;
mod view;
mod word;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use model::redact::RedactKind;
use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use view::{Scratch, View};

/// Shortest secret that is masked, in bytes: what is shorter stands for too much else.
pub const SHORTEST_SECRET: usize = 8;
/// Values of this kind come from files of secrets too, but mean what everybody may know: names of programs and words of every second
/// message, which a mask would make unreadable. Whoever has one as a password has none.
const NO_SECRETS: [&str; 14] = [
    "localhost",
    "127.0.0.1",
    "production",
    "development",
    "undefined",
    "postgres",
    "postgresql",
    "mariadb",
    "mongodb",
    "rabbitmq",
    "password",
    "database",
    "username",
    "administrator",
];
/// Bytes beyond a cut that have to be known to judge what lies before it, where no secret is longer.
const OVERLAP: usize = 4 * 1024;
/// A mask may bring two texts together that make a hit of their own.
const ROUNDS: usize = 4;

/// Masks text; see the module. Holds secrets.
pub struct Redactor {
    secrets: Option<AhoCorasick>,
    longest: usize,
    tokens: Option<token::Names>,
    email: bool,
    card: bool,
    phone: bool,
    ip: bool,
    scratch: Scratch,
    hits: Vec<Hit>,
}

/// What stands in a text's place. In the order of rank: where two of them overlap, the first one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mask {
    Secret,
    Token,
    /// In the place of a bare JSON value.
    TokenString,
    Email,
    Card,
    Phone,
    V6(Ipv6Addr),
    V4(Ipv4Addr),
}

#[derive(Debug, Clone)]
struct Hit {
    /// Where what makes it a hit begins: the name of a value.
    from: usize,
    /// What is masked.
    range: Range<usize>,
    mask: Mask,
}

impl Hit {
    fn new(range: Range<usize>, mask: Mask) -> Self {
        Self { from: range.start, range, mask }
    }
}

impl Redactor {
    /// For these kinds; `secrets` are the values that [`RedactKind::Secrets`] means. None: it would never mask anything.
    ///
    /// # Errors
    /// When the secrets are gigabytes.
    pub fn new<'s>(
        kinds: &[RedactKind],
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> Result<Option<Self>, BuildError> {
        let has = |kind| kinds.contains(&kind);
        let mut texts: Vec<String> = Vec::new();
        if has(RedactKind::Secrets) {
            secrets.into_iter().for_each(|secret| forms(secret, &mut texts));
        }
        let redactor = Self {
            longest: texts.iter().map(String::len).max().unwrap_or(0),
            secrets: if texts.is_empty() { None } else { Some(automaton(&texts, false)?) },
            tokens: if has(RedactKind::Token) { Some(token::Names::new()?) } else { None },
            email: has(RedactKind::Email),
            card: has(RedactKind::Card),
            phone: has(RedactKind::Phone),
            ip: has(RedactKind::Ip),
            scratch: Scratch::default(),
            hits: Vec::new(),
        };
        let Self { secrets, tokens, email, card, phone, ip, .. } = &redactor;
        let any = secrets.is_some() || tokens.is_some() || *email || *card || *phone || *ip;
        Ok(any.then_some(redactor))
    }

    /// The text with masks; borrowed where there are none. A text is masked as a whole: see [`cut`](Self::cut).
    pub fn mask<'t>(&mut self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut masked = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            self.find(&masked);
            if self.hits.is_empty() {
                break;
            }
            masked = Cow::Owned(self.replaced(&masked));
        }
        masked
    }

    /// Bytes that have to be known behind a cut.
    pub fn overlap(&self) -> usize {
        // A secret may be written with three bytes for one.
        OVERLAP.max(self.longest.saturating_mul(3))
    }

    /// Where a text that goes on can be cut, so that what is masked lies wholly on one side: at `most`, or before what lies across
    /// it. `text` is [`overlap`](Self::overlap) longer than that. None: a single hit reaches from its first to its last byte.
    pub fn cut(&mut self, text: &[u8], most: usize) -> Option<usize> {
        self.find(text);
        let mut cut = self.scratch.view(text).floor(most);
        while let Some(across) = self.hits.iter().find(|hit| hit.from < cut && cut < hit.range.end) {
            if across.from == 0 {
                return Some(across.range.end).filter(|end| *end < text.len());
            }
            cut = across.from;
        }
        Some(cut)
    }

    /// All hits in the order of the text, none of which overlap.
    fn find(&mut self, text: &[u8]) {
        let Self { secrets, tokens, hits, scratch, .. } = self;
        hits.clear();
        let view = scratch.view(text);
        if let Some(secrets) = secrets {
            let found = secrets.find_overlapping_iter(text);
            hits.extend(found.map(|found| Hit::new(found.range(), Mask::Secret)));
            if view.is_decoded() {
                let found = secrets.find_overlapping_iter(view.text);
                hits.extend(found.map(|found| view.hit(found.range(), Mask::Secret)));
            }
        }
        if let Some(tokens) = tokens {
            tokens.find(&view, hits);
        }
        if self.email {
            word::emails(&view, hits);
        }
        if self.card {
            number::cards(&view, hits);
        }
        if self.phone {
            number::phones(&view, hits);
        }
        if self.ip {
            word::addresses(&view, hits);
        }
        merge(hits);
    }

    fn replaced(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut at = 0;
        for Hit { range, mask, .. } in &self.hits {
            out.extend_from_slice(text.get(at..range.start).unwrap_or_default());
            // Writing into a vector cannot fail.
            let _ = std::io::Write::write_fmt(&mut out, format_args!("{mask}"));
            at = range.end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        out
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret => f.write_str("[secret]"),
            Self::Token => f.write_str("[token]"),
            Self::TokenString => f.write_str("\"[token]\""),
            Self::Email => f.write_str("[email]"),
            Self::Card => f.write_str("[card]"),
            Self::Phone => f.write_str("[phone]"),
            Self::V6(address) => address.fmt(f),
            Self::V4(address) => address.fmt(f),
        }
    }
}

/// How a secret may be written, escapes aside: its lines, and spaces as a form's `+`.
fn forms(secret: &str, texts: &mut Vec<String>) {
    for line in secret.lines().map(str::trim) {
        if line.len() < SHORTEST_SECRET || NO_SECRETS.contains(&line) {
            continue;
        }
        if line.contains(' ') {
            texts.push(line.replace(' ', "+"));
        }
        texts.push(line.to_owned());
    }
}

/// One of the small kind: these live in each shim.
fn automaton<P: AsRef<[u8]>>(texts: &[P], any_case: bool) -> Result<AhoCorasick, BuildError> {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(any_case)
        .build(texts)
}

/// Sorts, and makes one of those that overlap.
fn merge(hits: &mut Vec<Hit>) {
    hits.sort_by_key(|hit| (hit.range.start, hit.mask));
    hits.dedup_by(|later, kept| {
        let overlap = later.range.start < kept.range.end;
        if overlap {
            kept.from = kept.from.min(later.from);
            kept.range.end = kept.range.end.max(later.range.end);
            kept.mask = kept.mask.min(later.mask);
        }
        overlap
    });
}

#[cfg(test)]
#[path = "redact/tests.rs"]
mod tests;
