//! What must hold before each step and after each round, whatever happens.

use crate::fate::did_its_work;
use crate::world::{DRAIN, Process, World};
use model::network::NeedCondition;
use model::observed::Phase;
use model::plan::{Desired, Step};
use model::spec::Listen;
use model::{AppId, InstanceId};

fn living<'a>(world: &'a World, app: &'a AppId) -> impl Iterator<Item = (&'a InstanceId, &'a Process)> {
    world.processes.iter().filter(move |(id, process)| id.app == *app && process.ended.is_none())
}

fn ready(world: &World, app: &AppId) -> usize {
    world.observed.of(app).filter(|instance| instance.phase.is_ready()).count()
}

/// Before a step is executed.
pub fn before(world: &World, step: &Step) {
    match step {
        Step::Start { instance, spec } => start(world, instance, *spec),
        Step::Drain { instance } => drain(world, instance),
        Step::Stop { instance, .. } => stop(world, instance),
        Step::Forget { instance, .. } => {
            assert!(!world.processes.contains_key(instance), "{instance} is forgotten and lives");
        }
    }
}

fn start(world: &World, id: &InstanceId, spec: u64) {
    let desired = world.desired();
    let app = &desired.apps[&id.app];
    assert!(!world.used.contains(&(id.app.clone(), id.run)), "the number of {id} was used before");
    assert!(living(world, &id.app).all(|(other, _)| other.slot != id.slot), "the slot of {id} is taken");
    assert_eq!(spec, app.spec, "{id} is started with what is not desired");
    for need in &app.needs {
        let need = AppId { stack: id.app.stack.clone(), app: need.clone() };
        let how = app.needs_how.get(&need.app).copied().unwrap_or_default();
        assert!(is_there(world, &need, how, &desired), "{id} is started before {need} is {how:?}");
    }
    let record = world.observed.slot(&id.app, id.slot).filter(|record| record.spec == spec);
    let was_done = record.is_some_and(|record| did_its_work(&app.restart, &record.end));
    assert!(!was_done, "the work of {id} is done twice");
    let count = living(world, &id.app).count() + 1;
    let wanted = app.instances as usize;
    if matches!(app.listen, Listen::Port(_)) {
        assert!(count <= wanted, "{id}: two holders of a port");
    } else if !app.keep_outdated {
        let is_mixed = living(world, &id.app).any(|(_, process)| process.spec != app.spec);
        let is_worn = world.observed.of(&id.app).any(|instance| instance.is_to_be_recycled());
        assert!(count <= wanted + 1 || !(is_mixed || is_worn), "{id}: more than one too many while rolling");
        assert!(count <= wanted || is_mixed || !app.in_place, "{id}: there is no room for it");
    }
}

fn is_there(world: &World, need: &AppId, how: NeedCondition, desired: &Desired) -> bool {
    let wanted = &desired.apps[need];
    let records = || world.observed.slots.iter().filter(|((of, _), it)| of == need && it.spec == wanted.spec);
    match how {
        NeedCondition::Healthy => ready(world, need) > 0,
        NeedCondition::Started => {
            world.processes.keys().any(|id| id.app == *need) || records().next().is_some()
        }
        NeedCondition::Completed => records().any(|(_, record)| did_its_work(&wanted.restart, &record.end)),
    }
}

fn drain(world: &World, id: &InstanceId) {
    let desired = world.desired();
    let app = &desired.apps[&id.app];
    let was_ready = world.observed.instances[id].phase.is_ready();
    if app.instances == 0 {
        for (other, wanted) in &desired.apps {
            let waits = wanted.instances == 0 && wanted.needs.contains(&id.app.app);
            assert!(!waits || living(world, other).count() == 0, "{id} goes before {other}, which needs it");
        }
    } else if was_ready && !matches!(app.listen, Listen::Port(_)) {
        let left = ready(world, &id.app) - 1;
        let one_less = usize::from(app.in_place && world.observed.instances[id].is_to_be_recycled());
        let records = world.observed.slots.iter().filter(|((of, _), record)| {
            *of == id.app && record.spec == app.spec && did_its_work(&app.restart, &record.end)
        });
        let least = (app.instances as usize).saturating_sub(one_less + records.count());
        assert!(left >= least, "{id} drained: only {left} of {} are left", app.instances);
    }
    let outdated = world.observed.instances[id].spec != app.spec;
    assert!(!(outdated && app.keep_outdated && app.instances > 0), "{id} is to be kept");
}

fn stop(world: &World, id: &InstanceId) {
    let serves = match world.observed.instances[id].phase {
        Phase::Draining { since, .. } => world.now < since + DRAIN,
        Phase::Ready { .. } | Phase::Unhealthy { .. } => panic!("{id} is stopped without draining"),
        // Either told before, or it answers nothing.
        _ => false,
    };
    let claims = world.claims.get(id).copied().unwrap_or(0);
    assert!(!serves || claims == 0, "{id} is stopped with {claims} requests");
}

/// After a round of steps, before the clock moves on.
pub fn after(world: &World) {
    for (id, process) in &world.processes {
        let known = world.observed.instances.get(id);
        let known = known.is_some_and(|instance| instance.phase.is_alive());
        assert!(known || process.ended.is_some(), "{id} is an orphan");
    }
}
