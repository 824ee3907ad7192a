//! Whom an app waits for, and until when ([`NeedCondition`]):
//!
//! | condition | what it needs is there |
//! |---|---|
//! | healthy | while an instance of it is ready, or once its program did its work |
//! | started | once its program was executed with the specification that is desired: what becomes of it then does not matter |
//! | completed | once its program ended with status 0; stopped after that, it stays done |
//!
//! Work that failed for good fails those that wait for its completion: nothing would start them without a change.

use super::backoff::SlotState;
use super::fleet::Fleet;
use super::state::{ended, own_trouble, slot_state, tally};
use super::{AppDesired, Desired};
use crate::network::NeedCondition;
use crate::observed::{End, Instance, Moment, Observed};
use crate::{AppId, AppName};

/// Whether everything that this app needs is there.
pub fn needs_ready(desired: &Desired, observed: &Observed, id: &AppId) -> bool {
    missing(desired, observed, id).next().is_none()
}

/// What this app waits for, and why that is not there: one line for people.
pub(super) fn waits_for(desired: &Desired, observed: &Observed, id: &AppId) -> Option<String> {
    let (need, how) = missing(desired, observed, id).next()?;
    let why = why_not_there(desired, observed, &need, how);
    Some(format!("waits for {}: {why}", need.app))
}

/// Why this app will not be started: work that it waits for failed, and is not tried again.
pub(super) fn hopeless(desired: &Desired, observed: &Observed, id: &AppId) -> Option<String> {
    let failed = |need: &AppId| {
        let app = desired.apps.get(need).filter(|app| app.instances > 0)?;
        let fleet = Fleet::new(need, app, observed, Moment::ZERO);
        let fails = fleet.vacant(|state| *state == SlotState::Failed) > 0;
        own_trouble(app, &fleet, observed, need).filter(|_| fails)
    };
    let mut work = missing(desired, observed, id).filter(|(_, how)| *how == NeedCondition::Completed);
    work.find_map(|(need, _)| Some(format!("waits for {}: {}", need.app, failed(&need)?)))
}

/// What it needs that is not there, with what it waits for.
fn missing<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    id: &'a AppId,
) -> impl Iterator<Item = (AppId, NeedCondition)> + 'a {
    let app = desired.apps.get(id);
    let needs = app.into_iter().flat_map(|app| app.needs.iter().map(|need| (need, condition(app, need))));
    let needs = needs.map(|(need, how)| (AppId { stack: id.stack.clone(), app: need.clone() }, how));
    needs.filter(|(need, how)| !is_there(desired, observed, need, *how))
}

fn condition(app: &AppDesired, need: &AppName) -> NeedCondition {
    app.needs_how.get(need).copied().unwrap_or_default()
}

fn is_there(desired: &Desired, observed: &Observed, need: &AppId, how: NeedCondition) -> bool {
    let is_done =
        || tally(desired, observed, need).is_some_and(|(app, tally)| tally.complete >= app.instances);
    match how {
        NeedCondition::Healthy => observed.of(need).any(|instance| instance.phase.is_ready()) || is_done(),
        NeedCondition::Started => was_started(desired, observed, need),
        NeedCondition::Completed => did_its_work(desired, observed, need),
    }
}

fn was_started(desired: &Desired, observed: &Observed, need: &AppId) -> bool {
    let Some(app) = desired.apps.get(need).filter(|app| app.instances > 0) else { return false };
    let runs =
        |instance: &Instance| instance.phase.is_ready() || (instance.runs && instance.phase.is_staying());
    let ran = |end: &End| !matches!(end, End::NotStarted(_) | End::Stopped);
    observed.of(need).any(runs)
        || observed
            .slots
            .iter()
            .any(|((of, _), record)| of == need && record.spec == app.spec && ran(&record.end))
}

fn did_its_work(desired: &Desired, observed: &Observed, need: &AppId) -> bool {
    let Some(app) = desired.apps.get(need) else { return false };
    let slots = observed.slots.keys().filter(|(of, _)| of == need);
    let done =
        slots.filter(|(_, slot)| slot_state(app, observed, need, *slot, Moment::ZERO) == SlotState::Complete);
    u32::try_from(done.count()).unwrap_or(u32::MAX) >= app.instances.max(1)
}

/// Why what another app needs is not there.
fn why_not_there(desired: &Desired, observed: &Observed, id: &AppId, how: NeedCondition) -> String {
    let Some(app) = desired.apps.get(id).filter(|app| app.instances > 0) else {
        return "it is stopped".to_owned();
    };
    let fleet = Fleet::new(id, app, observed, Moment::ZERO);
    if let Some(trouble) = own_trouble(app, &fleet, observed, id) {
        return trouble;
    }
    // One that ended and is being tried again looks like any that starts.
    let again = observed.slots.iter().find(|((of, _), record)| {
        of == id && record.spec == app.spec && record.end != End::Stopped && record.unstable > 0
    });
    let not_yet = || match how {
        NeedCondition::Healthy => "it is not ready yet",
        NeedCondition::Started => "it does not run yet",
        NeedCondition::Completed => "it has not done its work yet",
    };
    again.map_or_else(
        || not_yet().to_owned(),
        |((_, slot), record)| ended(id, *slot, record, "is being started again"),
    )
}
