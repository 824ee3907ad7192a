//! What can be said of images, and of what a manifest comes to (`build`, `pull`, `config`).

use super::{ComposeArgs, Place};
use clap::Args;

/// `build`, `pull`.
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Apps whose images are meant; without a name all
    #[arg(value_name = "APP")]
    pub names: Vec<String>,
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Only check
    #[arg(short, long)]
    pub quiet: bool,
}

/// What Compose's `up` takes beside what ours does.
#[derive(Debug, Default, Args)]
pub struct RaiseArgs {
    /// Build images whose inputs changed; that is always done
    #[arg(long)]
    pub build: bool,
    /// Replace instances that did not change, too, one after the other
    #[arg(long)]
    pub force_recreate: bool,
    /// Leave what the apps need as it is; that is always done
    #[arg(long)]
    pub no_deps: bool,
    /// Run so many instances of an app, such as web=3; may be given several times
    #[arg(long, value_name = "NAME=N", value_parser = super::numbers::scale)]
    pub scale: Vec<(String, Option<u32>)>,
}
