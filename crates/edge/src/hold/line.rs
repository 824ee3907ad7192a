//! One upstream's line: who waits, in the order in which they came, and what they are given.
//!
//! ```text
//!   waiter (worker)                      who ends a claim (any worker)
//!   in the line, waiting = its length    in_flight -= 1
//!   tries to claim                       waiting > 0?  → claims for the first in the line
//! ```
//! All four are sequentially consistent, so at least one side sees the other: no place stays free while somebody waits.
//! Whoever changes something *serves*: he claims for the first in the line, under the line's lock, and hands the claim over. So
//! a freed place belongs to the one who waits longest from the moment on at which it is free, on whatever core he is, and
//! one is woken for each place. Newcomers join the line as long as it is not empty.
//!
//! Serving never waits for the lock: where it is taken, its holder looks again when he lets go ([`Line::again`]). So a claim may end
//! under the lock as well, and no thread blocks another for longer than one look.

use crate::instance::Claim;
use crate::upstream::{Lasting, Pick, Tried, Upstream};
use crate::wake::Wake;
use model::traffic::HoldSpec;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use wire::snapshot::UpstreamState;

/// Time after which an instance that refused a connection is asked again for the same request: it may be listening by now.
const AGAIN: Duration = Duration::from_millis(250);
/// Waiters that are passed over, because all that is free has refused them, until those behind are left alone too.
const PASSED_OVER: usize = 64;

/// How the control thread is woken, and told to look at the lines regularly.
#[derive(Debug)]
pub struct Bell {
    wake: Arc<Wake>,
    rung: AtomicBool,
}

impl Bell {
    /// Rings with this.
    pub fn new(wake: Arc<Wake>) -> Arc<Self> {
        Arc::new(Self { wake, rung: AtomicBool::new(false) })
    }

    /// Somebody waits: the control thread looks after the lines from now on.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.wake.signal();
        }
    }

    /// Somebody still waits.
    pub fn keep(&self) {
        self.rung.store(true, Ordering::SeqCst);
    }

    /// Whether it has to.
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// Nobody waits any more. Who joins a line from now on rings again.
    pub fn silence(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}

/// Figures of one upstream, since it was first seen.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that waited.
    pub held: AtomicU64,
    /// Requests that were refused because too many waited, or too long.
    pub overflowed: AtomicU64,
    /// Requests sent again.
    pub retried: AtomicU64,
    /// Requests for which no instance was claimed.
    pub unsent: AtomicU64,
}

/// The line of one upstream. It lasts as long as snapshots name the upstream.
#[derive(Debug, Default)]
pub struct Line {
    waiting: AtomicU32,
    again: AtomicBool,
    wanted: AtomicBool,
    inner: Mutex<Inner>,
    /// None: nobody looks after it.
    bell: Option<Arc<Bell>>,
    /// What became of its requests.
    pub counts: Counts,
}

/// When a request began to wait, and a number for those of the same moment.
type Ticket = (Instant, u64);

#[derive(Debug, Default)]
struct Inner {
    /// As the last snapshot has it.
    upstream: Weak<Upstream>,
    /// Nothing will come as long as that is so: it is stopped, unhealthy, or no snapshot names it any more.
    closed: bool,
    waiters: BTreeMap<Ticket, Waiter>,
    /// What waiters were given and have not fetched yet.
    given: HashMap<Ticket, Given>,
    bytes: u64,
    next: u64,
    /// To be woken once the lock is let go.
    woken: Vec<Waker>,
}

#[derive(Debug)]
struct Waiter {
    tried: Tried,
    /// When what it has tried may be tried again.
    again: Instant,
    bytes: u64,
    waker: Waker,
}

/// What a waiter is given.
#[derive(Debug)]
pub enum Given {
    /// A claim on an instance of this upstream, as it is now.
    Claim(Claim, Arc<Upstream>, Tried),
    /// Nothing will come here: the upstream is gone, or none of its instances will come.
    Over,
}

/// A request that joins a line.
#[derive(Debug)]
pub struct Joining {
    /// When it came: the earliest is first.
    pub since: Instant,
    /// Instances that have refused it.
    pub tried: Tried,
    /// Bytes that it keeps while it waits.
    pub bytes: u64,
    /// The bounds it is held to.
    pub hold: HoldSpec,
}

/// A place in a line; dropping it leaves the line.
#[derive(Debug)]
pub struct Place {
    upstream: Arc<Lasting>,
    ticket: Ticket,
}

impl Line {
    /// An empty one.
    pub fn new(bell: &Arc<Bell>) -> Self {
        Self { bell: Some(Arc::clone(bell)), ..Self::default() }
    }

    /// Whether nobody waits: a newcomer may claim.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A claim on one of the instances has ended: its place is given to the first in the line.
    #[inline]
    pub fn freed(&self) {
        if !self.is_empty() {
            self.serve();
        }
    }

    /// Joins; none: too many wait already.
    fn join(&self, joining: Joining, waker: &Waker) -> Option<Ticket> {
        let Joining { since, tried, bytes, hold } = joining;
        let ticket = self.with(|inner| {
            if inner.waiters.len() >= hold.requests as usize || inner.bytes + bytes > hold.bytes {
                return None;
            }
            inner.next += 1;
            let ticket = (since, inner.next);
            if inner.closed {
                inner.given.insert(ticket, Given::Over);
                return Some(ticket);
            }
            let again = Instant::now() + AGAIN;
            inner.bytes += bytes;
            inner.waiters.insert(ticket, Waiter { tried, again, bytes, waker: waker.clone() });
            self.count(inner);
            inner.serve();
            if inner.upstream.upgrade().is_some_and(|upstream| upstream.state == UpstreamState::Asleep) {
                self.wanted.store(true, Ordering::SeqCst);
            }
            Some(ticket)
        });
        if !self.is_empty() {
            self.ring();
        }
        ticket
    }

    fn ring(&self) {
        self.bell.iter().for_each(|bell| bell.ring());
    }

    /// A request came for what sleeps, and does not wait.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Whether a request has come for what sleeps since this was asked last.
    pub fn take_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::SeqCst)
    }

    /// The upstream as the snapshot has it that is about to be served from: who waits gets what it has.
    pub fn renew(&self, upstream: &Arc<Upstream>) {
        let asleep = upstream.state == UpstreamState::Asleep;
        self.with(|inner| {
            inner.upstream = Arc::downgrade(upstream);
            inner.closed = false;
            inner.serve();
            if asleep && !inner.waiters.is_empty() {
                self.wanted.store(true, Ordering::SeqCst);
            }
        });
    }

    /// Nothing will come here. Said once the snapshot that says so is served from: whoever is sent away looks there.
    pub fn close(&self) {
        self.with(|inner| {
            inner.closed = true;
            inner.give_up();
        });
    }

    /// Sends all who wait away to look where their route leads now. They keep their rank when they come back.
    pub fn look_anew(&self) {
        self.with(Inner::give_up);
    }

    /// Looks whether time has changed something: a circuit half-opens, an instance that refused may listen by now.
    pub fn tick(&self, now: Instant) {
        if self.is_empty() {
            return;
        }
        self.with(|inner| {
            inner.waiters.values_mut().filter(|waiter| waiter.again <= now).for_each(|waiter| {
                waiter.tried.clear();
                waiter.again = now + AGAIN;
            });
            inner.serve();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, inner: &Inner) {
        let waiting = u32::try_from(inner.waiters.len()).unwrap_or(u32::MAX);
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Under the lock; wakes afterwards, and serves if somebody wanted to meanwhile.
    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let (result, woken) = {
            let mut inner = self.lock();
            let result = act(&mut inner);
            self.count(&inner);
            (result, std::mem::take(&mut inner.woken))
        };
        woken.into_iter().for_each(Waker::wake);
        self.serve_again();
        result
    }

    fn serve(&self) {
        self.again.store(true, Ordering::SeqCst);
        self.serve_again();
    }

    /// The fence orders the flag and the lock: who fails to lock has set the flag before its holder looks at it.
    fn serve_again(&self) {
        loop {
            fence(Ordering::SeqCst);
            if !self.again.load(Ordering::SeqCst) {
                return;
            }
            let woken = {
                let Ok(mut inner) = self.inner.try_lock() else { return };
                self.again.store(false, Ordering::SeqCst);
                inner.serve();
                self.count(&inner);
                std::mem::take(&mut inner.woken)
            };
            woken.into_iter().for_each(Waker::wake);
        }
    }
}

impl Inner {
    /// Claims for those who wait, in their order, until nothing is left to claim.
    fn serve(&mut self) {
        let Some(upstream) = self.upstream.upgrade() else { return };
        // Behind the count of those who wait, before the counts of claims.
        fence(Ordering::SeqCst);
        let mut from = Unbounded;
        let mut passed_over = 0;
        while let Some((&ticket, waiter)) = self.waiters.range((from, Unbounded)).next() {
            let mut tried = waiter.tried.clone();
            let is_picky = !tried.is_empty();
            match upstream.claim(&mut tried) {
                Pick::Claimed(claim) => {
                    self.give(ticket, Given::Claim(claim, Arc::clone(&upstream), tried));
                }
                _ if is_picky && passed_over < PASSED_OVER => passed_over += 1,
                _ => return,
            }
            from = Excluded(ticket);
        }
    }

    fn give(&mut self, ticket: Ticket, given: Given) {
        let Some(waiter) = self.waiters.remove(&ticket) else { return };
        self.bytes -= waiter.bytes;
        self.woken.push(waiter.waker);
        self.given.insert(ticket, given);
    }

    fn give_up(&mut self) {
        while let Some((&ticket, _)) = self.waiters.first_key_value() {
            self.give(ticket, Given::Over);
        }
    }
}

impl Place {
    /// Joins an upstream's line; none: too many wait already.
    pub fn join(upstream: &Arc<Lasting>, joining: Joining, waker: &Waker) -> Option<Self> {
        let ticket = upstream.line.join(joining, waker)?;
        Some(Self { upstream: Arc::clone(upstream), ticket })
    }

    /// Ready with what was given; registers the task otherwise.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Given> {
        self.upstream.line.with(|inner| {
            if let Some(given) = inner.given.remove(&self.ticket) {
                return Poll::Ready(given);
            }
            if let Some(waiter) = inner.waiters.get_mut(&self.ticket)
                && !waiter.waker.will_wake(cx.waker())
            {
                waiter.waker = cx.waker().clone();
            }
            Poll::Pending
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let unfetched = self.upstream.line.with(|inner| {
            if let Some(waiter) = inner.waiters.remove(&self.ticket) {
                inner.bytes -= waiter.bytes;
            }
            inner.given.remove(&self.ticket)
        });
        // Its claim, if that was one, ends here and goes to the next.
        drop(unfetched);
    }
}
