//! When a slot whose instance ended is started again, and when no more.

use crate::observed::{End, Moment, SlotRecord};
use crate::spec::{RestartPolicy, RestartSpec};
use std::time::Duration;

/// Where a slot without a living instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing hinders a start: it never ran with this specification, was stopped by us, or its back-off is over.
    Free,
    /// It is started again at this moment.
    Waiting(Moment),
    /// Its program did its work and ended with success; it is not started again.
    Complete,
    /// It is not started again until its specification changes or the app is cleared.
    Failed,
}

/// Whether an end counts towards `max_restarts`.
pub(super) fn is_unstable(restart: &RestartSpec, uptime: Duration, end: &End) -> bool {
    match end {
        End::Stopped => false,
        End::NotStarted(_) | End::NotReady(_) => true,
        End::Exited(_) | End::Signaled(_) | End::OutOfMemory { .. } => uptime < restart.min_uptime,
    }
}

/// Where a slot with this record (of the desired specification) stands.
pub(super) fn state(restart: &RestartSpec, record: &SlotRecord, now: Moment) -> SlotState {
    match (restart.policy, &record.end) {
        (_, End::Stopped) => SlotState::Free,
        (RestartPolicy::OnFailure | RestartPolicy::Never, End::Exited(0)) => SlotState::Complete,
        (RestartPolicy::Never, _) => SlotState::Failed,
        _ if record.unstable > restart.max_restarts => SlotState::Failed,
        _ => {
            let due = record.ended.saturating_add(delay(restart, record.unstable));
            if due > now { SlotState::Waiting(due) } else { SlotState::Free }
        }
    }
}

/// `delay`, doubled with each unstable end in a row after the first, at most `max_delay` (which never shortens `delay`).
fn delay(restart: &RestartSpec, unstable: u32) -> Duration {
    let doublings = unstable.saturating_sub(1).min(31);
    restart.delay.saturating_mul(1 << doublings).min(restart.max_delay.max(restart.delay))
}
