//! The zones of all limits. A zone lives as long as a policy counts in it: routes with equal limits share it, and so do
//! former and new snapshot. With another rate it is another zone, which begins anew.

use super::concurrency::{Concurrency, ConcurrencyZone};
use super::rates::{Rate, RateZone};
use model::policy::{ConcurrencySpec, KeySpec, RateSpec};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// All of them. Control thread only.
#[derive(Debug, Default)]
pub struct Zones {
    rates: HashMap<RateName, Weak<RateZone>>,
    concurrency: HashMap<ConcurrencyName, Weak<ConcurrencyZone>>,
}

/// What makes two limits of rate the same: zone, count, milliseconds, burst, key.
type RateName = (String, u32, u64, u32, KeySpec);
/// Likewise: zone, most, key.
type ConcurrencyName = (String, u32, KeySpec);

/// A zone, for metrics. It does not keep it alive: a table that showed it would hand it on to the next.
#[derive(Debug, Clone)]
pub enum Zone {
    /// Of a limit of rate.
    Rate(Weak<RateZone>),
    /// Of a limit on requests in flight.
    Concurrency(Weak<ConcurrencyZone>),
}

/// A zone's figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZoneFigures {
    /// Its name, as in the manifest's limits.
    pub zone: Box<str>,
    /// `rate` or `concurrency`.
    pub kind: &'static str,
    /// Requests refused since it came to be.
    pub refused: u64,
}

impl Zone {
    /// As they are now, if it is still in use.
    pub fn figures(&self) -> Option<ZoneFigures> {
        let (zone, kind, refused) = match self {
            Self::Rate(zone) => zone
                .upgrade()
                .map(|zone| (zone.name.clone(), "rate", zone.refused.load(Ordering::Relaxed)))?,
            Self::Concurrency(zone) => zone
                .upgrade()
                .map(|zone| (zone.name.clone(), "concurrency", zone.refused.load(Ordering::Relaxed)))?,
        };
        Some(ZoneFigures { zone, kind, refused })
    }
}

impl Zones {
    /// A limit of rate.
    pub fn rate(&mut self, spec: &RateSpec) -> Rate {
        let name = (spec.zone.clone(), spec.count, spec.per_ms, spec.burst, spec.by.clone());
        let place = self.rates.entry(name).or_default();
        let zone = place.upgrade().unwrap_or_else(|| Arc::new(RateZone::new(spec)));
        *place = Arc::downgrade(&zone);
        Rate::new(zone, spec.status)
    }

    /// A limit on requests in flight.
    pub fn concurrency(&mut self, spec: &ConcurrencySpec) -> Concurrency {
        let name = (spec.zone.clone(), spec.most, spec.by.clone());
        let place = self.concurrency.entry(name).or_default();
        let zone = place.upgrade().unwrap_or_else(|| Arc::new(ConcurrencyZone::new(spec)));
        *place = Arc::downgrade(&zone);
        Concurrency::new(zone, spec.status)
    }

    /// Forgets zones nobody counts in, and keys that are as new.
    pub fn sweep(&mut self) {
        self.rates.retain(|_, zone| zone.upgrade().inspect(|zone| zone.sweep()).is_some());
        self.concurrency.retain(|_, zone| zone.strong_count() > 0);
    }

    /// Whether there are keys to be swept.
    pub fn counts_rates(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Every zone.
    pub fn all(&self) -> Vec<Zone> {
        let rates = self.rates.values().map(|zone| Zone::Rate(Weak::clone(zone)));
        rates.chain(self.concurrency.values().map(|zone| Zone::Concurrency(Weak::clone(zone)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::tests::asking;

    #[test]
    fn a_zone_lives_on_while_its_limit_stays_the_same() {
        let mut zones = Zones::default();
        let spec = |burst| RateSpec {
            zone: "api".into(),
            count: 1,
            per_ms: 3_600_000,
            burst,
            by: KeySpec::Client,
            status: 429,
        };
        let former = zones.rate(&spec(0));
        assert!(asking("", |asked| former.count(asked).is_ok()));
        let next = zones.rate(&spec(0));
        assert!(asking("", |asked| next.count(asked).is_err()), "counted already");
        assert!(asking("", |asked| zones.rate(&spec(1)).count(asked).is_ok()), "another limit");
        assert!(
            zones
                .all()
                .iter()
                .filter_map(Zone::figures)
                .any(|zone| zone.refused == 1 && &*zone.zone == "api")
        );
        let shown = zones.all();
        drop((former, next));
        assert!(shown.iter().all(|zone| zone.figures().is_none()), "who shows a zone does not keep it");
        zones.sweep();
        assert!(zones.all().is_empty() && !zones.counts_rates());
    }
}
