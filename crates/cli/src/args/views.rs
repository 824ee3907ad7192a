//! What can be said to the verbs that only show: `status`, `top`, `history`, `ports`, `logs`.

use super::{Place, length};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps and services to show with their settings, limits, latest changes and last lines; without a name all stacks in short
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Each process of an instance on a line of its own
    #[arg(short = 'v', long)]
    pub workers: bool,
}

/// `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Print it once, after a second, and end; as where there is no terminal
    #[arg(long)]
    pub once: bool,
    /// What stands first
    #[arg(long, value_enum, default_value_t)]
    pub sort: Sort,
}

/// Order of `top`; in a terminal its first letter chooses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Who uses processors most
    #[default]
    Cpu,
    /// Who uses memory most
    Memory,
    /// Who answers most requests
    Requests,
    /// By name
    Name,
}

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Only these apps and services
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only what happened since, such as 30m, 1h, 7d ago
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub since: Option<Duration>,
    /// At most so many, the latest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub lines: u32,
}

/// `ports`.
#[derive(Debug, Args)]
pub struct PortsArgs {
    /// Only these, such as 80 443 3000,8000
    #[arg(value_name = "PORT", value_delimiter = ',')]
    pub ports: Vec<u16>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only these: `app`, `app.slot`, `app.build` for what its build printed, or `edge` for the access log; without a name every app and
    /// service
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// The manifest, or the folder that holds mainstay.toml [default: this folder]
    #[arg(long, value_name = "PATH")]
    pub file: Vec<PathBuf>,
    /// Go on with new lines as they come
    #[arg(short, long)]
    pub follow: bool,
    /// The access log too, beside what apps and services print
    #[arg(long)]
    pub access: bool,
    /// How many lines in all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub lines: usize,
    /// Without the name and time before each line
    #[arg(long)]
    pub no_prefix: bool,
}
