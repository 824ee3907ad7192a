//! How long to wait after failures: a minute, doubled with each further one up to a day, a fifth more or less by chance, so that hosts that
//! failed together do not come back together.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(60);
/// Never longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The wait after this many failures in a row, one at least.
pub(super) fn after(failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    jittered(doubled.min(LONGEST))
}

/// A fifth more or less.
pub(super) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_to_a_day_and_no_further() {
        for (failures, seconds) in
            [(0, 60.0), (1, 60.0), (2, 120.0), (5, 960.0), (12, 86400.0), (u32::MAX, 86400.0)]
        {
            let wait = after(failures).as_secs_f64();
            assert!(wait >= seconds * 0.79 && wait <= seconds * 1.21, "{failures}: {wait}");
        }
    }
}
