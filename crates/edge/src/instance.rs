//! Instances and the claims on them.
//!
//! An [`Instance`] outlives snapshots: its counters and its `draining` flag are shared by all workers and by every table
//! that names it. A [`Claim`] is the right to send one request to it.
//!
//! ```text
//!   claimer (worker)                 drainer (control thread)
//!   in_flight += 1                   draining = true
//!   draining?  → let go              in_flight == 0?  → drained, else the last claim says so
//! ```
//! All four are sequentially consistent, so at least one side sees the other: a claim is never given on an instance that
//! was said to be drained. [`Claim`]'s drop wakes the control thread when it was the last one on a draining instance.
//!
//! The count goes up by compare-and-swap, and never beyond the bound that the claimer names: all cores together give an
//! instance no more requests than that. Each end of a claim is told to who waits at the instance's upstream
//! ([`crate::hold`]); a place at one that drains is no place.

use crate::circuit::{Circuit, Trial};
use crate::latency::Latency;
use crate::upstream::Lasting;
use crate::wake::Wake;
use model::observed::Address;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One instance, alone in its cache lines: every request of every core counts here.
#[derive(Debug)]
#[repr(align(128))]
pub struct Instance {
    in_flight: AtomicU32,
    draining: AtomicBool,
    requests: AtomicU64,
    failures: AtomicU64,
    /// Small number that stands for it in the workers' pools; never used twice in a process.
    pub key: u32,
    /// [`wire::snapshot::Endpoint::instance`].
    pub name: Box<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it takes requests.
    pub address: Address,
    /// How long it took to answer: cache lines of their own.
    pub latency: Box<Latency>,
    /// Whether it is left alone.
    pub circuit: Circuit,
    /// When it began to take requests beside others that did already; none: it is not new.
    pub ready: Option<Instant>,
    wake: Arc<Wake>,
    upstream: Arc<Lasting>,
}

/// Why there is no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It takes no more requests.
    Draining,
    /// It has as many as it may have.
    Busy,
}

/// What an instance was started from, for those who ask why a request failed there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// [`wire::snapshot::Endpoint::release`].
    pub release: u64,
    /// [`wire::snapshot::Endpoint::pid`].
    pub pid: Option<u32>,
}

static NEXT_KEY: AtomicU32 = AtomicU32::new(0);

impl Instance {
    /// An instance of this upstream that nobody has claimed yet.
    pub fn new(
        name: &str,
        address: Address,
        origin: Origin,
        wake: Arc<Wake>,
        upstream: Arc<Lasting>,
        ready: Option<Instant>,
    ) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            in_flight: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            origin,
            address,
            latency: Box::new(Latency::new(now)),
            circuit: Circuit::new(now),
            ready,
            wake,
            upstream,
        })
    }

    /// The right to send it one request, unless it drains or has `most` of them.
    pub fn claim(self: &Arc<Self>, most: u32) -> Result<Claim, Refused> {
        let more = |count: u32| (count < most).then(|| count + 1);
        if self.in_flight.fetch_update(Ordering::SeqCst, Ordering::Relaxed, more).is_err() {
            return Err(if self.is_draining() { Refused::Draining } else { Refused::Busy });
        }
        let claim = Claim { instance: Some(Arc::clone(self)), trial: None };
        if self.draining.load(Ordering::SeqCst) {
            return Err(Refused::Draining);
        }
        Ok(claim)
    }

    /// Forbids or allows new claims. Control thread only.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::SeqCst);
    }

    /// Whether new claims are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Whether it drains and no claim is left.
    pub fn is_drained(&self) -> bool {
        self.is_draining() && self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// Claims held now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request that was sent to it.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that failed there.
    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Its counters, for the keeper.
    pub fn stats(&self) -> wire::edge::InstanceStats {
        let latency = self.latency.figures(Instant::now());
        wire::edge::InstanceStats {
            rate: latency.rate,
            p50_us: latency.p50_us,
            p99_us: latency.p99_us,
            instance: self.name.to_string(),
            in_flight: u64::from(self.in_flight()),
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            left_alone: !self.circuit.is_closed(),
        }
    }

    fn let_go(&self) {
        let last = self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if !self.draining.load(Ordering::SeqCst) {
            self.upstream.line.freed();
        } else if last {
            self.wake.signal();
        }
    }
}

/// The right to send one request to one instance; dropping it ends it.
#[derive(Debug)]
pub struct Claim {
    instance: Option<Arc<Instance>>,
    /// It tries an instance that is left alone.
    trial: Option<Trial>,
}

impl Claim {
    /// Ends the claim and keeps the instance, whose name the access log still needs.
    pub fn release(mut self) -> Option<Arc<Instance>> {
        self.end()
    }

    /// What is claimed.
    pub fn instance(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref()
    }

    /// Tries an instance that is left alone, if nobody else does; while it does, the circuit stays open for so long.
    pub fn enter(&mut self, now: Instant, open: Duration) -> bool {
        let entered = self.instance.as_ref().and_then(|instance| instance.circuit.enter(now, open));
        let is_in = entered.is_some();
        self.trial = entered.flatten();
        is_in
    }

    /// The instance's answer has begun.
    pub fn answered(&mut self) {
        let trial = self.trial.take();
        if let Some(instance) = &self.instance
            && instance.circuit.answered(trial)
        {
            tracing::info!(instance = &*instance.name, "answers again");
            // Who waits may look: it has places.
            instance.upstream.line.freed();
        }
    }

    /// What it tried has failed.
    pub fn take_trial(&mut self) -> Option<Trial> {
        self.trial.take()
    }

    fn end(&mut self) -> Option<Arc<Instance>> {
        let instance = self.instance.take()?;
        if let Some(trial) = self.trial.take() {
            instance.circuit.give_back(trial, Instant::now());
        }
        instance.let_go();
        Some(instance)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Arc<Instance> {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        Instance::new("s/a.1#1", address, Origin::default(), Wake::new().unwrap(), Arc::default(), None)
    }

    #[test]
    fn a_draining_instance_gives_no_claim_and_is_drained_when_the_last_one_ends() {
        let instance = instance();
        let first = instance.claim(u32::MAX).unwrap();
        let second = instance.claim(u32::MAX).unwrap();
        instance.set_draining(true);
        assert!(instance.claim(u32::MAX).is_err());
        assert_eq!(instance.in_flight(), 2, "the refused claim let go");
        drop(first);
        assert!(!instance.is_drained());
        second.release();
        assert!(instance.is_drained());
    }

    #[test]
    fn its_bound_holds_whoever_claims() {
        let instance = instance();
        let claimer = || {
            let instance = Arc::clone(&instance);
            std::thread::spawn(move || {
                let given = (0..20_000).filter_map(|_| instance.claim(3).ok());
                given.map(|_claim| instance.in_flight()).max().unwrap()
            })
        };
        let claimers = [claimer(), claimer(), claimer(), claimer()];
        let most = claimers.into_iter().map(|claimer| claimer.join().unwrap()).max().unwrap();
        assert!(most <= 3, "{most} at once");
        let held: Vec<Claim> = (0..3).map(|_| instance.claim(3).unwrap()).collect();
        assert_eq!(instance.claim(3).unwrap_err(), Refused::Busy);
        instance.set_draining(true);
        assert_eq!(instance.claim(3).unwrap_err(), Refused::Draining, "what is full and drains, drains");
        drop(held);
        assert!(instance.is_drained(), "a refused claim left nothing behind");
    }

    #[test]
    fn no_claim_slips_past_a_drain() {
        for _ in 0..200 {
            let instance = instance();
            let claimer = std::thread::spawn({
                let instance = Arc::clone(&instance);
                move || (0..50).map_while(|_| instance.claim(u32::MAX).ok()).collect::<Vec<_>>()
            });
            instance.set_draining(true);
            let said_drained = instance.is_drained();
            let claims = claimer.join().unwrap();
            let left = claims.len();
            drop(claims);
            assert!(instance.is_drained());
            // Had it been said to be drained while claims came later, `left` would not be 0 or the flag was not seen.
            assert!(!said_drained || left == 0 || instance.claim(u32::MAX).is_err());
        }
    }
}
