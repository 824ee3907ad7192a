//! Which certificates the stacks want, and where each comes from. Pure.

use super::issued::Issued;
use crate::stack::{Revision, Stack};
use certs::acme::{Doors, Wish};
use model::acme::SiteAcme;
use model::site::{PairSpec, TlsSpec};
use model::spec::SiteSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A certificate that there has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wanted {
    /// None: it belongs to the home.
    pub(super) stack: Option<String>,
    /// Names it is for; of [`Source::Custom`] those in it are, too.
    pub(super) hosts: Vec<String>,
    pub(super) source: Source,
}

/// Where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Files that a site names.
    Files { cert: PathBuf, key: PathBuf },
    /// Files for whatever names are in them.
    Custom { cert: PathBuf, key: PathBuf },
    /// An authority, by [`super::orders`].
    Authority,
    /// The local authority.
    Local,
}

impl Wanted {
    /// From an authority.
    pub(super) fn of_authority(stack: Option<String>, hosts: Vec<String>) -> Self {
        Self { stack, hosts, source: Source::Authority }
    }

    /// It is for the names in it.
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.source, Source::Custom { .. })
    }

    /// It is for those of them that this stack's sites have; one of the home's is for all.
    pub(super) fn is_custom_of(&self, stack: &str) -> bool {
        self.is_custom() && self.stack.as_deref().is_none_or(|own| own == stack)
    }

    /// Its place among certificates for the same name.
    pub(super) fn rank(&self) -> u8 {
        match self.source {
            Source::Files { .. } => 0,
            Source::Custom { .. } => 1,
            Source::Authority => 2,
            Source::Local => 3,
        }
    }
}

/// The sites of a revision that have HTTPS, where it listens for HTTPS at all.
pub(super) fn sites(revision: &Revision) -> impl Iterator<Item = &SiteSpec> {
    let listens = !revision.https().is_empty();
    revision.spec.sites.iter().filter(move |site| listens && site.tls != TlsSpec::Off)
}

/// Stacks that are not on their way out.
pub(super) fn living<'a>(stacks: impl Iterator<Item = &'a Stack>) -> Vec<&'a Stack> {
    stacks.filter(|stack| !stack.removing).collect()
}

/// Pairs for the names in them: those of stacks.
pub(super) fn pairs(stacks: &[&Stack]) -> BTreeSet<(String, PairSpec)> {
    let revisions = stacks.iter().flat_map(|stack| stack.revisions());
    let own = revisions
        .flat_map(|it| it.spec.certificates.iter().map(|pair| (it.spec.name.to_string(), pair.clone())));
    own.collect()
}

/// Hosts of sites that a pair for the names in it may be for.
pub(super) fn hosts<'a>(stacks: &[&'a Stack], pair: &Wanted) -> impl Iterator<Item = &'a String> {
    let mine = |stack: &&&'a Stack| pair.is_custom_of(stack.name.as_str());
    let revisions = stacks.iter().filter(mine).flat_map(|stack| stack.revisions());
    let sites = revisions.flat_map(sites).filter(|site| !matches!(site.tls, TlsSpec::Files { .. }));
    sites.flat_map(|site| &site.hosts)
}

/// What the sites want beside pairs for the names in them. `covered` says whether a stack's host has its certificate from one of those.
pub(super) fn of_sites(stacks: &[&Stack], covered: impl Fn(&str, &str) -> bool) -> BTreeSet<Wanted> {
    let revisions = stacks.iter().flat_map(|stack| stack.revisions());
    let wanted = revisions.flat_map(|revision| sites(revision).map(move |site| (&revision.spec.name, site)));
    let one = |(stack, site): (&model::StackName, &SiteSpec)| {
        let left = || site.hosts.iter().filter(|host| !covered(stack.as_str(), host)).cloned();
        let (hosts, source) = match &site.tls {
            TlsSpec::Off => return None,
            TlsSpec::Files { cert, key } => {
                (site.hosts.clone(), Source::Files { cert: cert.clone(), key: key.clone() })
            }
            TlsSpec::Local => (left().collect(), Source::Local),
            // `*` is any name: there are none to order for.
            TlsSpec::Acme(_) => (left().filter(|host| host != "*").collect(), Source::Authority),
        };
        let hosts: Vec<String> = hosts;
        (!hosts.is_empty()).then(|| Wanted { stack: Some(stack.to_string()), hosts, source })
    };
    wanted.filter_map(one).collect()
}

/// What authorities are asked for, by the name that the store has for it, and whose it is. Two sites whose first host is the same share a
/// certificate: so a change that adds names orders it before it is committed, and is in nobody's way.
pub(super) fn wishes(
    stacks: &[&Stack],
    issued: &[Issued],
    covered: impl Fn(&str, &str) -> bool,
) -> BTreeMap<String, (Wish, BTreeSet<String>)> {
    let mut wishes: BTreeMap<String, (Wish, BTreeSet<String>)> = BTreeMap::new();
    let revisions = stacks.iter().flat_map(|stack| stack.active.iter().chain(&stack.candidate));
    for (revision, site) in revisions.flat_map(|it| sites(it).map(move |site| (it, site))) {
        let stack = revision.spec.name.as_str();
        let (TlsSpec::Acme(own), Some(acme)) = (&site.tls, &revision.spec.acme) else { continue };
        let names = site.hosts.iter().filter(|host| *host != "*" && !covered(stack, host));
        let names: Vec<String> = names.cloned().collect();
        if names.is_empty() {
            continue;
        }
        let of = certs::acme::store::folder_name(&names);
        match wishes.get_mut(&of) {
            Some((wish, of_stacks)) => {
                of_stacks.insert(stack.to_owned());
                wish.names.extend(names);
                let mut seen = BTreeSet::new();
                wish.names.retain(|name| seen.insert(name.clone()));
            }
            None => {
                let (acme, site) = (acme.clone(), own.clone());
                let wish = Wish { names, acme, site, doors: doors(&[revision]) };
                wishes.insert(of, (wish, BTreeSet::from([stack.to_owned()])));
            }
        }
    }
    let active: Vec<&Revision> = stacks.iter().filter_map(|stack| stack.active.as_ref()).collect();
    for one in issued {
        let of = certs::acme::store::folder_name(&one.names);
        // A site that has the same certificate says how it is had.
        wishes.entry(of).or_insert_with(|| {
            let (names, acme, site) = (one.names.clone(), one.acme.clone(), SiteAcme::default());
            (Wish { names, acme, site, doors: doors(&active) }, BTreeSet::new())
        });
    }
    wishes
}

/// Where authorities reach revisions: at 80 and 443. One that listens at neither has somebody before it who passes on what comes
/// there, or an authority that comes elsewhere: then it is its own first ports.
pub(super) fn doors(revisions: &[&Revision]) -> Doors {
    let http: Vec<u16> = revisions.iter().flat_map(|it| it.http()).map(SocketAddr::port).collect();
    let https: Vec<u16> = revisions.iter().flat_map(|it| it.https()).map(SocketAddr::port).collect();
    let usual = |ports: &[u16], usual: u16| ports.contains(&usual).then_some(usual);
    let found = Doors { http: usual(&http, 80), https: usual(&https, 443) };
    if found.http.is_some() || found.https.is_some() {
        return found;
    }
    Doors { http: http.first().copied(), https: https.first().copied() }
}

/// Which revisions there are: as long as it is the same, so is what they want.
pub(super) type Seen = BTreeMap<String, [Option<u64>; 2]>;

/// Of these stacks.
pub(super) fn seen(stacks: &[&Stack]) -> Seen {
    let number = |revision: &Option<Revision>| revision.as_ref().map(|revision| revision.number);
    let one = |stack: &&Stack| (stack.name.to_string(), [number(&stack.active), number(&stack.candidate)]);
    stacks.iter().map(one).collect()
}
