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

use crate::latency::Latency;
use crate::wake::Wake;
use model::observed::Address;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

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
    /// Where it takes requests.
    pub address: Address,
    /// How long it took to answer: cache lines of their own.
    pub latency: Box<Latency>,
    wake: Arc<Wake>,
}

static NEXT_KEY: AtomicU32 = AtomicU32::new(0);

impl Instance {
    /// An instance nobody has claimed yet.
    pub fn new(name: &str, address: Address, wake: Arc<Wake>) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicU32::new(0),
            draining: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            address,
            latency: Box::new(Latency::new(Instant::now())),
            wake,
        })
    }

    /// The right to send it one request, unless it drains.
    pub fn claim(self: &Arc<Self>) -> Option<Claim> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let claim = Claim { instance: Some(Arc::clone(self)) };
        if self.draining.load(Ordering::SeqCst) {
            return None;
        }
        Some(claim)
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
        }
    }

    fn let_go(&self) {
        let last = self.in_flight.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.draining.load(Ordering::SeqCst) {
            self.wake.signal();
        }
    }
}

/// The right to send one request to one instance; dropping it ends it.
#[derive(Debug)]
pub struct Claim {
    instance: Option<Arc<Instance>>,
}

impl Claim {
    /// Ends the claim and keeps the instance, whose name the access log still needs.
    pub fn release(mut self) -> Option<Arc<Instance>> {
        let instance = self.instance.take();
        if let Some(instance) = &instance {
            instance.let_go();
        }
        instance
    }

    /// What is claimed.
    pub fn instance(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.let_go();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance() -> Arc<Instance> {
        let address = Address::Tcp(([127, 0, 0, 1], 1).into());
        Instance::new("s/a.1#1", address, Wake::new().unwrap())
    }

    #[test]
    fn a_draining_instance_gives_no_claim_and_is_drained_when_the_last_one_ends() {
        let instance = instance();
        let first = instance.claim().unwrap();
        let second = instance.claim().unwrap();
        instance.set_draining(true);
        assert!(instance.claim().is_none());
        assert_eq!(instance.in_flight(), 2, "the refused claim let go");
        drop(first);
        assert!(!instance.is_drained());
        second.release();
        assert!(instance.is_drained());
    }

    #[test]
    fn no_claim_slips_past_a_drain() {
        for _ in 0..200 {
            let instance = instance();
            let claimer = std::thread::spawn({
                let instance = Arc::clone(&instance);
                move || (0..50).map_while(|_| instance.claim()).collect::<Vec<_>>()
            });
            instance.set_draining(true);
            let said_drained = instance.is_drained();
            let claims = claimer.join().unwrap();
            let left = claims.len();
            drop(claims);
            assert!(instance.is_drained());
            // Had it been said to be drained while claims came later, `left` would not be 0 or the flag was not seen.
            assert!(!said_drained || left == 0 || instance.claim().is_none());
        }
    }
}
