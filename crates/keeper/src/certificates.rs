//! Certificates of all sites, ready for the edge. Each is made or loaded and checked here first; nothing unchecked is published,
//! and where a new pair is broken the former one stays in use and `status` says so.
//!
//! ```text
//! wanted (sites of active stacks and candidates) ─▶ keep ─▶ held ─▶ snapshot
//!                  files that changed, leaves that are due ─▶ look ─┘
//! ```
//! Files are looked at every few seconds by what stands at their path (device, inode, length, times), symbolic links followed:
//! so a renewal by rename, by another link or in place is seen, without a watcher that loses sight of a replaced folder.

use crate::api::CertificateStatus;
use crate::stack::{Revision, Stack};
use certs::files::{self, Stamp};
use certs::local::{self, LocalAuthority};
use certs::{CertError, Pair};
use model::site::TlsSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use wire::snapshot::Certificate;

/// A certificate that a site has to have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    stack: String,
    hosts: Vec<String>,
    source: Source,
}

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Local,
    Files { cert: PathBuf, key: PathBuf },
}

/// What there is of it.
#[derive(Debug, Default)]
struct Held {
    pair: Option<Arc<Pair>>,
    /// Of the two files, as they were loaded.
    stamps: Option<[Stamp; 2]>,
    /// Why there is none, or why the former one is still in use.
    problem: Option<String>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
    authority: Option<LocalAuthority>,
    held: BTreeMap<Wanted, Held>,
}

/// What a revision's sites want, where it listens for HTTPS at all.
pub(crate) fn wanted(revision: &Revision) -> impl Iterator<Item = Wanted> {
    let sites = revision.spec.sites.iter().filter(|_| !revision.https().is_empty());
    sites.filter_map(|site| {
        let source = match &site.tls {
            // From an authority: not yet.
            TlsSpec::Off | TlsSpec::Acme(_) => return None,
            TlsSpec::Local => Source::Local,
            TlsSpec::Files { cert, key } => Source::Files { cert: cert.clone(), key: key.clone() },
        };
        Some(Wanted { stack: revision.spec.name.to_string(), hosts: site.hosts.clone(), source })
    })
}

impl Certificates {
    /// None yet; the local authority's files are in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, authority: None, held: BTreeMap::new() }
    }

    /// Whether a revision's certificates can be had: asked before it is recorded.
    pub(crate) fn check(&mut self, revision: &Revision) -> Result<(), CertError> {
        for wanted in wanted(revision) {
            match &wanted.source {
                Source::Local => drop(self.authority()?),
                Source::Files { cert, key } => drop(files::load(cert, key)?),
            }
        }
        Ok(())
    }

    /// Holds what these stacks want, and nothing else. Cheap when nothing changed.
    pub(crate) fn keep<'a>(&mut self, stacks: impl Iterator<Item = &'a Stack>, now: SystemTime) {
        let revisions = stacks.filter(|stack| !stack.removing).flat_map(Stack::revisions);
        let wanted: BTreeSet<Wanted> = revisions.flat_map(wanted).collect();
        self.held.retain(|held, _| wanted.contains(held));
        for wanted in wanted {
            if !self.held.contains_key(&wanted) {
                let mut held = Held::default();
                self.obtain(&wanted, &mut held, now);
                self.held.insert(wanted, held);
            }
        }
    }

    /// Loads what changed on the disk, renews what is due, tries again what failed.
    pub(crate) fn look(&mut self, now: SystemTime) {
        for (wanted, mut held) in std::mem::take(&mut self.held) {
            let due = match &wanted.source {
                Source::Local => held.pair.as_ref().is_none_or(|pair| local::is_due(&pair.facts, now)),
                Source::Files { cert, key } => held.stamps != Some([Stamp::of(cert), Stamp::of(key)]),
            };
            if due || held.problem.is_some() {
                self.obtain(&wanted, &mut held, now);
            }
            self.held.insert(wanted, held);
        }
    }

    /// Makes or loads a pair. What cannot be had leaves the former one.
    fn obtain(&mut self, wanted: &Wanted, held: &mut Held, now: SystemTime) {
        let hosts = wanted.hosts.join(", ");
        let (pair, stamps) = match &wanted.source {
            Source::Local => {
                (self.authority().and_then(|authority| authority.issue(&wanted.hosts, now)), None)
            }
            Source::Files { cert, key } => {
                // Before they are read: what changes meanwhile is loaded again by the next look.
                let stamps = [Stamp::of(cert), Stamp::of(key)];
                (files::load(cert, key), Some(stamps))
            }
        };
        held.stamps = stamps;
        match pair {
            Ok(pair) if held.pair.as_deref() == Some(&pair) => held.problem = None,
            Ok(pair) => {
                tracing::info!(hosts, issuer = pair.facts.issuer, "certificate ready");
                for warning in warnings(wanted, &pair, now) {
                    tracing::warn!(hosts, "the certificate {warning}");
                }
                (held.pair, held.problem) = (Some(Arc::new(pair)), None);
            }
            Err(error) => {
                let kept = if held.pair.is_some() { "; the former certificate stays in use" } else { "" };
                let problem = format!("{error}{kept}");
                if held.problem.as_ref() != Some(&problem) {
                    tracing::error!(hosts, problem, "no certificate");
                }
                held.problem = Some(problem);
            }
        }
    }

    fn authority(&mut self) -> Result<&LocalAuthority, CertError> {
        let authority = match self.authority.take() {
            Some(authority) => authority,
            None => LocalAuthority::open(&self.folder)?,
        };
        Ok(self.authority.insert(authority))
    }

    /// What the edge gets.
    pub(crate) fn published(&self) -> Vec<Certificate> {
        let certificate = |(wanted, held): (&Wanted, &Held)| {
            let pair = held.pair.as_ref()?;
            let (hosts, chain, key) = (wanted.hosts.clone(), pair.chain.clone(), pair.key.clone());
            Some(Certificate { hosts, chain, key })
        };
        self.held.iter().filter_map(certificate).collect()
    }

    /// What `status` and `certs` show.
    pub(crate) fn status(&self, now: SystemTime) -> Vec<CertificateStatus> {
        self.held.iter().map(|(wanted, held)| status(wanted, held, now)).collect()
    }
}

fn warnings(wanted: &Wanted, pair: &Pair, now: SystemTime) -> Vec<String> {
    match &wanted.source {
        Source::Files { key, .. } => files::warnings(pair, &wanted.hosts, key, now),
        Source::Local => {
            let public = |host: &&String| *host != "*" && !local::is_local(host);
            let public: Vec<&str> = wanted.hosts.iter().filter(public).map(String::as_str).collect();
            let what = format!(
                "is the local authority's, which browsers do not believe for {}: give the site one from files, or a name below .localhost",
                public.join(", ")
            );
            if public.is_empty() { Vec::new() } else { vec![what] }
        }
    }
}

fn status(wanted: &Wanted, held: &Held, now: SystemTime) -> CertificateStatus {
    let facts = held.pair.as_ref().map(|pair| &pair.facts);
    let time = |at: SystemTime| jiff::Timestamp::try_from(at).map(|at| format!("{at:.0}")).ok();
    let warned = held.pair.as_ref().map(|pair| warnings(wanted, pair, now)).unwrap_or_default();
    CertificateStatus {
        stack: wanted.stack.clone(),
        hosts: wanted.hosts.clone(),
        names: facts.map(|facts| facts.names.clone()).unwrap_or_default(),
        issuer: facts.map(|facts| facts.issuer.clone()),
        local: wanted.source == Source::Local,
        file: match &wanted.source {
            Source::Local => None,
            Source::Files { cert, .. } => Some(cert.clone()),
        },
        not_after: facts.and_then(|facts| time(facts.not_after)),
        problems: held.problem.iter().cloned().chain(warned).collect(),
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
