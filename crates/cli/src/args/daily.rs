//! What can be said to the verbs that people know from Compose: `down`, `ps`, `stats`.

use super::Place;
use clap::Args;

/// `down`.
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Remove the named volumes of its containers too, with all that is in them
    #[arg(short = 'v', long)]
    pub volumes: bool,
}

/// `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Only these apps and services
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Print it once, after a second, and end; as where there is no terminal
    #[arg(long)]
    pub no_stream: bool,
    /// Only these apps and services
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}
