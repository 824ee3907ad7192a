//! What can be said about this host's service (`install`), about everything it runs (`stop --all`), and to processes (`signal`).

use super::Place;
use clap::Args;
use clap_complete::Shell;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Only show what would be done, with the text of the units
    #[arg(long)]
    pub dry_run: bool,
    /// Take it back: the units are removed; stacks, logs and the user stay
    #[arg(long, conflicts_with = "socket")]
    pub uninstall: bool,
    /// Have systemd listen here and hand the socket over: `address:port`; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub socket: Vec<SocketAddr>,
    /// Install into the file system below this folder, an image for example; nothing of this host is changed
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
}

/// `stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps and services to stop; without a name the whole stack
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Every stack, in order, and then the keeper; they all come back when it is started again
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// `signal`.
#[derive(Debug, Args)]
pub struct SignalArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// The app or service, or one instance of it: `web`, `web.2`
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The signal: `HUP`, `SIGUSR1`, `10` [default: `reload` of the app]
    #[arg(value_name = "SIGNAL")]
    pub signal: Option<String>,
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
