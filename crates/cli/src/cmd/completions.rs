//! `mainstay completions SHELL`.

use crate::args::Cli;
use crate::error::Failure;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, Write};

/// Prints the script. To be stored where the shell looks for completions.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mainstay", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
