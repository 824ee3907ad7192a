//! Between our types and SQLite's. What cannot be read back is an error of the row, never a panic.

use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A number as SQLite keeps it (64 bits, signed).
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number of ours.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// A text of a type of ours.
pub(crate) fn parsed<T>(row: &Row<'_>, column: usize) -> Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// A path's bytes.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A path.
pub(crate) fn path(row: &Row<'_>, column: usize) -> Result<PathBuf> {
    let bytes: Vec<u8> = row.get(column)?;
    Ok(OsString::from_vec(bytes).into())
}
