//! How many requests may be sent again: so that an app in trouble does not get twice the requests for it.
//!
//! A share of the requests of the last ten seconds, and beside it a few each second whatever their number. It is asked only
//! where a request is about to be sent again; the requests are counted by who claims.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(10);
/// Requests that may be sent again in a window where hardly any come: ten each second.
const FLOOR: f64 = 100.0;

/// Of one upstream.
#[derive(Debug, Default)]
pub struct Budget {
    windows: Mutex<Option<Windows>>,
}

/// Two windows, one after the other: what is within the last [`WINDOW`] is all of this one and a part of the former.
#[derive(Debug, Clone, Copy)]
struct Windows {
    began: Instant,
    /// Requests before this window.
    mark: u64,
    /// Sent again in this window.
    again: f64,
    /// Of the window before.
    former: (f64, f64),
}

impl Budget {
    /// Whether one more may be sent again, and counts it; `requests`: how many came so far, `percent` of them may.
    pub fn spend(&self, requests: u64, percent: u32, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let windows =
            windows.get_or_insert(Windows { began: now, mark: requests, again: 0.0, former: (0.0, 0.0) });
        windows.advance(requests, now);
        let left = 1.0 - ratio(now.saturating_duration_since(windows.began));
        let (came, again) = windows.former;
        let came = came.mul_add(left, count(requests.saturating_sub(windows.mark)));
        let again = again.mul_add(left, windows.again);
        let may = again + 1.0 <= came.mul_add(f64::from(percent) / 100.0, FLOOR);
        if may {
            windows.again += 1.0;
        }
        may
    }
}

impl Windows {
    /// Where this window is over, another begins. One that lasted longer, because nobody asked, counts by its mean.
    fn advance(&mut self, requests: u64, now: Instant) {
        let lasted = now.saturating_duration_since(self.began);
        if lasted < WINDOW {
            return;
        }
        let came = count(requests.saturating_sub(self.mark)) / ratio(lasted);
        let again = if lasted < WINDOW * 2 { self.again / ratio(lasted) } else { 0.0 };
        *self = Self { began: now, mark: requests, again: 0.0, former: (came, again) };
    }
}

/// In windows.
fn ratio(time: Duration) -> f64 {
    time.as_secs_f64() / WINDOW.as_secs_f64()
}

/// Requests, for a share of them.
fn count(requests: u64) -> f64 {
    f64::from(u32::try_from(requests).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many tries at this moment those that may.
    fn of(budget: &Budget, tries: usize, requests: u64, percent: u32, at: Instant) -> usize {
        (0..tries).filter(|_| budget.spend(requests, percent, at)).count()
    }

    #[test]
    fn a_few_may_always() {
        let (budget, start) = (Budget::default(), Instant::now());
        assert_eq!(of(&budget, 1000, 1000, 0, start), 100);
        assert_eq!(of(&budget, 1000, 2000, 0, start + WINDOW / 2), 0);
        assert_eq!(of(&budget, 1000, 3000, 0, start + WINDOW), 0, "those are within the last ten seconds");
        assert_eq!(of(&budget, 1000, 3000, 0, start + WINDOW * 3 / 2), 50);
        assert_eq!(of(&budget, 1000, 3000, 0, start + WINDOW * 4), 100);
    }

    #[test]
    fn and_a_share_of_what_came() {
        let (budget, start) = (Budget::default(), Instant::now());
        assert_eq!(of(&budget, 1, 0, 20, start), 1);
        // A thousand since: two hundred, and the few.
        assert_eq!(of(&budget, 1000, 1000, 20, start + WINDOW / 2), 299);
        // An hour without failures: its mean, not its sum.
        let hour = Duration::from_secs(3600);
        let counted = of(&budget, 100_000, 361_000, 20, start + hour);
        assert!((290..=310).contains(&counted), "{counted}");
    }
}
