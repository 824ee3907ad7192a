//! What can be said of commands beside an instance (`exec`).

use super::Place;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// No terminal for the command, even where this one has one: what is read and written stays as it is
    #[arg(short = 'T', long)]
    pub no_tty: bool,
    /// Standard input goes to the command; it always does
    #[arg(short, long)]
    pub interactive: bool,
    /// A variable of the command's, over the app's; may be given several times
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The user it runs as [default: the app's]
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// The folder it starts in [default: the app's]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// The app or service, or one instance of it: `web`, `web.2`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// `NAME=VALUE`; `NAME` alone is this process's own.
pub fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, std::env::var(text).unwrap_or_default()),
    };
    if name.is_empty() {
        Err("not a variable such as NAME=VALUE".to_owned())
    } else {
        Ok((name.to_owned(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert!(variable("=b").is_err());
    }
}
