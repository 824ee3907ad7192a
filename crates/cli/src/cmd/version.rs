//! `mainstay version`.

use crate::context::Context;
use crate::error::Failure;
use std::io::{self, Write};

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Shows it.
pub fn run(context: &Context) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if context.json {
        writeln!(out, "{}", serde_json::json!({ "version": VERSION, "wire": wire::VERSION }))?;
    } else {
        writeln!(out, "mainstay {VERSION}")?;
    }
    Ok(())
}
