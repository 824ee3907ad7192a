//! `mainstay metrics`: the figures of edge and keeper, as Prometheus reads them.

use crate::context::Context;
use crate::error::Failure;
use std::io::{self, Write};

/// Prints them.
pub fn run(context: &Context) -> Result<(), Failure> {
    let (_, client) = context.keeper()?;
    Ok(io::stdout().lock().write_all(&client.metrics()?)?)
}
