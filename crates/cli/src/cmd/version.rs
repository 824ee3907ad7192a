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
        writeln!(out, "{}", description())?;
    } else {
        writeln!(out, "mainstay {VERSION}")?;
    }
    Ok(())
}

/// What `upgrade` of another version needs to know: it only ever gets more.
fn description() -> serde_json::Value {
    serde_json::json!({
        "version": VERSION, "wire": wire::VERSION, "schema": keeper::SCHEMA, "hand_over": keeper::programs::HAND_OVER,
    })
}
