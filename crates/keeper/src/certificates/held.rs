//! What there is of a certificate, and how it comes about: made by the local authority, or loaded from files. What cannot be had leaves
//! the former one in use.

use super::wanted::{Source, Wanted};
use certs::files::{self, Stamp};
use certs::local::{self, LocalAuthority};
use certs::{CertError, Pair};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What there is of it.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) pair: Option<Arc<Pair>>,
    /// Of the two files, as they were loaded.
    pub(super) stamps: Option<[Stamp; 2]>,
    /// Why there is none, or why the former one is still in use.
    pub(super) problem: Option<String>,
}

/// The local authority, opened when the first one wants it.
#[derive(Debug)]
pub(super) struct Local {
    folder: PathBuf,
    authority: Option<LocalAuthority>,
}

impl Local {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, authority: None }
    }

    pub(super) fn open(&mut self) -> Result<&LocalAuthority, CertError> {
        let authority = match self.authority.take() {
            Some(authority) => authority,
            None => LocalAuthority::open(&self.folder)?,
        };
        Ok(self.authority.insert(authority))
    }
}

impl Held {
    /// Made or loaded for the first time.
    pub(super) fn first(wanted: &Wanted, local: &mut Local, now: SystemTime) -> Self {
        let mut held = Self::default();
        held.obtain(wanted, local, now);
        held
    }

    /// Whether there is a pair and it is valid for this host.
    pub(super) fn names(&self, host: &str) -> bool {
        let names = self.pair.iter().flat_map(|pair| &pair.facts.names);
        names.into_iter().any(|name| certs::covers(name, host))
    }

    /// Loads what changed on the disk, renews what is due, tries again what failed. True: there is another pair now.
    pub(super) fn look(&mut self, wanted: &Wanted, local: &mut Local, now: SystemTime) -> bool {
        let due = match &wanted.source {
            Source::Local => self.pair.as_ref().is_none_or(|pair| local::is_due(&pair.facts, now)),
            Source::Files { cert, key } | Source::Custom { cert, key } => {
                self.stamps != Some([Stamp::of(cert), Stamp::of(key)])
            }
            Source::Authority => return false,
        };
        (due || self.problem.is_some()) && self.obtain(wanted, local, now)
    }

    fn obtain(&mut self, wanted: &Wanted, local: &mut Local, now: SystemTime) -> bool {
        let pair = match &wanted.source {
            Source::Local => local.open().and_then(|authority| authority.issue(&wanted.hosts, now)),
            Source::Files { cert, key } | Source::Custom { cert, key } => {
                // Before they are read: what changes meanwhile is loaded again by the next look.
                self.stamps = Some([Stamp::of(cert), Stamp::of(key)]);
                files::load(cert, key)
            }
            Source::Authority => return false,
        };
        match pair {
            Ok(pair) if self.pair.as_deref() == Some(&pair) => self.problem = None,
            Ok(pair) => {
                tracing::info!(hosts = wanted.title(&pair), issuer = pair.facts.issuer, "certificate ready");
                for warning in wanted.warnings(&pair, now) {
                    tracing::warn!(hosts = wanted.title(&pair), "the certificate {warning}");
                }
                (self.pair, self.problem) = (Some(Arc::new(pair)), None);
                return true;
            }
            Err(error) => {
                let kept = if self.pair.is_some() { "; the former certificate stays in use" } else { "" };
                let problem = format!("{error}{kept}");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!(hosts = wanted.hosts.join(", "), problem, "no certificate");
                }
                self.problem = Some(problem);
            }
        }
        false
    }
}

impl Wanted {
    /// For people.
    fn title(&self, pair: &Pair) -> String {
        if self.hosts.is_empty() { pair.facts.names.join(", ") } else { self.hosts.join(", ") }
    }

    /// What is wrong with a pair that is used all the same.
    pub(super) fn warnings(&self, pair: &Pair, now: SystemTime) -> Vec<String> {
        match &self.source {
            Source::Files { key, .. } | Source::Custom { key, .. } => {
                files::warnings(pair, &self.hosts, key, now)
            }
            Source::Authority => Vec::new(),
            Source::Local => {
                let public = |host: &&String| *host != "*" && !local::is_local(host);
                let public: Vec<&str> = self.hosts.iter().filter(public).map(String::as_str).collect();
                let what = format!(
                    "is the local authority's, which browsers do not believe for {}: add [acme] to the manifest, give the site one from files, or a name below .localhost",
                    public.join(", ")
                );
                if public.is_empty() { Vec::new() } else { vec![what] }
            }
        }
    }
}
