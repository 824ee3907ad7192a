//! What can be said on the command line. Nothing is done here.
//!
//! Options of every verb stand before or after it. `docs/cli.md` is made of this file's help texts (`cargo xtask generate`).

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::net::SocketAddr;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do
  1  wrong configuration; nothing was touched
  2  wrong usage
  3  not running, or an unclean stop
  4  something did not become healthy
  5  another holder has the lock
  6  a backup is unproven or failed (reserved)";

/// The front door and supervisor of a stack: one manifest, `mainstay.toml`, and all that it runs.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, max_term_width = 100, after_help = EXIT_CODES, propagate_version = false)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub struct Cli {
    /// What holds for every verb.
    #[command(flatten)]
    pub global: Global,
    /// Where the stack is; may also stand after the verb.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Where the stack is. Given before the verb and after it: `logs -f` means "follow", so this cannot be one of
/// [`Global`], which clap would give to `logs` too.
#[derive(Debug, Default, Args)]
pub struct Place {
    /// The manifest, or the folder that holds mainstay.toml [default: this folder]
    #[arg(short, long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// Folder of the keeper's files [default: that of the stack's keeper, else of the host's]
    #[arg(long, value_name = "DIR", global = true)]
    pub home: Option<PathBuf>,
    /// Show JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// No colour, no moving text (as does the variable NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// `address:port`; a port alone is one that only this machine reaches.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").or(text.strip_prefix(':')).unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse().map_err(|_| "not an address with a port, such as 127.0.0.1:8080 or [::]:80".to_owned())
}

impl Cli {
    /// The stack's place: what stands after the verb wins over what stands before it. Nothing: this folder.
    pub fn take_place(&mut self) -> Option<PathBuf> {
        let after = match &mut self.verb {
            Verb::Check(CheckArgs { place, .. })
            | Verb::Up(UpArgs { place, .. })
            | Verb::Start(StartArgs { place, .. })
            | Verb::Stop(NamesArgs { place, .. })
            | Verb::Status(place)
            | Verb::Restart(RestartArgs { place, .. })
            | Verb::Reload(ReloadArgs { place, .. }) => place.file.take(),
            Verb::Logs(LogsArgs { file, .. }) => file.take(),
            Verb::Version | Verb::Completions(_) | Verb::Keeper | Verb::Edge(_) => None,
        };
        after.or(self.place.file.take())
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Find everything that is wrong with the manifest
    Check(CheckArgs),
    /// Run a stack in the foreground, until Ctrl-C
    Up(UpArgs),
    /// Run a stack in the background, or start its stopped apps
    Start(StartArgs),
    /// Stop a stack, or some of its apps
    Stop(NamesArgs),
    /// Show what runs, and what is wrong
    Status(Place),
    /// Show what apps printed, all of them in order of time
    Logs(LogsArgs),
    /// Replace the instances of apps, one after the other
    Restart(RestartArgs),
    /// Read the manifest again and change what it changed
    Reload(ReloadArgs),
    /// Show the version
    Version,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// The background process that `start` starts
    #[command(hide = true)]
    Keeper,
    /// The process that serves connections
    #[command(hide = true)]
    Edge(EdgeArgs),
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Print the manifest as it is understood: defaults filled in, secrets masked
    #[arg(long)]
    pub effective: bool,
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Listen here instead of where the manifest says: `address:port`, or a port of this machine; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS; 443, or --https 8443 where that needs no rights
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub https: Vec<SocketAddr>,
}

/// `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps to start; without a name the whole stack
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Listen here instead of where the manifest says: `address:port`, or a port of this machine; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "names")]
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS; 443, or --https 8443 where that needs no rights
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "names")]
    pub https: Vec<SocketAddr>,
}

/// `stop`.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps to stop; without a name the whole stack
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps to restart
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only these: `app`, `app.slot`, or `edge` for the access log; without a name every app
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The manifest, or the folder that holds mainstay.toml [default: this folder]
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Go on with new lines as they come
    #[arg(short, long)]
    pub follow: bool,
    /// How many lines in all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Without the name and time before each line
    #[arg(long)]
    pub no_prefix: bool,
}

/// `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// `edge`.
#[derive(Debug, Args)]
pub struct EdgeArgs {
    /// Folder of its logs.
    #[arg(long, value_name = "DIR")]
    pub logs: PathBuf,
    /// Descriptor 4 is the read end of a pipe: when it closes, the edge ends.
    #[arg(long)]
    pub lifetime: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines() {
        let loopback = Ok(SocketAddr::from(([127, 0, 0, 1], 8080)));
        for text in ["8080", ":8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(address(text), loopback, "{text}");
        }
        assert!(address("0.0.0.0:80").is_ok() && address("[::]:80").is_ok());
        assert!(address("example.org").unwrap_err().contains("127.0.0.1:8080") && address("70000").is_err());
    }
}
