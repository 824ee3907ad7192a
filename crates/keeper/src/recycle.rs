//! Which instances in good health are due to be replaced, by requests, memory or age; and which hold more memory than they may.
//!
//! ```text
//! beat ─▶ requests (the edge's figures), age ──────────────────────▶ Event::Worn ─▶ the plan: successor first, then drain
//!     └─▶ memory, away from the loop ([`memory`]) ─▶ over `recycle.memory` ──┘
//!                                                └─▶ over `resources.memory` ─▶ killed at once: a crash, out of memory. Where the
//!                                                    instance has a control group the kernel does that itself
//! ```
//!
//! Nothing of this is kept: a restarted keeper sees the same figures again, and draws the same thresholds, which follow from the instance's
//! id. Requests that the edge counted before it was restarted itself are added as long as this keeper lives.

mod memory;

use crate::keeper::{Keeper, epoch_ms};
use memory::{Asked, Held};
use model::end::Bytes;
use model::observed::{End, Event, Instance, Phase};
use model::plan::Desired;
use model::spec::AppSpec;
use model::upkeep::RecycleSpec;
use model::{AppId, InstanceId};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::mpsc;

pub(crate) use memory::Look;

/// An instance is not recycled for its memory before it has run for so long: one that holds too much from its beginning would be replaced
/// without end, as fast as it starts.
const SETTLED: Duration = Duration::from_secs(5);
/// A process that holds more is warned of, where no limit of its app's says that so much is meant (WSGI-17).
const HEAVY: u64 = 4_000_000_000;
/// Beats between two looks at memory where no app has a limit: for the figure in the text of an end.
const SELDOM: u64 = 5;

/// What was seen of instances.
pub(crate) struct Wear {
    seen: HashMap<InstanceId, Seen>,
    /// Apps of which one more instance would find no room.
    tight: BTreeSet<AppId>,
    looks: mpsc::Sender<Look>,
    is_looking: bool,
    beats: u64,
}

/// What was seen of one instance.
#[derive(Debug, Default)]
struct Seen {
    /// Requests that an edge before this one counted, and that this one has.
    requests: (u64, u64),
    held: Option<Held>,
    /// It was killed for holding so many bytes, with this limit.
    killed: Option<(u64, u64)>,
    is_warned_of: bool,
}

impl Wear {
    /// Looks come back by `looks`.
    pub(crate) fn new(looks: mpsc::Sender<Look>) -> Self {
        let (seen, tight, is_looking, beats) = Default::default();
        Self { seen, tight, looks, is_looking, beats }
    }

    /// How an instance really ended whose end its shim told as this.
    pub(crate) fn verdict(&self, id: &InstanceId, end: End) -> End {
        let seen = self.seen.get(id);
        match (end, seen.and_then(|seen| seen.killed)) {
            (End::Stopped, Some((held, limit))) => End::OutOfMemory { held: Some(held), limit: Some(limit) },
            (End::OutOfMemory { held: None, limit }, _) => {
                End::OutOfMemory { held: seen.and_then(|seen| seen.held).map(|held| held.bytes), limit }
            }
            (end, _) => end,
        }
    }

    /// Takes note of what an edge has counted: one that was restarted begins anew.
    fn count(&mut self, id: &InstanceId, counted: u64) {
        let (before, last) = &mut self.seen.entry(id.clone()).or_default().requests;
        if counted < *last {
            *before = before.saturating_add(*last);
        }
        *last = counted;
    }

    fn requests(&self, id: &InstanceId) -> u64 {
        self.seen.get(id).map_or(0, |seen| seen.requests.0.saturating_add(seen.requests.1))
    }
}

impl Keeper {
    /// Whether any app is recycled by its number of requests.
    pub(crate) fn wears_by_requests(&self) -> bool {
        let active = self.stacks.values().filter_map(|stack| stack.active.as_ref());
        active.flat_map(|active| active.spec.apps.values()).any(|app| app.recycle.requests.is_some())
    }

    /// Adds to what is desired which apps have no room for one more instance.
    pub(crate) fn tell_room(&self, desired: &mut Desired) {
        for (id, app) in &mut desired.apps {
            app.in_place = self.wear.tight.contains(id);
        }
    }

    /// Looks at what wears out.
    pub(crate) fn look_at_wear(&mut self) {
        let observed = &self.observed;
        self.wear.seen.retain(|id, _| observed.instances.contains_key(id));
        let counted: HashMap<&str, u64> =
            self.stats.instances.iter().map(|stats| (stats.instance.as_str(), stats.requests)).collect();
        for id in self.observed.instances.keys() {
            counted.get(id.to_string().as_str()).into_iter().for_each(|sum| self.wear.count(id, *sum));
        }
        let mut worn = Vec::new();
        for instance in self.observed.instances.values().filter(|instance| instance.phase.is_ready()) {
            let id = &instance.id;
            let Some(spec) = self.spec_in_force(id).filter(|spec| spec.recycle.is_on()) else { continue };
            let requests = self.wear.requests(id);
            let started = self.facts.get(id).and_then(|facts| facts.started_ms);
            let age = started.map(|started| Duration::from_millis(epoch_ms().saturating_sub(started)));
            worn.extend(worn_out(id, &spec.recycle, requests, age).map(|why| (id.clone(), why)));
        }
        worn.into_iter().for_each(|(id, why)| self.wears_out(id, why));
        self.look_at_memory();
    }

    /// What its stack says of an app now: limits hold at once for what runs already.
    pub(crate) fn spec_in_force(&self, id: &InstanceId) -> Option<&AppSpec> {
        let stack = self.stacks.get(&id.app.stack)?;
        let active = stack.active.as_ref().and_then(|active| active.spec.apps.get(&id.app.app));
        active.or_else(|| stack.head(&id.app.app).map(|(_, spec)| spec))
    }

    fn wears_out(&mut self, instance: InstanceId, why: String) {
        if self.observed.instances.get(&instance).is_some_and(|known| known.worn.is_none()) {
            tracing::info!(%instance, why, "to be recycled");
            let now = self.now();
            self.observed.apply(Event::Worn { instance, why }, now);
        }
    }

    /// Has the memory of all instances looked at, one look at a time.
    fn look_at_memory(&mut self) {
        self.wear.beats = self.wear.beats.wrapping_add(1);
        let living = self.observed.instances.values().filter(|instance| instance.phase.is_alive());
        let asked: Vec<Asked> = living.filter_map(|instance| self.asked(instance)).collect();
        let is_limited = asked.iter().any(|asked| !asked.limits.is_empty() || !asked.wanted.is_empty());
        if asked.is_empty() || self.wear.is_looking || !(is_limited || self.wear.beats.is_multiple_of(SELDOM))
        {
            return;
        }
        self.wear.is_looking = true;
        let looks = self.wear.looks.clone();
        self.tasks.spawn(async move {
            let look = tokio::task::spawn_blocking(move || memory::look(asked)).await;
            let _ = looks.send(look.unwrap_or_default()).await;
        });
    }

    /// What is to be found out of one instance: its figure is exact where it is over a limit that nothing followed from yet.
    fn asked(&self, instance: &Instance) -> Option<Asked> {
        let spec = self.spec_in_force(&instance.id)?;
        let pid = self.main_pid(&instance.id)?;
        let recycle = spec.recycle.memory.filter(|_| instance.worn.is_none());
        let limits = recycle.into_iter().chain(spec.resources.memory).collect();
        let last = self.wear.seen.get(&instance.id).and_then(|seen| seen.held);
        let wanted = supervisor::confine::limits(&spec.resources);
        Some(Asked { id: instance.id.clone(), pid, limits, wanted, last })
    }

    /// What a look at memory has found.
    pub(crate) fn memory_seen(&mut self, look: Look) {
        self.wear.is_looking = false;
        if self.ending.is_some() {
            return;
        }
        let mut needed: HashMap<AppId, u64> = HashMap::new();
        for (id, held) in look.held {
            let Some(phase) = self.observed.instances.get(&id).map(|instance| instance.phase.clone()) else {
                continue;
            };
            let Some(spec) = self.spec_in_force(&id) else { continue };
            let (recycle, limit) = (spec.recycle.clone(), spec.resources.memory);
            self.wear.seen.entry(id.clone()).or_default().held = Some(held);
            if recycle.is_on() {
                let most = needed.entry(id.app.clone()).or_default();
                *most = held.bytes.max(*most);
            }
            self.warn_of(&id, held, limit.max(recycle.memory));
            let started = self.facts.get(&id).and_then(|facts| facts.started_ms).unwrap_or(0);
            let is_settled = u128::from(epoch_ms().saturating_sub(started)) >= SETTLED.as_millis();
            match (limit, recycle.memory) {
                (Some(limit), _) if held.ended > 0 => self.kill(&id, &phase, held.bytes.max(limit), limit),
                (Some(limit), _) if held.bytes > limit && !held.by_group => {
                    self.kill(&id, &phase, held.bytes, limit)
                }
                (_, Some(most)) if held.bytes > most && phase.is_ready() && is_settled => {
                    self.wears_out(id, format!("it held {} (limit {})", Bytes(held.bytes), Bytes(most)));
                }
                _ => {}
            }
        }
        let available = look.available.unwrap_or(u64::MAX);
        self.wear.tight =
            needed.into_iter().filter(|(_, most)| *most > available).map(|(app, _)| app).collect();
    }

    /// Ends an instance at once. What was asked of it fails, as in a crash, and it is restarted as after one.
    fn kill(&mut self, id: &InstanceId, phase: &Phase, held: u64, limit: u64) {
        if matches!(phase, Phase::Stopping { .. } | Phase::Ended { .. }) {
            return;
        }
        let seen = self.wear.seen.entry(id.clone()).or_default();
        if seen.killed.replace((held, limit)).is_none() {
            let (held, limit) = (Bytes(held), Bytes(limit));
            tracing::warn!(instance = %id, %held, %limit, "over its limit of memory: killed");
        }
        self.supervisor.kill(id);
    }

    /// Warns, once, of an instance with a process that holds a lot.
    fn warn_of(&mut self, id: &InstanceId, held: Held, meant: Option<u64>) {
        let seen = self.wear.seen.entry(id.clone()).or_default();
        let is_heavy = held.largest > HEAVY.max(meant.unwrap_or(0));
        if is_heavy && !seen.is_warned_of {
            let largest = Bytes(held.largest);
            tracing::warn!(instance = %id, %largest, "one of its processes holds a lot of memory");
        }
        seen.is_warned_of = is_heavy;
    }

    /// What should be said of an app's memory, for `status`.
    pub(crate) fn memory_advice(&self, app: &AppId) -> Option<String> {
        let heavy = self.wear.seen.iter().filter(|(id, seen)| id.app == *app && seen.is_warned_of);
        let (id, seen) = heavy.max_by_key(|(_, seen)| seen.held.map(|held| held.largest))?;
        let largest = Bytes(seen.held?.largest);
        Some(format!(
            "a process of {} holds {largest} of memory; if it only grows, `recycle = {{ memory = … }}` replaces it in time",
            id.label()
        ))
    }
}

/// Why an instance is due by what it has done and its age, if it is.
fn worn_out(id: &InstanceId, recycle: &RecycleSpec, requests: u64, age: Option<Duration>) -> Option<String> {
    // Drawn, but not by chance: the next keeper draws the same.
    let drawn = model::id::fnv1a(id.to_string().as_bytes()) % recycle.jitter.saturating_add(1);
    let most = recycle.requests.map(|most| most.saturating_add(drawn));
    if let Some(most) = most.filter(|most| requests >= *most) {
        return Some(format!("it took {requests} requests (limit {most})"));
    }
    let (most, age) = (recycle.age?, age?);
    let share = recycle.requests.map_or(0.0, |requests| drawn as f64 / requests.max(1) as f64);
    let most = Duration::try_from_secs_f64(most.as_secs_f64() * (1.0 + share)).unwrap_or(most);
    (age >= most).then(|| format!("it ran for {} s (limit {} s)", age.as_secs(), most.as_secs()))
}

#[cfg(test)]
#[path = "recycle_tests.rs"]
mod tests;
