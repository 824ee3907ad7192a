//! Runs of tasks. A task is an app that nobody asks ([`expand`]): of one that is under way one instance is wanted, of another none.
//!
//! ```text
//! due, or asked for ─▶ counted, recorded ─▶ the plan starts an instance with this fingerprint ─▶ it ends ─▶ recorded ─▶ the next one waits? ─▶ …
//!                                                └── late, or replaced: none is wanted, so it is stopped ──┘
//! ```
//! Each run has a fingerprint of its own, because the count of restarts is part of that; it keeps it over reloads, so that a run goes on
//! with what it was started with. Nothing is run twice: what was under way when a keeper ended and cannot be found is
//! recorded as lost. When runs are due is decided in [`crate::schedule`].

use crate::api::TaskStarted;
use crate::change;
use crate::error::KeeperError;
use crate::keeper::{Keeper, LAST_LINES, epoch_ms, report_failure};
use crate::stack::Stack;
use crate::status::tail;
use model::observed::{End, Instance, Phase};
use model::spec::StackSpec;
use model::{AppId, AppName, StackName};
use std::time::Duration;
use store::TaskRun;

/// Most bytes of output that a run's record keeps.
const MOST_OUTPUT: usize = 8 << 10;

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Its number in the store.
    pub(crate) id: u64,
    /// Fingerprint of its instance.
    pub(crate) print: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) begun_ms: u64,
    /// Why it is being stopped, if it is.
    pub(crate) over: Option<Over>,
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// It took longer than this.
    Late(Duration),
    /// The next one is due.
    Replaced,
}

/// Makes an app of each task, so that plan, supervisor and logs know only apps.
pub(crate) fn expand(spec: &mut StackSpec) {
    spec.apps.extend(spec.tasks.iter().map(|(name, task)| (name.clone(), task.app.clone())));
}

/// What changes from `old` to `new`, a line for each task.
pub(crate) fn describe(old: &StackSpec, new: &StackSpec) -> Vec<String> {
    let gone = old.tasks.keys().filter(|name| !new.tasks.contains_key(name));
    let mut lines: Vec<String> = gone.map(|name| format!("task {name}: removed")).collect();
    for (name, task) in &new.tasks {
        let Some(before) = old.tasks.get(name) else {
            lines.push(format!("task {name}: added"));
            continue;
        };
        let mut parts = Vec::new();
        if let (Some(was), Some(is)) = (old.apps.get(name), new.apps.get(name)) {
            parts.extend(change::parts(was, is));
        }
        let own = [
            ("schedule", before.schedule != task.schedule),
            ("overlap", before.overlap != task.overlap),
            ("missed", before.missed != task.missed),
            ("timeout", before.timeout != task.timeout),
        ];
        parts.extend(own.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()));
        if !parts.is_empty() {
            lines.push(format!("task {name}: {} changed; from its next run on", parts.join(", ")));
        }
    }
    lines
}

impl Stack {
    /// Whether an instance of this task is wanted now.
    pub(crate) fn is_under_way(&self, task: &AppName) -> bool {
        self.runs.get(task).is_some_and(|run| run.over.is_none())
    }
}

impl Keeper {
    /// Somebody wants a task to run now.
    pub(crate) fn run_task(&mut self, stack: &str, task: &str) -> Result<TaskStarted, KeeperError> {
        let unknown = || KeeperError::Unknown(format!("task {task} in the stack {stack}"));
        let name: AppName = task.parse().map_err(|_| unknown())?;
        let found = self.stack(stack)?;
        if !found.active.as_ref().is_some_and(|active| active.spec.tasks.contains_key(&name)) {
            return Err(unknown());
        }
        if found.runs.contains_key(&name) {
            return Err(KeeperError::Conflict(format!(
                "{task} is running; mainstay logs -f {task} follows it"
            )));
        }
        let id = found.app_id(&name);
        let run = self.begin_run(&id, None, "asked for")?;
        Ok(TaskStarted { stack: stack.to_owned(), task: task.to_owned(), run })
    }

    /// Begins a run of a task of which none is under way. Gives its number.
    pub(crate) fn begin_run(
        &mut self,
        id: &AppId,
        due_ms: Option<u64>,
        why: &str,
    ) -> Result<u64, KeeperError> {
        let AppId { stack, app: task } = id;
        self.count_restart(stack, task)?;
        let gone = || KeeperError::Unknown(format!("task {id}"));
        let found = self.stacks.get_mut(stack).ok_or_else(gone)?;
        let spec = found.active.as_ref().and_then(|active| active.spec.apps.get(task)).ok_or_else(gone)?;
        let (print, begun_ms) = (found.fingerprint(task, spec), epoch_ms());
        let (result, detail) = ("running".to_owned(), String::new());
        let record = TaskRun { id: 0, spec: print, due_ms, begun_ms, ended_ms: None, result, detail };
        let number = self.store.begin_task_run(stack, task, &record)?;
        found.runs.insert(task.clone(), Run { id: number, print, begun_ms, over: None });
        self.note_app(id, "running", why);
        Ok(number)
    }

    /// Runs that take too long are stopped.
    pub(crate) fn end_late_runs(&mut self) {
        let now = epoch_ms();
        for stack in self.stacks.values_mut() {
            let Some(active) = &stack.active else { continue };
            for (task, run) in stack.runs.iter_mut().filter(|(_, run)| run.over.is_none()) {
                let limit = active.spec.tasks.get(task).and_then(|task| task.timeout);
                let late =
                    |limit: &Duration| u128::from(now.saturating_sub(run.begun_ms)) > limit.as_millis();
                if let Some(limit) = limit.filter(late) {
                    run.over = Some(Over::Late(limit));
                }
            }
        }
    }

    /// Takes note of runs that ended, and begins those that waited for it.
    pub(crate) fn end_runs(&mut self) {
        let ended: Vec<(AppId, Run, End)> =
            self.stacks.values().flat_map(|stack| self.ended_runs(stack)).collect();
        for (id, run, end) in ended {
            self.end_run(&id, &run, &end);
            self.begin_waiting(&id, "the former run has ended");
        }
    }

    /// Begins the run that waited for the former one to end, if one did.
    pub(crate) fn begin_waiting(&mut self, id: &AppId, why: &str) {
        let Some(due) = self.schedule.take_waiting(id) else { return };
        self.keep_task(id);
        let is_there =
            self.stacks.get(&id.stack).is_some_and(|stack| !stack.removing && is_task(stack, &id.app));
        if is_there && let Err(error) = self.begin_run(id, Some(due), why) {
            tracing::error!(task = %id, %error, "the run that waited cannot be begun");
        }
    }

    fn ended_runs<'a>(&'a self, stack: &'a Stack) -> impl Iterator<Item = (AppId, Run, End)> + 'a {
        stack.runs.iter().filter_map(|(task, run)| {
            let id = stack.app_id(task);
            let of_run = |instance: &&Instance| instance.spec == run.print;
            let ended = match self.observed.of(&id).find(of_run).map(|instance| &instance.phase) {
                Some(Phase::Ended { end, .. }) => Some(end.clone()),
                Some(_) => None,
                None => {
                    let mut slots = self.observed.slots.iter().filter(|((of, _), _)| *of == id);
                    let record = slots.find(|(_, record)| record.spec == run.print);
                    let goes_on = stack.is_under_way(task) && is_task(stack, task) && !stack.removing;
                    record.map(|(_, record)| record.end.clone()).or((!goes_on).then_some(End::Stopped))
                }
            };
            ended.map(|end| (id.clone(), run.clone(), end))
        })
    }

    fn end_run(&mut self, id: &AppId, run: &Run, end: &End) {
        let (result, how) = match (run.over, end) {
            (_, End::Exited(0)) => ("ok", end.to_string()),
            (Some(Over::Late(limit)), _) => ("timed-out", format!("took longer than {limit:?}")),
            (Some(Over::Replaced), _) => ("replaced", "the next run was due".to_owned()),
            (None, End::Stopped) => ("stopped", end.to_string()),
            (None, _) => ("failed", end.to_string()),
        };
        self.record_end(id, run, result, &how);
    }

    fn record_end(&mut self, id: &AppId, run: &Run, result: &str, how: &str) {
        if let Some(stack) = self.stacks.get_mut(&id.stack) {
            stack.runs.remove(&id.app);
        }
        let lines = tail(&self.app_logs(id, 1, Some(run.print)), Some(run.begun_ms), LAST_LINES);
        let mut detail = lines.iter().fold(how.to_owned(), |text, line| text + "\n" + line);
        let most = (0..=MOST_OUTPUT.min(detail.len())).rev().find(|end| detail.is_char_boundary(*end));
        detail.truncate(most.unwrap_or(0));
        let recorded = self.store.end_task_run(run.id, epoch_ms(), result, &detail);
        report_failure("recording the end of a task's run", recorded);
        self.note_app(id, result, how);
    }

    /// What a former keeper had under way. What was started and left no trace is lost.
    pub(crate) fn recall_runs(&mut self) {
        let names: Vec<StackName> = self.stacks.keys().cloned().collect();
        for stack in names {
            let open = self.store.open_task_runs(&stack).unwrap_or_else(|error| {
                tracing::error!(%error, "reading the runs of tasks failed");
                Vec::new()
            });
            for (task, TaskRun { id: number, spec: print, begun_ms, .. }) in open {
                let id = AppId { stack: stack.clone(), app: task.clone() };
                let run = Run { id: number, print, begun_ms, over: None };
                let is_known = self.observed.of(&id).any(|instance| instance.spec == print);
                let was_started = self.store.history(&id, 1).unwrap_or_default();
                let was_started =
                    was_started.iter().any(|last| last.at_ms >= begun_ms && last.state != "running");
                if was_started && !is_known {
                    self.record_end(&id, &run, "lost", "Mainstay was not there when it ended");
                } else if let Some(stack) = self.stacks.get_mut(&stack) {
                    stack.runs.insert(task, run);
                }
            }
        }
    }
}

/// Whether what is active has this task.
pub(crate) fn is_task(stack: &Stack, task: &AppName) -> bool {
    stack.active.as_ref().is_some_and(|active| active.spec.tasks.contains_key(task))
}
