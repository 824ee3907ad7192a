//! Deadlines, coarsely: one wheel for each worker, ticks of [`TICK`], no timer of the runtime for each connection.
//!
//! A [`Timer`] belongs to one task. Setting it is a store; only when the new deadline is *earlier* than the bucket the
//! timer waits in, it enters another bucket. When a bucket's time has come, each timer in it has either expired (its
//! task is woken and finds [`Timer::expired`]) or was set anew meanwhile and moves on to where its deadline is now.
//!
//! A timer also knows whether its connection *waits* (idle, or a head on its way: nothing is lost when it ends) and since when:
//! where room is needed, [`Wheel::evict`] lets those expire first.
//!
//! Invariants: a timer with a deadline is in at least one bucket that is not later than it (or at the horizon); entries
//! whose generation or bucket no longer fit are leftovers and ignored. [`Wheel::run`] sleeps until the next bucket with
//! something in it, and without end when there is none.

use crate::guard::ClientKey;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Resolution of deadlines.
pub const TICK: Duration = Duration::from_millis(100);

const TICKS_PER_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;

/// Buckets; deadlines beyond them wait in the last and move on from there.
const BUCKETS: u32 = 1024;
/// Timers that [`Wheel::evict`] looks at: some milliseconds of work at most.
const LOOKED_AT: usize = 1 << 16;
/// No tick: not queued, no deadline, nothing to wait for.
const NEVER: u32 = u32::MAX;

struct Entry {
    /// Whose connection it is.
    client: ClientKey,
    /// Since this tick it waits; [`NEVER`]: it does not.
    waits: u32,
    deadline: u32,
    queued: u32,
    generation: u32,
    expired: bool,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    free: Vec<u32>,
}

/// The wheel of one worker.
pub struct Wheel {
    origin: Instant,
    entries: RefCell<Entries>,
    buckets: RefCell<Vec<Vec<(u32, u32)>>>,
    /// First tick that was not handled yet.
    next: Cell<u32>,
    /// Tick at which [`Wheel::run`] will wake by itself.
    wakes: Cell<u32>,
    changed: tokio::sync::Notify,
}

/// One task's deadline. Dropping it frees its place.
pub struct Timer {
    wheel: Rc<Wheel>,
    key: u32,
}

impl Wheel {
    /// An empty wheel that starts now.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            origin: Instant::now(),
            entries: RefCell::default(),
            buckets: RefCell::new((0..BUCKETS).map(|_| Vec::new()).collect()),
            next: Cell::new(0),
            wakes: Cell::new(NEVER),
            changed: tokio::sync::Notify::new(),
        })
    }

    /// A timer without a deadline, for a connection of this client.
    pub fn timer(self: &Rc<Self>, client: ClientKey) -> Timer {
        let mut entries = self.entries.borrow_mut();
        let key = match entries.free.pop() {
            Some(key) => {
                entries.list.get_mut(key as usize).into_iter().for_each(|entry| entry.client = client);
                key
            }
            None => {
                entries.list.push(Entry {
                    client,
                    waits: NEVER,
                    deadline: NEVER,
                    queued: NEVER,
                    generation: 0,
                    expired: false,
                    waker: None,
                });
                u32::try_from(entries.list.len() - 1).unwrap_or(NEVER)
            }
        };
        Timer { wheel: Rc::clone(self), key }
    }

    /// Wakes the tasks of all timers (they find out by themselves why: the worker is closing).
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.entries.borrow().list.iter().filter_map(|entry| entry.waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Lets up to `most` waiting timers expire: of the clients with most of them first, of each one the oldest first. Gives their
    /// number. Where very many wait, a part of them is looked at.
    pub fn evict(&self, most: usize) -> usize {
        let mut entries = self.entries.borrow_mut();
        let from = entries.list.len().checked_sub(LOOKED_AT).map_or(0, |spare| fastrand::usize(..=spare));
        let looked_at = (from..).zip(entries.list.iter().skip(from).take(LOOKED_AT));
        let waiting = looked_at.filter(|(_, entry)| entry.waits != NEVER);
        let mut found: Vec<_> = waiting.map(|(at, entry)| (entry.client, entry.waits, at)).collect();
        let mut counts: HashMap<ClientKey, usize> = HashMap::new();
        found.iter().for_each(|(client, ..)| *counts.entry(*client).or_default() += 1);
        let count = |client: ClientKey| std::cmp::Reverse(counts.get(&client).copied().unwrap_or_default());
        found.sort_unstable_by_key(|(client, waits, _)| (count(*client), *waits));
        let mut wakers = Vec::new();
        for (_, _, at) in found.iter().take(most) {
            let Some(entry) = entries.list.get_mut(*at) else { continue };
            (entry.waits, entry.deadline, entry.expired) = (NEVER, NEVER, true);
            wakers.extend(entry.waker.clone());
        }
        drop(entries);
        wakers.into_iter().map(Waker::wake).count()
    }

    /// Turns the wheel for as long as the worker lives.
    pub async fn run(self: Rc<Self>) {
        loop {
            let Some(tick) = self.next_queued() else {
                self.wakes.set(NEVER);
                self.changed.notified().await;
                continue;
            };
            self.wakes.set(tick);
            let at = self.origin + TICK * tick;
            tokio::select! {
                () = tokio::time::sleep_until(at.into()) => {}
                () = self.changed.notified() => {}
            }
            self.advance(Instant::now());
        }
    }

    fn next_queued(&self) -> Option<u32> {
        let buckets = self.buckets.borrow();
        let first = self.next.get();
        (first..first + BUCKETS)
            .find(|tick| buckets.get(bucket(*tick)).is_some_and(|bucket| !bucket.is_empty()))
    }

    fn tick(&self, moment: Instant) -> u32 {
        let passed = moment.saturating_duration_since(self.origin);
        // In halves, because dividing nanoseconds of 128 bits costs as much as a system call's entry.
        let ticks =
            passed.as_secs() * TICKS_PER_SECOND + u64::from(passed.subsec_nanos() / TICK.subsec_nanos());
        u32::try_from(ticks).unwrap_or(NEVER - 1)
    }

    /// Handles every tick up to `now`.
    fn advance(&self, now: Instant) {
        let last = self.tick(now);
        let Some(first_queued) = self.next_queued() else {
            self.next.set(last.max(self.next.get()));
            return;
        };
        let mut tick = first_queued;
        while tick <= last {
            self.next.set(tick + 1);
            let due = self.buckets.borrow_mut().get_mut(bucket(tick)).map(std::mem::take).unwrap_or_default();
            due.into_iter().for_each(|(key, generation)| self.due(key, generation, tick));
            match self.next_queued() {
                Some(next) => tick = next,
                None => break,
            }
        }
        self.next.set((last + 1).max(self.next.get()));
    }

    fn due(&self, key: u32, generation: u32, tick: u32) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.list.get_mut(key as usize) else { return };
        if entry.generation != generation || entry.queued != tick {
            return;
        }
        entry.queued = NEVER;
        if entry.deadline == NEVER {
            return;
        }
        if entry.deadline > tick {
            self.queue(entry, key);
            return;
        }
        entry.deadline = NEVER;
        entry.expired = true;
        let waker = entry.waker.clone();
        drop(entries);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn queue(&self, entry: &mut Entry, key: u32) {
        let next = self.next.get();
        let tick = entry.deadline.clamp(next, next + BUCKETS - 1);
        entry.queued = tick;
        if let Some(bucket) = self.buckets.borrow_mut().get_mut(bucket(tick)) {
            bucket.push((key, entry.generation));
        }
        if tick < self.wakes.get() {
            self.wakes.set(tick);
            self.changed.notify_one();
        }
    }
}

fn bucket(tick: u32) -> usize {
    (tick % BUCKETS) as usize
}

impl Timer {
    /// Says which task to wake. Once, at its start: a task's waker stays the same.
    pub fn bind(&self, waker: &Waker) {
        if let Some(entry) = self.wheel.entries.borrow_mut().list.get_mut(self.key as usize) {
            entry.waker = Some(waker.clone());
        }
    }

    /// Sets the deadline to `millis` after `now`, whatever it was before. The connection is at work.
    pub fn set(&self, now: Instant, millis: u64) {
        self.put(now, millis, false);
    }

    /// Likewise; the connection waits for its client, and may be made to end for others' sake.
    pub fn set_waiting(&self, now: Instant, millis: u64) {
        self.put(now, millis, true);
    }

    fn put(&self, now: Instant, millis: u64, waits: bool) {
        let tick = self.wheel.tick(now + Duration::from_millis(millis.min(1 << 40))).saturating_add(1);
        let mut entries = self.wheel.entries.borrow_mut();
        let Some(entry) = entries.list.get_mut(self.key as usize) else { return };
        entry.waits = if waits { self.wheel.tick(now) } else { NEVER };
        entry.deadline = tick;
        entry.expired = false;
        if tick < entry.queued {
            self.wheel.queue(entry, self.key);
        }
    }

    /// Whether the deadline has passed since it was set last.
    pub fn expired(&self) -> bool {
        self.wheel.entries.borrow().list.get(self.key as usize).is_some_and(|entry| entry.expired)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut entries = self.wheel.entries.borrow_mut();
        if let Some(entry) = entries.list.get_mut(self.key as usize) {
            entry.generation = entry.generation.wrapping_add(1);
            entry.deadline = NEVER;
            entry.queued = NEVER;
            entry.waits = NEVER;
            entry.expired = false;
            let waker = entry.waker.take();
            entries.free.push(self.key);
            // A waker's drop may drop a task, and with it another timer.
            drop(entries);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(wheel: &Wheel, millis: u64) -> Instant {
        wheel.origin + Duration::from_millis(millis)
    }

    fn client(last: u8) -> ClientKey {
        ClientKey::of([192, 0, 2, last].into())
    }

    #[test]
    fn whoever_has_most_connections_waiting_loses_the_oldest_first() {
        let wheel = Wheel::new();
        let timer = |last, millis| {
            let timer = wheel.timer(client(last));
            timer.bind(Waker::noop());
            timer.set_waiting(after(&wheel, millis), 60_000);
            timer
        };
        let modest = timer(1, 0);
        let many: Vec<Timer> = (0..5).map(|n| timer(2, 1000 - n * 100)).collect();
        let busy = timer(2, 0);
        busy.set(after(&wheel, 0), 60_000);
        assert_eq!(wheel.evict(3), 3);
        let expired: Vec<bool> = many.iter().map(Timer::expired).collect();
        assert_eq!(expired, [false, false, true, true, true]);
        assert!(!modest.expired() && !busy.expired());
        assert_eq!(wheel.evict(9), 3, "those who waited and were not told yet");
        assert!(modest.expired() && !busy.expired());
    }

    #[test]
    fn a_deadline_expires_once_and_not_before_its_time() {
        let wheel = Wheel::new();
        let timer = wheel.timer(client(1));
        timer.set(after(&wheel, 0), 1000);
        wheel.advance(after(&wheel, 999));
        assert!(!timer.expired());
        wheel.advance(after(&wheel, 1200));
        assert!(timer.expired());
        timer.set(after(&wheel, 1200), 1000);
        assert!(!timer.expired());
    }

    #[test]
    fn a_deadline_moves_both_ways() {
        let wheel = Wheel::new();
        let timer = wheel.timer(client(1));
        timer.set(after(&wheel, 0), 60_000);
        timer.set(after(&wheel, 0), 500);
        wheel.advance(after(&wheel, 700));
        assert!(timer.expired(), "the earlier deadline counts");
        timer.set(after(&wheel, 700), 500);
        timer.set(after(&wheel, 800), 300_000);
        wheel.advance(after(&wheel, 299_000));
        assert!(!timer.expired(), "beyond the horizon, and moved on");
        wheel.advance(after(&wheel, 301_100));
        assert!(timer.expired());
    }

    #[test]
    fn a_freed_place_is_not_hit_by_its_former_deadline() {
        let wheel = Wheel::new();
        let first = wheel.timer(client(1));
        first.set(after(&wheel, 0), 500);
        drop(first);
        let second = wheel.timer(client(1));
        second.set(after(&wheel, 0), 5000);
        wheel.advance(after(&wheel, 1000));
        assert!(!second.expired());
        assert_eq!(wheel.entries.borrow().list.len(), 1, "the place is used again");
    }
}
