//! Apps that run in a container: what of it only a container has. What native apps have too is in [`crate::confine`]; command, environment,
//! health, restarts, stops, instances are those of any app.

use crate::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the container of an app is made from. Words are those of the Compose Specification and the OCI image specification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// Where its image comes from.
    pub image: ImageSpec,
    /// Instead of the image's entry point; empty list: none at all.
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's command. [`crate::spec::AppSpec::argv`] is empty for a container.
    pub command: Option<Vec<String>>,
    /// Working folder inside; none: the image's.
    pub working_dir: Option<String>,
    /// `user`, `user:group`, names or numbers of the image; none: the image's.
    pub user: Option<String>,
    /// Host name inside; none: the engine's choice.
    pub hostname: Option<String>,
    /// Labels of the container, beside Mainstay's own.
    pub labels: BTreeMap<String, String>,
    /// Lines of `/etc/hosts` inside: name to address; `host-gateway` is the host.
    pub extra_hosts: Vec<(String, String)>,
    /// A first process of the engine's that reaps (tini, catatonit).
    pub init: bool,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub stdin_open: bool,
    /// Everything the host can do: said in `check` as a warning.
    pub privileged: bool,
    /// Devices as `host[:inside[:rwm]]`.
    pub devices: Vec<String>,
    /// Additional groups, names or numbers of the image.
    pub group_add: Vec<String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// By name of getrlimit(2) in lower case (`nofile`): soft and hard; -1: no limit.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes of `/dev/shm`; none: the engine's default.
    pub shm_size: Option<u64>,
    /// Options of the engine's, as they are (`apparmor=…`, `label=…`, `seccomp=…`).
    pub security_opt: Vec<String>,
    /// Name servers, search domains and options.
    pub dns: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Options of resolv.conf(5).
    pub dns_options: Vec<String>,
    /// Instead of networks: `host` or `none`; none: the networks of the app.
    pub network_mode: Option<String>,
    /// Process namespace: `host`; none: its own.
    pub pid_mode: Option<String>,
    /// IPC namespace: `host`, `shareable`; none: its own.
    pub ipc_mode: Option<String>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSpec {
    /// It is there, or pulled.
    Reference {
        /// `[registry/]name[:tag][@digest]`, as written.
        name: String,
        /// When it is pulled.
        pull: PullPolicy,
        /// `os/arch[/variant]`; none: the host's.
        platform: Option<String>,
    },
    /// It is built. The keeper's build makes it; [`crate::spec::BuildSpec::hash`] of the app names it.
    Build(Box<ImageBuild>),
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self::Reference { name: String::new(), pull: PullPolicy::default(), platform: None }
    }
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Where it is not there.
    #[default]
    Missing,
    /// Whenever the manifest is loaded.
    Always,
    /// Never.
    Never,
}

/// How an image is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageBuild {
    /// Folder whose files the build sees, absolute; `.dockerignore` is honoured.
    pub context: PathBuf,
    /// Path of the Dockerfile, relative to the context or absolute.
    pub dockerfile: PathBuf,
    /// The Dockerfile itself, instead of a path.
    pub inline: Option<String>,
    /// Stage that is built; none: the last.
    pub target: Option<String>,
    /// `ARG`s. A value that came from a variable that sounds secret is one.
    pub args: BTreeMap<String, BuildArg>,
    /// Name it also gets (`image` beside `build`).
    pub tag: Option<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Lines of `/etc/hosts` during the build.
    pub extra_hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm` during the build.
    pub shm_size: Option<u64>,
    /// `os/arch`.
    pub platform: Option<String>,
    /// No layer of a former build is used.
    pub no_cache: bool,
    /// Base images are pulled even where they are there.
    pub pull: bool,
    /// Network of `RUN`: `host`, `none`; none: the engine's default.
    pub network: Option<String>,
}

/// Value of a build argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildArg {
    /// Shown.
    Plain(String),
    /// Masked.
    Secret(Secret),
}

/// Something of the host's, or a volume, that an instance sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What.
    pub source: MountSource,
    /// Absolute path inside.
    pub target: PathBuf,
    /// It cannot be changed through it.
    pub read_only: bool,
    /// Other options of the engine's (`z`, `rshared`, `nocopy`), as they are.
    #[serde(default)]
    pub options: Vec<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A volume of the stack: its key in [`crate::spec::StackSpec::volumes`].
    Volume(String),
    /// A folder or file of the host, absolute.
    Bind(PathBuf),
    /// A volume of the container's own, without a name: it goes with the container.
    Anonymous,
}

/// A volume of a stack. It stays when the stack is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeSpec {
    /// What the engine calls it; none: `<stack>_<key>`.
    pub name: Option<String>,
    /// It is somebody else's: never made, never removed.
    pub external: bool,
    /// Driver; none: `local`.
    pub driver: Option<String>,
    /// Options of the driver (`type`, `o`, `device`). A bind of a `device` that does not exist is an error that names it.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A file that an instance sees: a secret or a configuration of the Compose Specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Its name, for people.
    pub name: String,
    /// Where its content comes from.
    pub content: FileContent,
    /// Absolute path inside (`/run/secrets/<name>`).
    pub target: PathBuf,
    /// Owner; none: whoever the instance runs as, where that is known, else root.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Permissions; a secret's never go beyond 0440.
    pub mode: u32,
    /// It is a secret: in no environment, log or status.
    pub secret: bool,
}

/// Where the content of a file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// A file of the host, absolute; read when an instance starts.
    Path(PathBuf),
    /// Its text (`content:`, or the value of `environment:`).
    Text(Secret),
}
