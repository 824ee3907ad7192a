//! Limits of rate: GCRA by `governor`, counted by key in a zone that outlives snapshots.
//!
//! From idle `burst + 1` requests pass at once; what comes evenly at the rate always passes. A refused request is not counted.
//!
//! Memory is bounded whatever keys are made up: a shard keeps [`MOST`] keys. Those beyond share [`SHARED`] cells, so
//! under a flood of addresses the limit still holds for each of them, and newcomers may be held to it together with others.
//! Neither to let them all pass (a flood would lift the limit) nor to refuse them all (a flood would lock out everybody new) is
//! better. Keys that have been idle long enough to be as new are swept by the control thread.

use super::Asked;
use super::key::Key;
use super::shards::Shards;
use crate::error_page::Refusal;
use governor::clock::{Clock, DefaultClock};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use model::policy::RateSpec;
use std::hash::RandomState;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wire::failure::Cause;

/// Keys of one shard that have a cell of their own: in all 115,000 and some 2 MB for a zone.
const MOST: usize = 1792;
/// Cells of one shard that all others share.
const SHARED: u64 = 64;

/// Where requests are counted together.
#[derive(Debug)]
pub struct RateZone {
    /// [`RateSpec::zone`].
    pub name: Box<str>,
    /// Requests refused since it came to be.
    pub refused: AtomicU64,
    by: Key,
    limiter: RateLimiter<u64, Cells, DefaultClock>,
    clock: DefaultClock,
    hasher: RandomState,
}

/// A limit of a route.
#[derive(Debug)]
pub struct Rate {
    zone: Arc<RateZone>,
    status: u16,
}

impl Rate {
    /// That refuses with this status.
    pub fn new(zone: Arc<RateZone>, status: u16) -> Self {
        Self { zone, status }
    }

    /// Counts a request, or refuses it; the name of the zone is for the log.
    pub fn count(&self, asked: &Asked<'_>) -> Result<(), (Refusal, &str)> {
        let zone = &self.zone;
        let key = zone.by.of(asked, &zone.hasher);
        let Err(early) = zone.limiter.check_key(&key) else { return Ok(()) };
        zone.refused.fetch_add(1, Ordering::Relaxed);
        let wait = early.wait_time_from(zone.clock.now());
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let refusal = Refusal {
            retry_after: Some(seconds),
            ..Refusal::new(self.status, Cause::RateLimit, "more requests than allowed")
        };
        Err((refusal, &zone.name))
    }
}

impl RateZone {
    /// Nobody has asked yet.
    pub fn new(spec: &RateSpec) -> Self {
        // The manifest allows neither a rate of none nor one without a time.
        let each = Duration::from_millis(spec.per_ms.max(1)) / spec.count.max(1);
        let burst = NonZeroU32::MIN.saturating_add(spec.burst);
        let quota = Quota::with_period(each.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_second(NonZeroU32::MAX))
            .allow_burst(burst);
        let clock = DefaultClock::default();
        Self {
            name: spec.zone.as_str().into(),
            refused: AtomicU64::new(0),
            by: Key::new(&spec.by),
            limiter: RateLimiter::new(quota, Cells::default(), clock.clone()),
            clock,
            hasher: RandomState::new(),
        }
    }

    /// Forgets keys that are as new.
    pub fn sweep(&self) {
        self.limiter.retain_recent();
    }

    /// Keys that are remembered.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        self.limiter.len()
    }
}

/// When the next request of a key is due, by key.
#[derive(Debug, Default)]
struct Cells(Shards<Nanos>);

impl StateStore for Cells {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, &key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut cells = self.0.of(key);
        let full = cells.len() >= MOST && !cells.contains_key(&key);
        let key = if full { key % SHARED } else { key };
        let (passed, due) = measure(cells.get(&key).copied())?;
        cells.insert(key, due);
        Ok(passed)
    }
}

impl ShrinkableKeyedStateStore<u64> for Cells {
    fn retain_recent(&self, drop_below: Nanos) {
        for mut cells in self.0.each() {
            cells.retain(|_, due| *due > drop_below);
            // What a flood took is given back.
            let kept = cells.len();
            if cells.capacity() > 64 + 8 * kept {
                cells.shrink_to(2 * kept);
            }
        }
    }

    fn len(&self) -> usize {
        self.0.each().map(|cells| cells.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.each().all(|cells| cells.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::request::tests::asking;
    use model::policy::KeySpec;

    fn spec(count: u32, per_ms: u64, burst: u32, by: KeySpec) -> RateSpec {
        RateSpec { zone: "z".into(), count, per_ms, burst, by, status: 429 }
    }

    fn rate(spec: &RateSpec) -> Rate {
        Rate::new(Arc::new(RateZone::new(spec)), spec.status)
    }

    #[test]
    fn from_idle_one_more_than_the_burst_passes() {
        let hourly = rate(&spec(10, 3_600_000, 20, KeySpec::Client));
        let passed = (0..40).filter(|_| asking("", |asked| hourly.count(asked).is_ok())).count();
        assert_eq!(passed, 21);
        let (refusal, zone) = asking("", |asked| {
            hourly.count(asked).map_err(|(refusal, zone)| (refusal, zone.to_owned())).unwrap_err()
        });
        assert_eq!((refusal.status, refusal.retry_after, zone.as_str()), (429, Some(360), "z"));
    }

    #[test]
    fn keys_are_counted_apart() {
        let by_header = rate(&spec(1, 3_600_000, 0, KeySpec::Header("X-Key".into())));
        let passes = |head: &str| asking(head, |asked| by_header.count(asked).is_ok());
        assert!(passes("X-Key: a\r\n") && !passes("x-key: a\r\n") && passes("X-Key: b\r\n"));
        assert!(passes("") && !passes(""), "without it the address counts");
        let by_cookie = rate(&spec(1, 3_600_000, 0, KeySpec::Cookie("id".into())));
        let passes = |head: &str| asking(head, |asked| by_cookie.count(asked).is_ok());
        assert!(passes("Cookie: x=1; id=a\r\n") && !passes("Cookie: id=a\r\n"));
        assert!(passes("Cookie: id=b; idx=a\r\n"));
        let by_route = rate(&spec(1, 3_600_000, 0, KeySpec::Route));
        let passes = |head: &str| asking(head, |asked| by_route.count(asked).is_ok());
        assert!(passes("A: 1\r\n") && !passes("A: 2\r\n"));
    }

    #[test]
    fn a_flood_of_keys_stays_bounded_and_is_still_limited() {
        let zone = RateZone::new(&spec(1, 3_600_000, 0, KeySpec::Client));
        let hasher = RandomState::new();
        let mut passed = 0_u32;
        for n in 0..1_000_000_u64 {
            passed +=
                u32::from(zone.limiter.check_key(&std::hash::BuildHasher::hash_one(&hasher, n)).is_ok());
        }
        let most = 64 * (MOST + SHARED as usize);
        assert!(zone.keys() <= most, "{}", zone.keys());
        assert!(passed as usize <= most, "{passed} passed");
    }

    #[test]
    fn idle_keys_are_forgotten() {
        let zone = RateZone::new(&spec(1000, 1, 0, KeySpec::Client));
        (0..1000_u64).for_each(|n| drop(zone.limiter.check_key(&((n << 40) | (n + 1)))));
        crate::policy::request::tests::eventually(|| {
            zone.sweep();
            zone.keys() == 0
        });
    }
}
