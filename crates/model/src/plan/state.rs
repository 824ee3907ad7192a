//! How an app stands, in words for people ([`AppState`]) and for the edge ([`Serving`]).

use super::backoff::{self, SlotState};
use super::{AppDesired, Desired};
use crate::AppId;
use crate::observed::{Moment, Observed};

/// How an app stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppState {
    /// On its way to its first ready instances.
    Starting,
    /// As many are ready as wanted.
    Ready,
    /// Something is unhealthy, restarting or failed, and the rest serves or will again.
    Degraded,
    /// None is ready, at least one runs with failing checks.
    Unhealthy,
    /// None is ready and none will be without a change.
    Failed {
        /// Why.
        reason: String,
    },
    /// To be stopped, and not all are gone.
    Stopping,
    /// Stopped, as wanted.
    Stopped,
    /// Not started before what it needs is ready.
    Waiting,
    /// Its programs did their work and ended with success.
    Complete,
}

/// What the edge answers when no endpoint of the app takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Some do.
    Ready,
    /// None yet.
    Starting,
    /// All are unhealthy.
    Unhealthy,
    /// Stopped, crashed or failed.
    Down,
}

/// How this app stands.
pub fn app_state(_desired: &Desired, _observed: &Observed, _app: &AppId) -> AppState {
    AppState::Stopped
}

/// What is wrong with this app, if something is: one line for people.
pub fn what_is_wrong(_desired: &Desired, _observed: &Observed, _app: &AppId) -> Option<String> {
    None
}

/// What the edge answers for this app.
pub fn serving(_desired: &Desired, _observed: &Observed, _app: &AppId) -> Serving {
    Serving::Down
}

/// Whether everything that this app needs is there: a ready instance each, or a program that ended with success.
pub fn needs_ready(_desired: &Desired, _observed: &Observed, _app: &AppId) -> bool {
    true
}

/// Where a slot without a living instance stands.
pub fn slot_state(app: &AppDesired, observed: &Observed, id: &AppId, slot: u32, now: Moment) -> SlotState {
    match observed.slot(id, slot) {
        Some(record) if record.spec == app.spec => backoff::state(&app.restart, record, now),
        _ => SlotState::Free,
    }
}
