//! A tree of our manifest as text: what a person would have written. Tables in the order of a reader, short ones on one line, what was
//! changed or left out as a comment with its line in the file it came from.
//!
//! Invariant: loading the text again gives the same tree. Dollar signs are doubled, for loading replaces variables; where a value came from a
//! variable and may be a secret (all of an environment, all build arguments, what a telling variable gave) the variable stays.

use super::compose::map::Mapped;
use crate::interpolate::{closing, escape, is_name};
use crate::tree::{Kind, Node, Origin};
use std::fmt::Write;
use toml_edit::{Key, Value};

/// Longest line that a table or a list is put on.
const WIDTH: usize = 110;

/// Keys whose lists are always written as `[[…]]`.
const LISTS: [&str; 3] = ["site", "route", "forward"];

/// Keys whose tables always get a header for each entry.
const TABLES: [&str; 5] = ["app", "service", "task", "network", "volume"];

/// The manifest as text, with `head` as its first comment.
pub fn print(mapped: &Mapped, head: &str) -> String {
    let mut printer = Printer { mapped, out: String::new() };
    for line in head.lines() {
        printer.out += format!("# {line}").trim_end();
        printer.out.push('\n');
    }
    printer.notes(&[]);
    printer.out.push('\n');
    printer.table(&mapped.root, &mut Vec::new());
    printer.out.trim_end().to_owned() + "\n"
}

struct Printer<'a> {
    mapped: &'a Mapped,
    out: String,
}

impl<'a> Printer<'a> {
    fn notes(&mut self, path: &[&str]) {
        for note in self.mapped.notes.iter().filter(|note| note.owner == path) {
            // one line each: a message may quote anything
            let text = note.text.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(self.out, "# {}: {text}", note.place);
        }
    }

    /// The entries of a table whose header is written: first what fits a line, then tables and lists of their own.
    fn table(&mut self, node: &'a Node, path: &mut Vec<&'a str>) {
        let Kind::Table(entries) = &node.kind else { return };
        let mut later = Vec::new();
        for (key, value) in entries {
            if own_header(key, value, path) {
                later.push((key, value));
                continue;
            }
            path.push(key);
            let line = format!("{} = {}", name(key), inline(value, path));
            path.pop();
            self.out += &line;
            self.out.push('\n');
        }
        for (key, value) in later {
            path.push(key);
            match &value.kind {
                Kind::Array(items) => {
                    for item in items {
                        let header = format!("\n[[{}]]\n", header(path));
                        self.out += &header;
                        self.table(item, path);
                    }
                }
                _ if path.len() == 1 && TABLES.contains(&key.as_str()) => self.table(value, path),
                _ => {
                    self.out.push('\n');
                    self.notes(path);
                    let header = format!("[{}]\n", header(path));
                    self.out += &header;
                    self.table(value, path);
                }
            }
            path.pop();
        }
    }
}

/// Whether a value stands below a header of its own.
fn own_header(key: &str, value: &Node, path: &[&str]) -> bool {
    match &value.kind {
        Kind::Array(items) => {
            LISTS.contains(&key)
                && !items.is_empty()
                && items.iter().all(|item| matches!(item.kind, Kind::Table(_)))
        }
        Kind::Table(_) if path.is_empty() || matches!(path, [only] if TABLES.contains(only)) => true,
        Kind::Table(_) => {
            let mut path: Vec<&str> = path.to_vec();
            path.push(key);
            key.len() + one_line(value, &path).len() > WIDTH
        }
        _ => false,
    }
}

fn name(key: &str) -> String {
    Key::new(key).display_repr().into_owned()
}

fn header(path: &[&str]) -> String {
    path.iter().map(|key| name(key)).collect::<Vec<_>>().join(".")
}

/// A value behind its key; a long list has a line for each item.
fn inline(node: &Node, path: &[&str]) -> String {
    let short = one_line(node, path);
    match &node.kind {
        Kind::Array(items) if short.len() > WIDTH && !items.is_empty() => {
            let items: String = items.iter().map(|item| format!("    {},\n", one_line(item, path))).collect();
            format!("[\n{items}]")
        }
        _ => short,
    }
}

fn one_line(node: &Node, path: &[&str]) -> String {
    match &node.kind {
        Kind::Text(text) => Value::from(written(node, text, path)).to_string(),
        Kind::Integer(number) => number.to_string(),
        Kind::Float(_, written) => written.clone(),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Datetime(date) => Value::from(date.as_str()).to_string(),
        Kind::Array(items) => {
            format!("[{}]", items.iter().map(|item| one_line(item, path)).collect::<Vec<_>>().join(", "))
        }
        Kind::Table(entries) if entries.is_empty() => "{}".into(),
        Kind::Table(entries) => {
            let mut path: Vec<&str> = path.to_vec();
            let mut parts = Vec::new();
            for (key, value) in entries {
                path.push(key);
                parts.push(format!("{} = {}", name(key), one_line(value, &path)));
                path.pop();
            }
            format!("{{ {} }}", parts.join(", "))
        }
        Kind::Null | Kind::Broken => "\"\"".into(),
    }
}

/// A text as our manifest writes it.
fn written(node: &Node, text: &str, path: &[&str]) -> String {
    let own = matches!(
        path,
        ["app", _, "env", ..]
            | ["app", _, "build", "args", ..]
            | ["app", _, "files", ..]
            | ["service", _, "password", ..]
    );
    let keep = own && node.origin != Origin::Written || node.origin == Origin::Secret;
    let variables = node.raw.as_deref().filter(|_| keep).and_then(variables);
    variables.unwrap_or_else(|| escape(text, &[]))
}

/// Compose's variables in our words: one without a value is empty there, and an error here. Nothing where we have no word for it.
fn variables(raw: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = raw;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        out += before;
        if let Some(after) = dollar.strip_prefix("$$") {
            out += "$$";
            rest = after;
        } else if let Some(body) = dollar.strip_prefix("${") {
            let end = closing(body)?;
            out += &braced(&body[..end])?;
            rest = &body[end + 1..];
        } else {
            let bare = &dollar[1..];
            let (name, after) = bare.split_at(bare.find(|c| !is_name(c)).unwrap_or(bare.len()));
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            let _ = write!(out, "${{{name}:-}}");
            rest = after;
        }
    }
    Some(out + rest)
}

fn braced(body: &str) -> Option<String> {
    let (name, operator) = body.split_at(body.find(|c| !is_name(c)).unwrap_or(body.len()));
    let sign = operator.find(|c| c != ':').map_or("", |at| &operator[..=at]);
    match sign {
        _ if operator.is_empty() => Some(format!("${{{name}:-}}")),
        ":-" | "-" => Some(format!("${{{name}{sign}{}}}", variables(&operator[sign.len()..])?)),
        ":?" | "?" => Some(format!("${{{body}}}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn variables_in_our_words() {
        for (raw, own) in [
            ("${A}", Some("${A:-}")),
            ("$A/b", Some("${A:-}/b")),
            ("${A:-x}-${B-y}", Some("${A:-x}-${B-y}")),
            ("${A:-${B}}", Some("${A:-${B:-}}")),
            ("${A:?give it}", Some("${A:?give it}")),
            ("${A:-${B:+c}}", None),
            ("$$x", Some("$$x")),
            ("${A:+b}", None),
            ("${A", None),
        ] {
            assert_eq!(variables(raw).as_deref(), own, "{raw}");
        }
    }
}
