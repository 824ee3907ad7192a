//! Taking instances out: drain, stop, and stop again.
//!
//! ```text
//!   Starting, Ready, Unhealthy ── drain ──▶ Draining ── drained, or `stop.drain` is over ── stop ──▶ Stopping
//!   Starting for longer than `start_period` + [`VERDICT`] ── stop ────────────────────────────────▶ Stopping
//!   Stopping for longer than `stop.timeout` + [`GRACE`] ── stop again (the shim may not have heard it)
//! ```
//! One that is starting is drained as well: adopted from a former keeper, it may have requests.

use super::{AppDesired, Desired, Plan, Step, order};
use crate::AppId;
use crate::observed::{Instance, Moment, Observed, Phase};
use crate::spec::StopSpec;
use std::time::Duration;

/// What the shim gets beyond `stop.timeout` before it is told again.
const GRACE: Duration = Duration::from_secs(10);

/// What the supervisor gets beyond `start_period` for its own verdict: launching and the last try of a health check take time,
/// and it knows what was tried.
const VERDICT: Duration = Duration::from_secs(30);

/// How an app is stopped of which nothing is desired (any more).
const UNKNOWN: StopSpec =
    StopSpec { signal: 15, timeout: Duration::from_secs(10), drain: Duration::from_secs(10) };

/// An app that is not wanted: everything goes, after those that need it.
pub(super) fn plan(
    plan: &mut Plan,
    id: &AppId,
    app: Option<&AppDesired>,
    desired: &Desired,
    view: &Observed,
    now: Moment,
) {
    leaving(plan, id, app.map_or(&UNKNOWN, |app| &app.stop), view, now);
    if order::has_living_dependents(id, desired, view) {
        return;
    }
    for instance in view.of(id).filter(|instance| instance.phase.is_staying()) {
        take_out(plan, instance);
    }
}

/// What is on its way out already.
pub(super) fn leaving(plan: &mut Plan, id: &AppId, stop: &StopSpec, view: &Observed, now: Moment) {
    let again = stop.timeout.saturating_add(GRACE);
    for instance in view.of(id) {
        match instance.phase {
            Phase::Draining { drained: true, .. } => tell(plan, instance, "drained".to_owned()),
            Phase::Draining { since, .. } if due(plan, since.saturating_add(stop.drain), now) => {
                tell(plan, instance, format!("still had requests after {:?}", stop.drain));
            }
            Phase::Stopping { since, .. } if due(plan, since.saturating_add(again), now) => {
                tell(plan, instance, "not gone in time".to_owned());
            }
            _ => {}
        }
    }
}

/// What has been starting for so long that the supervisor, whose verdict it is, must have missed it. It goes without draining: it
/// answered nothing. True: it was told to stop.
pub(super) fn overdue(plan: &mut Plan, app: &AppDesired, instance: &Instance, now: Moment) -> bool {
    let Phase::Starting { since } = instance.phase else { return false };
    let late = due(plan, since.saturating_add(app.start_period).saturating_add(VERDICT), now);
    if late {
        tell(plan, instance, format!("not ready after {:?}", app.start_period));
    }
    late
}

/// Sends an instance on its way out.
pub(super) fn take_out(plan: &mut Plan, instance: &Instance) {
    plan.steps.push(Step::Drain { instance: instance.id.clone() });
}

/// Tells an instance to stop.
fn tell(plan: &mut Plan, instance: &Instance, why: String) {
    plan.steps.push(Step::Stop { instance: instance.id.clone(), why });
}

/// Whether `at` has come; if not, the plan says when to look again.
fn due(plan: &mut Plan, at: Moment, now: Moment) -> bool {
    if at > now {
        plan.look_again(at);
    }
    at <= now
}
