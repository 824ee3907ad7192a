//! What an authority is not asked for, because it would refuse: buckets that fill again with time, kept in the store (`limits.json`), for the
//! limits that Let's Encrypt publishes. An order waits for its turn, and another authority is asked meanwhile.
//!
//! The buckets outlive processes and go by the [`super::Host`]'s clock: what limits requests in the edge can do neither.

use super::failure::{Kind, Trouble};
use super::store::Store;
use crate::CertError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FILE: &str = "limits.json";
const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, when none was used for long.
    pub most: u32,
    /// The time in which all of them come back.
    pub per: Duration,
}

/// An authority's limits for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// New orders.
    pub orders: Rate,
    /// New certificates for one registered domain.
    pub certificates: Rate,
    /// Certificates for exactly the same names.
    pub duplicates: Rate,
    /// Failed validations of one name.
    pub failures: Rate,
}

/// What an authority publishes; none: it is not known to have any. (<https://letsencrypt.org/docs/rate-limits/>, and its page of the staging
/// environment.)
pub fn published(directory: &str) -> Option<Limits> {
    let rate = |most, per| Rate { most, per };
    match directory {
        model::acme::LETSENCRYPT => Some(Limits {
            orders: rate(300, HOUR * 3),
            certificates: rate(50, WEEK),
            duplicates: rate(5, WEEK),
            failures: rate(5, HOUR),
        }),
        model::acme::LETSENCRYPT_STAGING => Some(Limits {
            orders: rate(1500, HOUR * 3),
            certificates: rate(30_000, WEEK),
            duplicates: rate(30_000, WEEK),
            failures: rate(200, HOUR),
        }),
        _ => None,
    }
}

/// What an order is to the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// For names that there was no certificate for.
    New,
    /// For the same names as a former one.
    Renewal,
    /// The same, and it says which one it replaces (RFC 9773 section 5): counted by nobody.
    Replacement,
}

/// One authority's account, as it is counted.
pub(super) struct Counted<'a> {
    pub store: &'a Store,
    pub limits: Limits,
    /// Directory and account.
    pub who: String,
    pub names: &'a [String],
    pub now: SystemTime,
}

impl Counted<'_> {
    /// Counts an order, unless one of the limits says that it has to wait.
    pub(super) fn order(&self, order: Order) -> Result<(), Trouble> {
        self.with(|buckets| {
            for name in self.names {
                let what = format!("failed validations of {name}");
                self.asked(buckets, &format!("failures {name}"), self.limits.failures, &what)?;
            }
            if order == Order::Replacement {
                return Ok(());
            }
            self.asked(buckets, &self.same(), self.limits.duplicates, "certificates for the same names")?;
            if order == Order::Renewal {
                return Ok(());
            }
            for domain in self.domains() {
                let what = format!("certificates for {domain}");
                self.asked(buckets, &format!("certificates {domain}"), self.limits.certificates, &what)?;
            }
            self.asked(buckets, "orders", self.limits.orders, "orders")?;
            self.spend(buckets, "orders", self.limits.orders);
            Ok(())
        })
    }

    /// Counts a certificate that came of it.
    pub(super) fn certificate(&self, order: Order) -> Result<(), Trouble> {
        self.with(|buckets| {
            if order != Order::Replacement {
                self.spend(buckets, &self.same(), self.limits.duplicates);
            }
            if order == Order::New {
                for domain in self.domains() {
                    self.spend(buckets, &format!("certificates {domain}"), self.limits.certificates);
                }
            }
            Ok(())
        })
    }

    /// Counts names whose validation failed.
    pub(super) fn failed(&self, names: &[String]) -> Result<(), Trouble> {
        self.with(|buckets| {
            for name in names.iter().collect::<BTreeSet<_>>() {
                self.spend(buckets, &format!("failures {name}"), self.limits.failures);
            }
            Ok(())
        })
    }

    /// Reads all buckets, has them changed, and keeps those that are not full again.
    fn with(&self, change: impl FnOnce(&mut Buckets) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let _alone = self.store.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buckets = load(self.store)?;
        let changed = change(&mut buckets);
        buckets.retain(|_, bucket| bucket.full > seconds(self.now));
        let text = serde_json::to_string_pretty(&buckets).map_err(Trouble::own)?;
        self.store.keep_other(FILE, &text)?;
        changed
    }

    fn asked(&self, buckets: &mut Buckets, key: &str, rate: Rate, what: &str) -> Result<(), Trouble> {
        let bucket = buckets.entry(self.key(key)).or_default();
        let Some(wait) = bucket.wait(rate, self.now) else { return Ok(()) };
        let hours = rate.per.as_secs() / 3600;
        let text = format!(
            "it takes {} {what} in {hours} h, and they are used up: the order waits, the authority is not asked before",
            rate.most
        );
        Err(Trouble { wait: Some(wait), ..Trouble::new(Kind::Limited, text) })
    }

    fn spend(&self, buckets: &mut Buckets, key: &str, rate: Rate) {
        buckets.entry(self.key(key)).or_default().spend(rate, self.now);
    }

    fn key(&self, key: &str) -> String {
        format!("{} {key}", self.who)
    }

    fn same(&self) -> String {
        let names: BTreeSet<&String> = self.names.iter().collect();
        format!("same {}", super::hash(&format!("{names:?}")))
    }

    fn domains(&self) -> BTreeSet<String> {
        self.names.iter().map(|name| registered(name)).collect()
    }
}

/// The domain that somebody registered: the last two labels. Where a registry gives out names below two labels (`co.uk`) this counts too
/// much together, never too little. An address is its own.
fn registered(name: &str) -> String {
    if model::site::address(name).is_some() {
        return name.to_owned();
    }
    let labels: Vec<&str> = name.rsplitn(3, '.').take(2).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}

type Buckets = BTreeMap<String, Bucket>;

/// How much was used, by the time when all of it will have come back.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Bucket {
    /// Seconds since 1970.
    full: f64,
}

impl Bucket {
    /// How long until there is one to use; none: there is one.
    fn wait(&mut self, rate: Rate, now: SystemTime) -> Option<Duration> {
        let each = rate.per.as_secs_f64() / f64::from(rate.most.max(1));
        self.set_right(rate, now);
        let wait = self.full - seconds(now) - (rate.per.as_secs_f64() - each);
        (wait > 0.001).then(|| Duration::from_secs_f64(wait))
    }

    fn spend(&mut self, rate: Rate, now: SystemTime) {
        let each = rate.per.as_secs_f64() / f64::from(rate.most.max(1));
        self.set_right(rate, now);
        self.full = self.full.max(seconds(now)) + each;
    }

    /// A clock that was far ahead and was set back must not lock anybody out for longer than all of it takes. It is kept: what it takes
    /// counts from the first look.
    fn set_right(&mut self, rate: Rate, now: SystemTime) {
        self.full = self.full.min(seconds(now) + rate.per.as_secs_f64());
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn load(store: &Store) -> Result<Buckets, CertError> {
    let Some(text) = store.other(FILE)? else { return Ok(Buckets::new()) };
    serde_json::from_str(&text).map_err(|error| {
        store.broken(
            FILE,
            &format!("is not what was written there: {error}"),
            "remove it: counting begins anew then",
        )
    })
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
