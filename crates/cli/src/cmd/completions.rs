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
    if shell == Shell::Bash {
        script = verbs_first(&String::from_utf8_lossy(&script)).into_bytes();
    }
    io::stdout().lock().write_all(&script)?;
    Ok(())
}

/// Bash offers words in the order of `opts`, which has options first, when it is told not to sort.
fn verbs_first(script: &str) -> String {
    let line = |line: &str| {
        let Some((indent, words)) = line.split_once("opts=\"").filter(|(indent, _)| indent.trim().is_empty())
        else {
            return format!("{line}\n");
        };
        let words = words.trim_end_matches('"').split_whitespace();
        let (options, verbs): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('-'));
        format!("{indent}opts=\"{}\"\n", [verbs, options].concat().join(" "))
    };
    script.lines().map(line).collect()
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
