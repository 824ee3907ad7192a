//! From one merged compose file to a tree of our own manifest. Every value of the result keeps the place it came from, so that whatever
//! `shape` and `validate` find later points into the user's file.
//!
//! ```text
//! tree ──listed──▶ every key held against the schema, what is not honoured said
//!      ──service──▶ [app.NAME]        a file for each topic: image, command, environment, ports, …
//!      ──doors───▶ [[site]], [[forward]] of `ports:`; Traefik's labels go to `import::traefik`
//!      ──top─────▶ [network.NAME], [volume.NAME]
//! ```
//! Invariants: nothing is dropped without a word ([`keys`] knows every key); what is said goes into the report and, as a [`Note`], to the
//! printed manifest; a value that was reported is left out of the result, so that it is not reported again.

mod build;
mod command;
mod confine;
mod container;
mod deploy;
mod doors;
mod environment;
mod files;
mod health;
mod image;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod kept;
pub mod keys;
mod lifecycle;
mod listed;
mod native;
mod needs;
mod networks;
mod notes;
mod out;
mod ports;
mod quirks;
mod service;
mod speaks;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests;
mod top;
mod volumes;

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::import::compose::Project;
use crate::import::traefik::Routing;
use crate::tree::{Node, Span};
pub use notes::Note;
use out::{Table, entries};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the mapping goes by beside the files.
pub struct Input<'a> {
    /// Variables of the environment and of `.env` files.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Names of the variables of `.env` files.
    pub dotenv: &'a [String],
    /// Whether files may be looked at.
    pub real: bool,
    /// What was asked for.
    pub options: &'a Options,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Images of what Mainstay can run itself become services and apps of its own.
    pub native: bool,
    /// What is doubtful in production is taken nevertheless.
    pub force: bool,
    /// Dockerfiles by service, instead of those in the file.
    pub dockerfiles: BTreeMap<String, String>,
    /// Files of variables by service, beside those in the file.
    pub env_files: BTreeMap<String, PathBuf>,
}

/// The result.
#[derive(Debug)]
pub struct Mapped {
    /// A tree of our manifest.
    pub root: Node,
    /// What was changed or left out, for the comments of the printed manifest.
    pub notes: Vec<Note>,
}

/// Maps a project. `routing` is what its labels of Traefik's ask for. What is wrong is in the report; the result is what is left.
pub fn map(project: &Project, routing: Routing, input: &Input<'_>, report: &mut Report) -> Mapped {
    let tree = &project.root;
    let mut cx = Cx { report, input, tree, folder: &project.folder, routing };
    listed::check(&mut cx, tree);
    quirks::check(&mut cx);
    let services = service::all(&mut cx);
    let mut root = Table::at(tree);
    let name = tree.get("name").and_then(out::scalar);
    root.put("stack", name.unwrap_or_else(|| out::text(project.name.clone(), tree)));
    doors::put(&mut cx, &mut root, &services);
    service::put(&mut cx, &mut root, services);
    top::networks(&mut cx, &mut root);
    top::volumes(&mut cx, &mut root);
    let root = root.node();
    Mapped { notes: notes::of(report, tree, &root), root }
}

/// What the topics share.
struct Cx<'a> {
    report: &'a mut Report,
    input: &'a Input<'a>,
    tree: &'a Node,
    /// Folder that relative paths start from.
    folder: &'a Path,
    routing: Routing,
}

impl<'a> Cx<'a> {
    /// Says something about what stands there.
    fn say(
        &mut self,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
        at: &Span,
        label: &str,
    ) -> &mut Diagnostic {
        let found = match severity {
            Severity::Error => self.report.error(code, message),
            Severity::Warning => self.report.warning(code, message),
            Severity::Info => self.report.info(code, message),
        };
        found.at(at.clone(), label)
    }

    fn error(&mut self, message: impl Into<String>, at: &Span, label: &str) -> &mut Diagnostic {
        self.say(Severity::Error, "compose::value", message, at, label)
    }

    fn warn(&mut self, message: impl Into<String>, at: &Span, label: &str) -> &mut Diagnostic {
        self.say(Severity::Warning, "compose::changed", message, at, label)
    }

    fn info(&mut self, message: impl Into<String>, at: &Span, label: &str) -> &mut Diagnostic {
        self.say(Severity::Info, "compose::changed", message, at, label)
    }

    /// The services of the file.
    fn services(&self) -> &'a [(String, Node)] {
        entries(self.tree.get("services"))
    }

    /// A service of the file.
    fn service(&self, name: &str) -> Option<&'a Node> {
        self.tree.get("services").and_then(|services| services.get(name))
    }
}
