//! What can be said of data services: by people (`data`), and by the keeper and the shims (`service`).

use super::Place;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// `data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub verb: Option<DataVerb>,
}

/// Verbs of `data`.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// List data services: where they are, and how much they hold
    List,
    /// Talk to a service in its own client; a file on standard input is read
    Shell(ShellArgs),
    /// Print the URL that apps get
    Url(UrlArgs),
}

/// `data shell`.
#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub name: String,
    /// As the server's administrator, who may do everything, and not as the application
    #[arg(long)]
    pub admin: bool,
    /// What the client gets as its own arguments
    #[arg(value_name = "ARGUMENT", last = true)]
    pub arguments: Vec<OsString>,
}

/// `data url`.
#[derive(Debug, Args)]
pub struct UrlArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub name: String,
    /// With its password, also where the output is no terminal
    #[arg(long)]
    pub show_password: bool,
}

/// `service`.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

/// What can be done with a service.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Become its server
    Run(ServiceFile),
    /// Ask whether it is well
    Health(ServiceFile),
}

/// Which service.
#[derive(Debug, Args)]
pub struct ServiceFile {
    /// The file that the keeper wrote about it
    pub description: PathBuf,
}
