//! One app's instances, sorted by what they are good for, and what is to become of the places that are empty.

use super::backoff::SlotState;
use super::{AppDesired, slot_state};
use crate::AppId;
use crate::observed::{End, Instance, Moment, Observed, Phase};
use std::collections::BTreeSet;

/// A slot without an instance that has one of the app's places, because it ran with the desired specification and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vacancy {
    /// The slot.
    pub slot: u32,
    /// Whether and when it is started again.
    pub state: SlotState,
}

/// One app's instances.
pub(super) struct Fleet<'a> {
    /// There to stay, with the desired specification; those that are worn apart.
    pub current: Vec<&'a Instance>,
    /// Ready, with the desired specification, and each to be replaced: they have no place among those wanted.
    pub worn: Vec<&'a Instance>,
    /// There to stay, with another one.
    pub outdated: Vec<&'a Instance>,
    /// How many have a process, those on their way out included.
    pub alive: u32,
    /// How many with the desired specification are being stopped because they never became ready. They keep their place until
    /// they are gone: a successor has to wait for the back-off, which is known only then.
    pub stopping: u32,
    /// At least one of the living has another specification, those on their way out included.
    pub mixed: bool,
    /// How many take requests, of any specification.
    pub ready: u32,
    /// Ended slots of the desired specification that have a place, by slot.
    pub vacancies: Vec<Vacancy>,
    /// Places that nobody has: instances to start in slots of their own.
    pub open: u32,
    /// Slots that no new instance may take.
    used: BTreeSet<u32>,
}

impl<'a> Fleet<'a> {
    /// Sorts the instances of `id`.
    pub fn new(id: &'a AppId, app: &AppDesired, view: &'a Observed, now: Moment) -> Self {
        let living: Vec<&Instance> = view.of(id).filter(|instance| instance.phase.is_alive()).collect();
        let (current, outdated): (Vec<&Instance>, Vec<&Instance>) = living
            .iter()
            .filter(|instance| instance.phase.is_staying())
            .partition(|instance| instance.spec == app.spec);
        let (worn, current): (Vec<&Instance>, Vec<&Instance>) =
            current.into_iter().partition(|instance| instance.is_to_be_recycled() && !app.keep_outdated);
        let is_stopping = |instance: &&&Instance| {
            instance.spec == app.spec && matches!(instance.phase, Phase::Stopping { never_ready: true, .. })
        };
        let stopping = count(living.iter().filter(is_stopping).count());
        let mut used: BTreeSet<u32> = view.of(id).map(|instance| instance.id.slot).collect();
        let places = app.instances.saturating_sub(count(current.len())).saturating_sub(stopping);
        let vacancies = vacancies(id, app, view, now, &used, places);
        used.extend(vacancies.iter().map(|vacancy| vacancy.slot));
        Self {
            open: places.saturating_sub(count(vacancies.len())),
            alive: count(living.len()),
            mixed: living.iter().any(|instance| instance.spec != app.spec),
            ready: count(living.iter().filter(|instance| instance.phase.is_ready()).count()),
            current,
            worn,
            outdated,
            stopping,
            vacancies,
            used,
        }
    }

    /// How many vacancies fit.
    pub fn vacant(&self, fits: impl Fn(&SlotState) -> bool) -> u32 {
        count(self.vacancies.iter().filter(|vacancy| fits(&vacancy.state)).count())
    }

    /// The lowest slot that is free, which is free no longer.
    pub fn take_slot(&mut self) -> u32 {
        let slot = (1..u32::MAX).find(|slot| !self.used.contains(slot)).unwrap_or(u32::MAX);
        self.used.insert(slot);
        slot
    }
}

/// Who has the empty places: slots that ended by themselves with the desired specification, failed ones last (after
/// a scale-down there may be more such slots than places, and the ones that can still serve have precedence).
fn vacancies(
    id: &AppId,
    app: &AppDesired,
    view: &Observed,
    now: Moment,
    used: &BTreeSet<u32>,
    places: u32,
) -> Vec<Vacancy> {
    let ended = view.slots.iter().filter(|((of, slot), record)| {
        of == id && record.spec == app.spec && record.end != End::Stopped && !used.contains(slot)
    });
    let mut vacancies: Vec<Vacancy> = ended
        .map(|((_, slot), _)| Vacancy { slot: *slot, state: slot_state(app, view, id, *slot, now) })
        .collect();
    vacancies.sort_by_key(|vacancy| (vacancy.state == SlotState::Failed, vacancy.slot));
    vacancies.truncate(usize::try_from(places).unwrap_or(usize::MAX));
    vacancies
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
