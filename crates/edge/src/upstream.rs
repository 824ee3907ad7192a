//! An upstream: the instances a route may send to, and which one is next.
//!
//! First the one that the client belongs to ([`crate::sticky`]). Else least in flight: exact up to [`EXACT`] instances (ties go
//! round), the better of two random ones beyond. Or round robin: by a schedule made once ([`crate::schedule`]), in which each
//! instance stands as often as its weight says, evenly spread; all workers walk it with one cursor. While some are new
//! ([`crate::warm`]) they get their part by lot, or miss turns. Passed over is an instance that was tried for this
//! request, that has as many requests as it may have (`concurrency`), or whose circuit is open ([`crate::circuit`]).

use crate::body::kept::{Account, Kept};
use crate::budget::Budget;
use crate::circuit::Failed;
use crate::hold::line::Line;
use crate::instance::{Claim, Instance, Refused};
use crate::schedule::schedule;
use crate::sticky::Tag;
use crate::warm::{self, Shares};
use http1::BodyFraming;
use model::site::Balance;
use model::traffic::{HoldSpec, TrafficSpec};
use smallvec::SmallVec;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::snapshot::{StickyKey, UpstreamState};

/// Up to so many instances all are compared.
const EXACT: usize = 16;
/// Longest time for which the last instance is left alone: nobody else answers meanwhile, and it may be back any moment.
const LAST: Duration = Duration::from_secs(1);

/// What the choice for one request depends on beside the instances.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    keys: SmallVec<[u32; 4]>,
    /// The instance that its client belongs to.
    wish: Option<Tag>,
    /// An instance was claimed for it before.
    counted: bool,
}

impl Tried {
    /// Nothing was tried for a request whose client belongs to this instance, or to none.
    pub fn new(wish: Option<Tag>) -> Self {
        Self { keys: SmallVec::new(), wish, counted: false }
    }

    /// How many instances were tried.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// None was tried.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// An instance was claimed for it.
    pub fn was_claimed(&self) -> bool {
        self.counted
    }

    /// All may be tried again.
    pub fn clear(&mut self) {
        self.keys.clear();
    }

    /// The last one may be tried again.
    pub fn pop(&mut self) {
        self.keys.pop();
    }

    fn has(&self, instance: &Instance) -> bool {
        self.keys.contains(&instance.key)
    }
}

/// What of an upstream outlives snapshots, the same for all workers.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Where the search starts, so that ties go round: 300 requests to 3 instances are 100 each.
    cursor: AtomicU32,
    /// Requests that were sent.
    requests: AtomicU64,
    budget: Budget,
    /// Held by who opens a circuit: two at once would open more than may be.
    opening: Mutex<()>,
    /// Bodies of requests that may have to be sent again.
    pub kept: Arc<Account>,
    /// Where requests wait for a claim.
    pub line: Line,
}

impl Lasting {
    /// Of an upstream that was not there before.
    pub fn new(line: Line) -> Self {
        Self { line, ..Self::default() }
    }

    /// Requests for which an instance was claimed; those sent again count once.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// The time, read when it is first asked for.
#[derive(Debug, Default)]
struct Clock(OnceCell<Instant>);

impl Clock {
    fn now(&self) -> Instant {
        *self.0.get_or_init(Instant::now)
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
    /// Those that are there and take none.
    pub aside: Box<[wire::snapshot::Aside]>,
    /// How requests meet them.
    pub traffic: TrafficSpec,
    /// What stays when the next snapshot comes.
    pub lasting: Arc<Lasting>,
    /// For round robin: places in `instances`. Empty: the least busy.
    schedule: Box<[u32]>,
    /// What cookies say of `instances`, place by place; empty where no client belongs to one.
    tags: Box<[Tag]>,
    /// Until then some instance is new ([`crate::warm`]).
    warm: Option<Instant>,
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
    /// Each one that is left to try is left alone because requests failed there: the first of them may be tried after so long.
    Cut(Duration),
    /// No instance is left to try.
    Exhausted,
}

impl Upstream {
    /// From what the snapshot says, with the instances made of its endpoints; `lasting` is that of the former one of this id.
    pub fn new(
        spec: &wire::snapshot::Upstream,
        endpoints: Vec<(Arc<Instance>, u32)>,
        lasting: Arc<Lasting>,
        key: &StickyKey,
    ) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|(_, weight)| *weight).collect();
        let schedule = match spec.balance {
            Balance::LeastRequests => Box::default(),
            Balance::RoundRobin => schedule(&weights),
        };
        let instances: Box<[_]> = endpoints.into_iter().map(|(instance, _)| instance).collect();
        let tagged = instances.iter().filter(|_| spec.traffic.sticky.is_some());
        Self {
            tags: tagged.map(|instance| Tag::new(key, &instance.name)).collect(),
            warm: warm::until(&instances, spec.traffic.slow_start),
            id: spec.id.as_str().into(),
            state: spec.state,
            http2: spec.http2,
            instances,
            aside: spec.aside.as_slice().into(),
            traffic: spec.traffic.clone(),
            lasting,
            schedule,
        }
    }

    /// Most requests in flight for each instance.
    fn most(&self) -> u32 {
        self.traffic.concurrency.unwrap_or(u32::MAX)
    }

    /// Whether there are instances to send requests to, were they not full.
    pub fn is_there(&self) -> bool {
        self.state == UpstreamState::Ready && self.instances.iter().any(|instance| !self.is_open(instance))
    }

    /// Whether connections wait for the next request: not where an instance takes one at a time, for a synchronous worker would
    /// listen to nobody else meanwhile.
    pub fn keeps_connections(&self) -> bool {
        self.traffic.concurrency != Some(1)
    }

    /// Claims the instance that the client belongs to, if that takes requests; else the best one that was not tried yet.
    pub fn claim(&self, tried: &mut Tried) -> Pick {
        self.claim_at(tried, &Clock::default())
    }

    fn claim_at(&self, tried: &mut Tried, clock: &Clock) -> Pick {
        let mut wished = tried.wish.and_then(|wish| self.tagged(wish));
        let mut draining = false;
        // Each turn ends with a claim, with one more instance tried, or after another claimer's success.
        loop {
            let wished = wished.take().filter(|instance| self.may_take(instance, tried, clock));
            let Some(instance) = wished.or_else(|| self.best(tried, clock)) else { break };
            match instance.claim(self.most()) {
                Ok(mut claim) => {
                    if self.is_open(instance) && !claim.enter(clock.now(), self.traffic.circuit.open) {
                        continue;
                    }
                    tried.keys.push(instance.key);
                    if !std::mem::replace(&mut tried.counted, true) {
                        self.lasting.requests.fetch_add(1, Ordering::Relaxed);
                    }
                    return Pick::Claimed(claim);
                }
                Err(Refused::Draining) => {
                    tried.keys.push(instance.key);
                    draining = true;
                }
                Err(Refused::Busy) => {}
            }
        }
        if draining { Pick::Draining } else { self.none_left(tried, clock) }
    }

    /// Why nothing was claimed.
    fn none_left(&self, tried: &Tried, clock: &Clock) -> Pick {
        let left = self.instances.iter().filter(|instance| !tried.has(instance));
        let wait = |instance: &Arc<Instance>| match self.is_open(instance) {
            true => instance.circuit.wait(clock.now()),
            false => Duration::ZERO,
        };
        match left.map(wait).min() {
            None => Pick::Exhausted,
            Some(Duration::ZERO) => Pick::Busy,
            Some(wait) => Pick::Cut(wait),
        }
    }

    /// Whether it is left alone.
    fn is_open(&self, instance: &Instance) -> bool {
        !instance.circuit.is_closed() && self.traffic.circuit.failures > 0
    }

    /// Whether it was not tried yet, has a place, and is not left alone.
    fn may_take(&self, instance: &Instance, tried: &Tried, clock: &Clock) -> bool {
        !tried.has(instance)
            && instance.in_flight() < self.most()
            && (!self.is_open(instance) || instance.circuit.wait(clock.now()).is_zero())
    }

    fn tagged(&self, wish: Tag) -> Option<&Arc<Instance>> {
        self.instances.get(self.tags.iter().position(|tag| *tag == wish)?)
    }

    /// What a client is told that belongs to this instance, if it does not know already.
    pub fn news(&self, instance: &Instance, wish: Option<Tag>) -> Option<(&str, Tag)> {
        let cookie = self.traffic.sticky.as_ref()?.cookie.as_str();
        let place = self.instances.iter().position(|known| known.key == instance.key)?;
        self.tags.get(place).filter(|tag| wish != Some(**tag)).map(|tag| (cookie, *tag))
    }

    fn best(&self, tried: &Tried, clock: &Clock) -> Option<&Arc<Instance>> {
        let count = self.instances.len();
        let may = |_: usize, instance: &Instance| self.may_take(instance, tried, clock);
        match count {
            0 => None,
            1 => self.instances.first().filter(|instance| may(0, instance)),
            _ if self.warm.is_some_and(|until| clock.now() < until) => self.best_of_new(tried, clock),
            _ if !self.schedule.is_empty() => self.next(may),
            _ if count <= EXACT || !tried.is_empty() => self.fewest(may),
            _ => {
                let pick = || self.instances.get(fastrand::usize(..count));
                let (first, second) = (pick()?, pick()?);
                let better = if second.in_flight() < first.in_flight() { second } else { first };
                // Where both are full a third may not be.
                if may(0, better) { Some(better) } else { self.fewest(may) }
            }
        }
    }

    /// While some are new.
    fn best_of_new(&self, tried: &Tried, clock: &Clock) -> Option<&Arc<Instance>> {
        let shares = warm::shares(&self.instances, self.traffic.slow_start, clock.now());
        let may = |_: usize, instance: &Instance| self.may_take(instance, tried, clock);
        let share = |place: usize| shares.get(place).copied().unwrap_or(1.0);
        let found = if self.schedule.is_empty() {
            self.drawn(&shares, may)
        } else {
            // A new one misses turns.
            self.next(|place, instance| may(place, instance) && fastrand::f64() < share(place))
        };
        found.or_else(|| self.fewest(may))
    }

    /// A new one by lot, unless it has more in flight than the best of the others; else that one.
    fn drawn(&self, shares: &Shares, may: impl Fn(usize, &Instance) -> bool) -> Option<&Arc<Instance>> {
        let is_new = |place: usize| shares.get(place).is_some_and(|share| *share < 1.0);
        let drawn = warm::draw(shares);
        let new = self.instances.get(drawn).filter(|instance| is_new(drawn) && may(drawn, instance));
        let old = self.fewest(|place, instance| !is_new(place) && may(place, instance));
        new.filter(|new| old.is_none_or(|old| new.in_flight() <= old.in_flight())).or(old)
    }

    /// The next on the schedule; those without a place in it (weight 0) only when no other may be taken.
    fn next(&self, may: impl Fn(usize, &Instance) -> bool) -> Option<&Arc<Instance>> {
        let start = self.lasting.cursor.fetch_add(1, Ordering::Relaxed) as usize % self.schedule.len().max(1);
        let (before, from) = self.schedule.split_at_checked(start)?;
        let scheduled = from.iter().chain(before).map(|&place| place as usize);
        let mut all = scheduled.chain(0..self.instances.len());
        all.find_map(|place| self.instances.get(place).filter(|instance| may(place, instance)))
    }

    /// Of those that may be taken; ties go round among them.
    fn fewest(&self, may: impl Fn(usize, &Instance) -> bool) -> Option<&Arc<Instance>> {
        let all = self.instances.iter().enumerate();
        let free = || all.clone().filter(|(place, instance)| may(*place, instance));
        let count = free().count().max(1);
        let start = self.lasting.cursor.fetch_add(1, Ordering::Relaxed) as usize % count;
        let behind = |turn: usize| (turn + count - start) % count;
        let by_turn = free().enumerate().map(|(turn, (_, instance))| (turn, instance));
        by_turn.min_by_key(|(turn, instance)| (instance.in_flight(), behind(*turn))).map(|(_, found)| found)
    }

    /// A request failed there. After enough of them in a row the instance is left alone for a while.
    ///
    /// Who cannot be reached at all is left alone in any case: every request would fail there. Who breaks requests off is, as long as
    /// no more than half of the instances are (one of two, none where there is only one): it may be the requests that break it,
    /// sent by one client, and they would take a whole app away one instance after the other. With none left one is tried each
    /// second ([`LAST`]).
    pub fn failed(&self, claim: &mut Claim, how: Failed) {
        let trial = claim.take_trial();
        let Some(instance) = claim.instance() else { return };
        instance.count_failure();
        let spec = self.traffic.circuit;
        let now = Instant::now();
        let open_of = || {
            let open = self.instances.iter().filter(|other| !other.circuit.is_closed());
            open.filter(|other| other.key != instance.key).count()
        };
        let time = || if open_of() + 1 < self.instances.len() { spec.open } else { spec.open.min(LAST) };
        if spec.failures == 0 || !instance.circuit.failed(trial, spec.failures, now, time) {
            return;
        }
        let _opening = self.lasting.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if instance.circuit.is_closed()
            && (how == Failed::Unreachable || 2 * (open_of() + 1) <= self.instances.len())
        {
            instance.circuit.open(now, time());
            tracing::warn!(
                instance = &*instance.name,
                failures = spec.failures,
                "left alone after failures in a row"
            );
        }
    }

    /// A copy of a body framed so, for a request that may be sent again; none where it is large, or others take the room. What is kept
    /// takes no more than what waits may.
    pub fn keep(&self, framing: BodyFraming) -> Option<Box<Kept>> {
        let hold = if self.traffic.hold.is_on() { self.traffic.hold } else { HoldSpec::default() };
        Kept::within(&self.lasting.kept, framing, hold.bytes)
    }

    /// Whether one more request may be sent again; counts it.
    pub fn may_retry(&self) -> bool {
        let sent = self.lasting.requests.load(Ordering::Relaxed);
        self.lasting.budget.spend(sent, self.traffic.retries, Instant::now())
    }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
