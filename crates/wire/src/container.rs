//! Keeper → runner of a container (`mainstay container run FILE`): what to run, and what the runner finds out.
//!
//! All of it is files in the instance's folder below `run/app`. FILE holds no secret: values of the container's environment come in the
//! runner's own, each under [`ENV_PREFIX`] and its name, so that none of them means anything to the runner itself.
//!
//! | file | what | who writes |
//! |---|---|---|
//! | `container.json` | [`RunnerSpec`] | keeper |
//! | `files/N` | content of [`RunnerSpec::files`] | keeper |
//! | `address` | where the container takes requests, `IP:port` | runner |
//! | `confined` | [`Confined`], once it runs | runner |
//! | `outcome` | [`Outcome`], where the exit status does not say it all | runner |

use model::confine::ConfineSpec;
use model::container::{ContainerSpec, MountSpec, VolumeSpec};
use model::network::NetworkSpec;
use model::upkeep::ResourcesSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What stands before the name of a variable of the container's in the environment of its runner.
pub const ENV_PREFIX: &str = "MAINSTAY_CONTAINER_";

/// Label: the home whose keeper started it, canonical path.
pub const LABEL_HOME: &str = "mainstay.home";
/// Label: its stack.
pub const LABEL_STACK: &str = "mainstay.stack";
/// Label: its app.
pub const LABEL_APP: &str = "mainstay.app";
/// Label: its slot, a number.
pub const LABEL_SLOT: &str = "mainstay.slot";
/// Label: `model::InstanceId` as text.
pub const LABEL_INSTANCE: &str = "mainstay.instance";

/// Everything a runner needs to run one container. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerSpec {
    /// Where the engine listens: `unix:///path` or `tcp://host:port`.
    pub engine: String,
    /// What the engine calls the container.
    pub name: String,
    /// Its labels, Mainstay's own included.
    pub labels: BTreeMap<String, String>,
    /// Image as the engine knows it.
    pub image: String,
    /// What only a container has. Its image is empty: it has been found already.
    pub container: ContainerSpec,
    /// What it may not do.
    pub confine: ConfineSpec,
    /// What it may use.
    pub resources: ResourcesSpec,
    /// Names of its variables.
    pub env: Vec<String>,
    /// What it sees of the host's, and which volumes.
    pub mounts: Vec<RunnerMount>,
    /// Files it sees.
    pub files: Vec<RunnerFile>,
    /// Networks it is on; the first is the one it is reached on.
    pub networks: Vec<RunnerNetwork>,
    /// Where it takes requests.
    pub port: RunnerPort,
    /// Signal of an orderly stop, as a number of signal(7).
    pub stop_signal: i32,
    /// Milliseconds from that to SIGKILL.
    pub stop_ms: u64,
    /// The instance's folder.
    pub folder: PathBuf,
}

/// Where a container takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerPort {
    /// Nowhere.
    None,
    /// On the only port that its image exposes.
    Exposed,
    /// On this one.
    Number(u16),
}

/// A mount, and the volume it may need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerMount {
    /// What and where.
    pub mount: MountSpec,
    /// Of a named volume: what the engine calls it, and how it is made.
    pub volume: Option<(String, VolumeSpec)>,
}

/// A file the keeper has written for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerFile {
    /// On the host.
    pub source: PathBuf,
    /// Inside.
    pub target: PathBuf,
    /// Owner; none: whoever the container runs as.
    pub uid: Option<u32>,
    /// Group; none: the same.
    pub gid: Option<u32>,
    /// Permissions.
    pub mode: u32,
}

/// A network it is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerNetwork {
    /// What the engine calls it.
    pub name: String,
    /// How it is made where it is missing.
    pub spec: NetworkSpec,
    /// Names of the container on it.
    pub aliases: Vec<String>,
    /// Fixed address.
    pub address: Option<IpAddr>,
}

/// What the exit status of a runner does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The container was ended for want of memory.
    OutOfMemory {
        /// Most bytes that it held at once, where the kernel says so.
        held: Option<u64>,
        /// Bytes that it might hold, as the kernel had it.
        limit: Option<u64>,
    },
    /// There was no container, or it did not start; the text says why.
    NotStarted(String),
}

/// Where the kernel says what a container of this host is really held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// Its main process, as the host sees it.
    pub pid: u32,
    /// When that was born, in the kernel's ticks; 0: not known.
    #[serde(default)]
    pub born: u64,
    /// Folders of its control group.
    pub groups: Vec<PathBuf>,
}

impl RunnerSpec {
    /// FILE of an instance, by its folder.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join("container.json")
    }

    /// Folder of the files' contents.
    pub fn files(folder: &Path) -> PathBuf {
        folder.join("files")
    }
}

/// Where the container of this instance takes requests; none: not known yet.
pub fn address(folder: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(address_file(folder)).ok()?.trim().parse().ok()
}

/// In the place of an address: nobody wrote a port, and the image exposes none.
pub const NOWHERE: &str = "nowhere";

/// Whether it is known that the container of this instance takes requests nowhere.
pub fn takes_none(folder: &Path) -> bool {
    std::fs::read_to_string(address_file(folder)).is_ok_and(|text| text.trim() == NOWHERE)
}

/// File of [`address`].
pub fn address_file(folder: &Path) -> PathBuf {
    folder.join("address")
}

/// Where the limits of this instance's container are; none: not known, or on another host.
pub fn confined(folder: &Path) -> Option<Confined> {
    crate::decode(&std::fs::read(confined_file(folder)).ok()?).ok()
}

/// File of [`confined`].
pub fn confined_file(folder: &Path) -> PathBuf {
    folder.join("confined")
}

/// What its runner left to be said.
pub fn outcome(folder: &Path) -> Option<Outcome> {
    crate::decode(&std::fs::read(outcome_file(folder)).ok()?).ok()
}

/// File of [`outcome`].
pub fn outcome_file(folder: &Path) -> PathBuf {
    folder.join("outcome")
}

/// Removes what is in an instance's folder because it is a container's.
pub fn clean(folder: &Path) {
    for file in [RunnerSpec::file(folder), address_file(folder), confined_file(folder), outcome_file(folder)]
    {
        let _ = std::fs::remove_file(file);
    }
    let _ = std::fs::remove_dir_all(RunnerSpec::files(folder));
}
