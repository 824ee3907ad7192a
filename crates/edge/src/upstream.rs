//! An upstream: the instances a route may send to, and which one is next.
//!
//! Least in flight: exact up to [`EXACT`] instances (ties go round), the better of two random ones beyond. Round robin: by a
//! schedule made once, in which each instance stands as often as its weight says, evenly spread; all workers walk it with one
//! cursor. An instance that was tried for this request is not tried again, one that has as many requests as it may have
//! (`concurrency`) is passed over.

use crate::instance::{Claim, Instance, Refused};
use model::site::Balance;
use model::traffic::TrafficSpec;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Notify;
use wire::snapshot::UpstreamState;

/// Up to so many instances all are compared.
const EXACT: usize = 16;
/// Places of a schedule, beyond one for each instance: weights whose sum is larger are rounded.
const PLACES: u64 = 4096;

/// [`Instance::key`]s that one request has tried.
pub type Tried = SmallVec<[u32; 4]>;

/// What of an upstream outlives snapshots, the same for all workers.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Where the search starts, so that ties go round: 300 requests to 3 instances are 100 each.
    cursor: AtomicU32,
    /// A claim has ended.
    pub free: Notify,
}

impl Lasting {
    /// A claim on one of its instances has ended: whoever waits for a place may look again.
    pub fn freed(&self) {
        self.free.notify_one();
    }
}

/// The instances of one app, or the addresses of a server that Mainstay does not run.
#[derive(Debug)]
pub struct Upstream {
    /// [`wire::snapshot::Upstream::id`]; the access log names it where no instance was tried.
    pub id: Box<str>,
    /// What to answer when none takes requests.
    pub state: UpstreamState,
    /// They speak HTTP/2 (RFC 9113), with prior knowledge.
    pub http2: bool,
    /// Those that take requests.
    pub instances: Box<[Arc<Instance>]>,
    /// How requests meet them.
    pub traffic: TrafficSpec,
    /// What stays when the next snapshot comes.
    pub lasting: Arc<Lasting>,
    /// For round robin: places in `instances`. Empty: the least busy.
    schedule: Box<[u32]>,
}

/// Result of [`Upstream::claim`].
#[derive(Debug)]
pub enum Pick {
    /// Send it there.
    Claimed(Claim),
    /// All that were there drain now: a newer snapshot knows more.
    Draining,
    /// Each one that is left to try has as many requests as it may have: a place becomes free when one of them ends.
    Busy,
    /// No instance is left to try.
    Exhausted,
}

impl Upstream {
    /// From what the snapshot says, with the instances made of its endpoints; `lasting` is that of the former one of this id.
    pub fn new(
        spec: &wire::snapshot::Upstream,
        endpoints: Vec<(Arc<Instance>, u32)>,
        lasting: Arc<Lasting>,
    ) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|(_, weight)| *weight).collect();
        let schedule = match spec.balance {
            Balance::LeastRequests => Box::default(),
            Balance::RoundRobin => schedule(&weights),
        };
        let instances = endpoints.into_iter().map(|(instance, _)| instance).collect();
        Self {
            id: spec.id.as_str().into(),
            state: spec.state,
            http2: spec.http2,
            instances,
            traffic: spec.traffic.clone(),
            lasting,
            schedule,
        }
    }

    /// Most requests in flight for each instance.
    fn most(&self) -> u32 {
        self.traffic.concurrency.unwrap_or(u32::MAX)
    }

    /// Whether connections wait for the next request: not where an instance takes one at a time, for a synchronous worker would
    /// listen to nobody else meanwhile.
    pub fn keeps_connections(&self) -> bool {
        self.traffic.concurrency != Some(1)
    }

    /// Claims the best instance that was not tried yet.
    pub fn claim(&self, tried: &mut Tried) -> Pick {
        let mut draining = false;
        // Each turn ends with a claim, with one more instance tried, or after another claimer's success.
        while let Some(instance) = self.best(tried) {
            match instance.claim(self.most()) {
                Ok(claim) => {
                    tried.push(instance.key);
                    return Pick::Claimed(claim);
                }
                Err(Refused::Draining) => {
                    tried.push(instance.key);
                    draining = true;
                }
                Err(Refused::Busy) => {}
            }
        }
        let left = || self.instances.iter().any(|instance| !tried.contains(&instance.key));
        match draining {
            true => Pick::Draining,
            false if left() => Pick::Busy,
            false => Pick::Exhausted,
        }
    }

    /// Whether it was not tried yet, and has a place.
    fn may_take(&self, instance: &Instance, tried: &Tried) -> bool {
        !tried.contains(&instance.key) && instance.in_flight() < self.most()
    }

    fn best(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let count = self.instances.len();
        match count {
            0 => None,
            1 => self.instances.first().filter(|instance| self.may_take(instance, tried)),
            _ if !self.schedule.is_empty() => self.next(tried),
            _ if count <= EXACT || !tried.is_empty() => self.fewest(tried),
            _ => {
                let pick = || self.instances.get(fastrand::usize(..count));
                let (first, second) = (pick()?, pick()?);
                let better = if second.in_flight() < first.in_flight() { second } else { first };
                // Where both are full a third may not be.
                if self.may_take(better, tried) { Some(better) } else { self.fewest(tried) }
            }
        }
    }

    /// The next on the schedule; those without a place in it (weight 0) only when all others were tried.
    fn next(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let start = self.lasting.cursor.fetch_add(1, Ordering::Relaxed) as usize % self.schedule.len();
        let (before, from) = self.schedule.split_at_checked(start)?;
        let scheduled = from.iter().chain(before).filter_map(|&place| self.instances.get(place as usize));
        scheduled.chain(&self.instances).find(|instance| self.may_take(instance, tried))
    }

    fn fewest(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let count = self.instances.len();
        let start = self.lasting.cursor.fetch_add(1, Ordering::Relaxed) as usize % count;
        let (before, from) = self.instances.split_at_checked(start)?;
        // `min_by_key` gives the first of equals: the one nearest to the start.
        from.iter()
            .chain(before)
            .filter(|instance| self.may_take(instance, tried))
            .min_by_key(|instance| instance.in_flight())
    }
}

/// Places by weight, evenly spread: the n-th turn of an instance of weight w comes at (n + ½) / w of a round. Equal weights
/// give each a turn in order. Without any weight: empty.
fn schedule(weights: &[u32]) -> Box<[u32]> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let sum: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
    let most = PLACES + weights.len() as u64;
    let turns = |weight: u32| {
        let weight = u64::from(weight / divisor);
        if sum > most && weight > 0 { (weight * most / sum).max(1) } else { weight }
    };
    let mut places: Vec<(u64, u32)> = (0..)
        .zip(weights)
        .flat_map(|(place, &weight)| {
            let turns = turns(weight);
            (0..turns).map(move |turn| (((2 * turn + 1) << 32) / (2 * turns), place))
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
