//! `upgrade`, and the process it concerns.

use super::length;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `upgrade`.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The new program [default: the one that this command is]
    #[arg(value_name = "BINARY")]
    pub program: Option<PathBuf>,
    /// Back to the program that ran before the last upgrade
    #[arg(long, conflicts_with = "program")]
    pub rollback: bool,
    /// How long connections of the former front door may go on, such as 30s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "10m")]
    pub drain: Duration,
    /// How long the new program has to prove itself
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "1m")]
    pub within: Duration,
    /// End only when the former front door has
    #[arg(long)]
    pub wait: bool,
}

/// `keeper`.
#[derive(Debug, Args)]
pub struct KeeperArgs {
    /// Descriptor 3 is a pipe: it says on it whether it can take over.
    #[arg(long)]
    pub trial: bool,
}
