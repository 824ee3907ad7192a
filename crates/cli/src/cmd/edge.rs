//! `mainstay edge`: the process that serves connections. Started by a keeper, with its control socket as descriptor 3.

use crate::args::EdgeArgs;
use crate::error::Failure;

/// Runs it to its end.
pub fn run(args: &EdgeArgs) -> Result<(), Failure> {
    let _ = args;
    Ok(())
}
