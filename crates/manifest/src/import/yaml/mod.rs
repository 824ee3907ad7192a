//! YAML into [`Node`]s that know where they stand. The parser's events are put together here because what Compose needs of a document no
//! deserializer keeps: places, tags, which file, how a number was written.
//!
//! ```text
//! text ─ granit_parser ─▶ events ─ Builder ─▶ Node    anchors, aliases, merge keys, duplicate keys
//!   └─ strict parsing fails ─ repair ─▶ a list whose first item is indented too deep (as one team's file has it)
//! ```
//! Bounded: aliases may copy [`COPIES`] bytes in all, nothing is nested deeper than [`DEPTH`]. Spans are those of `text` moved by its place in
//! the text of all files.

mod build;
mod repair;
mod scalar;

use crate::diagnostic::Report;
use crate::tree::{Node, Span};
use granit_parser::{Parser, ScanError};
use std::path::PathBuf;

/// What all aliases of a file may copy, about.
const COPIES: usize = 8 << 20;

/// Tables and lists within each other, aliases followed.
const DEPTH: usize = 48;

/// A file's text, and where it begins in the text of all files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
    /// Where it begins.
    pub start: usize,
}

impl Text {
    /// The span of the text of all files.
    fn place(&self, span: Span) -> Span {
        self.start + span.start..self.start + span.end
    }
}

/// All documents of a file. What is wrong with it is reported; nothing comes out then.
pub fn parse(file: &Text, report: &mut Report) -> Option<Vec<Node>> {
    let error = match scan(&file.text) {
        Ok(()) => return build::documents(file, &file.text, report),
        Err(error) => error,
    };
    if let Some(repaired) =
        repair::lists(&file.text, |text| scan(text).err().map(|error| error.marker().line()))
    {
        for span in &repaired.moved {
            report
                .warning("yaml::indentation", "this list item is indented deeper than the next one")
                .at(file.place(span.clone()), "taken as an item of the same list")
                .help("strict YAML refuses this: give all items of a list the same indentation");
        }
        return build::documents(file, &repaired.text, report);
    }
    let span = place_of(&error, &file.text);
    report
        .error("yaml::syntax", format!("not YAML: {}", error.info().lines().next().unwrap_or_default()))
        .at(file.place(span), "here");
    None
}

/// Whether this is YAML, as strictly as the parser has it.
pub fn is_yaml(text: &str) -> bool {
    scan(text).is_ok()
}

fn scan(text: &str) -> Result<(), ScanError> {
    Parser::new_from_str(text).try_for_each(|event| event.map(drop))
}

fn place_of(error: &ScanError, text: &str) -> Span {
    let at = error
        .marker()
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(error.marker().index()).map_or(text.len(), |(at, _)| at));
    let at = at.min(text.len());
    at..text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8())
}

#[cfg(test)]
mod tests;
