//! Tasks: until when what was due is dealt with, and what became of it, the last [`KEPT`] runs of each.

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use model::{AppName, StackName};
use rusqlite::types::ValueRef;
use rusqlite::{Row, params};
use std::collections::BTreeMap;

/// How many runs are kept for each task.
pub const KEPT: u32 = 100;

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its schedule then.
    pub schedule: String,
    /// What was due until this moment is dealt with: milliseconds since the Unix epoch.
    pub seen_ms: u64,
    /// When that run was due which waits for the former one to end.
    pub waiting_ms: Option<u64>,
}

/// What became of a time at which a task was due, or of a run that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRun {
    /// For [`Store::end_task_run`]; 0 until it is recorded.
    pub id: u64,
    /// Fingerprint of its instance; 0: none was started.
    pub spec: u64,
    /// When it was due, in milliseconds since the Unix epoch; none: somebody asked for it.
    pub due_ms: Option<u64>,
    /// When it was begun.
    pub begun_ms: u64,
    /// When it ended; none: it goes on.
    pub ended_ms: Option<u64>,
    /// One word: the caller knows which.
    pub result: String,
    /// How it ended, and its last lines.
    pub detail: String,
}

impl Store {
    /// How far a stack's tasks are.
    pub fn tasks(&self, stack: &StackName) -> Result<BTreeMap<AppName, TaskRecord>, StoreError> {
        self.read(|database| {
            let mut rows = database
                .prepare_cached("SELECT task, schedule, seen_ms, waiting_ms FROM task WHERE stack = ?1")?;
            let rows = rows.query_map([stack.as_str()], |row| {
                let (schedule, seen_ms, waiting_ms) = (row.get(1)?, unsigned(row, 2)?, optional(row, 3)?);
                Ok((parsed(row, 0)?, TaskRecord { schedule, seen_ms, waiting_ms }))
            })?;
            rows.collect()
        })
    }

    /// Notes how far a task is. An error if there is no such stack.
    pub fn keep_task(&self, stack: &StackName, task: &AppName, now: &TaskRecord) -> Result<(), StoreError> {
        const KEEP: &str = "INSERT OR REPLACE INTO task (stack, task, schedule, seen_ms, waiting_ms)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        let TaskRecord { schedule, seen_ms, waiting_ms } = now;
        self.write(|database| {
            let (seen, waiting) = (number(*seen_ms), waiting_ms.map(number));
            database.execute(KEEP, params![stack.as_str(), task.as_str(), schedule, seen, waiting]).map(drop)
        })
    }

    /// Writes a run down, and drops what is too old. Gives its id.
    pub fn begin_task_run(
        &self,
        stack: &StackName,
        task: &AppName,
        run: &TaskRun,
    ) -> Result<u64, StoreError> {
        const INSERT: &str =
            "INSERT INTO task_run (stack, task, spec, due_ms, begun_ms, ended_ms, result, detail)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id";
        const PRUNE: &str = "DELETE FROM task_run WHERE stack = ?1 AND task = ?2 AND id <= (
            SELECT id FROM task_run WHERE stack = ?1 AND task = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)";
        let TaskRun { spec, due_ms, begun_ms, ended_ms, result, detail, .. } = run;
        self.write(|database| {
            let (stack, task, due) = (stack.as_str(), task.as_str(), due_ms.map(number));
            let (begun, ended) = (number(*begun_ms), ended_ms.map(number));
            let values = params![stack, task, spec.cast_signed(), due, begun, ended, result, detail];
            let id = database.query_row(INSERT, values, |row| unsigned(row, 0))?;
            database.execute(PRUNE, params![stack, task, KEPT])?;
            Ok(id)
        })
    }

    /// It ended.
    pub fn end_task_run(&self, id: u64, ended_ms: u64, result: &str, detail: &str) -> Result<(), StoreError> {
        const END: &str = "UPDATE task_run SET ended_ms = ?2, result = ?3, detail = ?4 WHERE id = ?1";
        let (id, ended) = (number(id), number(ended_ms));
        self.write(|database| database.execute(END, params![id, ended, result, detail]).map(drop))
    }

    /// The latest of a task, at most `limit`, the latest first.
    pub fn task_runs(
        &self,
        stack: &StackName,
        task: &AppName,
        limit: u32,
    ) -> Result<Vec<TaskRun>, StoreError> {
        const LATEST: &str = "SELECT id, spec, due_ms, begun_ms, ended_ms, result, detail FROM task_run
            WHERE stack = ?1 AND task = ?2 ORDER BY id DESC LIMIT ?3";
        self.read(|database| {
            let mut rows = database.prepare_cached(LATEST)?;
            rows.query_map(params![stack.as_str(), task.as_str(), limit], run)?.collect()
        })
    }

    /// Runs of a stack that have not ended.
    pub fn open_task_runs(&self, stack: &StackName) -> Result<Vec<(AppName, TaskRun)>, StoreError> {
        const OPEN: &str = "SELECT id, spec, due_ms, begun_ms, ended_ms, result, detail, task FROM task_run
            WHERE stack = ?1 AND ended_ms IS NULL ORDER BY id";
        self.read(|database| {
            let mut rows = database.prepare_cached(OPEN)?;
            rows.query_map([stack.as_str()], |row| Ok((parsed(row, 7)?, run(row)?)))?.collect()
        })
    }
}

fn run(row: &Row<'_>) -> rusqlite::Result<TaskRun> {
    Ok(TaskRun {
        id: unsigned(row, 0)?,
        spec: row.get::<_, i64>(1)?.cast_unsigned(),
        due_ms: optional(row, 2)?,
        begun_ms: unsigned(row, 3)?,
        ended_ms: optional(row, 4)?,
        result: row.get(5)?,
        detail: row.get(6)?,
    })
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => unsigned(row, column).map(Some),
    }
}
