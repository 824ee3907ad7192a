//! `.env` files: `KEY=value` lines. A small parser of our own, because values have to come out exactly as they stand:
//! the usual library replaces `$` in them, which changes passwords, and does not say which line is wrong.
//!
//! ```text
//! # comment
//! [export ]KEY=value          spaces around key and value do not count; ` # comment` ends an unquoted value
//! KEY=                        empty
//! KEY='as it stands'          over several lines too; nothing in it is special
//! KEY="with \n \r \t \" \\ \$ escapes"
//! ```
//! Of a key that occurs twice the last value counts.

use crate::diagnostic::{Report, Severity, Source};
use crate::disk::Disk;
use crate::tree::Span;
use crate::values;
use std::collections::HashMap;
use std::path::Path;

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the variable.
    pub key: String,
    /// Its value, quotes and comment removed.
    pub value: String,
    /// Where the key stands.
    pub span: Span,
}

/// Something that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What is wrong with it.
    pub message: String,
}

/// All assignments in order, all faults, and where values stand (so that they are not shown).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// In order, duplicates included.
    pub entries: Vec<Entry>,
    /// In order.
    pub faults: Vec<Fault>,
    /// Everything that is neither key nor blank: values and comments.
    pub values: Vec<Span>,
}

/// Warns when every user of the machine can read a file whose variables are nobody's business.
pub fn guard(path: &Path, variables: &[(String, String)], disk: &Disk, report: &mut Report) {
    let secret = |(name, value): &(String, String)| {
        !value.is_empty() && (values::sounds_secret(name) || values::holds_password(value))
    };
    let Some((name, _)) = variables.iter().find(|it| secret(it)).filter(|_| disk.others_may_read(path))
    else {
        return;
    };
    let message = format!("every user of this machine can read `{name}` in it");
    report
        .push(Severity::Warning, "env_file::readable", message, Source::masked(path, "", &[]))
        .help(format!("chmod o-rwx {}", path.display()));
}

/// Reads a file's text, reports what is wrong with it, and gives its variables, each once.
pub fn read(path: &Path, text: &str, report: &mut Report) -> Vec<(String, String)> {
    let file = parse(text);
    let source = Source::masked(path, text, &file.values);
    for fault in file.faults {
        report
            .push(Severity::Error, "env_file::syntax", "not a line of an `.env` file".into(), source.clone())
            .at(fault.span, fault.message)
            .help("write `KEY=value`, with quotes around a value of several lines");
    }
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut first: HashMap<String, (usize, Span)> = HashMap::new();
    for entry in file.entries {
        if values::looks_double_encoded(&entry.value) {
            let message = format!("the value of `{}` looks double-encoded", entry.key);
            report
                .push(Severity::Warning, "text::double-encoded", message, source.clone())
                .at(entry.span.clone(), "UTF-8 that was read as Windows-1252 and encoded again")
                .help("save the original text as UTF-8 once");
        }
        if let Some((index, before)) = first.get(&entry.key) {
            report
                .push(
                    Severity::Warning,
                    "env_file::duplicate",
                    format!("`{}` is set twice", entry.key),
                    source.clone(),
                )
                .at(entry.span, "this value counts")
                .at(before.clone(), "this one is ignored");
            variables[*index].1 = entry.value;
        } else {
            first.insert(entry.key.clone(), (variables.len(), entry.span));
            variables.push((entry.key, entry.value));
        }
    }
    variables
}

/// Splits a file's text into assignments.
pub fn parse(text: &str) -> EnvFile {
    let mut file = EnvFile::default();
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    while at < text.len() {
        let end = line_end(text, at);
        let line = &text[at..end];
        let start = at + (line.len() - line.trim_start().len());
        at = match line.trim_start().chars().next() {
            None => end + 1,
            Some('#') => {
                file.values.push(start..end);
                end + 1
            }
            Some(_) => file.assignment(text, start, end),
        };
    }
    file
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

impl EnvFile {
    /// Reads the assignment in `start..end` and gives where the next line begins.
    fn assignment(&mut self, text: &str, start: usize, end: usize) -> usize {
        let line = &text[start..end];
        let Some(equals) = line.find('=') else {
            let word = line.find(char::is_whitespace).unwrap_or(line.len());
            self.values.push(start + word..end);
            self.fault(start..start + word, "`=` is missing");
            return end + 1;
        };
        let name = line[..equals].trim_end();
        let bare =
            name.strip_prefix("export").map(str::trim_start).filter(|bare| name.len() > bare.len() + 6);
        let key = bare.unwrap_or(name);
        let span = start + name.len() - key.len()..start + name.len();
        let after = start + equals + 1;
        let padding = text[after..end].len() - text[after..end].trim_start().len();
        let (value, next) = match text[after + padding..].chars().next() {
            Some(quote @ ('"' | '\'')) if after + padding < end => self.quoted(text, after + padding, quote),
            _ => (Some(unquoted(&text[after..end]).to_owned()), end),
        };
        self.values.push(after..next);
        let valid = key.chars().enumerate().all(|(index, c)| {
            c == '_' || c.is_ascii_alphabetic() || (index > 0 && (c.is_ascii_digit() || c == '.' || c == '-'))
        });
        if key.is_empty() {
            self.fault(start..after, "the name before `=` is missing");
        } else if !valid {
            self.fault(span, "not a name: letters, digits and `_`, and no digit first");
        } else if value.as_ref().is_some_and(|value| value.contains('\0')) {
            self.fault(span, "the value holds a NUL character");
        } else if let Some(value) = value {
            self.entries.push(Entry { key: key.to_owned(), value, span });
        }
        next + 1
    }

    /// The value between quotes that open at `open`, and the end of the line it ends on.
    fn quoted(&mut self, text: &str, open: usize, quote: char) -> (Option<String>, usize) {
        let mut value = String::new();
        let mut chars = text[open + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    let close = open + 1 + at + 1;
                    let end = line_end(text, close);
                    let rest = text[close..end].trim();
                    if !rest.is_empty() && !rest.starts_with('#') {
                        self.fault(close..end, "text after the closing quote");
                        return (None, end);
                    }
                    return (Some(value), end);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, c @ ('"' | '\\' | '$' | '\''))) => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => {}
                },
                c => value.push(c),
            }
        }
        self.fault(open..open + 1, "this quote is never closed");
        (None, text.len())
    }

    fn fault(&mut self, span: Span, message: &str) {
        self.faults.push(Fault { span, message: message.to_owned() });
    }
}

/// A value without quotes: up to ` #`, without the spaces around it.
fn unquoted(value: &str) -> &str {
    let blank = |c: char| c == ' ' || c == '\t';
    let comment = value.char_indices().find(|&(at, c)| c == '#' && value[..at].ends_with(blank));
    value[..comment.map_or(value.len(), |(at, _)| at)].trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let file = parse(text);
        assert_eq!(file.faults, [], "{text:?}");
        file.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }

    fn one(text: &str) -> String {
        let mut pairs = pairs(text);
        assert_eq!(pairs.len(), 1, "{text:?}");
        pairs.remove(0).1
    }

    // req: CFG-49
    #[test]
    fn the_grammar() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("\n# comment\n\n  A = b  \r\n#A=c\n"), "b");
        assert_eq!(one("A="), "");
        assert_eq!(one("A=\t # only a comment"), "");
        assert_eq!(one("A=postgresql://u:p=w@db:5432/x"), "postgresql://u:p=w@db:5432/x");
        assert_eq!(one("A=local  # or 'juicefs'"), "local");
        assert_eq!(one("A=a#b"), "a#b");
        assert_eq!(one("A=pa$$w${X}"), "pa$$w${X}");
        assert_eq!(one("export A='x # \"y\" \\n'  # comment"), "x # \"y\" \\n");
        assert_eq!(one("A=\"l1\\nl2 \\\"q\\\" \\$ \\d\""), "l1\nl2 \"q\" $ \\d");
        assert_eq!(one("A='two\nlines'\n"), "two\nlines");
        assert_eq!(pairs("export=1\nexportA=2\nA=3\nA=4").len(), 4);
    }

    #[test]
    fn faults_have_a_place_and_the_rest_is_read() {
        let text = "A=1\nno equals\n=x\n1A=x\nB='open\nC=3";
        let file = parse(text);
        let faults: Vec<_> =
            file.faults.iter().map(|fault| (&text[fault.span.clone()], &*fault.message)).collect();
        assert_eq!(
            faults,
            [
                ("no", "`=` is missing"),
                ("=", "the name before `=` is missing"),
                ("1A", "not a name: letters, digits and `_`, and no digit first"),
                ("'", "this quote is never closed"),
            ]
        );
        assert_eq!(file.entries.len(), 1);
        assert_eq!(parse("A='x' y\nB=2").entries.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(text in "\\PC*|([A-Z=\"'\\\\# \n\r\t$é\u{feff}]|export )*") {
            let file = parse(&text);
            for span in file.values.iter().chain(file.faults.iter().map(|fault| &fault.span)) {
                prop_assert!(text.get(span.clone()).is_some(), "{:?}", span);
            }
        }

        #[test]
        fn a_quoted_value_comes_back(value in "[^'\0]*") {
            prop_assert_eq!(one(&format!("A='{value}'")), value);
        }
    }
}
