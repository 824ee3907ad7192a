//! Figures for Prometheus (OBS-24): counted by each worker for itself, summed when somebody asks.
//!
//! ```text
//!   worker: Record's drop ──▶ SiteFigures of its own, found by the site's number ─┐
//!           connections, handshakes, versions ──▶ WorkerStats                     ├─▶ Metrics::render: control thread,
//!   instances, guard, access log: what they count anyway ─────────────────────────┘    or a thread for blocking calls
//! ```
//! No figure has two writers, so counting is a load and a store. A site's number ([`SiteNumbers`]) stays the same as long as the
//! process lives, also while the site is gone; [`MAX_SITES`] of them get one, all others, and requests for no site at all,
//! are counted together as `other`: so the number of labels, and of cache lines touched, is bounded.

mod render;
mod route;
mod worker;

pub use route::run;
pub use worker::{Handshake, Version, WorkerStats};

use crate::access_log::AccessLog;
use crate::guard::Guard;
use crate::table::Table;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Sites with figures of their own. The others share number 0.
const MAX_SITES: usize = 1000;
/// Upper bounds of the durations' buckets, in microseconds; the last bucket has none.
const BOUNDS: [u64; 8] = [1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000, 60_000_000];

/// A figure with one writer, to be read by anybody.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds; with one writer a load and a store do, which are cheaper than an atomic addition.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// Takes away.
    #[inline]
    pub fn sub(&self, less: u64) {
        self.0.store(self.get().wrapping_sub(less), Ordering::Relaxed);
    }

    /// As it is now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a cache (of files' bodies, of answers) had for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The answer.
    Hit,
    /// Nothing that could be used.
    Miss,
}

impl CacheStatus {
    /// As the access log and the metrics' label have it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// A request that has ended, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// What was answered.
    pub status: u16,
    /// Bytes from the client, as far as they were passed on, and to it.
    pub received: u64,
    /// Heads included.
    pub sent: u64,
    /// From its first byte to its end.
    pub took: Duration,
    /// None: no cache was asked.
    pub cache: Option<CacheStatus>,
}

/// One worker's figures of one site.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct SiteFigures {
    /// 1xx to 5xx.
    classes: [Count; 5],
    received: Count,
    sent: Count,
    micros: Count,
    buckets: [Count; BOUNDS.len() + 1],
    hits: Count,
    misses: Count,
}

impl SiteFigures {
    fn count(&self, ended: Ended) {
        let class = usize::from(ended.status / 100).clamp(1, 5) - 1;
        self.classes.get(class).inspect(|class| class.add(1));
        self.received.add(ended.received);
        self.sent.add(ended.sent);
        let micros = u64::try_from(ended.took.as_micros()).unwrap_or(u64::MAX);
        self.micros.add(micros);
        let bucket = BOUNDS.iter().take_while(|bound| micros > **bound).count();
        self.buckets.get(bucket).inspect(|bucket| bucket.add(1));
        match ended.cache {
            Some(CacheStatus::Hit) => self.hits.add(1),
            Some(CacheStatus::Miss) => self.misses.add(1),
            None => {}
        }
    }
}

/// One worker's figures of all sites, by their numbers. The worker keeps [`Sites`] and adds to it what it meets first.
pub type SharedSites = Mutex<Vec<Arc<SiteFigures>>>;

/// The worker's own view.
#[derive(Debug, Default)]
pub struct Sites(Vec<Arc<SiteFigures>>);

impl Sites {
    /// Counts a request of this site.
    pub fn count(&mut self, site: u32, ended: Ended, shared: &SharedSites) {
        let place = Some(site as usize).filter(|place| *place <= MAX_SITES).unwrap_or_default();
        if place >= self.0.len() {
            self.0.resize_with(place + 1, Arc::default);
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = self.0.clone();
        }
        self.0.get(place).inspect(|figures| figures.count(ended));
    }
}

/// Numbers of sites, by name; shared by the compiler, which gives them, and who renders.
#[derive(Debug, Default)]
pub struct SiteNumbers(Mutex<HashMap<Box<str>, u32>>);

impl SiteNumbers {
    /// The number of the site of this name (its first host); 0 when there are too many.
    pub fn number(&self, name: &str) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = known.len() + 1;
        match known.get(name) {
            Some(number) => *number,
            None if next > MAX_SITES => 0,
            None => *known.entry(name.into()).or_insert(u32::try_from(next).unwrap_or_default()),
        }
    }

    /// Names by number.
    fn names(&self) -> Vec<Box<str>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<Box<str>> = vec!["other".into(); known.len() + 1];
        for (name, number) in known.iter() {
            if let Some(place) = names.get_mut(*number as usize) {
                place.clone_from(name);
            }
        }
        names
    }
}

/// Where all figures are found.
pub struct Metrics {
    /// By worker.
    pub workers: Vec<Arc<WorkerStats>>,
    /// Names of sites.
    pub sites: Arc<SiteNumbers>,
    /// Upstreams and their instances.
    pub table: Arc<ArcSwap<Table>>,
    /// Lines lost.
    pub log: AccessLog,
    /// Who was turned away.
    pub guard: Arc<Guard>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_keep_their_numbers_and_too_many_share_one() {
        let numbers = SiteNumbers::default();
        assert_eq!((numbers.number("a.test"), numbers.number("b.test"), numbers.number("a.test")), (1, 2, 1));
        for n in 0..2 * MAX_SITES {
            numbers.number(&n.to_string());
        }
        assert_eq!((numbers.number("late.test"), numbers.number("b.test")), (0, 2));
        let names = numbers.names();
        assert_eq!((names.len(), &*names[0], &*names[2]), (MAX_SITES + 1, "other", "b.test"));
    }

    #[test]
    fn a_request_is_counted_where_it_belongs() {
        let (mut sites, shared) = (Sites::default(), SharedSites::default());
        let ended = |status, millis| Ended {
            status,
            received: 1,
            sent: 2,
            took: Duration::from_millis(millis),
            cache: Some(CacheStatus::Hit),
        };
        sites.count(2, ended(204, 1), &shared);
        sites.count(2, ended(499, 100_000), &shared);
        sites.count(u32::MAX, ended(0, 0), &shared);
        let shared = shared.lock().unwrap();
        let classes = |site: usize| shared[site].classes.each_ref().map(Count::get);
        assert_eq!((classes(2), classes(0)), ([0, 1, 0, 1, 0], [1, 0, 0, 0, 0]));
        let buckets = shared[2].buckets.each_ref().map(Count::get);
        assert_eq!(buckets, [1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((shared[2].sent.get(), shared[2].received.get(), shared[2].hits.get()), (4, 2, 2));
    }
}
