//! A diagnostic as miette draws it: the lines of its own file with carets below them; what stands in another file is said in words.

use super::{Diagnostic, Severity};
use crate::tree::Span;
use miette::{LabeledSpan, NamedSource};
use std::fmt;

/// A diagnostic in miette's words.
#[derive(Debug)]
pub struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: NamedSource<String>,
    /// What of the text of all files is this one.
    piece: Span,
    help: Option<String>,
}

impl<'a> Shown<'a> {
    /// With the text of its own file.
    pub fn new(diagnostic: &'a Diagnostic) -> Self {
        let source = &diagnostic.source;
        let (path, piece) = source.piece(diagnostic.labels.first().map_or(0, |(span, _)| span.start));
        let text = source.shown.get(piece.clone()).unwrap_or_default().to_owned();
        let source_of_it = NamedSource::new(path.display().to_string(), text);
        let mut own = Self { diagnostic, source: source_of_it, piece, help: diagnostic.help.clone() };
        // What stands in another file cannot be drawn here, so it is said.
        for (span, label) in &diagnostic.labels {
            if own.holds(span) {
                continue;
            }
            let (line, column) = source.position(span.start);
            let place = format!("{}:{line}:{column}: {label}", source.piece(span.start).0.display());
            own.help = Some(own.help.take().map_or(place.clone(), |help| format!("{place}\n{help}")));
        }
        own
    }

    fn holds(&self, span: &Span) -> bool {
        (self.piece.start..=self.piece.end).contains(&span.start)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.diagnostic.labels.is_empty() {
            write!(f, "{}: ", self.diagnostic.file().display())?;
        }
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Info => miette::Severity::Advice,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (!self.diagnostic.labels.is_empty()).then_some(&self.source as &dyn miette::SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = self.diagnostic.labels.iter().enumerate().filter(|(_, (span, _))| self.holds(span));
        let labels = here.map(|(index, (span, label))| {
            let span = span.start - self.piece.start..span.end.min(self.piece.end) - self.piece.start;
            let label = Some(label.clone()).filter(|label| !label.is_empty());
            match index {
                0 => LabeledSpan::new_primary_with_span(label, span.clone()),
                _ => LabeledSpan::new_with_span(label, span.clone()),
            }
        });
        Some(Box::new(labels))
    }
}
