//! What is wrong with a manifest, said so that it can be put right: file, line, column, a caret, a label, a next step.
//! Checks push into a [`Report`] and go on; nothing stops at the first error.
//!
//! Invariant: the text that is shown has its secrets masked ([`Source::masked`]), byte for byte, so that spans still fit.

mod shown;

use crate::tree::Span;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::json;
use shown::Shown;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many are shown of what was found: each is drawn with the text around it, and nobody reads more.
const MOST: usize = 500;

/// The text of a file, or of several that were read one after the other, for pointing into it.
#[derive(Debug)]
pub struct Source {
    /// Where each file begins in the text, in order; there is one at least.
    pieces: Vec<(usize, PathBuf)>,
    shown: String,
}

impl Source {
    /// A file whose text may be shown but for what `secret` spans.
    pub fn masked(path: &Path, text: &str, secrets: &[Span]) -> Arc<Self> {
        Self::joined([(path, text)].into_iter(), secrets)
    }

    /// The texts of files, a line end between each two.
    pub fn joined<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>, secrets: &[Span]) -> Arc<Self> {
        let (mut pieces, mut text) = (Vec::new(), String::new());
        for (path, own) in files {
            if !pieces.is_empty() {
                text.push('\n');
            }
            pieces.push((text.len(), path.to_owned()));
            text.push_str(own);
        }
        let mut bytes = text.as_bytes().to_vec();
        for byte in secrets.iter().filter_map(|span| text.get(span.clone()).map(|_| span.clone())).flatten() {
            if let Some(byte) = bytes.get_mut(byte).filter(|byte| !matches!(byte, b'\n' | b'\r')) {
                *byte = b'*';
            }
        }
        // Spans on character boundaries replaced by ASCII leave valid UTF-8; anything else is shown as nothing.
        Arc::new(Self { pieces, shown: String::from_utf8(bytes).unwrap_or_default() })
    }

    /// The file in which a byte stands, and what of the text is that file's.
    fn piece(&self, offset: usize) -> (&Path, Span) {
        let next = self.pieces.partition_point(|(start, _)| *start <= offset);
        let end = self.pieces.get(next).map_or(self.shown.len(), |(start, _)| start.saturating_sub(1));
        match self.pieces.get(next.saturating_sub(1)) {
            Some((start, path)) => (path, *start..end.max(*start)),
            None => (Path::new(""), 0..end),
        }
    }

    /// Line and column of a byte in its file, from 1; the column counts characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.shown.len());
        let start = self.piece(offset).1.start;
        let before = self.shown.as_bytes().get(start..offset).unwrap_or_default();
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        (line, String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count() + 1)
    }

    /// The span, moved inside the text and onto character boundaries.
    fn clamp(&self, span: &Span) -> Span {
        let boundary = |mut at: usize| {
            at = at.min(self.shown.len());
            while !self.shown.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(span.start);
        start..boundary(span.end).max(start)
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The manifest cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One thing to be said about a file.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// Stable name of the kind of fault, `key::unknown`.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    source: Arc<Source>,
    labels: Vec<(Span, String)>,
}

impl Diagnostic {
    /// Points somewhere. The first label is where the fault is; others show what it collides with.
    pub fn at(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        self.labels.push((self.source.clamp(&span), label.into()));
        self
    }

    /// Says what to do.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// [`Self::help`], if there is any.
    pub fn help_if(&mut self, help: Option<String>) -> &mut Self {
        self.help = help.or(self.help.take());
        self
    }

    /// The file it is about.
    pub fn file(&self) -> &Path {
        self.source.piece(self.labels.first().map_or(0, |(span, _)| span.start)).0
    }

    /// Where the fault is; nothing when the file as a whole is meant.
    pub fn span(&self) -> Option<&Span> {
        self.labels.first().map(|(span, _)| span)
    }

    /// Line and column, from 1; nothing when the file as a whole is meant.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.labels.first().map(|(span, _)| self.source.position(span.start))
    }

    /// As people read it on a terminal: several lines with the place in the file.
    pub fn render(&self, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
        if handler.with_context_lines(1).render_report(&mut out, &Shown::new(self)).is_err() {
            return format!("{self}\n");
        }
        out
    }

    /// As a program reads it.
    pub fn to_json(&self) -> serde_json::Value {
        let position = self.position();
        json!({
            "severity": self.severity.name(),
            "file": self.file(),
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "code": self.code,
            "message": self.message,
            "label": self.labels.first().map(|(_, label)| label),
            "help": self.help,
        })
    }

    fn same(&self, other: &Self) -> bool {
        self.order() == other.order()
            && (self.code, &self.message, &self.labels) == (other.code, &other.message, &other.labels)
    }

    fn order(&self) -> (&Path, usize) {
        (self.file(), self.labels.first().map_or(0, |(span, _)| span.start))
    }
}

/// One line: `file:line:column: error: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file().display())?;
        if let Some((line, column)) = self.position() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}: {}", self.severity.name(), self.message)
    }
}

/// Everything that was found, in the order of files and lines. At least one is an error.
#[derive(Debug, Clone)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// All of them, warnings included.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// As people read them, with a closing count.
    pub fn render(&self, color: bool) -> String {
        let mut out: String = self.iter().map(|diagnostic| diagnostic.render(color) + "\n").collect();
        let count = |number: usize, noun: &str| match number {
            1 => format!("1 {noun}"),
            _ => format!("{number} {noun}s"),
        };
        out += &count(self.errors(), "error");
        let warnings = self.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).count();
        if warnings > 0 {
            out += &format!(", {}", count(warnings, "warning"));
        }
        out + "\n"
    }

    /// As a program reads them: a list.
    pub fn to_json(&self) -> serde_json::Value {
        self.iter().map(Diagnostic::to_json).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// Where checks put what they find.
#[derive(Debug)]
pub struct Report {
    source: Arc<Source>,
    found: Vec<Diagnostic>,
}

impl Report {
    /// An empty report about this file.
    pub fn new(source: Arc<Source>) -> Self {
        Self { source, found: Vec::new() }
    }

    /// From here on the file is shown like this.
    pub fn set_source(&mut self, source: Arc<Source>) {
        self.source = source;
    }

    /// Adds an error about the manifest.
    pub fn error(&mut self, code: &'static str, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Error, code, message.into(), self.source.clone())
    }

    /// Adds a warning about the manifest.
    pub fn warning(&mut self, code: &'static str, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, code, message.into(), self.source.clone())
    }

    /// Adds a remark about the manifest.
    pub fn info(&mut self, code: &'static str, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Info, code, message.into(), self.source.clone())
    }

    /// Adds something about another file.
    pub fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: String,
        source: Arc<Source>,
    ) -> &mut Diagnostic {
        let index = self.found.len();
        self.found.push(Diagnostic { severity, code, message, help: None, source, labels: Vec::new() });
        &mut self.found[index]
    }

    /// The line of the manifest in which this stands, from 1.
    pub fn line(&self, span: &Span) -> usize {
        self.source.position(span.start).0
    }

    /// What stands there in the manifest, secrets masked.
    pub fn written(&self, span: &Span) -> &str {
        self.source.shown.get(span.clone()).unwrap_or_default()
    }

    /// All that was found so far.
    pub fn found(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All of it, sorted, as the reason why there is no result. Remarks would only be in the way.
    pub fn fail(mut self) -> Diagnostics {
        self.found.retain(|diagnostic| diagnostic.severity != Severity::Info);
        self.sort();
        Diagnostics(self.found)
    }

    /// By file and line, each once: a `.env` file may be read for several readers.
    fn sort(&mut self) {
        self.found.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut once: Vec<Diagnostic> = Vec::new();
        for found in self.found.drain(..) {
            // They are sorted: what is the same stands right before.
            let beside = once.iter().rev().take_while(|other| other.order() == found.order());
            if !beside.into_iter().any(|other| other.same(&found)) {
                once.push(found);
            }
        }
        if once.len() > MOST {
            // The gravest are kept, in their order; there is something that is told of the others.
            let left = once.len() - MOST;
            let mut by_weight: Vec<usize> = (0..once.len()).collect();
            by_weight.sort_by_key(|&index| once.get(index).map(|found| found.severity));
            let kept: HashSet<usize> = by_weight.into_iter().take(MOST).collect();
            let mut index = 0..;
            once.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
            self.found = once;
            self.info("report::more", format!("{left} more are not shown"));
            return;
        }
        self.found = once;
    }

    /// What there is to say beside the result, or all of it if something is wrong.
    pub fn finish(mut self) -> Result<Vec<Diagnostic>, Diagnostics> {
        if self.has_errors() {
            return Err(self.fail());
        }
        self.sort();
        Ok(self.found)
    }
}

/// The name nearest to `wanted`, if one is near enough to be meant: a slip of a letter or two, or the same beginning.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let slips = (wanted.chars().count() / 3).clamp(1, 3);
    names
        .into_iter()
        .map(|name| (name, name.to_lowercase()))
        .map(|(name, lower)| {
            (strsim::damerau_levenshtein(&wanted, &lower), strsim::jaro_winkler(&wanted, &lower), name)
        })
        .filter(|(distance, likeness, _)| *distance <= slips || *likeness > 0.85)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)))
        .map(|(_, _, name)| name)
}
