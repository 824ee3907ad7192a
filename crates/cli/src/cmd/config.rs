//! `mainstay config`: the manifest as it is understood, on standard output alone. Whatever else there is to say
//! about it, `check` says.

use super::check;
use crate::args::ConfigArgs;
use crate::context::Context;
use crate::error::Failure;
use std::io::{self, Write};

/// Prints it, or only says what is wrong.
pub fn run(context: &Context, args: &ConfigArgs) -> Result<(), Failure> {
    let loaded = check::load(context)?;
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
