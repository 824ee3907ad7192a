//! What can be said of files of other programs: `import`.

use super::{ComposeArgs, Place};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Whose files
    #[command(subcommand)]
    pub verb: ImportVerb,
}

/// Verbs of `import`.
#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// Print the manifest that compose files amount to
    Compose(ImportComposeArgs),
}

/// `import compose`.
#[derive(Debug, Args)]
pub struct ImportComposeArgs {
    /// The compose file, or the folder that holds it; as --file
    #[arg(value_name = "PATH", conflicts_with = "file")]
    pub path: Option<PathBuf>,
    /// Where the files are.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Write it there instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
