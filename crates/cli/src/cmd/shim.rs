//! `mainstay shim`: the parent of one instance. Told apart before the command line is parsed.

use std::process::ExitCode;

/// Runs it to its end.
pub fn run() -> ExitCode {
    ExitCode::from(u8::try_from(shim::run()).unwrap_or(1))
}
