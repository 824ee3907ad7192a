//! Stacks and their revisions.
//!
//! ```text
//!   propose ──▶ candidate ──commit──▶ active      (the former active one is kept as history, bounded)
//!                   └──drop_candidate──▶ gone
//! ```
//!
//! A stack's *head* is its candidate, or its active revision if there is none. `propose` compares the head with what the
//! caller saw (compare-and-swap): of two changes made at once only one is taken. A new proposal takes the place of a candidate.

use crate::counters;
use crate::scaled::{self, Scaled};
use crate::value::{number, parsed, path, path_bytes, unsigned};
use crate::{Store, StoreError};
use model::{AppName, StackName};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// How many revisions of a stack are kept.
pub const KEPT: u32 = 50;

/// What a proposal brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevision {
    /// Absolute path of the manifest.
    pub manifest: PathBuf,
    /// Listen here instead of where the manifest says; empty: as the manifest says.
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS.
    pub https: Vec<SocketAddr>,
    /// The manifest's text.
    pub text: String,
    /// What was asked for beside the files' own words, as the keeper writes it; empty: nothing.
    pub asked: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One revision of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number; grows with each proposal of the stack and is never used again, not even after the stack was removed.
    pub number: u64,
    /// What was proposed.
    pub content: NewRevision,
}

/// Whether a stack is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    Running,
    /// No: nothing of it is started at boot.
    Stopped,
}

/// A stack, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackRecord {
    /// Its name.
    pub name: StackName,
    /// What is served; none before the first commit.
    pub active: Option<Revision>,
    /// What is being prepared.
    pub candidate: Option<Revision>,
    /// Whether it is to run.
    pub wanted: Wanted,
    /// Apps that an administrator stopped.
    pub stopped: BTreeSet<AppName>,
    /// How often an administrator restarted each app.
    pub restarts: BTreeMap<AppName, u64>,
    /// How many instances an administrator asked for.
    pub scaled: BTreeMap<AppName, Scaled>,
}

impl StackRecord {
    /// What [`Store::propose`] compares with.
    pub fn head(&self) -> Option<u64> {
        self.candidate.as_ref().or(self.active.as_ref()).map(|revision| revision.number)
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// It is the candidate now, with this number.
    Accepted(u64),
    /// Somebody else changed the stack meanwhile; nothing was done.
    Conflict {
        /// The head now; none: there is no such stack.
        head: Option<u64>,
    },
}

impl Store {
    /// Makes this the stack's candidate, if its head still is `expected` (none: the stack must be new). It is wanted running
    /// from then on.
    pub fn propose(
        &self,
        name: &StackName,
        expected: Option<u64>,
        new: &NewRevision,
    ) -> Result<Proposal, StoreError> {
        self.write(|database| {
            let stored = stack_row(database, name)?;
            let head = stored.and_then(|(active, candidate)| candidate.or(active));
            if head != expected {
                return Ok(Proposal::Conflict { head });
            }
            let revision = counters::next(database, &format!("revision/{name}"))?;
            const PROPOSE: &str = "INSERT INTO stack (name, candidate, running) VALUES (?1, ?2, 1)
                ON CONFLICT (name) DO UPDATE SET candidate = excluded.candidate, running = 1";
            database.execute(PROPOSE, params![name.as_str(), number(revision)])?;
            insert_revision(database, name, revision, new)?;
            prune(database, name)?;
            Ok(Proposal::Accepted(revision))
        })
    }

    /// Makes the candidate the active revision. False if it is not the candidate (any more); nothing is done then.
    pub fn commit(&self, name: &StackName, revision: u64) -> Result<bool, StoreError> {
        const COMMIT: &str =
            "UPDATE stack SET active = candidate, candidate = NULL WHERE name = ?1 AND candidate = ?2";
        self.write(|database| {
            let changed = database.execute(COMMIT, params![name.as_str(), number(revision)])?;
            prune(database, name)?;
            Ok(changed > 0)
        })
    }

    /// Removes the candidate. False if it is not the candidate (any more); nothing is done then. A stack that never had
    /// an active revision is removed with it.
    pub fn drop_candidate(&self, name: &StackName, revision: u64) -> Result<bool, StoreError> {
        self.write(|database| match stack_row(database, name)? {
            Some((None, Some(candidate))) if candidate == revision => remove(database, name).map(|()| true),
            Some((Some(_), Some(candidate))) if candidate == revision => {
                database.execute("UPDATE stack SET candidate = NULL WHERE name = ?1", [name.as_str()])?;
                prune(database, name)?;
                Ok(true)
            }
            _ => Ok(false),
        })
    }

    /// All stacks, by name.
    pub fn stacks(&self) -> Result<Vec<StackRecord>, StoreError> {
        self.read(|database| {
            let mut rows = database.prepare_cached("SELECT name FROM stack ORDER BY name")?;
            let names: Vec<StackName> =
                rows.query_map([], |row| parsed(row, 0))?.collect::<rusqlite::Result<_>>()?;
            names.iter().filter_map(|name| stack(database, name).transpose()).collect()
        })
    }

    /// One stack; none: there is no such one.
    pub fn stack(&self, name: &StackName) -> Result<Option<StackRecord>, StoreError> {
        self.read(|database| stack(database, name))
    }

    /// Whether the stack is to run. Of a stack that is not there nothing is noted.
    pub fn set_wanted(&self, name: &StackName, wanted: Wanted) -> Result<(), StoreError> {
        let running = wanted == Wanted::Running;
        self.write(|database| {
            database
                .execute("UPDATE stack SET running = ?2 WHERE name = ?1", params![name.as_str(), running])
                .map(drop)
        })
    }

    /// An administrator stopped the app, or started it again. An error if there is no such stack.
    pub fn set_app_stopped(&self, name: &StackName, app: &AppName, stopped: bool) -> Result<(), StoreError> {
        const SET: &str = "INSERT INTO app (stack, app, stopped) VALUES (?1, ?2, ?3)
            ON CONFLICT (stack, app) DO UPDATE SET stopped = excluded.stopped";
        self.write(|database| database.execute(SET, params![name.as_str(), app.as_str(), stopped]).map(drop))
    }

    /// An administrator restarts the app: counts, and gives the new count. An error if there is no such stack.
    pub fn count_restart(&self, name: &StackName, app: &AppName) -> Result<u64, StoreError> {
        const COUNT: &str = "INSERT INTO app (stack, app, restarts) VALUES (?1, ?2, 1)
            ON CONFLICT (stack, app) DO UPDATE SET restarts = restarts + 1 RETURNING restarts";
        self.write(|database| {
            database.query_row(COUNT, params![name.as_str(), app.as_str()], |row| unsigned(row, 0))
        })
    }

    /// Removes the stack with its revisions, journal and history. Its run numbers and the number of its last revision are
    /// kept: neither is ever used again.
    pub fn remove(&self, name: &StackName) -> Result<(), StoreError> {
        self.write(|database| remove(database, name))
    }
}

/// Numbers of a stack's active revision and its candidate.
type Heads = (Option<u64>, Option<u64>);

fn stack_row(database: &Connection, name: &StackName) -> rusqlite::Result<Option<Heads>> {
    let optional = |row: &Row<'_>, column| match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => unsigned(row, column).map(Some),
    };
    const HEADS: &str = "SELECT active, candidate FROM stack WHERE name = ?1";
    database.query_row(HEADS, [name.as_str()], |row| Ok((optional(row, 0)?, optional(row, 1)?))).optional()
}

fn stack(database: &Connection, name: &StackName) -> rusqlite::Result<Option<StackRecord>> {
    let Some((active, candidate)) = stack_row(database, name)? else { return Ok(None) };
    let content = |number: Option<u64>| number.map(|number| revision(database, name, number)).transpose();
    const RUNNING: &str = "SELECT running FROM stack WHERE name = ?1";
    let running: bool = database.query_row(RUNNING, [name.as_str()], |row| row.get(0))?;
    let mut record = StackRecord {
        name: name.clone(),
        active: content(active)?,
        candidate: content(candidate)?,
        wanted: if running { Wanted::Running } else { Wanted::Stopped },
        stopped: BTreeSet::new(),
        restarts: BTreeMap::new(),
        scaled: scaled::of(database, name)?,
    };
    let mut rows = database.prepare_cached("SELECT app, stopped, restarts FROM app WHERE stack = ?1")?;
    let mut rows = rows.query([name.as_str()])?;
    while let Some(row) = rows.next()? {
        let app: AppName = parsed(row, 0)?;
        if row.get(1)? {
            record.stopped.insert(app.clone());
        }
        record.restarts.insert(app, unsigned(row, 2)?);
    }
    Ok(Some(record))
}

fn revision(database: &Connection, name: &StackName, revision: u64) -> rusqlite::Result<Revision> {
    const ROW: &str =
        "SELECT manifest, http, text, at_ms, https, asked FROM revision WHERE stack = ?1 AND number = ?2";
    database.query_row(ROW, params![name.as_str(), number(revision)], |row| {
        let addresses = |column: usize| {
            serde_json::from_str(&row.get::<_, String>(column)?).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
            })
        };
        let (http, https) = (addresses(1)?, addresses(4)?);
        let (manifest, text, at_ms) = (path(row, 0)?, row.get(2)?, unsigned(row, 3)?);
        let content = NewRevision { manifest, http, https, text, asked: row.get(5)?, at_ms };
        Ok(Revision { number: revision, content })
    })
}

fn insert_revision(
    database: &Connection,
    name: &StackName,
    revision: u64,
    new: &NewRevision,
) -> rusqlite::Result<()> {
    const INSERT: &str = "INSERT INTO revision (stack, number, manifest, http, https, text, at_ms, asked)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let text = |addresses: &[SocketAddr]| {
        serde_json::to_string(addresses)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    };
    let (http, https, manifest) = (text(&new.http)?, text(&new.https)?, path_bytes(&new.manifest));
    let values = params![
        name.as_str(),
        number(revision),
        manifest,
        http,
        https,
        new.text,
        number(new.at_ms),
        new.asked
    ];
    database.execute(INSERT, values).map(drop)
}

/// Keeps the active revision, the candidate, and of the others the latest.
fn prune(database: &Connection, name: &StackName) -> rusqlite::Result<()> {
    const PRUNE: &str = "DELETE FROM revision WHERE stack = ?1
        AND number NOT IN (SELECT number FROM revision WHERE stack = ?1 ORDER BY number DESC LIMIT ?2)
        AND NOT EXISTS (SELECT 1 FROM stack WHERE name = ?1 AND number IN (active, candidate))";
    database.execute(PRUNE, params![name.as_str(), KEPT]).map(drop)
}

fn remove(database: &Connection, name: &StackName) -> rusqlite::Result<()> {
    // Revisions, apps and the journal go with it (`ON DELETE CASCADE`).
    database.execute("DELETE FROM stack WHERE name = ?1", [name.as_str()])?;
    database.execute("DELETE FROM transition WHERE stack = ?1", [name.as_str()]).map(drop)
}
