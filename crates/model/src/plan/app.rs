//! What one app that is wanted needs, in this order: stop what starts for too long, take out what is too many, take
//! out what is outdated and what is worn as far as the rest carries the load, start what is missing.

use super::backoff::SlotState;
use super::fleet::Fleet;
use super::{AppDesired, Build, Desired, Plan, Step, needs_ready, retire};
use crate::observed::{Moment, Observed};
use crate::spec::Listen;
use crate::{AppId, InstanceId};

pub(super) fn plan(
    plan: &mut Plan,
    id: &AppId,
    app: &AppDesired,
    desired: &Desired,
    view: &Observed,
    now: Moment,
) {
    retire::leaving(plan, id, &app.stop, view, now);
    let mut fleet = Fleet::new(id, app, view, now);
    let startable = app.build == Build::Done && needs_ready(desired, view, id);
    fleet.current.retain(|instance| !retire::overdue(plan, app, instance, now));
    fleet.outdated.retain(|instance| !retire::overdue(plan, app, instance, now));
    shrink(plan, app, &mut fleet);
    if !app.keep_outdated {
        replace(plan, app, &mut fleet, startable);
        recycle(plan, app, &mut fleet, startable);
    }
    if startable {
        grow(plan, id, app, fleet, view);
    }
}

/// More with the desired specification than wanted: those that do not serve go first (of them those that are worn), then the highest slots.
fn shrink(plan: &mut Plan, app: &AppDesired, fleet: &mut Fleet<'_>) {
    let wanted = usize::try_from(app.instances).unwrap_or(usize::MAX);
    fleet
        .current
        .sort_by_key(|instance| (!instance.phase.is_ready(), instance.worn.is_some(), instance.id.slot));
    while fleet.current.len() > wanted {
        let Some(surplus) = fleet.current.pop() else { return };
        fleet.ready -= u32::from(surplus.phase.is_ready());
        retire::take_out(plan, surplus);
    }
}

/// Outdated ones go as far as the ready ones are enough without them; those that do not serve go at once.
fn replace(plan: &mut Plan, app: &AppDesired, fleet: &mut Fleet<'_>, startable: bool) {
    let complete = fleet.vacant(|state| *state == SlotState::Complete);
    let enough = app.instances.saturating_sub(complete);
    let failed = fleet.vacant(|state| *state == SlotState::Failed) > 0;
    // Nothing can be prepared beside the holder of a fixed port: it goes first, if its successor can be started at all.
    let yields = matches!(app.listen, Listen::Port(_)) && startable && !failed;
    fleet.outdated.sort_by_key(|instance| (instance.phase.is_ready(), instance.id.slot));
    for instance in std::mem::take(&mut fleet.outdated) {
        if instance.phase.is_ready() {
            if fleet.ready <= enough && !yields {
                continue;
            }
            fleet.ready = fleet.ready.saturating_sub(1);
        }
        retire::take_out(plan, instance);
    }
}

/// Worn ones go, the longest running first, as far as the ready ones are enough without them. In place one goes while all are ready and
/// there are no more than wanted, if its successor can be started at all; the next not before that is ready.
fn recycle(plan: &mut Plan, app: &AppDesired, fleet: &mut Fleet<'_>, startable: bool) {
    let complete = fleet.vacant(|state| *state == SlotState::Complete);
    let enough = app.instances.saturating_sub(complete);
    let mut yields = (app.in_place || matches!(app.listen, Listen::Port(_)))
        && startable
        && fleet.vacant(|state| matches!(state, SlotState::Waiting(_) | SlotState::Failed)) == 0
        && fleet.alive <= app.instances
        && fleet.ready >= enough;
    fleet.worn.sort_by_key(|instance| instance.id.run);
    for instance in &fleet.worn {
        if fleet.ready <= enough && !std::mem::take(&mut yields) {
            break;
        }
        fleet.ready = fleet.ready.saturating_sub(1);
        retire::take_out(plan, instance);
    }
}

/// Starts what is missing: slots whose back-off is over, then new ones.
fn grow(plan: &mut Plan, id: &AppId, app: &AppDesired, mut fleet: Fleet<'_>, view: &Observed) {
    let mut room = room(app, &fleet);
    let mut run = view.runs.get(id).copied().unwrap_or(0);
    let mut start = |plan: &mut Plan, slot: u32| {
        if room == 0 {
            return;
        }
        room -= 1;
        run = run.saturating_add(1);
        let instance = InstanceId { app: id.clone(), slot, run };
        plan.steps.push(Step::Start { instance, spec: app.spec });
    };
    for vacancy in std::mem::take(&mut fleet.vacancies) {
        match vacancy.state {
            SlotState::Free => start(plan, vacancy.slot),
            SlotState::Waiting(due) => plan.look_again(due),
            SlotState::Complete | SlotState::Failed => {}
        }
    }
    for _ in 0..fleet.open {
        start(plan, fleet.take_slot());
    }
}

/// How many may be started beside those that live.
fn room(app: &AppDesired, fleet: &Fleet<'_>) -> u32 {
    if matches!(app.listen, Listen::Port(_)) {
        return app.instances.saturating_sub(fleet.alive);
    }
    if app.keep_outdated {
        return u32::MAX;
    }
    if !fleet.mixed && app.in_place {
        return app.instances.saturating_sub(fleet.alive);
    }
    if !fleet.mixed && fleet.worn.is_empty() {
        return u32::MAX;
    }
    // Rolling: one more than wanted. A slot that waits for its back-off, or failed, has that place: otherwise a
    // specification that cannot run would be tried in one slot after the other.
    let held = fleet.vacant(|state| matches!(state, SlotState::Waiting(_) | SlotState::Failed));
    app.instances.saturating_add(1).saturating_sub(fleet.alive).saturating_sub(held)
}
