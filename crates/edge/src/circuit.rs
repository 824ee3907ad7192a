//! When an instance is left alone: its circuit.
//!
//! ```text
//!   closed ──failures in a row──▶ open ──its time is over──▶ one request tries it ──answer──▶ closed
//!                                  ▲                                │
//!                                  └────────────failure─────────────┘
//! ```
//! A failure is what an answer of the application is not: refused, reset before an answer, silent. Only the request that tries
//! an open one closes it. That one need not tell: while it is under way the circuit counts as open for as long again, and when it
//! ends without a word (its client went) the next one tries. Whether a circuit may open at all is for the upstream to say, who
//! knows the others ([`crate::upstream::Upstream::failed`]).

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How a request failed at an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Nothing was sent: there was no connection to be had. Every other request would have fared the same.
    Unreachable,
    /// It was sent, and no answer came: reset, ended, silent, no HTTP. That may be the request's own fault.
    Unanswered,
}

/// The right to try an instance whose circuit is open.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial(NonZeroU64);

/// The circuit of one instance.
#[derive(Debug)]
pub struct Circuit {
    /// In a row.
    failures: AtomicU32,
    /// 0: closed. Else the moment from which on it may be tried: milliseconds from `born`, and one more.
    open: AtomicU64,
    born: Instant,
}

impl Circuit {
    /// Closed.
    pub fn new(now: Instant) -> Self {
        Self { failures: AtomicU32::new(0), open: AtomicU64::new(0), born: now }
    }

    /// Requests go through.
    pub fn is_closed(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Time until a request may go there; zero where one may now.
    pub fn wait(&self, now: Instant) -> Duration {
        let open = self.open.load(Ordering::Relaxed);
        Duration::from_millis(if open == 0 { 0 } else { open.saturating_sub(self.mark(now).get()) })
    }

    /// Enters: none where somebody else tries it, or nobody may yet; a trial where this one is to try it.
    pub fn enter(&self, now: Instant, again: Duration) -> Option<Option<Trial>> {
        let open = self.open.load(Ordering::Acquire);
        if open == 0 {
            return Some(None);
        }
        if open > self.mark(now).get() {
            return None;
        }
        let mine = self.mark(now + again);
        self.open.compare_exchange(open, mine.get(), Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Some(Trial(mine)))
    }

    /// An answer began. True: the circuit is closed by it.
    pub fn answered(&self, trial: Option<Trial>) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if trial.is_some() {
            self.open.store(0, Ordering::Release);
        }
        trial.is_some()
    }

    /// A request failed. True: it is time to open the circuit. A trial opens it again itself, for as long as `open` says.
    pub fn failed(
        &self,
        trial: Option<Trial>,
        most: u32,
        now: Instant,
        open: impl FnOnce() -> Duration,
    ) -> bool {
        let count = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if trial.is_some() {
            self.open(now, open());
            return false;
        }
        count >= most && self.is_closed()
    }

    /// Opens.
    pub fn open(&self, now: Instant, open: Duration) {
        self.open.store(self.mark(now + open).get(), Ordering::Release);
    }

    /// The trial ended and has shown nothing: the next request may try.
    pub fn give_back(&self, Trial(mine): Trial, now: Instant) {
        let _ =
            self.open.compare_exchange(mine.get(), self.mark(now).get(), Ordering::AcqRel, Ordering::Relaxed);
    }

    fn mark(&self, at: Instant) -> NonZeroU64 {
        let since = at.saturating_duration_since(self.born).as_millis();
        NonZeroU64::MIN.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(10);

    #[test]
    fn it_opens_after_failures_in_a_row_and_one_request_tries_it() {
        let start = Instant::now();
        let circuit = Circuit::new(start);
        assert!(!circuit.failed(None, 3, start, || OPEN));
        assert!(!circuit.failed(None, 3, start, || OPEN));
        assert!(!circuit.answered(None), "it was closed");
        assert!(!circuit.failed(None, 3, start, || OPEN), "an answer between: not in a row");
        assert!(!circuit.failed(None, 3, start, || OPEN));
        assert!(circuit.failed(None, 3, start, || OPEN));
        assert!(circuit.is_closed(), "for the upstream to open");
        circuit.open(start, OPEN);
        assert_eq!(circuit.enter(start + OPEN / 2, OPEN), None);
        assert_eq!(circuit.wait(start + OPEN / 2), OPEN / 2);
        let trial = circuit.enter(start + OPEN, OPEN).unwrap();
        assert!(trial.is_some());
        assert_eq!(circuit.enter(start + OPEN, OPEN), None, "one at a time");
        assert!(!circuit.failed(trial, 3, start + OPEN, || OPEN));
        assert_eq!(circuit.enter(start + OPEN * 3 / 2, OPEN), None, "open again");
        let trial = circuit.enter(start + OPEN * 2, OPEN).unwrap();
        assert!(!circuit.answered(None) && !circuit.is_closed(), "an old request shows nothing");
        assert!(circuit.answered(trial) && circuit.is_closed());
        assert!(!circuit.failed(None, 3, start, || OPEN), "counted anew");
    }

    #[test]
    fn a_trial_without_an_outcome_is_the_next_ones() {
        let start = Instant::now();
        let circuit = Circuit::new(start);
        circuit.open(start, OPEN);
        let trial = circuit.enter(start + OPEN, OPEN).unwrap().unwrap();
        circuit.give_back(trial, start + OPEN);
        let slow = circuit.enter(start + OPEN, OPEN).unwrap().unwrap();
        let other = circuit.enter(start + OPEN * 2, OPEN).unwrap();
        assert!(other.is_some(), "it took too long");
        circuit.give_back(slow, start + OPEN * 2);
        assert_eq!(circuit.enter(start + OPEN * 2, OPEN), None, "it was not its own any more");
        assert!(circuit.answered(other));
    }
}
