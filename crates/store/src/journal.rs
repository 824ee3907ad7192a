//! Steps begun and not finished. A step is written down before it is executed: after a crash the keeper looks at what is
//! here, and executes it again or finds it done (steps are idempotent).

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use model::StackName;
use rusqlite::params;

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// For [`Store::finish`].
    pub id: u64,
    /// The stack it belongs to.
    pub stack: StackName,
    /// The revision it leads to.
    pub revision: u64,
    /// The step as JSON; the caller knows its shape.
    pub step: String,
}

impl Store {
    /// Writes down that this step is about to be executed.
    pub fn begin(&self, stack: &StackName, revision: u64, step: &str) -> Result<u64, StoreError> {
        const INSERT: &str = "INSERT INTO journal (stack, revision, step) VALUES (?1, ?2, ?3) RETURNING id";
        self.write(|database| {
            database
                .query_row(INSERT, params![stack.as_str(), number(revision), step], |row| unsigned(row, 0))
        })
    }

    /// It was executed (or is no longer wanted).
    pub fn finish(&self, id: u64) -> Result<(), StoreError> {
        self.write(|database| database.execute("DELETE FROM journal WHERE id = ?1", [number(id)]).map(drop))
    }

    /// Begun and not finished, in the order they were begun.
    pub fn unfinished(&self) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(|database| {
            let mut rows =
                database.prepare_cached("SELECT id, stack, revision, step FROM journal ORDER BY id")?;
            let rows = rows.query_map([], |row| {
                Ok(JournalEntry {
                    id: unsigned(row, 0)?,
                    stack: parsed(row, 1)?,
                    revision: unsigned(row, 2)?,
                    step: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }
}
