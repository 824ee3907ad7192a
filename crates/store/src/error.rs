//! What can go wrong with the store, and what to do about it.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why the store could not do it. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of Mainstay wrote it.
    #[error("{} was written by a newer version of Mainstay; run that version, or start with another `--home`", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
    },
    /// It is no database, or a damaged one.
    #[error(
        "{} is damaged ({reason}); move it and its `-wal` and `-shm` files away and start again: \
         stacks have to be started anew from their manifests",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// The disk is full.
    #[error("{} cannot grow: the disk is full; make room and try again", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// It cannot be opened or written.
    #[error("{} cannot be opened or written: {reason}", path.display())]
    Access {
        /// The database.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Anything else that SQLite says.
    #[error("{}: {reason}", path.display())]
    Other {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl StoreError {
    /// What SQLite said about this database.
    pub(crate) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..) => return Self::Corrupt { path, reason },
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, reason },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy,
            ) => Self::Access { path, reason },
            _ => Self::Other { path, reason },
        }
    }
}
