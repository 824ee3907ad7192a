//! Slow start: an instance that became ready takes a tenth of its share at first, all of it after `slow_start`.
//!
//! Shares are of the largest there is: instances of the same age, and a single one, have all of theirs at once.

use crate::instance::Instance;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an instance begins with.
const FIRST: f64 = 0.1;

/// By instance, place by place; 1 is all of it.
pub type Shares = SmallVec<[f64; 16]>;

/// When all have all of theirs; none: they do already, whenever it is asked.
pub fn until(instances: &[Arc<Instance>], over: Duration) -> Option<Instant> {
    if over.is_zero() || instances.len() < 2 {
        return None;
    }
    instances.iter().filter_map(|instance| Some(instance.ready? + over)).max()
}

/// The shares at a moment.
pub fn shares(instances: &[Arc<Instance>], over: Duration, now: Instant) -> Shares {
    let share = |instance: &Arc<Instance>| {
        let Some(ready) = instance.ready else { return 1.0 };
        let warm = now.saturating_duration_since(ready).as_secs_f64() / over.as_secs_f64();
        (1.0 - FIRST).mul_add(warm, FIRST).min(1.0)
    };
    let mut shares: Shares = instances.iter().map(share).collect();
    let most = shares.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    shares.iter_mut().for_each(|share| *share /= most);
    shares
}

/// A place, each as often as its share says.
pub fn draw(shares: &Shares) -> usize {
    let mut left = fastrand::f64() * shares.iter().sum::<f64>();
    let passed = |share: &f64| {
        left -= share;
        left < 0.0
    };
    shares.iter().position(passed).unwrap_or_default()
}
