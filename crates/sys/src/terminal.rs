//! The terminal on standard input.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io;

/// Does `work` while what is typed is not shown. (Ctrl-C meanwhile ends the process with the echo off; shells turn it on again.)
///
/// # Errors
/// When standard input is no terminal.
pub fn without_echo<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let done = work();
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    Ok(done)
}
