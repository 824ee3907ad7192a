//! An upstream: the instances a route may send to, and which one is next.
//!
//! Least in flight: exact up to [`EXACT`] instances (ties go round), the better of two random ones beyond. Round robin: by a
//! schedule made once, in which each instance stands as often as its weight says, evenly spread; all workers walk it with one
//! cursor. An instance that was tried for this request is not tried again.

use crate::instance::{Claim, Instance};
use model::site::Balance;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wire::snapshot::UpstreamState;

/// Up to so many instances all are compared.
const EXACT: usize = 16;
/// Places of a schedule, beyond one for each instance: weights whose sum is larger are rounded.
const PLACES: u64 = 4096;

/// [`Instance::key`]s that one request has tried.
pub type Tried = SmallVec<[u32; 4]>;

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
    /// Where the search starts, so that ties go round. One for all workers: 300 requests to 3 instances are 100 each.
    cursor: Arc<AtomicU32>,
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
    /// No instance is left to try.
    Exhausted,
}

impl Upstream {
    /// From what the snapshot says, the instances with their weights; `cursor` goes on where the former one of this id stood.
    pub fn new(
        id: &str,
        state: UpstreamState,
        balance: Balance,
        endpoints: Vec<(Arc<Instance>, u32)>,
        cursor: Arc<AtomicU32>,
    ) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|(_, weight)| *weight).collect();
        let schedule = match balance {
            Balance::LeastRequests => Box::default(),
            Balance::RoundRobin => schedule(&weights),
        };
        let instances = endpoints.into_iter().map(|(instance, _)| instance).collect();
        Self { id: id.into(), state, http2: false, instances, cursor, schedule }
    }

    /// Claims the best instance that was not tried yet.
    pub fn claim(&self, tried: &mut Tried) -> Pick {
        let mut draining = false;
        // Each turn ends with a claim or with one more instance tried.
        while let Some(instance) = self.best(tried) {
            tried.push(instance.key);
            match instance.claim() {
                Some(claim) => return Pick::Claimed(claim),
                None => draining = true,
            }
        }
        if draining { Pick::Draining } else { Pick::Exhausted }
    }

    fn best(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let count = self.instances.len();
        match count {
            0 => None,
            1 => self.instances.first().filter(|instance| !tried.contains(&instance.key)),
            _ if !self.schedule.is_empty() => self.next(tried),
            _ if count <= EXACT || !tried.is_empty() => self.fewest(tried),
            _ => {
                let pick = || self.instances.get(fastrand::usize(..count));
                let (first, second) = (pick()?, pick()?);
                Some(if second.in_flight() < first.in_flight() { second } else { first })
            }
        }
    }

    /// The next on the schedule; those without a place in it (weight 0) only when all others were tried.
    fn next(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let start = self.cursor.fetch_add(1, Ordering::Relaxed) as usize % self.schedule.len();
        let (before, from) = self.schedule.split_at_checked(start)?;
        let scheduled = from.iter().chain(before).filter_map(|&place| self.instances.get(place as usize));
        scheduled.chain(&self.instances).find(|instance| !tried.contains(&instance.key))
    }

    fn fewest(&self, tried: &Tried) -> Option<&Arc<Instance>> {
        let count = self.instances.len();
        let start = self.cursor.fetch_add(1, Ordering::Relaxed) as usize % count;
        let (before, from) = self.instances.split_at_checked(start)?;
        // `min_by_key` gives the first of equals: the one nearest to the start.
        from.iter()
            .chain(before)
            .filter(|instance| !tried.contains(&instance.key))
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
mod tests {
    use super::*;
    use crate::wake::Wake;
    use model::observed::Address;

    fn upstream(count: u16) -> Upstream {
        weighted(Balance::LeastRequests, &vec![1; count.into()])
    }

    fn weighted(balance: Balance, weights: &[u32]) -> Upstream {
        let wake = Wake::new().unwrap();
        let address = |port| Address::Tcp(([127, 0, 0, 1], port).into());
        let endpoint = |(n, &weight): (u16, &u32)| {
            (Instance::new(&n.to_string(), address(n), Arc::clone(&wake)), weight)
        };
        let endpoints = (1..).zip(weights).map(endpoint).collect();
        Upstream::new("s/a", UpstreamState::Ready, balance, endpoints, Arc::default())
    }

    /// The instances' names of so many requests, one after the other.
    fn turns(upstream: &Upstream, count: usize) -> Vec<usize> {
        let name = |claim: Claim| claim.instance().unwrap().name.parse().unwrap();
        (0..count).map(|_| name(claimed(upstream.claim(&mut Tried::new())))).collect()
    }

    fn claimed(pick: Pick) -> Claim {
        match pick {
            Pick::Claimed(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ties_go_round() {
        for upstream in [upstream(3), weighted(Balance::RoundRobin, &[1, 1, 1])] {
            assert_eq!(turns(&upstream, 300), [1, 2, 3].repeat(100));
        }
    }

    #[test]
    fn weights_are_kept_exactly_and_turns_evenly_spread() {
        assert_eq!(turns(&weighted(Balance::RoundRobin, &[100, 50]), 300), [1, 2, 1].repeat(100));
        assert_eq!(turns(&weighted(Balance::RoundRobin, &[5, 1, 1]), 7), [1, 1, 1, 2, 3, 1, 1]);
        let none = weighted(Balance::RoundRobin, &[0, 3, 0]);
        assert_eq!(turns(&none, 3), [2, 2, 2]);
        let mut tried = Tried::new();
        (0..3).for_each(|_| drop(claimed(none.claim(&mut tried))));
        assert!(matches!(none.claim(&mut tried), Pick::Exhausted));
        assert_eq!(turns(&weighted(Balance::RoundRobin, &[0, 0]), 4).len(), 4, "all the same then");
    }

    #[test]
    fn a_schedule_is_bounded_whatever_the_weights() {
        let schedule = schedule(&[u32::MAX, u32::MAX - 1, 1]);
        assert!(schedule.len() as u64 <= PLACES + 4, "{}", schedule.len());
        assert!(schedule.contains(&2), "rounded, but not away");
        let heavy = schedule.iter().filter(|&&place| place == 0).count();
        assert!((2040..=2056).contains(&heavy), "{heavy}");
    }

    #[test]
    fn the_least_busy_is_next() {
        let upstream = upstream(3);
        let held: Vec<Claim> = (0..3).map(|_| claimed(upstream.claim(&mut Tried::new()))).collect();
        let name = held[1].instance().unwrap().name.clone();
        let mut held = held;
        drop(held.remove(1));
        assert_eq!(claimed(upstream.claim(&mut Tried::new())).instance().unwrap().name, name);
    }

    #[test]
    fn each_is_tried_once() {
        let upstream = upstream(20);
        let mut tried = Tried::new();
        for _ in 0..20 {
            drop(claimed(upstream.claim(&mut tried)));
        }
        assert!(matches!(upstream.claim(&mut tried), Pick::Exhausted));
        upstream.instances.iter().for_each(|instance| instance.set_draining(true));
        assert!(matches!(upstream.claim(&mut Tried::new()), Pick::Draining));
    }
}
