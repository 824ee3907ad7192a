//! Authorities of clients' certificates (`client_certs` of sites), watched as pairs in files are. A file that is broken leaves its former
//! content in use; where there is none, the edge gets an empty list and lets nobody in.

use super::wanted;
use crate::stack::Stack;
use certs::files::Stamp;
use certs::{CertError, roots};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All of them, by file.
#[derive(Debug, Default)]
pub(super) struct ClientRoots(BTreeMap<PathBuf, Known>);

#[derive(Debug, Default)]
struct Known {
    stamp: Option<Stamp>,
    text: String,
    problem: Option<String>,
}

impl ClientRoots {
    /// Holds the files that these stacks name, and no others.
    pub(super) fn keep(&mut self, stacks: &[&Stack]) {
        let revisions = stacks.iter().flat_map(|stack| stack.revisions());
        let sites = revisions.flat_map(wanted::sites).filter_map(|site| site.client_certs.as_ref());
        let named: BTreeSet<&PathBuf> = sites.map(|own| &own.roots).collect();
        self.0.retain(|path, _| named.contains(path));
        for path in named {
            self.0.entry(path.clone()).or_insert_with(|| Known::default().read(path));
        }
    }

    /// Loads what changed on the disk.
    pub(super) fn look(&mut self) {
        for (path, known) in &mut self.0 {
            if known.stamp != Some(Stamp::of(path)) || known.problem.is_some() {
                *known = std::mem::take(known).read(path);
            }
        }
    }

    /// PEM of those in this file; empty: there are none.
    pub(super) fn text(&self, path: &Path) -> &str {
        self.0.get(path).map_or("", |known| &known.text)
    }

    /// What is wrong with this file.
    pub(super) fn problem(&self, path: &Path) -> Option<&str> {
        self.0.get(path)?.problem.as_deref()
    }
}

/// Whether a site's file can be used: asked before its revision is recorded.
pub(super) fn check(path: &Path) -> Result<(), CertError> {
    roots::load(path).map(drop)
}

impl Known {
    fn read(self, path: &Path) -> Self {
        let stamp = Some(Stamp::of(path));
        match roots::load(path) {
            Ok(text) => Self { stamp, text, problem: None },
            Err(error) => {
                let kept =
                    if self.text.is_empty() { "nobody gets in" } else { "the former list stays in use" };
                let problem = format!("{error}; {kept}");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!(problem, "no authorities of client certificates");
                }
                Self { stamp, problem: Some(problem), ..self }
            }
        }
    }
}
