//! `mainstay shim`: the parent of one instance; `mainstay confined`: what an instance is before it is confined. Told apart before the
//! command line is parsed.

use std::process::ExitCode;

/// Runs it to its end.
pub fn run() -> ExitCode {
    ExitCode::from(u8::try_from(shim::run()).unwrap_or(1))
}

/// Becomes the app.
pub fn confined() -> ExitCode {
    ExitCode::from(u8::try_from(shim::confined()).unwrap_or(1))
}
