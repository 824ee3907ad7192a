//! What `status` and `certs` show of certificates, and what a person has to see to.

use super::Certificates;
use super::held::Held;
use super::orders::{Order, Work};
use super::wanted::{Source, Wanted};
use crate::api::{Alert, CertificateStatus};
use certs::Pair;
use certs::acme::Due;
use std::time::SystemTime;

/// Failed tries in a row that a person should know of: by then it is no passing trouble.
const TOO_MANY: u32 = 3;

impl Certificates {
    /// Of all.
    pub(crate) fn status(&self, now: SystemTime) -> Vec<CertificateStatus> {
        let one = |(wanted, held): (&Wanted, &Held)| match self.orders.of(&wanted.hosts) {
            Some(order) if wanted.source == Source::Authority => self.of_order(wanted, order, now),
            _ => of_held(wanted, held, now),
        };
        self.held.iter().map(one).collect()
    }

    fn of_order(&self, wanted: &Wanted, order: &Order, now: SystemTime) -> CertificateStatus {
        let meta = &order.held.meta;
        let pair = order.pair.as_deref();
        let ordering = order.is_under_way();
        let expired = pair.is_some_and(|pair| pair.facts.not_after <= now);
        let (error, next) = (order.problem.as_ref().or(meta.error.as_ref()), next_try(order));
        let state = match pair {
            _ if ordering => "ordering",
            Some(_) if expired => "expired",
            Some(_) => "valid",
            None if order.problem.is_some() || order.due == Due::Never => "failed",
            None => "waiting",
        };
        let again = match (ordering, next.and_then(time)) {
            (true, _) => "it is being ordered again".to_owned(),
            (false, Some(at)) => format!("it is tried again at {at}"),
            (false, None) => "it is not tried again until that is put right: mainstay certs renew".to_owned(),
        };
        let missing: Vec<&str> = wanted
            .hosts
            .iter()
            .filter(|host| self.is_missing(wanted.stack.as_deref().unwrap_or_default(), host))
            .map(String::as_str)
            .collect();
        let problem = match (error, pair) {
            (Some(error), Some(_)) if missing.is_empty() => {
                Some(format!("could not be renewed, the former one stays in use: {error}; {again}"))
            }
            (Some(error), _) => Some(format!(
                "for {} is not there yet: {error}; {again}; until then HTTPS refuses the name and plain HTTP serves the site",
                missing.join(", ")
            )),
            (None, _) if expired => Some("has expired".to_owned()),
            (None, _) => None,
        };
        CertificateStatus {
            source: "acme".to_owned(),
            state: state.to_owned(),
            authority: order.wish.acme.authorities.first().map(|one| one.directory.clone()),
            renewal: pair.and(meta.renew).and_then(time),
            error: error.cloned(),
            next_try: next.and_then(time),
            failures: meta.failures,
            problems: problem.into_iter().chain(order.export.problem.clone()).collect(),
            ..of_pair(wanted, pair)
        }
    }

    /// What is not put right by itself: an authority that says no, or that gave nothing several times in a row.
    pub(crate) fn alerts(&self, now: SystemTime) -> Vec<Alert> {
        let orders = self.held.keys().filter(|wanted| wanted.source == Source::Authority);
        let found = orders.filter_map(|wanted| {
            let order = self.orders.of(&wanted.hosts)?;
            let is_late = order.problem.is_some() || order.held.meta.failures >= TOO_MANY;
            // Before its status is made: usually there is nothing to tell of very many.
            if !is_late && order.due != Due::Never {
                return None;
            }
            let status = self.of_order(wanted, order, now);
            let error = status.error?;
            let name = wanted.hosts.first().cloned().unwrap_or_default();
            let left = status.not_after.map(|at| format!("; the one that is served is good until {at}"));
            Some(Alert {
                stack: status.stack,
                app: String::new(),
                instances: Vec::new(),
                since: None,
                text: format!("no new certificate for {name}: {error}{}", left.unwrap_or_default()),
                next: format!("put that right, then mainstay certs renew {name}"),
            })
        });
        found.collect()
    }
}

impl Order {
    /// In the keeper's log.
    pub(super) fn report(&self, changed: bool, former: Option<String>) {
        let names = self.wish.names.join(", ");
        match (&self.held.meta.error, changed) {
            (_, true) => {
                let issuer = self.pair.as_ref().map(|pair| pair.facts.issuer.as_str()).unwrap_or_default();
                tracing::info!(names, issuer, "certificate ready");
            }
            (Some(error), false) if former.as_ref() != Some(error) => {
                tracing::error!(names, error, "no new certificate");
            }
            _ => {}
        }
    }

    /// It is being ordered, or as soon as others are done.
    fn is_under_way(&self) -> bool {
        let begun = self.task.as_ref().is_some_and(|task| task.work == Work::Order);
        let is_next = self.forced || self.task.is_none() && self.due == Due::Now;
        begun || self.problem.is_none() && is_next
    }
}

/// When an order that failed is tried again.
fn next_try(order: &Order) -> Option<SystemTime> {
    order.held.meta.next_try.filter(|_| order.held.meta.error.is_some() && order.problem.is_none())
}

fn of_held(wanted: &Wanted, held: &Held, now: SystemTime) -> CertificateStatus {
    let pair = held.pair.as_deref();
    let warned = pair.map(|pair| wanted.warnings(pair, now)).unwrap_or_default();
    let state = match pair {
        Some(pair) if pair.facts.not_after <= now => "expired",
        Some(_) => "valid",
        None => "missing",
    };
    let source = match &wanted.source {
        Source::Files { .. } => "files",
        Source::Custom { .. } => "own",
        Source::Authority => "acme",
        Source::Local => "local",
    };
    CertificateStatus {
        source: source.to_owned(),
        state: state.to_owned(),
        error: held.problem.clone(),
        problems: held.problem.iter().cloned().chain(warned).collect(),
        ..of_pair(wanted, pair)
    }
}

fn of_pair(wanted: &Wanted, pair: Option<&Pair>) -> CertificateStatus {
    let facts = pair.map(|pair| &pair.facts);
    let names = facts.map(|facts| facts.names.clone()).unwrap_or_default();
    CertificateStatus {
        stack: wanted.stack.clone().unwrap_or_default(),
        hosts: if wanted.is_custom() { names.clone() } else { wanted.hosts.clone() },
        names,
        issuer: facts.map(|facts| facts.issuer.clone()),
        local: wanted.source == Source::Local,
        file: match &wanted.source {
            Source::Local | Source::Authority => None,
            Source::Files { cert, .. } | Source::Custom { cert, .. } => Some(cert.clone()),
        },
        not_after: facts.and_then(|facts| time(facts.not_after)),
        ..CertificateStatus::default()
    }
}

/// RFC 3339, UTC, to the second.
pub(super) fn time(at: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(at).map(|at| format!("{at:.0}")).ok()
}
