//! Opening: durability settings, and the refusal of what cannot be read. And the two ways every
//! method reaches the database: [`Store::read`] and [`Store::write`].

use crate::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a statement waits for somebody else's lock (a person with the `sqlite3` program).
const BUSY: Duration = Duration::from_secs(5);

/// The state store. Can be shared between threads; each method takes its turn.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Store {
    /// Opens the database, makes it if it is missing (mode 0600; its folder must be there), brings it to this version's shape.
    ///
    /// # Errors
    /// A newer version's database, a damaged one, or no access; the message names file and next step.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite would make the file readable to all; its `-wal` and `-shm` files get the mode of this one.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|error| StoreError::Access { path: path.to_owned(), reason: error.to_string() })?;
        let failed = |error| StoreError::of(path, error);
        let mut connection = Connection::open(path).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        check(&connection, path)?;
        crate::migrate::to_latest(&mut connection, path)?;
        Ok(Self { connection: Mutex::new(connection), path: path.to_owned() })
    }

    /// Over an open connection.
    pub(crate) fn over(connection: Connection, path: &Path) -> Self {
        Self { connection: Mutex::new(connection), path: path.to_owned() }
    }

    /// Looks something up.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic while the lock was held has rolled its transaction back: the connection is as good as before.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|error| StoreError::of(&self.path, error))
    }

    /// Does all of `work` or nothing; it is on the disk when this returns.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let done =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
                let result = work(&transaction)?;
                transaction.commit().map(|()| result)
            });
        done.map_err(|error| StoreError::of(&self.path, error))
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// The whole file is read: it is small, and a damaged one must not be found out about in the middle of a change.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::of(path, error))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::Corrupt { path: path.to_owned(), reason: found }),
    }
}
