//! Looking into the store beside the keeper that writes it: what `mainstay why` needs, also when no keeper lives.

use crate::value::unsigned;
use crate::{Store, StoreError};
use model::StackName;
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;
use std::time::Duration;

/// How long a look waits for the keeper's write.
const BUSY: Duration = Duration::from_secs(2);

impl Store {
    /// Opens the database to read it, as it is: nothing is made, changed or migrated.
    ///
    /// # Errors
    /// When there is none, or no access.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::of(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        Ok(Self::over(connection, path))
    }

    /// When each revision of a stack that is kept was proposed (milliseconds since the Unix epoch), by number.
    pub fn proposed(&self, stack: &StackName) -> Result<Vec<(u64, u64)>, StoreError> {
        const ALL: &str = "SELECT number, at_ms FROM revision WHERE stack = ?1 ORDER BY number";
        self.read(|database| {
            let mut rows = database.prepare_cached(ALL)?;
            let rows =
                rows.query_map(params![stack.as_str()], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
            rows.collect()
        })
    }
}
