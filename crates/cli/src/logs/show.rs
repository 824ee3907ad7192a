//! Lines as people see them: `name | text`, a colour for each name. What an app printed cannot take over the terminal:
//! control characters are shown, not sent; of escape sequences only colours pass, and only where colours are wanted.

use crate::ui::Style;
use std::collections::HashMap;
use std::io::{self, Write};
use telemetry::journal::{Record, Stream};

/// Writes records to standard output.
#[derive(Debug)]
pub struct Printer {
    style: Style,
    json: bool,
    event: bool,
    prefix: bool,
    time: bool,
    width: usize,
    colours: HashMap<String, usize>,
}

impl Printer {
    /// With a name before each line, and the time too if wanted.
    pub fn new(style: Style, time: bool) -> Self {
        Self { style, json: false, event: false, prefix: true, time, width: 0, colours: HashMap::new() }
    }

    /// One JSON object for each line instead.
    pub fn json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// One JSON object for each line, with `"event": "log"`: among other events.
    pub fn events(mut self, json: bool) -> Self {
        self.json = json;
        self.event = json;
        self
    }

    /// With or without name and time.
    pub fn prefix(mut self, prefix: bool) -> Self {
        self.prefix = prefix;
        self
    }

    /// Names that will come, so that their column is as wide from the start.
    pub fn expect<'a>(&mut self, labels: impl Iterator<Item = &'a str>) {
        for label in labels {
            self.width = self.width.max(label.chars().count());
            let next = self.colours.len();
            self.colours.entry(label.to_owned()).or_insert(next);
        }
    }

    /// Writes them.
    pub fn print(&mut self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.expect(records.iter().map(|record| record.source.as_str()));
        let mut out = io::stdout().lock();
        for record in records {
            writeln!(out, "{}", self.line(record))?;
        }
        out.flush()
    }

    fn line(&self, record: &Record) -> String {
        if self.json {
            let mut object = serde_json::to_value(record).unwrap_or_default();
            if self.event {
                object["event"] = "log".into();
            }
            return object.to_string();
        }
        let text = printable(&record.text, self.style.is_on());
        if !self.prefix {
            return text;
        }
        let name = format!("{:<width$}", record.source, width = self.width);
        let name = self.style.service(self.colours.get(&record.source).copied().unwrap_or(0), &name);
        let bar = if record.stream == Stream::Err { self.style.red("|") } else { self.style.dim("|") };
        // RFC 3339 in UTC, to the second
        let time = if self.time {
            format!("{} ", self.style.dim(&format!("{:.0}", record.time)))
        } else {
            String::new()
        };
        format!("{name} {bar} {time}{text}").trim_end().to_owned()
    }
}

/// The text without what could steer a terminal.
pub fn printable(text: &str, colour: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut coloured = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match (c, sgr(rest)) {
            ('\x1b', Some(length)) => {
                if colour {
                    out.push_str(rest.get(..length).unwrap_or_default());
                    coloured = true;
                }
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            ('\t', _) => out.push(c),
            (c, _) if c.is_control() => out.extend(c.escape_default()),
            (c, _) => out.push(c),
        }
        rest = after;
    }
    if coloured { out + "\x1b[0m" } else { out }
}

/// Length of the colour sequence (ECMA-48, SGR) that the text begins with.
fn sgr(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    body.get(end..)?.starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str, stream: Stream) -> Record {
        Record {
            time: "2026-11-21T07:30:00.9Z".parse().unwrap(),
            source: "web.1".into(),
            stream,
            text: text.into(),
            continued: false,
        }
    }

    #[test]
    fn names_stand_before_lines() {
        let mut printer = Printer::new(Style::new(false), true);
        printer.expect(["web.1", "worker.1"].into_iter());
        assert_eq!(printer.line(&record("hello", Stream::Out)), "web.1    | 2026-11-21T07:30:00Z hello");
        assert_eq!(printer.prefix(false).line(&record("hello", Stream::Err)), "hello");
    }

    #[test]
    fn an_app_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mred\x1b[0m\x1b[2Jb\x07", false), "ared\\u{1b}[2Jb\\u{7}");
        assert_eq!(printable("\x1b[1;31mred", true), "\x1b[1;31mred\x1b[0m");
        assert_eq!(printable("tab\tbar\rx", true), "tab\tbar\\rx");
        assert_eq!(printable("\x1b[", true), "\\u{1b}[");
    }
}
