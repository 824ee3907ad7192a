//! What of a compose file is not shown: values whose name says that they are secret, and URLs with a password.

use crate::import::yaml::Text;
use crate::tree::{Kind, Node, Span};
use crate::values;

/// In a text that is not parsed yet: what stands behind a telling name, to the end of the line.
pub fn of_lines(file: &Text) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut at = file.start;
    for line in file.text.split_inclusive('\n') {
        let telling = line.match_indices([':', '=']).find(|(at, _)| {
            let name = line.get(..*at).unwrap_or_default().trim_end().trim_end_matches(['"', '\'']);
            let name = name.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            values::sounds_secret(name)
        });
        if let Some((sign, _)) = telling {
            spans.push(at + sign + 1..at + line.len());
        } else if values::holds_password(line) {
            spans.push(at..at + line.len());
        }
        at += line.len();
    }
    spans
}

/// In a document, before its variables are replaced.
pub fn of_node(node: &Node, masks: &mut Vec<Span>) {
    match &node.kind {
        Kind::Table(entries) => {
            for (name, node) in entries {
                match node.scalar() {
                    Some(value) => scalar(Some(name), &value, node, masks),
                    None => of_node(node, masks),
                }
            }
        }
        Kind::Array(items) => {
            for item in items {
                match item.scalar() {
                    Some(value) => match value.split_once('=') {
                        Some((name, value)) => scalar(Some(name), value, item, masks),
                        None => scalar(None, &value, item, masks),
                    },
                    None => of_node(item, masks),
                }
            }
        }
        _ => {}
    }
}

fn scalar(name: Option<&str>, value: &str, node: &Node, masks: &mut Vec<Span>) {
    let telling = name.is_some_and(values::sounds_secret) && !value.is_empty();
    // A variable that stands there is no secret yet; a file that holds one neither.
    if value.starts_with('$') || !(telling || values::holds_password(value)) {
        return;
    }
    // Of `NAME=value` in a list the name may be seen.
    let pair = name.filter(|_| node.key.is_none()).map_or(0, |name| name.len() + 1);
    let quoted = usize::from(pair > 0 && node.span.len() >= pair + value.len() + 2);
    let start = node.span.start + (pair + quoted).min(node.span.len());
    masks.push(start..node.span.end);
}
