//! Limits on requests in flight, counted by key in a zone that outlives snapshots. A key without a request has no entry, so
//! the table is bounded by the requests themselves.

use super::Asked;
use super::key::{ALL, Key};
use super::shards::Shards;
use model::policy::ConcurrencySpec;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where requests are counted together.
#[derive(Debug)]
pub struct ConcurrencyZone {
    /// [`ConcurrencySpec::zone`].
    pub name: Box<str>,
    /// Requests refused since it came to be.
    pub refused: AtomicU64,
    by: Key,
    most: u32,
    /// Of [`Key::Route`].
    all: AtomicU32,
    /// Of every other key.
    each: Shards<u32>,
    hasher: RandomState,
}

/// A limit of a route.
#[derive(Debug)]
pub struct Concurrency {
    zone: Arc<ConcurrencyZone>,
    /// Status of the refusal.
    pub status: u16,
}

impl Concurrency {
    /// That refuses with this status.
    pub fn new(zone: Arc<ConcurrencyZone>, status: u16) -> Self {
        Self { zone, status }
    }

    /// A place for a request until it is dropped; the name of the zone where none is left.
    pub fn take(&self, asked: &Asked<'_>) -> Result<Held, &str> {
        self.zone.take(self.zone.by.of(asked, &self.zone.hasher)).ok_or(&self.zone.name)
    }
}

impl ConcurrencyZone {
    /// With no request in flight.
    pub fn new(spec: &ConcurrencySpec) -> Self {
        Self {
            name: spec.zone.as_str().into(),
            refused: AtomicU64::new(0),
            by: Key::new(&spec.by),
            most: spec.most,
            all: AtomicU32::new(0),
            each: Shards::default(),
            hasher: RandomState::new(),
        }
    }

    fn take(self: &Arc<Self>, key: u64) -> Option<Held> {
        let fits = if key == ALL {
            let more = |count: u32| (count < self.most).then_some(count + 1);
            self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
        } else {
            let mut counts = self.each.of(key);
            let count = counts.get(&key).copied().unwrap_or_default();
            let fits = count < self.most;
            if fits {
                counts.insert(key, count + 1);
            }
            fits
        };
        if !fits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        fits.then(|| Held { zone: Arc::clone(self), key, beside: None })
    }
}

/// A request's place; dropping it gives it back.
#[derive(Debug)]
pub struct Held {
    zone: Arc<ConcurrencyZone>,
    key: u64,
    /// Its place in another limit of the same route.
    pub beside: Option<Box<Held>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.key == ALL {
            self.zone.all.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let mut counts = self.zone.each.of(self.key);
        match counts.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::tests::asking;
    use model::policy::KeySpec;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        for by in [KeySpec::Client, KeySpec::Route] {
            let spec = ConcurrencySpec { zone: "z".into(), most: 2, by, status: 503 };
            let limit = Concurrency::new(Arc::new(ConcurrencyZone::new(&spec)), spec.status);
            let take = || asking("", |asked| limit.take(asked).ok());
            let first = take().unwrap();
            let _second = take().unwrap();
            assert!(take().is_none());
            drop(first);
            let third = take().unwrap();
            assert!(take().is_none());
            drop((third, _second));
            assert_eq!(limit.zone.each.each().map(|counts| counts.len()).sum::<usize>(), 0);
            assert_eq!(limit.zone.all.load(Ordering::Relaxed), 0);
            assert_eq!(limit.zone.refused.load(Ordering::Relaxed), 2);
        }
    }
}
