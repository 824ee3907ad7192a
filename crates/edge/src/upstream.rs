//! An upstream: the instances a route may send to, and which one is next.
//!
//! Least in flight: exact up to [`EXACT`] instances (ties go round), the better of two random ones beyond. An instance that
//! was tried for this request is not tried again.

use crate::instance::{Claim, Instance};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wire::snapshot::UpstreamState;

/// Up to so many instances all are compared.
const EXACT: usize = 16;

/// [`Instance::key`]s that one request has tried.
pub type Tried = SmallVec<[u32; 4]>;

/// The instances of one app, or the addresses of a server that Mainstay does not run.
#[derive(Debug)]
pub struct Upstream {
    /// [`wire::snapshot::Upstream::id`]; the access log names it where no instance was tried.
    pub id: Box<str>,
    /// What to answer when none takes requests.
    pub state: UpstreamState,
    /// Those that take requests.
    pub instances: Box<[Arc<Instance>]>,
    /// Where the search starts, so that ties go round. One for all workers: 300 requests to 3 instances are 100 each.
    cursor: Arc<AtomicU32>,
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
    /// From what the snapshot says; `cursor` goes on where the former one of this id stood.
    pub fn new(
        id: &str,
        state: UpstreamState,
        instances: Vec<Arc<Instance>>,
        cursor: Arc<AtomicU32>,
    ) -> Self {
        Self { id: id.into(), state, instances: instances.into(), cursor }
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
            _ if count <= EXACT || !tried.is_empty() => self.fewest(tried),
            _ => {
                let pick = || self.instances.get(fastrand::usize(..count));
                let (first, second) = (pick()?, pick()?);
                Some(if second.in_flight() < first.in_flight() { second } else { first })
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Drained;
    use model::observed::Address;

    fn upstream(count: u16) -> Upstream {
        let drained = Drained::new().unwrap();
        let address = |port| Address::Tcp(([127, 0, 0, 1], port).into());
        let instances =
            (1..=count).map(|n| Instance::new(&n.to_string(), address(n), Arc::clone(&drained))).collect();
        Upstream::new("s/a", UpstreamState::Ready, instances, Arc::default())
    }

    fn claimed(pick: Pick) -> Claim {
        match pick {
            Pick::Claimed(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ties_go_round() {
        let upstream = upstream(3);
        let mut counts = [0; 4];
        for _ in 0..300 {
            let claim = claimed(upstream.claim(&mut Tried::new()));
            counts[claim.instance().unwrap().name.parse::<usize>().unwrap()] += 1;
        }
        assert_eq!(counts, [0, 100, 100, 100]);
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
