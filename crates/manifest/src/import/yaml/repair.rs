//! One fault of indentation that people make and strict YAML refuses, mended in the text before it is parsed:
//!
//! ```yaml
//! environment:
//!           - A=1      # the first items of a list deeper than the later ones
//!   - B=2
//! ```
//! Only dashes move, each within its own line and with as many blanks behind it as were before it: what is written stays at its byte, so spans hold.
//! Only the list at the place of the error is mended, and only where all its items lie on two columns.

use crate::tree::Span;

/// More lists than these are not mended.
const MAX_LISTS: usize = 16;

/// A text that is YAML now.
#[derive(Debug)]
pub struct Repaired {
    /// As long as it was.
    pub text: String,
    /// The items that were moved.
    pub moved: Vec<Span>,
    /// Where the keys of the lists stand that were mended.
    keys: Vec<usize>,
}

/// Mends `text`. `error` gives the line, from 1, in which a text is no YAML.
pub fn lists(text: &str, error: impl Fn(&str) -> Option<usize>) -> Option<Repaired> {
    let mut out = Repaired { text: text.to_owned(), moved: Vec::new(), keys: Vec::new() };
    for _ in 0..MAX_LISTS {
        match error(&out.text) {
            None => return Some(out).filter(|out| !out.moved.is_empty()),
            Some(line) => out.mend(line)?,
        }
    }
    None
}

/// A line that is neither blank nor a comment.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Where it begins.
    at: usize,
    /// Blanks before its first word.
    indent: usize,
    words: &'a str,
}

impl Line<'_> {
    fn is_item(&self) -> bool {
        self.words == "-" || self.words.starts_with("- ")
    }

    /// `key:` with nothing behind it.
    fn opens(&self) -> bool {
        let bare = self.words.split(" #").next().unwrap_or_default().trim_end();
        bare.ends_with(':') && !self.is_item()
    }
}

impl Repaired {
    /// Moves the items above `line` to where the item of that line stands.
    fn mend(&mut self, line: usize) -> Option<()> {
        let mut before = Vec::new();
        let mut found = None;
        let mut at = 0;
        for (index, text) in self.text.split_inclusive('\n').enumerate() {
            let words = text.trim_start_matches(' ').trim_end();
            let own = Line { at, indent: text.len() - text.trim_start_matches(' ').len(), words };
            at += text.len();
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            // The scanner may see it only at the line that follows.
            if index + 1 >= line {
                found = Some(own);
                break;
            }
            before.push(own);
        }
        let target = found.filter(Line::is_item)?.indent;
        let key = before.iter().rposition(|line| line.opens() && line.indent <= target)?;
        let body = &before[key + 1..];
        let first = body.first().filter(|line| line.is_item() && line.indent > target)?.indent;
        if body.iter().any(|line| line.indent < first) {
            return None;
        }
        // A third column: nobody knows what was meant.
        let place = before[key].at;
        if self.keys.contains(&place) {
            return None;
        }
        self.keys.push(place);
        let moved: Vec<usize> =
            body.iter().filter(|line| line.indent == first && line.is_item()).map(|line| line.at).collect();
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        for at in moved {
            let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| at + end);
            self.moved.push(at + first..end);
            bytes.swap(at + first, at + target);
        }
        self.text = String::from_utf8(bytes).ok()?;
        Some(())
    }
}
