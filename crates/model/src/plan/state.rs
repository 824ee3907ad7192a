//! How an app stands, in words for people ([`AppState`]) and for the edge ([`Serving`]).

use super::backoff::{self, SlotState};
use super::fleet::Fleet;
use super::needs::{hopeless, needs_ready, waits_for};
use super::{AppDesired, Build, Desired};
use crate::AppId;
use crate::observed::{End, Instance, Moment, Observed, Phase, SlotRecord};

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
    /// None runs until one is asked for.
    Asleep,
    /// Not started before what it needs is ready.
    Waiting,
    /// Not started before what it starts from is built.
    Building,
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
    /// None: the last one ended, and is started again.
    Restarting,
    /// None, until one is asked for.
    Asleep,
    /// All are unhealthy.
    Unhealthy,
    /// Stopped, crashed or failed.
    Down,
}

/// How this app stands.
pub fn app_state(desired: &Desired, observed: &Observed, id: &AppId) -> AppState {
    let Some((app, tally)) = tally(desired, observed, id) else {
        let alive = observed.of(id).any(|instance| instance.phase.is_alive());
        return match (is_asleep(desired, id), alive) {
            (true, _) => AppState::Asleep,
            (false, true) => AppState::Stopping,
            (false, false) => AppState::Stopped,
        };
    };
    let trouble = tally.failed + tally.crashed + tally.unhealthy > 0;
    if tally.complete >= app.instances {
        return AppState::Complete;
    }
    if tally.ready > 0 {
        let enough = tally.ready + tally.complete >= app.instances;
        let waits = tally.starting == 0 && !(app.build == Build::Done && needs_ready(desired, observed, id));
        return match (enough, trouble) {
            (true, false) => AppState::Ready,
            (false, false) if !waits => AppState::Starting,
            _ => AppState::Degraded,
        };
    }
    if tally.starting + tally.unhealthy == 0
        && let Build::Failed(reason) = &app.build
    {
        return AppState::Failed { reason: reason.clone() };
    }
    if tally.starting + tally.unhealthy + tally.crashed == 0 {
        if tally.failed > 0 {
            let reason = what_is_wrong(desired, observed, id).unwrap_or_default();
            return AppState::Failed { reason };
        }
        if let Some(reason) = hopeless(desired, observed, id) {
            return AppState::Failed { reason };
        }
        if !needs_ready(desired, observed, id) {
            return AppState::Waiting;
        }
        if app.build != Build::Done {
            return AppState::Building;
        }
    }
    if tally.unhealthy > 0 && tally.starting == 0 {
        return AppState::Unhealthy;
    }
    if trouble { AppState::Degraded } else { AppState::Starting }
}

/// What is wrong with this app, if something is: one line for people.
pub fn what_is_wrong(desired: &Desired, observed: &Observed, id: &AppId) -> Option<String> {
    let app = desired.apps.get(id).filter(|app| app.instances > 0)?;
    let fleet = Fleet::new(id, app, observed, Moment::ZERO);
    own_trouble(app, &fleet, observed, id).or_else(|| {
        let waits = match (waits_for(desired, observed, id), &app.build) {
            (Some(waits), _) => waits,
            (None, Build::UnderWay(how_far)) => how_far.clone(),
            (None, _) => return None,
        };
        (fleet.open > 0).then_some(waits)
    })
}

/// What is wrong with the app itself, whatever it waits for.
pub(super) fn own_trouble(
    app: &AppDesired,
    fleet: &Fleet<'_>,
    observed: &Observed,
    id: &AppId,
) -> Option<String> {
    if let Build::Failed(reason) = &app.build {
        return Some(reason.clone());
    }
    let vacancies = fleet.vacancies.iter().filter(|vacancy| vacancy.state != SlotState::Complete);
    let mut ended = vacancies.filter_map(|vacancy| {
        let record = observed.slot(id, vacancy.slot)?;
        let what_now = match vacancy.state {
            SlotState::Failed => "is not started again",
            _ => "is started again",
        };
        Some(ended(id, vacancy.slot, record, what_now))
    });
    let sick = observed.of(id).filter(|instance| matches!(instance.phase, Phase::Unhealthy { .. }));
    let sick = sick.map(|instance| format!("the health checks of {} fail", instance.id.label()));
    // The last vacancies are the failed ones: the most serious.
    ended.next_back().or_else(|| sick.last())
}

/// How a slot's last run ended, and what becomes of it.
pub(super) fn ended(id: &AppId, slot: u32, record: &SlotRecord, what_now: &str) -> String {
    match record.unstable {
        0 | 1 => format!("{}.{slot} {} and {what_now}", id.app, record.end),
        times => {
            format!("{}.{slot} {}, the {} time in a row, and {what_now}", id.app, record.end, ordinal(times))
        }
    }
}

/// `1st`, `2nd`, `11th`, `23rd`.
fn ordinal(number: u32) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

/// What the edge answers for this app.
pub fn serving(desired: &Desired, observed: &Observed, id: &AppId) -> Serving {
    if observed.of(id).any(|instance| instance.phase.is_ready()) {
        return Serving::Ready;
    }
    let Some((app, tally)) = tally(desired, observed, id) else {
        return if is_asleep(desired, id) { Serving::Asleep } else { Serving::Down };
    };
    // An end that the plan has not looked at yet: it knows in a moment whether that one is started again.
    let has_ended = |instance: &Instance| {
        instance.spec == app.spec
            && matches!(&instance.phase, Phase::Ended { end, .. } if *end != End::Stopped)
    };
    if tally.unhealthy > 0 {
        Serving::Unhealthy
    } else if tally.starting == 0
        && (matches!(app.build, Build::Failed(_)) || hopeless(desired, observed, id).is_some())
    {
        Serving::Down
    } else if tally.crashed > 0 || observed.of(id).any(has_ended) {
        Serving::Restarting
    } else if tally.starting + tally.open > 0 {
        Serving::Starting
    } else {
        Serving::Down
    }
}

fn is_asleep(desired: &Desired, id: &AppId) -> bool {
    desired.apps.get(id).is_some_and(|app| app.asleep && app.instances == 0)
}

/// Where a slot without a living instance stands.
pub fn slot_state(app: &AppDesired, observed: &Observed, id: &AppId, slot: u32, now: Moment) -> SlotState {
    match observed.slot(id, slot) {
        Some(record) if record.spec == app.spec => backoff::state(&app.restart, record, now),
        _ => SlotState::Free,
    }
}

/// How many of an app's instances and places are what.
pub(super) struct Tally {
    ready: u32,
    starting: u32,
    unhealthy: u32,
    /// Ended slots that will be started again, and instances starting after such an end.
    crashed: u32,
    failed: u32,
    pub complete: u32,
    /// Places whose start nothing but their turn, their needs or the stop of a predecessor delays.
    open: u32,
}

/// None when the app is not wanted.
pub(super) fn tally<'a>(
    desired: &'a Desired,
    observed: &Observed,
    id: &AppId,
) -> Option<(&'a AppDesired, Tally)> {
    let app = desired.apps.get(id).filter(|app| app.instances > 0)?;
    // The moment only tells waiting from due: both will be started again.
    let fleet = Fleet::new(id, app, observed, Moment::ZERO);
    let staying = || fleet.current.iter().chain(&fleet.worn).chain(&fleet.outdated);
    let count =
        |is: &dyn Fn(&Instance) -> bool| staying().filter(|instance| is(instance)).fold(0, |n, _| n + 1);
    let again = |instance: &Instance| {
        let record = observed.slot(id, instance.id.slot);
        record.is_some_and(|record| record.spec == instance.spec && record.end != End::Stopped)
    };
    let is_starting = |instance: &Instance| matches!(instance.phase, Phase::Starting { .. });
    let tally = Tally {
        ready: fleet.ready,
        starting: count(&is_starting),
        unhealthy: count(&|instance| matches!(instance.phase, Phase::Unhealthy { .. })),
        crashed: count(&|instance| is_starting(instance) && again(instance))
            + fleet.vacant(|state| matches!(state, SlotState::Waiting(_) | SlotState::Free)),
        failed: fleet.vacant(|state| *state == SlotState::Failed),
        complete: fleet.vacant(|state| *state == SlotState::Complete),
        open: fleet.open + fleet.stopping,
    };
    Some((app, tally))
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn ordinals() {
        let all = [1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(ordinal).join(" ");
        assert_eq!(all, "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 103rd 111th");
    }
}
