//! Certificates of all sites, ready for the edge. Each is made, loaded or ordered and checked here first; nothing unchecked is published,
//! and where a new pair is broken the former one stays in use and `status` says so.
//!
//! | file | what it keeps |
//! |---|---|
//! | [`wanted`] | which certificates the stacks want, and where each comes from |
//! | [`held`] | pairs that are made here, or loaded from files |
//! | [`orders`] | certificates from authorities: what is stored, what is due, the tasks that order it |
//! | [`challenges`] | what authorities have to see at the edge, and who waits until it is there |
//! | [`client_roots`] | authorities of clients' certificates |
//! | [`export`], [`live`] | pairs where other programs find them, and the command that is run then |
//! | [`issued`] | certificates that were asked for by name |
//! | [`on_demand`] | certificates for names that no site has |
//! | [`imported`] | pairs that were given to the home |
//! | [`verbs`] | what people ask for |
//! | [`status`] | what is shown of all that |
//!
//! ```text
//! wanted (sites of active stacks and candidates) ─▶ keep ─▶ held ─▶ snapshot
//!                  files that changed, leaves that are due ─▶ look ─┤
//!        orders that ended, challenges that have to be seen ─▶ fold ─┘
//! ```
//! Files are looked at every few seconds by what stands at their path (device, inode, length, times), symbolic links followed:
//! so a renewal by rename, by another link or in place is seen, without a watcher that loses sight of a replaced folder.
//!
//! A name that several certificates are for has, in this order: the files that its site names; a pair for the names in it; what an authority gave;
//! the local authority's. The snapshot lists them so, and nothing is ordered for a name that has one of the first two.

mod challenges;
mod client_roots;
mod export;
mod held;
mod imported;
mod issued;
mod live;
mod on_demand;
mod orders;
mod status;
mod verbs;
mod wanted;

use crate::error::KeeperError;
use crate::home::Home;
use crate::stack::{Revision, Stack};
use certs::acme::Wish;
use certs::{CertError, Pair, files};
use client_roots::ClientRoots;
use held::{Held, Local};
pub(crate) use issued::Issued;
use model::site::{PairSpec, TlsSpec};
use on_demand::OnDemand;
use orders::Orders;
pub(crate) use orders::{Event, QUEUE};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use wanted::{Seen, Source, Wanted};
use wire::snapshot::Certificate;

/// Folder of the store of [`certs::acme`].
pub(crate) fn store_folder(home: &Home) -> PathBuf {
    home.certs().join("acme")
}

/// Has a keeper of this home renew what was issued without one.
pub(crate) fn add_issued(home: &Home, new: &Issued) -> Result<(), KeeperError> {
    issued::add(&home.certs().join(ISSUED), new)
}

/// Lays a new pair out for other programs, where that is wanted. Gives what went wrong.
pub(crate) async fn export(wish: &Wish, pair: &Pair) -> Option<String> {
    let name = certs::acme::store::folder_name(&wish.names);
    export::run(wish.acme.clone(), name, Arc::new(pair.clone()), false).await
}

const ISSUED: &str = "issued.json";

/// All of them.
#[derive(Debug)]
pub(crate) struct Certificates {
    on_demand: OnDemand,
    /// Those that were asked for by name.
    issued: Vec<Issued>,
    issued_file: PathBuf,
    /// Folder of imported pairs.
    own: PathBuf,
    local: Local,
    /// The revisions that what is held was last chosen by; none: chosen anew.
    seen: Option<Seen>,
    held: BTreeMap<Wanted, Held>,
    orders: Orders,
    roots: ClientRoots,
    /// Hosts, by their stack, that are to have a certificate from an authority and never had one.
    missing: BTreeMap<String, BTreeSet<String>>,
    /// What the edge gets; made again when something changed.
    published: Arc<[Certificate]>,
}

/// A pair for the names in it, whoever's sites they are; of a stack: its own.
struct Custom {
    stack: Option<String>,
    pair: Arc<Pair>,
}

impl Custom {
    /// Whether a host of this stack's has its certificate from it.
    fn covers(&self, stack: &str, host: &str) -> bool {
        let mine = self.stack.as_deref().is_none_or(|own| own == stack);
        mine && self.pair.facts.names.iter().any(|name| certs::covers(name, host))
    }
}

impl Certificates {
    /// None yet; the local authority's files are in `folder`, those of others below it. What tasks tell goes to `events`.
    pub(crate) fn new(folder: PathBuf, events: mpsc::Sender<Event>, tasks: TaskTracker) -> Self {
        let issued_file = folder.join(ISSUED);
        Self {
            on_demand: OnDemand::new(folder.join("on_demand.json")),
            issued: issued::all(&issued_file),
            issued_file,
            orders: Orders::new(folder.join("acme"), events, tasks),
            missing: BTreeMap::new(),
            own: folder.join("own"),
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
                TlsSpec::Acme(_) => self.orders.check()?,
                TlsSpec::Off => {}
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
        let imported = imported::all(&self.own).map(|pair| (None, pair));
        let pairs = wanted::pairs(&stacks).into_iter().map(|(stack, pair)| (Some(stack), pair));
        let pairs = imported.chain(pairs).map(|(stack, PairSpec { cert, key })| Wanted {
            stack,
            hosts: Vec::new(),
            source: Source::Custom { cert, key },
        });
        let pairs: BTreeSet<Wanted> = pairs.collect();
        self.held.retain(|held, _| !held.is_custom() || pairs.contains(held));
        self.hold(pairs, now);
        let customs = self.customs();
        let covered = |stack: &str, host: &str| customs.iter().any(|custom| custom.covers(stack, host));
        let mut sites = wanted::of_sites(&stacks, covered);
        sites.extend(self.issued.iter().map(|issued| Wanted::of_authority(None, issued.names.clone())));
        let (demanded, demanded_wishes) = self.demand(&stacks);
        sites.extend(demanded);
        self.held.retain(|held, _| held.is_custom() || sites.contains(held));
        self.hold(sites, now);
        let mut wishes = wanted::wishes(&stacks, &self.issued, covered);
        for (of, wish) in demanded_wishes {
            wishes.entry(of).or_insert_with(|| (wish, BTreeSet::new()));
        }
        self.orders.keep(wishes, now);
        self.orders.look(now);
        self.roots.keep(&stacks);
        self.published = self.publish(&stacks);
        let wanting = self.held.iter().filter(|(wanted, _)| wanted.source == Source::Authority);
        let hosts = wanting.flat_map(|(wanted, _)| wanted.hosts.iter().map(move |host| (wanted, host)));
        let missing = hosts.filter(|(wanted, host)| !self.has(wanted, host));
        let mut by_stack: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (wanted, host) in missing {
            let stack = wanted.stack.as_deref().unwrap_or_default();
            by_stack.entry(stack.to_owned()).or_default().insert(host.clone());
        }
        self.missing = by_stack;
    }

    fn hold(&mut self, wanted: BTreeSet<Wanted>, now: SystemTime) {
        for wanted in wanted {
            if !self.held.contains_key(&wanted) {
                let held = Held::first(&wanted, &mut self.local, now);
                self.held.insert(wanted, held);
            }
        }
    }

    /// Pairs for the names in them: few, beside very many sites.
    fn customs(&self) -> Vec<Custom> {
        let customs = self.held.iter().filter(|(wanted, _)| wanted.is_custom());
        let custom = |(wanted, held): (&Wanted, &Held)| {
            let pair = Arc::clone(held.pair.as_ref()?);
            Some(Custom { stack: wanted.stack.clone(), pair })
        };
        customs.filter_map(custom).collect()
    }

    /// Whether an authority gave a certificate for this host of a site.
    fn has(&self, wanted: &Wanted, host: &str) -> bool {
        let names = self.orders.pair(&wanted.hosts).into_iter().flat_map(|pair| &pair.facts.names);
        names.into_iter().any(|name| certs::covers(name, host))
    }

    /// Whether a host is to have a certificate from an authority and never had one: who came by plain HTTP would be led to where nobody
    /// can answer.
    pub(crate) fn is_missing(&self, stack: &str, host: &str) -> bool {
        self.missing.get(stack).is_some_and(|hosts| hosts.contains(host))
    }

    /// Folds what a task tells.
    pub(crate) fn fold(&mut self, event: Event, now: SystemTime) {
        if let Event::Answered { name, stack, yes } = event {
            return self.answered(name, stack, yes);
        }
        if self.orders.fold(event, now) {
            self.seen = None;
        }
    }

    /// Begins nothing any more: this keeper ends, or is on trial.
    pub(crate) fn pause(&mut self) {
        self.orders.paused = true;
    }

    /// Loads what changed on the disk, renews what is due, tries again what failed.
    pub(crate) fn look(&mut self, now: SystemTime) {
        let mut changed = false;
        for (wanted, held) in &mut self.held {
            changed |= held.look(wanted, &mut self.local, now);
        }
        changed |= self.orders.look(now);
        self.forget_names(now);
        self.give_up_waiting();
        self.roots.look();
        if changed {
            self.seen = None;
        }
    }

    fn publish(&self, stacks: &[&Stack]) -> Arc<[Certificate]> {
        let certificate = |(wanted, held): (&Wanted, &Held)| {
            let pair = match &wanted.source {
                Source::Authority => self.orders.pair(&wanted.hosts)?,
                _ => held.pair.as_ref()?,
            };
            // By their own names too: an exact one of another certificate would be found before a wildcard.
            let hosts: BTreeSet<String> = if wanted.is_custom() {
                let sites = wanted::hosts(stacks, wanted).filter(|host| held.names(host));
                sites.chain(&pair.facts.names).cloned().collect()
            } else if wanted.source == Source::Authority {
                wanted.hosts.iter().filter(|host| self.has(wanted, host)).cloned().collect()
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
