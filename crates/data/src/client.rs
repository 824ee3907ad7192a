//! The server's own client: for people (`mainstay data shell`) and for the health check. No password stands in an argument.

use crate::DataError;
use crate::description::Description;
use crate::programs::command;
use crate::run::option_file;
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes the server's client, with these arguments: as the application by TCP, or as the administrator by the socket. Root becomes the
/// database's user for it, as whom the server knows its administrator.
///
/// # Errors
/// Only returns with one: why there is no client, or no account of an application.
pub fn client(
    description: &Path,
    administrator: bool,
    arguments: &[OsString],
) -> Result<Infallible, DataError> {
    let told = Description::read(description)?;
    if !administrator && told.login.is_none() {
        return Err(DataError::NoAccount { service: told.service });
    }
    let mut client = login(&told, administrator);
    if let Some((uid, gid)) = told.owner.filter(|_| sys::user::is_root()) {
        client.uid(uid).gid(gid); // and no other groups
    }
    // What is typed there may hold passwords: no history is written.
    let error = client.env("MYSQL_HISTFILE", "/dev/null").args(arguments).exec();
    Err(DataError::Program { program: told.client, said: error.to_string() })
}

/// The client with what it takes to log in: as the application if there is one and no administrator is wanted.
pub(crate) fn login(told: &Description, administrator: bool) -> Command {
    let mut client = command(&told.client);
    match &told.login {
        Some(login) if !administrator => {
            client.arg(option_file(login));
        }
        _ => {
            let mut socket = OsString::from("--socket=");
            socket.push(&told.socket);
            let user = format!("--user={}", told.administrator);
            client.arg("--no-defaults").arg("--protocol=socket").arg(socket).arg(user);
        }
    }
    client
}
