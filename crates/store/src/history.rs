//! Changes of state of instances (OBS-16), the last [`KEPT`] of each app.

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use model::AppId;
use rusqlite::{OptionalExtension, params};

/// How many transitions are kept for each app.
pub const KEPT: u32 = 200;

/// An instance changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its app.
    pub app: AppId,
    /// `app.slot`.
    pub instance: String,
    /// The new state.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Store {
    /// Writes it down and drops what is too old.
    pub fn record(&self, transition: &Transition) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO transition (stack, app, instance, state, reason, at_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        const PRUNE: &str = "DELETE FROM transition WHERE stack = ?1 AND app = ?2 AND id <= (
            SELECT id FROM transition WHERE stack = ?1 AND app = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)";
        let Transition { app: AppId { stack, app }, instance, state, reason, at_ms } = transition;
        self.write(|database| {
            let (stack, app) = (stack.as_str(), app.as_str());
            database.execute(INSERT, params![stack, app, instance, state, reason, number(*at_ms)])?;
            database.execute(PRUNE, params![stack, app, KEPT]).map(drop)
        })
    }

    /// The latest state of an instance (`app.slot`); none: nothing is known of it.
    pub fn last_state(&self, app: &AppId, instance: &str) -> Result<Option<String>, StoreError> {
        const LAST: &str = "SELECT state FROM transition
            WHERE stack = ?1 AND app = ?2 AND instance = ?3 ORDER BY id DESC LIMIT 1";
        self.read(|database| {
            let names = params![app.stack.as_str(), app.app.as_str(), instance];
            database.query_row(LAST, names, |row| row.get(0)).optional()
        })
    }

    /// The latest of all apps, or of one stack or app, not before `since_ms`; at most `limit`, oldest first.
    pub fn history_of(
        &self,
        stack: Option<&str>,
        app: Option<&str>,
        since_ms: u64,
        limit: u32,
    ) -> Result<Vec<Transition>, StoreError> {
        const LATEST: &str = "SELECT stack, app, instance, state, reason, at_ms FROM transition
            WHERE (?1 IS NULL OR stack = ?1) AND (?2 IS NULL OR app = ?2) AND at_ms >= ?3
            ORDER BY at_ms DESC, id DESC LIMIT ?4";
        self.read(|database| {
            let mut rows = database.prepare_cached(LATEST)?;
            let rows = rows.query_map(params![stack, app, number(since_ms), limit], |row| {
                Ok(Transition {
                    app: AppId { stack: parsed(row, 0)?, app: parsed(row, 1)? },
                    instance: row.get(2)?,
                    state: row.get(3)?,
                    reason: row.get(4)?,
                    at_ms: unsigned(row, 5)?,
                })
            })?;
            let mut latest: Vec<Transition> = rows.collect::<rusqlite::Result<_>>()?;
            latest.reverse();
            Ok(latest)
        })
    }

    /// Drops what happened before this moment, also of apps that are no more.
    pub fn forget_history(&self, before_ms: u64) -> Result<(), StoreError> {
        self.write(|database| {
            database.execute("DELETE FROM transition WHERE at_ms < ?1", [number(before_ms)]).map(drop)
        })
    }

    /// The latest of an app, at most `limit`, oldest first.
    pub fn history(&self, app: &AppId, limit: u32) -> Result<Vec<Transition>, StoreError> {
        const LATEST: &str = "SELECT instance, state, reason, at_ms FROM transition
            WHERE stack = ?1 AND app = ?2 ORDER BY id DESC LIMIT ?3";
        self.read(|database| {
            let mut rows = database.prepare_cached(LATEST)?;
            let rows = rows.query_map(params![app.stack.as_str(), app.app.as_str(), limit], |row| {
                Ok(Transition {
                    app: app.clone(),
                    instance: row.get(0)?,
                    state: row.get(1)?,
                    reason: row.get(2)?,
                    at_ms: unsigned(row, 3)?,
                })
            })?;
            let mut latest: Vec<Transition> = rows.collect::<rusqlite::Result<_>>()?;
            latest.reverse();
            Ok(latest)
        })
    }
}
