//! Certificates for names that no site has (`on_demand` of `[acme]`): a handshake for one is told by the edge, the user's endpoint is asked,
//! and only with its yes something is ordered. The names are kept in `certs/on_demand.json`: the next keeper serves them at once.
//!
//! Bounded everywhere, for anybody can come with any name: names that are asked about at once, names that are kept, and orders in a minute.
//! A no is remembered for a minute. A name whose certificate has run out is forgotten: who comes with it has it asked for anew.

use super::orders::{Event, Order};
use super::wanted;
use super::{Certificates, Wanted};
use crate::stack::{Revision, Stack};
use bytes::Bytes;
use certs::acme::Wish;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::acme::{AcmeSpec, SiteAcme};
use model::site::TlsSpec;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Longest wait for the endpoint.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a no counts.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Names that are asked about, or were told no lately.
const MOST_ASKED: usize = 1000;
/// Names that are kept.
const MOST_KEPT: usize = 10_000;
/// New orders in a minute.
const A_MINUTE: usize = 10;
/// Tries after which a name without a certificate is given up.
const TRIES: u32 = 3;
/// How long names stay whose stack has none on demand any more: it may be back soon.
const LINGER: Duration = Duration::from_secs(24 * 3600);
/// Larger files are none of ours.
const MOST: u64 = 4 << 20;

/// All of it.
#[derive(Debug)]
pub(super) struct OnDemand {
    file: PathBuf,
    /// Names with a certificate, or about to have one, and the stack that said yes.
    pub(super) names: BTreeMap<String, String>,
    /// Stacks that have such now.
    demanding: BTreeSet<String>,
    /// Since when stacks of names have none any more.
    left: BTreeMap<String, SystemTime>,
    /// Somebody was told that no name is kept any more.
    full_told: bool,
    asked: HashMap<String, Instant>,
    /// When the last ones were ordered.
    ordered: VecDeque<Instant>,
}

impl OnDemand {
    pub(super) fn new(file: PathBuf) -> Self {
        let names = match sys::folder::read_plain(&file, MOST) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(file = %file.display(), %error, "names with certificates on demand are not known any more");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        let (demanding, left, full_told, asked, ordered) = Default::default();
        Self { file, names, demanding, left, full_told, asked, ordered }
    }

    /// Whether the name is kept, and its stack still wants it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|stack| self.demanding.contains(stack))
    }

    /// Whether another name is one too many; told once.
    fn is_full(&mut self) -> bool {
        let is_full = self.names.len() >= MOST_KEPT;
        if is_full && !self.full_told {
            tracing::warn!(
                "no more certificates on demand: there are {MOST_KEPT} names; mainstay certs remove forgets one"
            );
        }
        self.full_told = is_full;
        is_full
    }

    /// Stacks that have had none on demand for a while.
    fn gone(&mut self, now: SystemTime) -> BTreeSet<String> {
        let stacks: BTreeSet<&String> =
            self.names.values().filter(|stack| !self.demanding.contains(*stack)).collect();
        self.left.retain(|stack, _| stacks.contains(stack));
        for stack in stacks {
            self.left.entry(stack.clone()).or_insert(now);
        }
        let is_over = |since: &SystemTime| now.duration_since(*since).is_ok_and(|since| since >= LINGER);
        self.left.iter().filter(|(_, since)| is_over(since)).map(|(stack, _)| stack.clone()).collect()
    }

    fn save(&self) {
        let text = serde_json::to_vec_pretty(&self.names).map_err(std::io::Error::from);
        if let Err(error) = text.and_then(|text| sys::durable::write(&self.file, &text, 0o600)) {
            tracing::error!(file = %self.file.display(), %error, "names with certificates on demand are not kept");
        }
    }
}

/// What a revision says of names on demand: with whom they are ordered, and as what.
fn of(revision: &Revision) -> Option<(&AcmeSpec, &SiteAcme)> {
    let acme = revision.spec.acme.as_ref().filter(|acme| acme.on_demand.is_some())?;
    let site = wanted::sites(revision).filter(|site| site.hosts.iter().any(|host| host == "*"));
    let own = site.filter_map(|site| match &site.tls {
        TlsSpec::Acme(own) => Some(own),
        _ => None,
    });
    own.last().map(|own| (acme, own))
}

fn actives<'a>(stacks: &[&'a Stack]) -> impl Iterator<Item = &'a Revision> {
    stacks.iter().filter_map(|stack| stack.active.as_ref())
}

impl Certificates {
    /// Whether handshakes for unknown names wait for a certificate.
    pub(crate) fn is_on_demand(&self) -> bool {
        !self.on_demand.demanding.is_empty()
    }

    /// The same, and what is wanted because of it.
    pub(super) fn demand(&mut self, stacks: &[&Stack]) -> (BTreeSet<Wanted>, BTreeMap<String, Wish>) {
        let by_stack: BTreeMap<&str, &Revision> =
            actives(stacks).filter(|it| of(it).is_some()).map(|it| (it.spec.name.as_str(), it)).collect();
        self.on_demand.demanding = by_stack.keys().map(|&stack| stack.to_owned()).collect();
        let (mut wanted, mut wishes) = (BTreeSet::new(), BTreeMap::new());
        for (name, stack) in &self.on_demand.names {
            let revision = by_stack.get(stack.as_str()).copied();
            let Some((revision, (acme, site))) = revision.and_then(|it| Some((it, of(it)?))) else {
                continue;
            };
            let hosts = vec![name.clone()];
            wanted.insert(Wanted::of_authority(Some(stack.clone()), hosts.clone()));
            let doors = wanted::doors(&[revision]);
            let wish = Wish { names: hosts, acme: acme.clone(), site: site.clone(), doors };
            wishes.insert(certs::acme::store::folder_name(&wish.names), wish);
        }
        (wanted, wishes)
    }

    /// Somebody came with a name that there is no certificate for.
    pub(crate) fn unknown<'a>(&mut self, name: &str, stacks: impl Iterator<Item = &'a Stack>) {
        let stacks = wanted::living(stacks);
        let Some(revision) = actives(&stacks).find(|it| of(it).is_some()) else { return };
        let Some(ask) = of(revision).and_then(|(acme, _)| acme.on_demand.as_ref()).map(|own| own.ask.clone())
        else {
            return;
        };
        if !is_name(name) || self.on_demand.has(name) || self.is_configured(name) {
            return;
        }
        let known = &mut self.on_demand;
        known.asked.retain(|_, at| at.elapsed() < REMEMBERED);
        if known.is_full() || known.asked.len() >= MOST_ASKED || known.asked.contains_key(name) {
            return;
        }
        known.asked.insert(name.to_owned(), Instant::now());
        let (name, stack) = (name.to_owned(), revision.spec.name.to_string());
        self.orders.spawn(async move {
            let yes = allowed(&ask, &name).await;
            Event::Answered { name, stack, yes }
        });
    }

    /// Whether a site has the name, or it was asked for by name: its certificate is no matter of whoever comes with it.
    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.held.iter().any(|(wanted, held)| {
            let mut hosts = wanted.hosts.iter().filter(|host| *host != "*");
            held.names(name) || hosts.any(|host| certs::covers(host, name))
        })
    }

    /// What the endpoint said.
    pub(super) fn answered(&mut self, name: String, stack: String, yes: Result<bool, String>) {
        let yes = yes.unwrap_or_else(|problem| {
            tracing::error!(name, problem, "whether a certificate may be ordered is not known");
            false
        });
        let known = &mut self.on_demand;
        known.ordered.retain(|at| at.elapsed() < REMEMBERED);
        if yes && known.ordered.len() >= A_MINUTE {
            tracing::warn!(name, "not ordered: there were {A_MINUTE} new names within a minute");
        } else if yes {
            known.ordered.push_back(Instant::now());
            known.asked.remove(&name);
            known.names.insert(name, stack);
            known.save();
            self.seen = None;
        }
    }

    /// Forgets names whose certificates have run out, or that never had one.
    pub(super) fn forget_names(&mut self, now: SystemTime) {
        let gone = self.on_demand.gone(now);
        let is_over = |order: &Order| match &order.pair {
            Some(pair) => pair.facts.not_after <= now,
            None => order.held.meta.failures >= TRIES,
        };
        let is_over = |(name, stack): &(&String, &String)| {
            gone.contains(*stack) || self.orders.of_first(name).is_some_and(is_over)
        };
        let over = self.on_demand.names.iter().filter(is_over);
        let over: Vec<String> = over.map(|(name, _)| name.clone()).collect();
        self.forget(&over);
    }

    /// Forgets one that was ordered on demand. False: there is none.
    pub(super) fn forget_name(&mut self, name: &str) -> bool {
        let is_known = self.on_demand.names.contains_key(name);
        if is_known {
            self.forget(&[name.to_owned()]);
        }
        is_known
    }

    /// With what the store has of them, unless a site has it, or it was asked for by name.
    fn forget(&mut self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        for name in names {
            self.on_demand.names.remove(name);
            let issued = self.issued.iter().any(|issued| issued.names.first() == Some(name));
            if !issued && self.orders.of_first(name).is_none_or(|order| order.stacks.is_empty()) {
                self.orders.remove(std::slice::from_ref(name));
            }
        }
        self.on_demand.save();
        self.seen = None;
    }
}

/// Whether the endpoint says yes.
async fn allowed(ask: &str, name: &str) -> Result<bool, String> {
    let sign = if ask.contains('?') { '&' } else { '?' };
    let uri = format!("{ask}{sign}domain={name}");
    let uri: http::Uri = uri.parse().map_err(|error| format!("{ask} is no URL: {error}"))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    match tokio::time::timeout(PATIENCE, client.get(uri)).await {
        Ok(Ok(answer)) => Ok(answer.status() == 200),
        Ok(Err(error)) => Err(format!("{ask} cannot be asked: {error}")),
        Err(_) => Err(format!("{ask} gives no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Letters, digits and hyphens in at least two labels (RFC 1123 section 2.1), no address.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain =
            label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        plain && !label.is_empty() && label.len() < 64 && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_long = name.len() > 253 || !name.contains('.');
    !is_long && name.split('.').all(label) && last.bytes().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn only_names_are_asked_about() {
        assert!(is_name("a.example.com") && is_name("xn--bcher-kva.example"));
        for wrong in
            ["localhost", "127.0.0.1", "a..b", "-a.b", "a.b/../c", "a b.c", "A.b", "", ".", "a.b?c=d"]
        {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert!(!is_name(&"a.".repeat(200)));
    }
}
