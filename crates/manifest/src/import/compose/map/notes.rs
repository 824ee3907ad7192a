//! What was said, as comments for the printed manifest: each with the part of the result that it is about, which is the one made of what
//! stands there in the compose files.

use super::out::entries;
use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::tree::{Kind, Node, Span};

/// Parts of a compose file, and what they become.
const PARTS: [(&str, &[&str]); 3] =
    [("services", &["app", "service"]), ("networks", &["network"]), ("volumes", &["volume"])];

/// What was said about a part of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The keys that lead to the part; empty: the whole.
    pub owner: Vec<String>,
    /// Where it stands in the compose files: `file:line`.
    pub place: String,
    /// What was said.
    pub text: String,
}

/// All that was said but errors, in the order of the files. `root` is the result.
pub fn of(report: &Report, tree: &Node, root: &Node) -> Vec<Note> {
    let said = report.found().iter().filter(|found| found.severity != Severity::Error);
    let mut said: Vec<(&Span, &Diagnostic)> = said.filter_map(|found| Some((found.span()?, found))).collect();
    said.sort_by_key(|(span, _)| span.start);
    let mut notes: Vec<Note> = Vec::new();
    for (span, found) in said {
        let file = found.file().file_name().unwrap_or_default().to_string_lossy();
        let line = found.position().map_or(1, |(line, _)| line);
        let owner = owner(span, tree, root);
        let note = Note { owner, place: format!("{file}:{line}"), text: found.message.clone() };
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// The part that is made of what stands there. What is said at the name of a service is about the whole.
fn owner(span: &Span, tree: &Node, root: &Node) -> Vec<String> {
    for (part, becomes) in PARTS {
        for (name, node) in entries(tree.get(part)) {
            if node.key.as_ref() == Some(span) || !holds(node, span.start) {
                continue;
            }
            let own = becomes.iter().find(|own| root.get(own).is_some_and(|own| own.get(name).is_some()));
            return own.map(|own| vec![(*own).to_owned(), name.clone()]).unwrap_or_default();
        }
    }
    Vec::new()
}

/// Whether a node or one below it stands there. Files are laid over each other: what is below may stand in another one.
fn holds(node: &Node, at: usize) -> bool {
    let here = |span: &Span| span.contains(&at);
    here(&node.span)
        || node.key.as_ref().is_some_and(here)
        || match &node.kind {
            Kind::Array(items) => items.iter().any(|node| holds(node, at)),
            Kind::Table(entries) => entries.iter().any(|(_, node)| holds(node, at)),
            _ => false,
        }
}
