//! What `mainstay status` and `mainstay task` show of tasks.

use crate::api::{TaskRunStatus, TaskStatus};
use crate::keeper::Keeper;
use crate::schedule::timestamp;
use crate::stack::Stack;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::TaskRun;

/// Runs shown for each task.
const RUNS: u32 = 20;

impl Keeper {
    /// The tasks of what is active.
    pub(crate) fn task_statuses(&self, stack: &Stack) -> Vec<TaskStatus> {
        let zone = TimeZone::system();
        let tasks = stack.active.iter().flat_map(|active| &active.spec.tasks);
        let status = tasks.map(|(name, task)| {
            let id = stack.app_id(name);
            let runs = self.store.task_runs(&stack.name, name, RUNS).unwrap_or_default();
            TaskStatus {
                name: name.to_string(),
                description: task.app.description.clone(),
                schedule: task.schedule.clone(),
                zone: zone.iana_name().map(str::to_owned),
                next: self.schedule.next(&id).map(|at| told(at, &zone)),
                waits: self.schedule.waits(&id),
                runs: runs.into_iter().map(|run| run_status(run, &zone)).collect(),
            }
        });
        status.collect()
    }
}

fn run_status(run: TaskRun, zone: &TimeZone) -> TaskRunStatus {
    let at = |ms: u64| told(timestamp(ms), zone);
    TaskRunStatus {
        id: run.id,
        due: run.due_ms.map(at),
        begun: at(run.begun_ms),
        ended: run.ended_ms.map(at),
        took_ms: run.ended_ms.map(|ended| ended.saturating_sub(run.begun_ms)),
        result: run.result,
        detail: run.detail,
    }
}

/// RFC 3339, as the host's clocks show it.
fn told(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
