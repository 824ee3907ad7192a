//! Apps' output: which files there are, and how their lines are shown. Read from disk, so no keeper is needed.

pub mod access;
mod show;
mod sources;

pub use show::{Printer, printable};
pub use sources::{Filter, sources, stacks};

use keeper::home::Home;
use telemetry::journal;

/// The last lines of an app, as bare text; empty when there is nothing to read.
pub fn last_lines(home: &Home, stack: &str, app: &str, count: usize) -> Vec<String> {
    let sources = sources(home, stack, &Filter::new(&[app.to_owned()]));
    let records = journal::tail(&sources, count).unwrap_or_default();
    records.iter().map(|record| printable(&record.text, false)).collect()
}
