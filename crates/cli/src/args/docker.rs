//! What can be said to `mainstay compose`, and to this program where it is called `docker-compose` or `docker`: the command lines of
//! `docker compose`. What they come to is [`crate::cmd::compose`].

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// `compose`.
#[derive(Debug, Args)]
pub struct DockerArgs {
    /// What would follow `docker compose`
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// A command line of `docker compose`.
#[derive(Debug, Parser)]
#[command(name = "compose", disable_version_flag = true, subcommand_value_name = "COMMAND")]
pub struct Docker {
    /// A compose file; the later is laid over the earlier
    #[arg(short, long, value_name = "PATH")]
    pub file: Vec<PathBuf>,
    /// Name of the project, which is the stack
    #[arg(short, long, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Folder of the compose file
    #[arg(long, value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Services of this profile too
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// File of variables
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// `never`: no colour, no moving text
    #[arg(long, value_name = "WHEN")]
    pub ansi: Option<String>,
    /// How progress is shown: no difference here
    #[arg(long, value_name = "HOW")]
    pub progress: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub verb: DockerVerb,
}

/// Commands of `docker compose`.
#[derive(Debug, Subcommand)]
pub enum DockerVerb {
    /// Start the stack, and show what it prints
    Up(DockerUp),
    /// Stop the stack
    Down(DockerDown),
    /// List services
    Ps(DockerPs),
    /// Show what services printed
    Logs(DockerLogs),
    /// Run a command in a service
    Exec(DockerExec),
    /// Start stopped services
    Start(DockerNames),
    /// Stop services
    Stop(DockerNames),
    /// Restart services
    Restart(DockerNames),
    /// Send a signal to services
    Kill(DockerKill),
    /// Build images
    Build(DockerImages),
    /// Pull images
    Pull(DockerImages),
    /// Check the file, and show what it comes to
    Config(DockerConfig),
    /// Show what each service uses
    Top(DockerRest),
    /// Show what each service uses, as it changes
    Stats(DockerStats),
    /// List stacks
    Ls(DockerRest),
    /// Remove stopped containers
    Rm(DockerRest),
    /// Set numbers of instances
    Scale(DockerScale),
    /// Show the version
    Version(DockerRest),
    /// Anything else.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// `up`.
#[derive(Debug, Args)]
pub struct DockerUp {
    /// In the background
    #[arg(short, long)]
    pub detach: bool,
    /// In the background, and wait until all are healthy; `-d` does
    #[arg(long)]
    pub wait: bool,
    /// Build what changed
    #[arg(long)]
    pub build: bool,
    /// Replace instances that did not change, too
    #[arg(long)]
    pub force_recreate: bool,
    /// Leave instances that changed
    #[arg(long)]
    pub no_recreate: bool,
    /// Leave alone what the services need
    #[arg(long)]
    pub no_deps: bool,
    /// Do not build
    #[arg(long)]
    pub no_build: bool,
    /// Remove what the file does not name any more
    #[arg(long)]
    pub remove_orphans: bool,
    /// `always`: pull images again
    #[arg(long, value_name = "WHEN")]
    pub pull: Option<String>,
    /// Number of instances of a service
    #[arg(long, value_name = "SERVICE=N")]
    pub scale: Vec<String>,
    /// Seconds to stop in
    #[arg(short, long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// Services
    pub services: Vec<String>,
}

/// `down`.
#[derive(Debug, Args)]
pub struct DockerDown {
    /// Volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// What the file does not name any more too
    #[arg(long)]
    pub remove_orphans: bool,
    /// Images too
    #[arg(long, value_name = "WHICH")]
    pub rmi: Option<String>,
    /// Seconds to stop in
    #[arg(short, long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
}

/// `ps`.
#[derive(Debug, Args)]
pub struct DockerPs {
    /// Stopped ones too; they always are
    #[arg(short, long)]
    pub all: bool,
    /// `json`
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Services
    pub services: Vec<String>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct DockerLogs {
    /// Go on with new lines
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines; `all`
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<String>,
    /// With the time; it always stands there
    #[arg(short, long)]
    pub timestamps: bool,
    /// No colour
    #[arg(long)]
    pub no_color: bool,
    /// Without the name before each line
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Services
    pub services: Vec<String>,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct DockerExec {
    /// No terminal
    #[arg(short = 'T', long = "no-TTY", alias = "no-tty")]
    pub no_tty: bool,
    /// Standard input goes to the command; it always does
    #[arg(short, long)]
    pub interactive: bool,
    /// A terminal; there is one where this has one
    #[arg(short, long)]
    pub tty: bool,
    /// A variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// User
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Folder
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Which instance, from 1
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// The service
    pub service: String,
    /// Command and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// `start`, `stop`, `restart`.
#[derive(Debug, Args)]
pub struct DockerNames {
    /// Seconds to stop in
    #[arg(short, long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    /// Leave alone what needs them; as always
    #[arg(long)]
    pub no_deps: bool,
    /// Services
    pub services: Vec<String>,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct DockerKill {
    /// The signal
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Services
    pub services: Vec<String>,
}

/// `build`, `pull`.
#[derive(Debug, Args)]
pub struct DockerImages {
    /// Say less; makes no difference
    #[arg(short, long)]
    pub quiet: bool,
    /// How it is shown; makes no difference
    #[arg(long, value_name = "HOW")]
    pub progress: Option<String>,
    /// Without what was built before
    #[arg(long)]
    pub no_cache: bool,
    /// Pull what it is built upon, too
    #[arg(long)]
    pub pull: bool,
    /// Services
    pub services: Vec<String>,
}

/// `config`.
#[derive(Debug, Args)]
pub struct DockerConfig {
    /// Only check
    #[arg(short, long)]
    pub quiet: bool,
}

/// `stats`.
#[derive(Debug, Args)]
pub struct DockerStats {
    /// Once
    #[arg(long)]
    pub no_stream: bool,
    /// `json`
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Services
    pub services: Vec<String>,
}

/// `scale`.
#[derive(Debug, Args)]
pub struct DockerScale {
    /// Leave alone what they need; as always
    #[arg(long)]
    pub no_deps: bool,
    /// Numbers
    #[arg(value_name = "SERVICE=N", required = true)]
    pub numbers: Vec<String>,
}

/// Words that make no difference here.
#[derive(Debug, Args)]
pub struct DockerRest {
    /// Options and services
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}
