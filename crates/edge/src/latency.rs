//! How long an instance takes to answer, and how often it does: of about the last minute.
//!
//! What is measured: from the moment a request has its instance until that one's final head is there, connecting included. Not until the last
//! byte: a download's end says how fast its client is, an event stream's how long it was open. A request without an answer is none of
//! these (it is counted as a failure).
//!
//! A histogram whose buckets grow with the value: [`SUB`] of them for each doubling, so that a figure is at most an eighth too high.
//! Two windows of [`WINDOW`] take turns: the figures are of the current one and the one before, 30 to 60 seconds. An answer costs a
//! look at the window's number and one relaxed addition; who comes first into a new window empties it, and what others add at that
//! very moment may be lost. [`Latency`] is 1.4 KB, whatever happens.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(30);
/// Buckets for each doubling, as a power of two.
const SUB_BITS: u32 = 3;
/// Buckets for each doubling.
const SUB: u64 = 1 << SUB_BITS;
/// A bucket's width where they do not grow yet, as a power of two of microseconds: 8 µs up to 64 µs.
const UNIT_BITS: u32 = 3;
/// The last one takes everything beyond two minutes.
const BUCKETS: usize = 176;

/// A window's answers.
#[derive(Debug)]
struct Window {
    /// Its number plus one; 0: nothing was ever in it.
    number: AtomicU32,
    buckets: [AtomicU32; BUCKETS],
}

impl Default for Window {
    fn default() -> Self {
        Self { number: AtomicU32::new(0), buckets: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

/// Times to answer of one instance.
#[derive(Debug)]
pub struct Latency {
    born: Instant,
    windows: [Window; 2],
}

/// Zeros where there was no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Answers for each second.
    pub rate: f64,
    /// Half of the answers took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
}

impl Latency {
    /// Nothing measured yet.
    pub fn new(now: Instant) -> Self {
        Self { born: now, windows: <[Window; 2]>::default() }
    }

    /// The window of this moment, counted from 1.
    fn number(&self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.born).as_secs() / WINDOW.as_secs();
        u32::try_from(passed).unwrap_or(u32::MAX - 1).saturating_add(1)
    }

    /// Counts an answer to a request that was sent at `sent`.
    pub fn add(&self, sent: Instant, now: Instant) {
        let number = self.number(now);
        let [even, odd] = &self.windows;
        let window = if number.is_multiple_of(2) { even } else { odd };
        let found = window.number.load(Ordering::Relaxed);
        // Older than what is found: a core that was held up. Its answer goes to the newer one.
        if found < number
            && window.number.compare_exchange(found, number, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            window.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
        }
        let took = now.saturating_duration_since(sent).as_micros();
        if let Some(bucket) = window.buckets.get(place(u64::try_from(took).unwrap_or(u64::MAX))) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Of the last window and the current one.
    pub fn figures(&self, now: Instant) -> Figures {
        let number = self.number(now);
        let mut sums = [0; BUCKETS];
        for window in &self.windows {
            if window.number.load(Ordering::Relaxed).saturating_add(1) < number.max(2) {
                continue;
            }
            let counts = window.buckets.iter().map(|bucket| u64::from(bucket.load(Ordering::Relaxed)));
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let since = self.born + WINDOW * number.saturating_sub(2);
        let seconds = now.saturating_duration_since(since).as_secs_f64().max(1.0);
        let answers: u64 = sums.iter().sum();
        Figures { rate: answers as f64 / seconds, p50_us: quantile(&sums, 50), p99_us: quantile(&sums, 99) }
    }
}

/// The bucket of a time in microseconds.
fn place(micros: u64) -> usize {
    let units = micros >> UNIT_BITS;
    // Small values have a bucket each; beyond, the bits after the leading one choose among a doubling's buckets.
    let doubling = (u64::BITS - units.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let place = u64::from(doubling) * SUB + (units >> doubling);
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The upper end of a bucket, in microseconds.
fn end(place: usize) -> u64 {
    let place = place as u64;
    let doubling = (place / SUB).saturating_sub(1);
    let units = place - doubling * SUB;
    (units + 1) << doubling << UNIT_BITS
}

/// The time that so many of 100 did not exceed; 0 of nothing.
fn quantile(counts: &[u64], percent: u64) -> u64 {
    let all: u64 = counts.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut seen = 0;
    let reached = counts.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    reached.filter(|_| all > 0).map_or(0, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap_and_are_never_an_eighth_too_wide() {
        let mut before = 0;
        for place_ in 0..BUCKETS - 1 {
            let end = end(place_);
            assert_eq!((place(before), place(end - 1), place(end)), (place_, place_, place_ + 1), "{place_}");
            assert!(end - before <= (before / 8).max(8), "{place_}: {before}..{end}");
            before = end;
        }
        assert!(before > 100_000_000, "{before}");
        assert_eq!((place(u64::MAX), place(0)), (BUCKETS - 1, 0));
    }

    #[test]
    fn figures_are_of_the_last_minute_at_most() {
        let begun = Instant::now();
        let latency = Latency::new(begun);
        assert_eq!(latency.figures(begun), Figures::default());
        let at = |secs| begun + Duration::from_secs(secs);
        let answer = |secs, millis: u64| latency.add(at(secs), at(secs) + Duration::from_millis(millis));
        (0..98).for_each(|_| answer(1, 50));
        (0..2).for_each(|_| answer(1, 900));
        let figures = latency.figures(at(2));
        assert!((50_000..=56_250).contains(&figures.p50_us), "{figures:?}");
        assert!((900_000..=1_012_500).contains(&figures.p99_us), "{figures:?}");
        assert_eq!(figures.rate, 50.0, "100 within 2 seconds");
        assert_eq!(latency.figures(at(59)).p99_us, figures.p99_us, "the window before still counts");
        assert_eq!(latency.figures(at(60)), Figures::default(), "no answer since: none is made up");
        answer(61, 3);
        assert!(latency.figures(at(61)).p99_us < 4_000, "the first ones are gone");
        answer(3_601, 7);
        assert!((7_000..8_000).contains(&latency.figures(at(3_602)).p50_us));
    }

    #[test]
    fn a_thousand_instances_cost_little_memory() {
        assert!(size_of::<Latency>() <= 1_440, "{}", size_of::<Latency>());
    }
}
