//! `mainstay config`: the manifest as it is understood, on standard output alone. What is only worth knowing is said by `check`.

use super::check;
use crate::args::ConfigArgs;
use crate::context::Context;
use crate::error::Failure;
use manifest::Severity;
use std::io::{self, Write};

/// Prints it, or only says what is wrong.
pub fn run(context: &Context, args: &ConfigArgs) -> Result<(), Failure> {
    let loaded = check::load(context)?;
    let doubts: Vec<_> =
        loaded.warnings.into_iter().filter(|found| found.severity != Severity::Info).collect();
    check::warn(context, &doubts);
    if args.quiet {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match context.json {
        true => writeln!(out, "{}", manifest::effective_json(&loaded.spec))?,
        false => writeln!(out, "{}", manifest::effective(&loaded.spec).trim_end())?,
    }
    Ok(())
}
