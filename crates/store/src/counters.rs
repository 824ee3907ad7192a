//! Numbers that never go back, not even over a restart or the removal of a stack.

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use model::{AppId, InstanceId};
use rusqlite::{Connection, Result, params};
use std::collections::BTreeMap;

impl Store {
    /// A number for the next snapshot, greater than all before.
    pub fn next_snapshot(&self) -> Result<u64, StoreError> {
        self.write(|database| next(database, "snapshot"))
    }

    /// Notes that the plan gave out this run number. To be called before the instance is started.
    pub fn use_run(&self, instance: &InstanceId) -> Result<(), StoreError> {
        const NOTE: &str = "INSERT INTO run (stack, app, last) VALUES (?1, ?2, ?3)
            ON CONFLICT (stack, app) DO UPDATE SET last = max(last, excluded.last)";
        let AppId { stack, app } = &instance.app;
        self.write(|database| {
            database.execute(NOTE, params![stack.as_str(), app.as_str(), number(instance.run)]).map(drop)
        })
    }

    /// The last run number of each app that ever ran: what `model::observed::Observed::runs` starts with.
    pub fn runs(&self) -> Result<BTreeMap<AppId, u64>, StoreError> {
        self.read(|database| {
            let mut rows = database.prepare_cached("SELECT stack, app, last FROM run")?;
            let rows = rows.query_map([], |row| {
                Ok((AppId { stack: parsed(row, 0)?, app: parsed(row, 1)? }, unsigned(row, 2)?))
            })?;
            rows.collect()
        })
    }
}

/// Counts one up and gives the new value; the first is 1.
pub(crate) fn next(database: &Connection, key: &str) -> Result<u64> {
    const COUNT: &str = "INSERT INTO counter (key, value) VALUES (?1, 1)
        ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value";
    database.query_row(COUNT, [key], |row| unsigned(row, 0))
}
