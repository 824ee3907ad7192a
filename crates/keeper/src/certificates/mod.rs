//! Certificates of all sites, ready for the edge. Each is made, loaded or ordered and checked here first; nothing unchecked is published,
//! and where a new pair is broken the former one stays in use and `status` says so.
//!
//! | file | what it keeps |
//! |---|---|
//! | [`wanted`] | which certificates the stacks want, and where each comes from |
//! | [`held`] | pairs that are made here, or loaded from files |
//! | [`client_roots`] | authorities of clients' certificates |
//! | [`status`] | what is shown of all that |
//!
//! ```text
//! wanted (sites of active stacks and candidates) ─▶ keep ─▶ held ─▶ snapshot
//!                  files that changed, leaves that are due ─▶ look ─┘
//! ```
//! Files are looked at every few seconds by what stands at their path (device, inode, length, times), symbolic links followed:
//! so a renewal by rename, by another link or in place is seen, without a watcher that loses sight of a replaced folder.
//!
//! A name that several certificates are for has, in this order: the files that its site names; a pair for the names in it; what an authority gave;
//! the local authority's. The snapshot lists them so, and nothing is ordered for a name that has one of the first two.

mod client_roots;
mod held;
mod status;
mod wanted;

use crate::stack::{Revision, Stack};
use certs::{CertError, files};
use client_roots::ClientRoots;
use held::{Held, Local};
use model::site::{PairSpec, TlsSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use wanted::{Seen, Source, Wanted};
use wire::snapshot::Certificate;

/// All of them.
#[derive(Debug)]
pub(crate) struct Certificates {
    local: Local,
    /// The revisions that what is held was last chosen by; none: chosen anew.
    seen: Option<Seen>,
    held: BTreeMap<Wanted, Held>,
    roots: ClientRoots,
    /// What the edge gets; made again when something changed.
    published: Arc<[Certificate]>,
}

impl Certificates {
    /// None yet; the local authority's files are in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            local: Local::new(folder),
            seen: None,
            held: BTreeMap::new(),
            roots: ClientRoots::default(),
            published: Arc::default(),
        }
    }

    /// Whether a revision's certificates can be had: asked before it is recorded.
    pub(crate) fn check(&mut self, revision: &Revision) -> Result<(), CertError> {
        for site in wanted::sites(revision) {
            match &site.tls {
                TlsSpec::Local => drop(self.local.open()?),
                TlsSpec::Files { cert, key } => drop(files::load(cert, key)?),
                TlsSpec::Off | TlsSpec::Acme(_) => {}
            }
            site.client_certs.iter().try_for_each(|own| client_roots::check(&own.roots))?;
        }
        revision.spec.certificates.iter().try_for_each(|pair| files::load(&pair.cert, &pair.key).map(drop))
    }

    /// Holds what these stacks want, and nothing else. Cheap when nothing changed.
    pub(crate) fn keep<'a>(&mut self, stacks: impl Iterator<Item = &'a Stack>, now: SystemTime) {
        let stacks = wanted::living(stacks);
        let seen = wanted::seen(&stacks);
        if self.seen.as_ref() == Some(&seen) {
            return;
        }
        self.seen = Some(seen);
        // First those that others are not needed beside.
        let pairs = wanted::pairs(&stacks).into_iter().map(|(stack, PairSpec { cert, key })| Wanted {
            stack: Some(stack),
            hosts: Vec::new(),
            source: Source::Custom { cert, key },
        });
        let pairs: BTreeSet<Wanted> = pairs.collect();
        self.held.retain(|held, _| !held.is_custom() || pairs.contains(held));
        self.hold(pairs, now);
        let sites = wanted::of_sites(&stacks, |stack, host| self.covers(stack, host));
        self.held.retain(|held, _| held.is_custom() || sites.contains(held));
        self.hold(sites, now);
        self.roots.keep(&stacks);
        self.published = self.publish(&stacks);
    }

    fn hold(&mut self, wanted: BTreeSet<Wanted>, now: SystemTime) {
        for wanted in wanted {
            if !self.held.contains_key(&wanted) {
                let held = Held::first(&wanted, &mut self.local, now);
                self.held.insert(wanted, held);
            }
        }
    }

    /// Whether a host of this stack's has its certificate from a pair for the names in it.
    fn covers(&self, stack: &str, host: &str) -> bool {
        self.held.iter().any(|(wanted, held)| wanted.is_custom_of(stack) && held.names(host))
    }

    /// Loads what changed on the disk, renews what is due, tries again what failed.
    pub(crate) fn look(&mut self, now: SystemTime) {
        let mut changed = false;
        for (wanted, held) in &mut self.held {
            changed |= held.look(wanted, &mut self.local, now);
        }
        self.roots.look();
        if changed {
            self.seen = None;
        }
    }

    fn publish(&self, stacks: &[&Stack]) -> Arc<[Certificate]> {
        let certificate = |(wanted, held): (&Wanted, &Held)| {
            let pair = held.pair.as_ref()?;
            // By their own names too: an exact one of another certificate would be found before a wildcard.
            let hosts: BTreeSet<String> = if wanted.is_custom() {
                let sites = wanted::hosts(stacks, wanted).filter(|host| held.names(host));
                sites.chain(&pair.facts.names).cloned().collect()
            } else {
                wanted.hosts.iter().cloned().collect()
            };
            let hosts = hosts.into_iter().collect();
            Some(Certificate { hosts, chain: pair.chain.clone(), key: pair.key.clone() })
        };
        let mut all: Vec<(&Wanted, &Held)> = self.held.iter().collect();
        all.sort_by_key(|(wanted, _)| wanted.rank());
        all.into_iter().filter_map(certificate).collect()
    }

    /// What the edge gets.
    pub(crate) fn published(&self) -> &Arc<[Certificate]> {
        &self.published
    }

    /// PEM of the authorities of clients' certificates in this file.
    pub(crate) fn client_roots(&self, path: &Path) -> &str {
        self.roots.text(path)
    }

    /// What is wrong with the files of client certificates that a revision names.
    pub(crate) fn client_problems<'a>(&'a self, revision: &'a Revision) -> impl Iterator<Item = String> + 'a {
        let files = wanted::sites(revision).filter_map(|site| Some((site, site.client_certs.as_ref()?)));
        files.filter_map(|(site, own)| {
            let problem = self.roots.problem(&own.roots)?;
            Some(format!("client certificates of {}: {problem}", site.hosts.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests;
