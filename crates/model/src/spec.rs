//! The desired state, as a valid manifest gives it. Paths are absolute, durations and sizes parsed, names
//! resolved, defaults filled in: nobody downstream has to decide anything about it again.

use crate::acme::AcmeSpec;
use crate::confine::ConfineSpec;
use crate::container::{ContainerSpec, FileContent, FileSpec, MountSpec, VolumeSpec};
pub use crate::lifecycle::{HealthSpec, LogSpec, Probe, RestartPolicy, RestartSpec, StopSpec};
use crate::network::{ForwardSpec, JoinSpec, NeedCondition, NetworkSpec};
use crate::redact::RedactKind;
pub use crate::route::*;
use crate::service::ServiceSpec;
use crate::site::{Balance, EdgeSpec, PairSpec};
use crate::traffic::TrafficSpec;
use crate::upkeep::{Preset, RecycleSpec, ResourcesSpec, ScaleSpec, TaskSpec};
use crate::{AppName, Secret, StackName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One manifest, valid and complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackSpec {
    /// Its name.
    pub name: StackName,
    /// The folder its relative paths start from: where the manifest lies.
    pub root: PathBuf,
    /// Where the edge listens for plain HTTP.
    pub http: Vec<SocketAddr>,
    /// Where it listens for HTTPS; empty: every site is HTTP only.
    pub https: Vec<SocketAddr>,
    /// Trusted peers begin each connection with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// What all clients are held to.
    pub edge: EdgeSpec,
    /// Peers whose `X-Forwarded-*`, `X-Real-IP` and `X-Request-Id` are believed.
    pub trusted: Vec<IpNet>,
    /// Sites in the order of the manifest.
    pub sites: Vec<SiteSpec>,
    /// Apps by name. Once the keeper has expanded them, services too.
    pub apps: BTreeMap<AppName, AppSpec>,
    /// Data services by name; no app has the same.
    pub services: BTreeMap<AppName, ServiceSpec>,
    /// Commands that run by the clock; no app or service has the same name. The keeper makes apps of them too.
    pub tasks: BTreeMap<AppName, TaskSpec>,
    /// Where its logs are, and what they do not show.
    pub logs: StackLogs,
    /// What `mainstay cleanup` removes.
    pub cleanup: CleanupSpec,
    /// Private networks by name.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Ports that lead to apps beside the sites.
    pub forwards: Vec<ForwardSpec>,
    /// Certificates that are served for the names in them, before any from an authority; not for sites that name files of their own.
    #[serde(default)]
    pub certificates: Vec<PairSpec>,
    /// Whom certificates are had from; there where a site's [`crate::site::TlsSpec::Acme`] is.
    #[serde(default)]
    pub acme: Option<AcmeSpec>,
}

/// What a stack does not own any more. Names and patterns are relative to its `root`; `/` parts folders, a `/` at the end means a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupSpec {
    /// What is removed.
    pub obsolete: Vec<String>,
    /// What never is, even where it matches.
    pub keep: Vec<String>,
}

/// Logs of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackLogs {
    /// Folder of its output files and its access log; none: in the home, with everybody's.
    pub dir: Option<PathBuf>,
    /// What is masked in its access log, and in the output of apps that say nothing else.
    pub redact: Vec<RedactKind>,
}

impl Default for StackLogs {
    fn default() -> Self {
        Self { dir: None, redact: crate::redact::default() }
    }
}

/// User and group id of the edge where root has not created the user `mainstay`: out of the range that distributions and systemd
/// leave unused (65520 to 65533), so that it is nobody's.
pub const EDGE_ID: u32 = 65_529;

/// Code of the user's, run as instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppSpec {
    /// Command and arguments; `$PORT` and `$SOCKET` in them are replaced when an instance starts. Never a shell line.
    pub argv: Vec<String>,
    /// Working folder.
    pub dir: PathBuf,
    /// Environment beyond what every app gets (`PATH`, `HOME`, `LANG`, `PORT`, `HOST`, `SOCKET`).
    pub env: BTreeMap<String, EnvValue>,
    /// How an instance listens.
    pub listen: Listen,
    /// How many instances.
    pub instances: u32,
    /// What that number was worked out from; none: it was written.
    pub preset: Option<Preset>,
    /// How requests are spread over them.
    pub balance: Balance,
    /// They speak HTTP/2 without TLS (h2c, with prior knowledge).
    pub http2: bool,
    /// Apps that must be ready before this one starts; stopped after this one.
    pub needs: Vec<AppName>,
    /// How its health is found out, if not by connecting.
    pub health: HealthSpec,
    /// When and how it is started again.
    pub restart: RestartSpec,
    /// How it is stopped.
    pub stop: StopSpec,
    /// System user it runs as; none: the rule of `ARCHITECTURE.md`.
    pub user: Option<String>,
    /// How much of its output is kept.
    pub logs: LogSpec,
    /// What is done before its instances start.
    pub build: Option<BuildSpec>,
    /// Folders that exist and belong to its user before it starts.
    pub writable: Vec<PathBuf>,
    /// For people, in `status`.
    pub description: Option<String>,
    /// How requests meet its instances.
    pub traffic: TrafficSpec,
    /// When an instance in good health is replaced.
    pub recycle: RecycleSpec,
    /// What an instance may use.
    pub resources: ResourcesSpec,
    /// Where the number of instances is not fixed; `instances` is what it starts with.
    pub scale: Option<ScaleSpec>,
    /// Signal that has its main process load its configuration anew, as a number of signal(7).
    pub reload_signal: Option<i32>,
    /// It runs in a container; none: as processes of the host's.
    pub container: Option<ContainerSpec>,
    /// What it is kept from.
    pub confine: ConfineSpec,
    /// What of the host's, and which volumes, it sees.
    pub mounts: Vec<MountSpec>,
    /// Secrets and configurations that it sees as files.
    pub files: Vec<FileSpec>,
    /// Private networks it is on; empty, and no container: the host's own.
    pub networks: Vec<JoinSpec>,
    /// Of `needs`: what is waited for; of one that is not named: [`NeedCondition::Healthy`].
    pub needs_how: BTreeMap<AppName, NeedCondition>,
}

/// Steps that make what an app runs from: a virtual environment, a bundle. They run once for the same steps and inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// Commands, one after the other; `$BUILD_DIRECTORY` in them is replaced. Never shell lines.
    pub steps: Vec<Vec<String>>,
    /// Files that the result depends on.
    pub inputs: Vec<PathBuf>,
    /// Longest time for all steps together.
    pub timeout: Duration,
    /// Stands for steps and contents of the inputs; names the folder of the result. 0 until the keeper has read them.
    pub hash: u64,
    /// Stands for the content of each of `inputs`, in their order: so that a change can be named. Empty until the keeper has read
    /// them.
    #[serde(default)]
    pub digests: Vec<u64>,
}

impl AppSpec {
    /// Whether each of its instances has an address of its own: then no two share a port, whatever its number.
    pub fn has_own_address(&self) -> bool {
        self.container.is_some() || !self.networks.is_empty()
    }

    /// How it listens, as far as two of its instances would be in each other's way: a port of its own address is as good as any, and who
    /// has a fixed address is like who has a fixed port.
    pub fn listen_beside(&self) -> Listen {
        let fixed = self.networks.iter().any(|join| join.address.is_some());
        match self.listen {
            Listen::Port(port) if fixed || !self.has_own_address() => Listen::Port(port),
            _ if fixed => Listen::Port(0),
            Listen::Port(_) => Listen::AnyPort,
            listen => listen,
        }
    }

    /// Stands for everything about this specification that makes a running instance outdated when it changes, and for
    /// `restarts`, the number of restarts an administrator asked for. Kept on disk and compared across versions of
    /// Mainstay: a field that is added later must not be serialised while it has its default.
    pub fn fingerprint(&self, restarts: u64) -> u64 {
        let Self { argv, dir, env, listen, health, stop, user, logs, build, writable, .. } = self;
        let Self { container, confine, mounts, files, networks, .. } = self;
        let values: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        // Serialising plain structs of text and numbers to memory does not fail.
        let text = serde_json::to_vec(&(argv, dir, values, listen, health, stop, user, logs, restarts));
        let mut text = text.unwrap_or_default();
        text.extend(build.iter().flat_map(|build| build.hash.to_le_bytes()));
        text.extend(writable.iter().flat_map(|folder| folder.as_os_str().as_encoded_bytes()));
        let inside = (container, confine, mounts, files, networks);
        if inside != (&None, &ConfineSpec::default(), &Vec::new(), &Vec::new(), &Vec::new()) {
            text.extend(serde_json::to_vec(&inside).unwrap_or_default());
            // A secret is serialised as its mask.
            let secrets = files.iter().filter_map(|file| match &file.content {
                FileContent::Text(secret) => Some(secret.expose()),
                FileContent::Path(_) => None,
            });
            text.extend(secrets.flat_map(str::bytes));
        }
        // The engine holds a container to its limits from its start on; a native app's are the keeper's and can be changed.
        if container.is_some() {
            text.extend(serde_json::to_vec(&self.resources).unwrap_or_default());
        }
        crate::id::fnv1a(&text)
    }
}

/// A value of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// Written in the manifest or an `.env` file named as not secret.
    Plain(String),
    /// Read from a secret file, or telling by its name or form: masked wherever it would be shown, in output too.
    Secret(Secret),
    /// Of an `.env` file, and nothing says that it is a secret: not shown where the app is described, but its output may have it. A
    /// database's name that were masked there would make paths and messages unreadable.
    Kept(Secret),
    /// Made by the keeper at the first start, this many random bytes written in hexadecimal, and kept. Nobody downstream of the
    /// keeper's expansion sees it.
    Generate(u32),
}

impl EnvValue {
    /// The value the process gets.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) | Self::Kept(secret) => secret.expose(),
            Self::Generate(_) => "",
        }
    }
}

/// How an instance listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listen {
    /// On the unix socket given as `$SOCKET`.
    Socket,
    /// On a loopback port that Mainstay picks, given as `$PORT`.
    AnyPort,
    /// On this loopback port, also given as `$PORT`; only with one instance.
    Port(u16),
    /// It does not listen: ready once it runs.
    Nothing,
}
