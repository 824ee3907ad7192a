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
/// Larger files are none of ours.
const MOST: u64 = 4 << 20;

/// All of it.
#[derive(Debug)]
pub(super) struct OnDemand {
    file: PathBuf,
    /// Names with a certificate, or about to have one, and the stack that said yes.
    pub(super) names: BTreeMap<String, String>,
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
        Self { file, names, asked: HashMap::new(), ordered: VecDeque::new() }
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
        self.demanded
    }

    /// The same, and what is wanted because of it.
    pub(super) fn demand(&mut self, stacks: &[&Stack]) -> (BTreeSet<Wanted>, BTreeMap<String, Wish>) {
        let by_stack: BTreeMap<&str, &Revision> =
            actives(stacks).filter(|it| of(it).is_some()).map(|it| (it.spec.name.as_str(), it)).collect();
        self.demanded = !by_stack.is_empty();
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
        let known = &mut self.on_demand;
        known.asked.retain(|_, at| at.elapsed() < REMEMBERED);
        let is_full = known.asked.len() >= MOST_ASKED || known.names.len() >= MOST_KEPT;
        if !is_name(name) || is_full || known.names.contains_key(name) || known.asked.contains_key(name) {
            return;
        }
        known.asked.insert(name.to_owned(), Instant::now());
        let (name, stack) = (name.to_owned(), revision.spec.name.to_string());
        self.orders.spawn(async move {
            let yes = allowed(&ask, &name).await;
            Event::Answered { name, stack, yes }
        });
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
        let is_over = |order: &Order| match &order.pair {
            Some(pair) => pair.facts.not_after <= now,
            None => order.held.meta.failures >= TRIES,
        };
        let names = self.on_demand.names.keys();
        let over: Vec<String> =
            names.filter(|name| self.orders.of(&[(*name).clone()]).is_some_and(is_over)).cloned().collect();
        if over.is_empty() {
            return;
        }
        for name in over {
            self.on_demand.names.remove(&name);
            self.orders.remove(&[name]);
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
