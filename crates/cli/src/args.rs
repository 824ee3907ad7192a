//! What can be said on the command line. Nothing is done here.
//!
//! Options of every verb stand before or after it. `docs/cli.md` is made of this file's help texts (`cargo xtask generate`).

mod certs;
mod compose;
mod daily;
mod docker;
mod exec;
mod host;
mod images;
mod import;
mod numbers;
mod services;
mod upgrade;
mod upkeep;
mod views;
mod why;

pub use certs::{CertsArgs, CertsVerb, ImportCertArgs, IssueArgs, RenewArgs, RevokeArgs, RootArgs};
use clap::{Args, Parser, Subcommand};
pub use compose::ComposeArgs;
pub use daily::{DownArgs, PsArgs, StatsArgs};
pub use docker::{
    Docker, DockerArgs, DockerExec, DockerImages, DockerLogs, DockerNames, DockerUp, DockerVerb,
};
pub use exec::ExecArgs;
pub use host::{CompletionsArgs, EdgeArgs, InstallArgs, SignalArgs, StopArgs};
pub use images::{ConfigArgs, ImagesArgs, RaiseArgs};
pub use import::{ImportArgs, ImportComposeArgs, ImportVerb};
use ipnet::IpNet;
pub use numbers::{ScaleArgs, TaskArgs, TaskVerb};
pub use services::{DataArgs, DataVerb, ServiceArgs, ServiceVerb, ShellArgs, UrlArgs};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
pub use upgrade::{KeeperArgs, UpgradeArgs};
pub use upkeep::{AddBanArgs, BansArgs, BansVerb, CleanupArgs, LiftBanArgs};
pub use views::{HistoryArgs, LogsArgs, PortsArgs, Sort, StatusArgs, TopArgs};
pub use why::WhyArgs;

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
    /// The manifest or a compose file, or the folder that holds one [default: this folder]; further compose files are laid
    /// over the first
    #[arg(short, long, value_name = "PATH")]
    pub file: Vec<PathBuf>,
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

/// An address is a network of one.
fn net(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| "neither an address nor a network such as 198.51.100.0/24".to_owned())
}

/// A number and a unit.
fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 90s, 30m, 1h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number =
        text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).filter(|number| *number > 0);
    number.map(|number| Duration::from_secs(u64::from(number) * seconds)).ok_or_else(wrong)
}

impl Cli {
    /// The stack's place: what stands after the verb wins over what stands before it. Nothing: this folder.
    pub fn take_place(&mut self) -> Vec<PathBuf> {
        let take = std::mem::take::<Vec<PathBuf>>;
        let after = match &mut self.verb {
            Verb::Check(CheckArgs { place, .. })
            | Verb::Up(UpArgs { place, .. })
            | Verb::Start(StartArgs { place, .. })
            | Verb::Stop(StopArgs { place, .. })
            | Verb::Status(StatusArgs { place, .. })
            | Verb::Top(TopArgs { place, .. })
            | Verb::History(HistoryArgs { place, .. })
            | Verb::Restart(RestartArgs { place, .. })
            | Verb::Reload(ReloadArgs { place, .. }) => take(&mut place.file),
            Verb::Down(DownArgs { place, .. })
            | Verb::Ps(PsArgs { place, .. })
            | Verb::Stats(StatsArgs { place, .. })
            | Verb::Exec(ExecArgs { place, .. }) => take(&mut place.file),
            Verb::Config(ConfigArgs { place, .. })
            | Verb::Build(ImagesArgs { place, .. })
            | Verb::Pull(ImagesArgs { place, .. })
            | Verb::Signal(SignalArgs { place, .. })
            | Verb::Why(WhyArgs { place, .. })
            | Verb::Scale(ScaleArgs { place, .. })
            | Verb::Task(TaskArgs { place, .. }) => take(&mut place.file),
            Verb::Logs(LogsArgs { file, .. }) => take(file),
            Verb::Data(DataArgs { place, .. }) => take(&mut place.file),
            Verb::Cleanup(CleanupArgs { path, place, .. }) => {
                path.take().map_or_else(|| take(&mut place.file), |path| vec![path])
            }
            Verb::Certs(_) | Verb::Bans(_) | Verb::Metrics | Verb::HashPassword | Verb::Ports(_) => {
                Vec::new()
            }
            Verb::Import(ImportArgs { verb: ImportVerb::Compose(args) }) => {
                args.path.take().map_or_else(|| take(&mut args.place.file), |path| vec![path])
            }
            Verb::Install(_) => Vec::new(),
            Verb::Version
            | Verb::Doctor
            | Verb::Completions(_)
            | Verb::Compose(_)
            | Verb::Keeper(_)
            | Verb::Upgrade(_)
            | Verb::Edge(_)
            | Verb::Service(_) => Vec::new(),
        };
        if after.is_empty() { take(&mut self.place.file) } else { after }
    }

    /// What is asked of compose files.
    pub fn take_compose(&mut self) -> ComposeArgs {
        match &mut self.verb {
            Verb::Check(CheckArgs { compose, .. })
            | Verb::Up(UpArgs { compose, .. })
            | Verb::Start(StartArgs { compose, .. })
            | Verb::Reload(ReloadArgs { compose, .. })
            | Verb::Config(ConfigArgs { compose, .. })
            | Verb::Build(ImagesArgs { compose, .. })
            | Verb::Pull(ImagesArgs { compose, .. }) => std::mem::take(compose),
            Verb::Import(ImportArgs { verb: ImportVerb::Compose(args) }) => std::mem::take(&mut args.compose),
            _ => ComposeArgs::default(),
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Find everything that is wrong with the manifest
    Check(CheckArgs),
    /// Print the manifest as it is understood, whatever files it is made of: defaults filled in, secrets masked
    Config(ConfigArgs),
    /// Build the images of apps, and start nothing
    Build(ImagesArgs),
    /// Pull the images of apps; the next start or reload takes them
    Pull(ImagesArgs),
    /// Run a stack in the foreground, until Ctrl-C
    Up(UpArgs),
    /// Run a stack in the background, or start its stopped apps and services
    Start(StartArgs),
    /// Stop a stack, or some of its apps and services
    Stop(StopArgs),
    /// Stop a stack; its volumes, data and logs stay
    Down(DownArgs),
    /// Show what runs, and what is wrong
    Status(StatusArgs),
    /// Show what the host and each instance use, as it changes
    Top(TopArgs),
    /// List apps and services with their ports and images
    Ps(PsArgs),
    /// Show processors, memory and network of each instance, as they change
    Stats(StatsArgs),
    /// Show when instances changed their state, and why
    History(HistoryArgs),
    /// Show who listens on this host's ports
    Ports(PortsArgs),
    /// Show what apps and services printed, all of them in order of time
    Logs(LogsArgs),
    /// Say why a request failed, or list the latest that did
    Why(WhyArgs),
    /// Replace the instances of apps and services, one after the other
    Restart(RestartArgs),
    /// Read the manifest again and change what it changed
    Reload(ReloadArgs),
    /// Run other numbers of instances than the manifest says
    Scale(ScaleArgs),
    /// Send a signal to the main process of an app's instances: to have it load its configuration anew
    Signal(SignalArgs),
    /// Run a command beside an instance: as whom it runs, with its environment, folder and network, or in its container
    Exec(ExecArgs),
    /// Show commands that run by the clock, or run one now
    Task(TaskArgs),
    /// Show data services, talk to one, or print its address
    Data(DataArgs),
    /// Remove what the stack does not own any more, after showing it
    Cleanup(CleanupArgs),
    /// Show certificates, renew or revoke one, serve one of your own, have the local authority trusted
    Certs(CertsArgs),
    /// Show who is refused for a while, or change it
    Bans(BansArgs),
    /// Print figures as Prometheus reads them
    Metrics,
    /// Make what stands in a manifest in place of a password
    HashPassword,
    /// Make a manifest of other programs' files
    Import(ImportArgs),
    /// Make this host's systemd run Mainstay, from the next boot on
    Install(InstallArgs),
    /// Replace the program that runs, without a cut connection and without restarting an app
    Upgrade(UpgradeArgs),
    /// Find what this host cannot do for Mainstay, and the commands that mend it
    Doctor,
    /// Do what a command line of `docker compose` means; also where this program is called `docker-compose` or `docker`
    Compose(DockerArgs),
    /// Show the version
    Version,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// The background process that `start` starts
    #[command(hide = true)]
    Keeper(KeeperArgs),
    /// The process that serves connections
    #[command(hide = true)]
    Edge(EdgeArgs),
    /// The server of a data service
    #[command(hide = true)]
    Service(ServiceArgs),
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
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
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Listen here instead of where the manifest says: `address:port`, or a port of this machine; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS; 443, or --https 8443 where that needs no rights
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub https: Vec<SocketAddr>,
    /// Pull images again that are there
    #[arg(long)]
    pub pull: bool,
    /// Start it even where it reserves more processors or memory than there are; kept for later reloads
    #[arg(long)]
    pub overcommit: bool,
    /// What Compose's `up` takes beside that.
    #[command(flatten)]
    pub raise: RaiseArgs,
}

/// `start`.
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Wait so long for certificates, such as 60m after a change of DNS; names that do not lead here are looked at again
    #[arg(long, value_name = "TIME", value_parser = length, conflicts_with = "names")]
    pub wait_dns: Option<Duration>,
    /// Apps and services to start; without a name the whole stack
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Listen here instead of where the manifest says: `address:port`, or a port of this machine; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "names")]
    pub http: Vec<SocketAddr>,
    /// The same for HTTPS; 443, or --https 8443 where that needs no rights
    #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "names")]
    pub https: Vec<SocketAddr>,
    /// Pull images again that are there
    #[arg(long, conflicts_with = "names")]
    pub pull: bool,
    /// Start it even where it reserves more processors or memory than there are; kept for later reloads
    #[arg(long, conflicts_with = "names")]
    pub overcommit: bool,
    /// What Compose's `up` takes beside that.
    #[command(flatten)]
    pub raise: RaiseArgs,
}

/// `restart`.
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// Apps and services to restart; without a name all that run
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Where the stack is.
    #[command(flatten)]
    pub place: Place,
    /// What is asked of compose files.
    #[command(flatten)]
    pub compose: ComposeArgs,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Pull images again that are there
    #[arg(long)]
    pub pull: bool,
    /// Start it even where it reserves more processors or memory than there are; kept for later reloads
    #[arg(long)]
    pub overcommit: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines_and_an_address_alone_a_network() {
        let loopback = Ok(SocketAddr::from(([127, 0, 0, 1], 8080)));
        for text in ["8080", ":8080", "localhost:8080", "127.0.0.1:8080"] {
            assert_eq!(address(text), loopback, "{text}");
        }
        assert!(address("0.0.0.0:80").is_ok() && address("[::]:80").is_ok());
        assert_eq!(net("198.51.100.7").unwrap().prefix_len(), 32);
        assert!(net("2001:db8::/32").is_ok() && net("x").is_err());
        assert_eq!(length("2h"), Ok(Duration::from_secs(7200)));
        assert!(length("0s").is_err() && length("h").is_err() && length("").is_err() && length("5").is_err());
        assert!(address("example.org").unwrap_err().contains("127.0.0.1:8080") && address("70000").is_err());
    }
}
