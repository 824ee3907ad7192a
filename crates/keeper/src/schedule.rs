//! Commands by the clock: which are due, which were missed, and what becomes of them ([`crate::tasks`] runs them).
//!
//! ```text
//! seen ──── due ─── due ──────────── due ──▶ now          each beat; `seen` is kept in the store
//!           └ missed: too late ┘     └ runs: late by less than its grace
//! ```
//! A moment is dealt with before its run begins: a keeper that is killed in between leaves a run out, and never runs it twice. The grace
//! is half the time to the next moment, from [`SHORTEST`] to [`LONGEST`]: so a keeper that is replaced at two o'clock misses nothing.

use crate::keeper::{Keeper, epoch_ms, report_failure};
use crate::tasks::Over;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::AppId;
use model::schedule::Schedule as Times;
use model::upkeep::{Missed, Overlap};
use std::collections::BTreeMap;
use store::{TaskRecord, TaskRun};

/// Shortest grace: a few beats.
const SHORTEST: SignedDuration = SignedDuration::from_secs(3);
/// Longest grace.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// Most moments that are counted of those that were missed.
const COUNTED: u32 = 1000;
/// What was seen so far ahead of now is of a clock that was wrong.
const WRONG: SignedDuration = SignedDuration::from_hours(1);

/// When tasks are due.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    tasks: BTreeMap<AppId, Entry>,
}

/// When one is.
#[derive(Debug)]
struct Entry {
    times: Times,
    record: TaskRecord,
    /// The next moment, and where clocks show what.
    next: Option<(TimeZone, Option<Timestamp>)>,
}

/// What came due.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    /// How many are too late; at most [`COUNTED`].
    missed: u32,
    /// The first and the last of these.
    between: Option<(Timestamp, Timestamp)>,
    /// The one to run.
    run: Option<Timestamp>,
}

impl Due {
    /// After `seen`, until `now`.
    fn between(times: &Times, zone: &TimeZone, seen: Timestamp, now: Timestamp) -> Self {
        let mut due = Self::default();
        let mut at = times.next(seen, zone);
        while let Some(moment) = at.filter(|at| *at <= now && due.missed < COUNTED) {
            at = times.next(moment, zone);
            let period = at.map_or(LONGEST, |next| next.duration_since(moment));
            if now.duration_since(moment) <= (period / 2).clamp(SHORTEST, LONGEST) {
                due.run = Some(moment);
            } else {
                due.missed += 1;
                due.between = Some((due.between.map_or(moment, |(first, _)| first), moment));
            }
        }
        due
    }
}

impl Entry {
    /// When it is due next.
    fn next(&mut self, zone: &TimeZone) -> Option<Timestamp> {
        if let Some((_, next)) = self.next.as_ref().filter(|(known, _)| known == zone) {
            return *next;
        }
        let next = self.times.next(timestamp(self.record.seen_ms), zone);
        self.next = Some((zone.clone(), next));
        next
    }
}

impl Schedule {
    /// When it is due next, as far as it was looked at.
    pub(crate) fn next(&self, task: &AppId) -> Option<Timestamp> {
        self.tasks.get(task)?.next.as_ref()?.1
    }

    /// Whether a run waits for the former one to end.
    pub(crate) fn waits(&self, task: &AppId) -> bool {
        self.tasks.get(task).is_some_and(|entry| entry.record.waiting_ms.is_some())
    }

    /// Takes the run that waits: when it was due.
    pub(crate) fn take_waiting(&mut self, task: &AppId) -> Option<u64> {
        self.tasks.get_mut(task)?.record.waiting_ms.take()
    }
}

impl Keeper {
    /// Looks at what is due.
    pub(crate) fn look_at_tasks(&mut self) {
        self.end_late_runs();
        let (now, zone) = (now(), TimeZone::system());
        let served = self.stacks.values().filter(|stack| !stack.removing);
        let served = served.filter_map(|stack| Some((stack, stack.active.as_ref()?)));
        let tasks = served.flat_map(|(stack, active)| {
            active.spec.tasks.iter().map(|(name, task)| (stack.app_id(name), task.schedule.clone()))
        });
        let tasks: BTreeMap<AppId, String> = tasks.collect();
        self.schedule.tasks.retain(|id, _| tasks.contains_key(id));
        for (id, text) in tasks {
            if self.schedule.tasks.get(&id).is_none_or(|entry| entry.record.schedule != text) {
                self.learn(&id, &text, now);
            }
            let is_running = self.stacks.get(&id.stack).is_some_and(|stack| stack.runs.contains_key(&id.app));
            if !is_running {
                // The run it waited for ended while no keeper was there.
                self.begin_waiting(&id, "the former run has ended");
            }
            let Some(entry) = self.schedule.tasks.get_mut(&id) else { continue };
            if timestamp(entry.record.seen_ms).duration_since(now) > WRONG {
                (entry.record.seen_ms, entry.next) = (millis(now), None);
                self.keep_task(&id);
            } else if entry.next(&zone).is_some_and(|next| next <= now) {
                let due = Due::between(&entry.times, &zone, timestamp(entry.record.seen_ms), now);
                (entry.record.seen_ms, entry.next) = (millis(now), None);
                entry.next(&zone);
                self.came_due(&id, &due, &zone);
            }
        }
    }

    /// A task that was not known, or has another schedule now. Under `up` nothing is missed: nobody expects it to run all the time.
    fn learn(&mut self, id: &AppId, text: &str, now: Timestamp) {
        let times = match Times::parse(text) {
            Ok(times) => times,
            Err(error) => return tracing::error!(task = %id, error, "its schedule cannot be read"),
        };
        let known = self.store.tasks(&id.stack).unwrap_or_default().remove(&id.app);
        let known = known.filter(|known| known.schedule == text && !self.options.foreground);
        let is_new = known.is_none();
        let anew = || TaskRecord { schedule: text.to_owned(), seen_ms: millis(now), waiting_ms: None };
        let record = known.unwrap_or_else(anew);
        self.schedule.tasks.insert(id.clone(), Entry { times, record, next: None });
        if is_new {
            self.keep_task(id);
        }
    }

    /// Records how far a task is.
    pub(crate) fn keep_task(&self, id: &AppId) {
        let Some(entry) = self.schedule.tasks.get(id) else { return };
        report_failure("recording a task", self.store.keep_task(&id.stack, &id.app, &entry.record));
    }

    fn came_due(&mut self, id: &AppId, due: &Due, zone: &TimeZone) {
        let spec = self.stacks.get(&id.stack).and_then(|stack| stack.active.as_ref());
        let Some(task) = spec.and_then(|active| active.spec.tasks.get(&id.app)) else { return };
        let (overlap, makes_up) = (task.overlap, task.missed == Missed::Run);
        let mut run = due.run;
        if let Some((first, last)) = due.between {
            let detail = missed(due.missed, &shown(first, zone), &shown(last, zone));
            tracing::warn!(task = %id, "{detail}");
            self.left_out(id, last, "missed", &detail);
            run = run.or(makes_up.then_some(last));
        }
        let Some(moment) = run else { return self.keep_task(id) };
        let is_running = self.stacks.get(&id.stack).is_some_and(|stack| stack.runs.contains_key(&id.app));
        if !is_running {
            self.keep_task(id);
            if let Err(error) = self.begin_run(id, Some(millis(moment)), "due") {
                tracing::error!(task = %id, %error, "its run cannot be begun");
            }
            return;
        }
        self.overlap(id, moment, overlap);
        self.keep_task(id);
    }

    /// It is due while the last run still goes on.
    fn overlap(&mut self, id: &AppId, moment: Timestamp, overlap: Overlap) {
        let Some(entry) = self.schedule.tasks.get_mut(id) else { return };
        let waited = entry.record.waiting_ms.is_some();
        match overlap {
            Overlap::Skip => return self.left_out(id, moment, "skipped", "the former run still goes on"),
            Overlap::Wait if waited => {
                return self.left_out(
                    id,
                    moment,
                    "skipped",
                    "the former run still goes on, and one waits for it",
                );
            }
            Overlap::Wait | Overlap::Replace => entry.record.waiting_ms = Some(millis(moment)),
        }
        if overlap == Overlap::Replace
            && let Some(run) = self.stacks.get_mut(&id.stack).and_then(|stack| stack.runs.get_mut(&id.app))
        {
            run.over.get_or_insert(Over::Replaced);
        }
    }

    /// Records a moment at which nothing was run.
    fn left_out(&self, id: &AppId, due: Timestamp, result: &str, detail: &str) {
        let now = epoch_ms();
        let (due_ms, ended_ms) = (Some(millis(due)), Some(now));
        let (result, detail) = (result.to_owned(), detail.to_owned());
        let run = TaskRun { id: 0, spec: 0, due_ms, begun_ms: now, ended_ms, result, detail };
        let recorded = self.store.begin_task_run(&id.stack, &id.app, &run).map(drop);
        report_failure("recording a run that was left out", recorded);
        self.note_app(id, &run.result, &run.detail);
    }
}

fn missed(count: u32, first: &str, last: &str) -> String {
    match count {
        1 => format!("1 run was missed, due {last}: Mainstay or this host did not run then"),
        COUNTED => format!("{COUNTED} runs or more were missed, the first due {first}"),
        _ => {
            format!("{count} runs were missed, due {first} to {last}: Mainstay or this host did not run then")
        }
    }
}

/// A moment as the host's clocks show it.
pub(crate) fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Now, to the millisecond, as exact as the store is.
fn now() -> Timestamp {
    timestamp(epoch_ms())
}

/// Milliseconds since the Unix epoch.
fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// The moment so many milliseconds after the Unix epoch.
pub(crate) fn timestamp(ms: u64) -> Timestamp {
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
