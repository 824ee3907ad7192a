//! Words of the verbs that keep a host in order: what is removed, refused.

use super::{Place, length, net};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

/// `cleanup`.
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// The manifest, or the folder that holds it; as --file
    #[arg(value_name = "PATH", conflicts_with = "file")]
    pub path: Option<PathBuf>,
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Only show what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// `bans`.
#[derive(Debug, Args)]
pub struct BansArgs {
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub verb: Option<BansVerb>,
}

/// Verbs of `bans`.
#[derive(Debug, Subcommand)]
pub enum BansVerb {
    /// Refuse an address or a network for a while
    Add(AddBanArgs),
    /// Refuse it no more
    Lift(LiftBanArgs),
}

/// `bans add`.
#[derive(Debug, Args)]
pub struct AddBanArgs {
    /// Address, or network such as 198.51.100.0/24
    #[arg(value_name = "ADDRESS", value_parser = net)]
    pub net: IpNet,
    /// For how long, such as 30m, 1h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = length, default_value = "1h")]
    pub length: Duration,
    /// What for, as `bans` shows it
    #[arg(long, value_name = "TEXT", default_value = "by hand")]
    pub reason: String,
}

/// `bans lift`.
#[derive(Debug, Args)]
pub struct LiftBanArgs {
    /// Address or network: every ban that holds it, or is within it, is lifted
    #[arg(value_name = "ADDRESS", value_parser = net, required_unless_present = "all")]
    pub net: Option<IpNet>,
    /// All of them
    #[arg(long, conflicts_with = "net")]
    pub all: bool,
}
