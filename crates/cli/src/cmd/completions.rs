//! `mainstay completions SHELL`.

use crate::args::Cli;
use crate::error::Failure;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};

/// Prints the script. To be stored where the shell looks for completions.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "mainstay", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}

/// The command line without the verbs that only Mainstay itself uses: the generators offer hidden ones too.
fn shown() -> Command {
    let all = Cli::command();
    let verbs: Vec<Command> = all.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    Command::new("mainstay")
        .args(all.get_arguments().cloned())
        .subcommands(verbs)
        .disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_people_say_is_offered() {
        let names: Vec<String> = shown().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert!(names.contains(&"reload".to_owned()) && !names.contains(&"edge".to_owned()), "{names:?}");
        shown().debug_assert();
    }
}
