//! The database's shape through the versions of Mainstay: forward when it is opened, back for a version that is older.
//!
//! A migration is one number, one script forward and one back, each in one transaction; none is edited after a release. What a
//! former version cannot know goes with the way back, and [`lost`] says what that is. Beside it stands a plain copy of the
//! whole file ([`copy`], [`put_back`]): for a new version that fails, whose way back only that version knows.

use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{Error, M, MigrationDefinitionError, Migrations};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One step of the shape.
struct Migration {
    up: &'static str,
    down: &'static str,
    /// What a version before it cannot keep.
    lost: &'static str,
}

const MIGRATIONS: [Migration; SCHEMA as usize] = [
    Migration { up: include_str!("schema.sql"), down: "", lost: "everything" },
    Migration {
        up: include_str!("schema2.sql"),
        down: include_str!("schema2_down.sql"),
        lost: "addresses given with --https, bans",
    },
    Migration {
        up: include_str!("schema3.sql"),
        down: include_str!("schema3_down.sql"),
        lost: "numbers of instances asked for with `scale`, what became of tasks",
    },
    Migration {
        up: include_str!("schema4.sql"),
        down: include_str!("schema4_down.sql"),
        lost: "profiles, names and further files that stacks of compose files were started with",
    },
];

/// The shape that this version reads and writes.
pub const SCHEMA: u32 = 4;

/// Brings a database to this version's shape.
pub(crate) fn to_latest(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    migrations().to_latest(connection).map_err(|error| explain(error, path))
}

/// Brings a database that nobody has open back to a former shape.
///
/// # Errors
/// [`StoreError::Newer`]: it has a shape that this version does not know. [`StoreError::Other`]: there is no such former shape.
/// Nothing has changed then.
pub fn go_back(path: &Path, schema: u32) -> Result<(), StoreError> {
    if schema == 0 || schema > SCHEMA {
        let reason = format!("there is no way back to schema {schema}");
        return Err(StoreError::Other { path: path.to_owned(), reason });
    }
    let mut connection = Connection::open(path).map_err(|error| StoreError::of(path, error))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(|error| StoreError::of(path, error))?;
    migrations().to_version(&mut connection, schema as usize).map_err(|error| explain(error, path))
}

/// What a version of the shape `schema` cannot keep of this version's, in words.
pub fn lost(schema: u32) -> Vec<&'static str> {
    MIGRATIONS.iter().skip(schema as usize).map(|migration| migration.lost).collect()
}

/// The shape of a database; 0: there is none yet.
///
/// # Errors
/// When it cannot be read.
pub fn schema_of(path: &Path) -> Result<u32, StoreError> {
    if !path.exists() {
        return Ok(0);
    }
    let failed = |error| StoreError::of(path, error);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)
}

/// Copies a whole database to another file (0600), durably; what was there is replaced.
///
/// # Errors
/// When it cannot be read, or the copy not be written.
pub fn copy(path: &Path, to: &Path) -> Result<(), StoreError> {
    let temporary = beside(to);
    let taken = fresh(&temporary).map_err(|error| access(&temporary, &error))?;
    let failed = |error| StoreError::of(path, error);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let name = temporary.to_string_lossy();
    connection.execute("VACUUM INTO ?1", [&*name]).map_err(failed)?;
    settle(&taken, &temporary, to).map_err(|error| access(to, &error))
}

/// Puts a copy in the place of a database that nobody has open. The copy stays.
///
/// # Errors
/// When it cannot be read or written; done again, it does the rest.
pub fn put_back(copy: &Path, path: &Path) -> Result<(), StoreError> {
    let put = || {
        // First what takes room: on a full disk all stays as it is, the database's log of changes included.
        let temporary = beside(path);
        let mut file = fresh(&temporary)?;
        io::copy(&mut File::open(copy)?, &mut file)?;
        file.sync_all()?;
        for ending in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match std::fs::remove_file(PathBuf::from(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        settle(&file, &temporary, path)
    };
    put().map_err(|error| access(path, &error))
}

fn migrations() -> Migrations<'static> {
    let step = |migration: &Migration| {
        let up = M::up(migration.up);
        if migration.down.is_empty() { up } else { up.down(migration.down) }
    };
    Migrations::new(MIGRATIONS.iter().map(step).collect())
}

fn explain(error: Error, path: &Path) -> StoreError {
    match error {
        Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Newer { path: path.to_owned() }
        }
        Error::RusqliteError { err, .. } => StoreError::of(path, err),
        other => StoreError::Other { path: path.to_owned(), reason: other.to_string() },
    }
}

fn access(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Access { path: path.to_owned(), reason: error.to_string() }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// An empty file of the owner's alone; a leftover is taken away.
fn fresh(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Has the file, and then its name, reach the disk.
fn settle(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    std::fs::rename(from, to)?;
    to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn shape(path: &Path) -> Vec<String> {
        let connection = Connection::open(path).unwrap();
        let mut rows = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
        let all = rows.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        let whole = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        all.map(|sql| sql.unwrap().map(whole).unwrap_or_default()).collect()
    }

    #[test]
    fn each_step_goes_forward_and_back_to_what_was_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        for schema in 1..SCHEMA {
            let mut connection = Connection::open(&path).unwrap();
            migrations().to_version(&mut connection, schema as usize).unwrap();
            let before = shape(&path);
            migrations().to_latest(&mut connection).unwrap();
            drop(connection);
            assert_eq!(schema_of(&path).unwrap(), SCHEMA);
            go_back(&path, schema).unwrap();
            assert_eq!((schema_of(&path).unwrap(), shape(&path)), (schema, before));
        }
        assert!(go_back(&path, 0).is_err() && go_back(&path, SCHEMA + 1).is_err());
        assert_eq!(lost(SCHEMA), Vec::<&str>::new());
        assert_eq!(lost(1).len(), 3);
    }

    #[test]
    fn an_older_database_comes_along_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        assert_eq!(schema_of(&path).unwrap(), 0);
        let mut connection = Connection::open(&path).unwrap();
        migrations().to_version(&mut connection, 1).unwrap();
        connection.execute("INSERT INTO counter VALUES ('snapshot', 41)", []).unwrap();
        drop(connection);
        assert_eq!(Store::open(&path).unwrap().next_snapshot().unwrap(), 42);
        assert_eq!(schema_of(&path).unwrap(), SCHEMA);
        Connection::open(&path).unwrap().pragma_update(None, "user_version", SCHEMA + 1).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Newer { .. })));
        assert!(matches!(go_back(&path, 1), Err(StoreError::Newer { .. })));
    }

    #[test]
    fn a_copy_is_whole_and_comes_back() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, kept) = (dir.path().join("state.db"), dir.path().join("state.db.kept"));
        let store = Store::open(&path).unwrap();
        assert_eq!(store.next_snapshot().unwrap(), 1);
        drop(store);
        copy(&path, &kept).unwrap();
        copy(&path, &kept).unwrap();
        assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.next_snapshot().unwrap(), 2);
        // what a newer version has done, its log of changes still beside it
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE novel (a); PRAGMA user_version = 99").unwrap();
        std::mem::forget((store, other));
        put_back(&kept, &path).unwrap();
        assert_eq!(schema_of(&path).unwrap(), SCHEMA);
        assert_eq!(Store::open(&path).unwrap().next_snapshot().unwrap(), 2);
        assert!(kept.exists());
    }

    #[test]
    fn a_copy_that_cannot_be_put_back_takes_nothing_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let store = Store::open(&path).unwrap();
        assert_eq!(store.next_snapshot().unwrap(), 1);
        std::mem::forget(store); // its changes are in the log beside it
        assert!(put_back(&dir.path().join("no copy"), &path).is_err());
        assert_eq!(Store::open(&path).unwrap().next_snapshot().unwrap(), 2);
    }
}
