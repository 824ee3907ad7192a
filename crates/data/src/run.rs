//! `mainstay service run FILE`: the data folder is checked or made, then this process becomes the server. Runs as the database's user.

use crate::DataError;
use crate::description::Description;
use crate::folder::{self, Data};
use crate::programs::{self, command};
use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Becomes the server that the file describes.
///
/// # Errors
/// Only returns with one: why the server is not started. The data was not touched then.
pub fn run(description: &Path) -> Result<Infallible, DataError> {
    let told = Description::read(description)?;
    // It may have been upgraded since the description was written.
    let version = programs::version_of(&told.server)?;
    if let Data::Old(_) = folder::prepare(&told, version)? {
        crate::upgrade::upgrade(&told)?;
        folder::mark(&told.data(), version)?;
    }
    let error = command(&told.server).arg(option_file(&told.options)).exec();
    Err(DataError::Program { program: told.server, said: error.to_string() })
}

/// The one option file that a program of the server's reads; has to be its first argument.
pub(crate) fn option_file(path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from("--defaults-file=");
    argument.push(path);
    argument
}
