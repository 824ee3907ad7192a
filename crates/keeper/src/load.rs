//! Apps whose number of instances follows what is asked of them: up at once, down one at a time after a calm while, to none
//! after a while without any request, and up again when one waits.
//!
//! ```text
//!            needed > there is                       one fewer would do, for `idle`
//! number ────────────────────────▶ needed     number ───────────────────────────────▶ number − 1 … min
//!    ▲                                          1, min = 0: no request for `idle` ──▶ 0
//!    └─────────── a request waits ([`Keeper::wake`]) ◀───────────────────────────────┘
//! ```
//! *Needed* is what keeps requests in flight, waiting ones included, at `target` for each instance. *Would do* leaves a fifth of that
//! free, so that a number does not swing. While none is ready nothing is started for what waits: more of what does not start help nobody.

use crate::keeper::{Keeper, epoch_ms, report_failure};
use crate::stack::Stack;
use model::AppId;
use model::observed::{Moment, Observed};
use model::upkeep::ScaleSpec;
use std::collections::BTreeMap;
use wire::edge::Stats;

/// What was asked of apps whose number of instances follows it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    apps: BTreeMap<AppId, Calm>,
}

/// Since when an app could do with fewer.
#[derive(Debug, Default)]
struct Calm {
    since: Option<Moment>,
    /// Requests that it had been asked at the last look.
    asked: u64,
}

/// What is asked of an app now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ask {
    /// Requests at its instances that stay.
    in_flight: u64,
    /// Requests that wait for one.
    waiting: u64,
    /// Stands for all that ever came: another number means that one came.
    asked: u64,
    /// At least one instance is ready.
    ready: bool,
}

impl Ask {
    fn of(stats: &Stats, observed: &Observed, app: &AppId) -> Self {
        let upstream = stats.upstreams.iter().find(|upstream| upstream.upstream == app.to_string());
        let (waiting, mut asked) = upstream.map_or((0, 0), |upstream| (upstream.waiting, upstream.requests));
        let (mut in_flight, mut ready) = (0, false);
        for instance in observed.of(app).filter(|instance| instance.phase.is_staying()) {
            let name = instance.id.to_string();
            ready |= instance.phase.is_ready();
            if let Some(seen) = stats.instances.iter().find(|seen| seen.instance == name) {
                in_flight += seen.in_flight;
                asked = asked.wrapping_add(seen.requests);
            }
        }
        Self { in_flight, waiting, asked, ready }
    }
}

impl Calm {
    /// How many there are to be, where there are `number`. `start`: how many a wake starts.
    fn next(&mut self, range: &ScaleSpec, start: u32, number: u32, ask: Ask, now: Moment) -> u32 {
        let load = ask.in_flight.saturating_add(ask.waiting);
        let was_asked = std::mem::replace(&mut self.asked, ask.asked) != ask.asked;
        if number == 0 {
            self.since = None;
            return if ask.waiting > 0 { start } else { 0 };
        }
        let needed = range.target.map(|target| load.div_ceil(u64::from(target.max(1))));
        let needed = needed.map_or(0, |needed| u32::try_from(needed).unwrap_or(u32::MAX)).min(range.max);
        if needed > number && ask.ready {
            self.since = None;
            return needed;
        }
        let lower = if range.target.is_some() { number - 1 } else { 0 };
        let is_calm = match (lower, range.target) {
            _ if lower < range.min => false,
            (0, _) | (_, None) => load == 0 && !was_asked,
            (lower, Some(target)) => {
                load.saturating_mul(5) <= u64::from(target).saturating_mul(u64::from(lower) * 4)
            }
        };
        if !is_calm {
            self.since = None;
            return number;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) < range.idle {
            return number;
        }
        self.since = None;
        lower
    }
}

impl Keeper {
    /// Whether the number of instances of any app follows what is asked of it.
    pub(crate) fn follows_load(&self) -> bool {
        self.stacks.values().any(|stack| followed(stack).next().is_some())
    }

    /// Looks at how much there is to do.
    pub(crate) fn look_at_load(&mut self) {
        if self.edge.is_none() {
            return; // nobody can tell
        }
        let (now, mut changes, mut apps) = (self.now(), Vec::new(), BTreeMap::new());
        for stack in self.stacks.values() {
            for (id, range, start, number) in followed(stack) {
                let mut calm = self.load.apps.remove(&id).unwrap_or_default();
                let ask = Ask::of(&self.stats, &self.observed, &id);
                let next = calm.next(range, start, number, ask, now);
                if next != number {
                    changes.push((id.clone(), number, next, ask));
                }
                apps.insert(id, calm);
            }
        }
        self.load.apps = apps;
        for (id, number, next, ask) in changes {
            let Ask { in_flight, waiting, .. } = ask;
            let why = format!("{number} → {next}: {in_flight} requests in flight, {waiting} waiting");
            self.follow(&id, next, if next == 0 { "no request came" } else { &why });
        }
    }

    /// A request waits for the app of this upstream, of which none runs.
    pub(crate) fn wake(&mut self, upstream: &str) {
        let Some((stack, app)) = upstream.split_once('/') else { return };
        let app = app.split_once(':').map_or(app, |(app, _)| app); // another port of it
        let Some(stack) = self.stacks.values().find(|known| known.name.as_str() == stack) else { return };
        let sleeping = followed(stack).find(|(id, _, _, number)| *number == 0 && id.app.as_str() == app);
        if let Some((id, _, start, _)) = sleeping {
            self.follow(&id, start, "a request waits for it");
        }
    }

    /// Apps that sleep and that a change under way changes are woken: it is proven like every other.
    pub(crate) fn wake_changed(&mut self, name: &model::StackName) {
        let Some(stack) = self.stacks.get(name) else { return };
        let Some(candidate) = &stack.candidate else { return };
        let changed = followed(stack).filter(|(id, _, _, number)| {
            let new = candidate.spec.apps.get(&id.app);
            *number == 0 && new.is_some_and(|new| stack.is_changed(&id.app, new))
        });
        let changed: Vec<(AppId, u32)> = changed.map(|(id, _, start, _)| (id, start)).collect();
        changed.iter().for_each(|(id, start)| self.follow(id, *start, "a change of it is tried"));
    }

    /// After adoption: there are as many as were found, so that what slept sleeps on.
    pub(crate) fn recall_numbers(&mut self) {
        let observed = &self.observed;
        for stack in self.stacks.values_mut() {
            let found = followed(stack).map(|(id, ..)| {
                let living = observed.of(&id).filter(|instance| instance.phase.is_staying()).count();
                (id.app, u32::try_from(living).unwrap_or(u32::MAX))
            });
            stack.following = found.collect();
        }
    }

    fn follow(&mut self, id: &AppId, number: u32, why: &str) {
        let Some(stack) = self.stacks.get_mut(&id.stack) else { return };
        stack.following.insert(id.app.clone(), number);
        self.load.apps.entry(id.clone()).or_default().since = None;
        let state = if number == 0 { "asleep" } else { "scaled" };
        self.note_app(id, state, why);
    }

    /// Writes what became of an app as a whole into its history.
    pub(crate) fn note_app(&self, id: &AppId, state: &str, reason: &str) {
        tracing::info!(app = %id, state, reason, "app");
        let (instance, state, reason) = (id.app.to_string(), state.to_owned(), reason.to_owned());
        let transition = store::Transition { app: id.clone(), instance, state, reason, at_ms: epoch_ms() };
        report_failure("writing the history", self.store.record(&transition));
    }
}

/// Apps of a stack whose number follows what is asked of them: the range, how many a wake starts, and how many there are to be now.
fn followed(stack: &Stack) -> impl Iterator<Item = (AppId, &ScaleSpec, u32, u32)> {
    let active = stack.active.iter().filter(|_| !stack.removing);
    active.flat_map(|active| active.spec.apps.iter().map(move |app| (active, app))).filter_map(
        |(active, (name, app))| {
            let range = app.scale.as_ref()?;
            let free = !stack.stopped.contains(name) && stack.scaled(name, app).is_none();
            free.then(|| (stack.app_id(name), range, app.instances, stack.number(&active.spec, name, app)))
        },
    )
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
