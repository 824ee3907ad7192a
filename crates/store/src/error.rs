//! What can go wrong with the store, and what to do about it.

use std::path::PathBuf;

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
    /// The disk is full, or a limit on file sizes was reached.
    #[error("{} cannot grow: the disk is full or a file size limit was reached; make room and try again", path.display())]
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
    /// It was removed meanwhile, or never was there.
    #[error("there is no stack {name}")]
    NoStack {
        /// The stack's name.
        name: String,
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
