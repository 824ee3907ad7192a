//! Apps in containers: `image`, `container`, `volumes`, `files`, `networks` of `[app.NAME]`, and `[network.NAME]`, `[volume.NAME]`.

use super::{OneOrMany, SizeText};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An image: its name, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Image")]
pub enum ImageFile {
    /// `[registry/]name[:tag][@digest]`.
    Name(String),
    /// All of it.
    Table(ImageTable),
}

/// Where the image of an app comes from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ImageTable", extend("required" = ["name"]))]
pub struct ImageTable {
    /// `[registry/]name[:tag][@digest]`.
    pub name: Option<String>,
    /// When it is pulled: `missing`, `always` or `never`. Default: `missing`.
    pub pull: Option<PullFile>,
    /// `os/arch[/variant]`. Default: the host's.
    pub platform: Option<String>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Pull")]
pub enum PullFile {
    /// Where it is not there.
    Missing,
    /// Whenever the manifest is loaded.
    Always,
    /// Never.
    Never,
}

/// What only a container has.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Container")]
pub struct ContainerFile {
    /// Host name inside. Default: the engine's choice.
    pub hostname: Option<String>,
    /// Labels of the container, or of the image that is built, network or volume.
    pub labels: BTreeMap<String, String>,
    /// Lines of `/etc/hosts` inside: `name:address`; `host-gateway` is the host.
    pub extra_hosts: Option<OneOrMany>,
    /// A first process of the engine's that reaps what is left behind. Default: `false`.
    pub init: Option<bool>,
    /// A terminal. Default: `false`.
    pub tty: Option<bool>,
    /// Standard input stays open. Default: `false`.
    pub stdin_open: Option<bool>,
    /// It may do everything that root may on the host. Default: `false`.
    pub privileged: Option<bool>,
    /// Devices of the host's: `host[:inside[:rwm]]`.
    pub devices: Option<OneOrMany>,
    /// Additional groups, names or numbers of the image.
    pub group_add: Option<OneOrMany>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Limits by name of getrlimit(2) in lower case (`nofile`): a number, or a list of soft and hard; -1: no limit.
    pub ulimits: BTreeMap<String, UlimitFile>,
    /// Size of `/dev/shm`. Default: the engine's.
    pub shm_size: Option<SizeText>,
    /// Options of the engine's, as they are: `apparmor=…`, `label=…`, `seccomp=…`.
    pub security_opt: Option<OneOrMany>,
    /// Name servers.
    pub dns: Option<OneOrMany>,
    /// Search domains.
    pub dns_search: Option<OneOrMany>,
    /// Options of resolv.conf(5).
    pub dns_options: Option<OneOrMany>,
    /// Instead of networks: `host` or `none`.
    pub network_mode: Option<NetworkModeFile>,
    /// Process namespace: `host`. Default: its own.
    pub pid: Option<PidFile>,
    /// IPC namespace: `host` or `shareable`. Default: its own.
    pub ipc: Option<IpcFile>,
}

/// A limit: one number, or soft and hard.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Ulimit")]
pub enum UlimitFile {
    /// Both.
    Both(#[schemars(range(min = -1))] i64),
    /// Soft and hard.
    Two(Vec<i64>),
}

/// Instead of networks.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "NetworkMode")]
pub enum NetworkModeFile {
    /// The host's.
    Host,
    /// None.
    None,
}

/// Whose processes it sees.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Pid")]
pub enum PidFile {
    /// The host's.
    Host,
}

/// Whose shared memory it sees.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Ipc")]
pub enum IpcFile {
    /// The host's.
    Host,
    /// Its own, which others may join.
    Shareable,
}

/// A mount: `source:/target[:options]`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Mount")]
pub enum MountFile {
    /// `name:/path[:ro]` a volume, `./folder:/path` something of the host's, `/path` a volume without a name.
    Text(String),
    /// All of it.
    Table(MountTable),
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MountTable", extend("required" = ["target"]))]
pub struct MountTable {
    /// Name of a volume, or a path beginning with `.` or `/`; without it a volume without a name.
    pub source: Option<String>,
    /// Absolute path inside.
    pub target: Option<String>,
    /// It cannot be changed through it. Default: `false`.
    pub read_only: Option<bool>,
    /// Other options of the engine's: `z`, `rshared`, `nocopy`.
    pub options: Option<OneOrMany>,
}

/// A file that an instance sees: exactly one of `file`, `secret` and `content`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "File", extend("required" = ["name"]))]
pub struct FileFile {
    /// Its name, for people, and of the file where `target` is not said.
    pub name: Option<String>,
    /// File that holds the content, relative to the manifest; read when an instance starts.
    pub file: Option<String>,
    /// The same of a secret: its value, usually from a variable (`${TOKEN}`), or `{ file = "…" }`.
    pub secret: Option<FileSecretFile>,
    /// Its text.
    pub content: Option<String>,
    /// Absolute path inside. Default: `/run/secrets/NAME` of a secret, else `/NAME`.
    pub target: Option<String>,
    /// Owner. Default: whoever the instance runs as.
    #[schemars(range(min = 0, max = 4294967294_i64))]
    pub uid: Option<i64>,
    /// Group. Default: that of the owner.
    #[schemars(range(min = 0, max = 4294967294_i64))]
    pub gid: Option<i64>,
    /// Permissions, octal: `"0440"`. Default: `0440` of a secret, which is never more, else `0444`.
    pub mode: Option<String>,
}

/// A secret: its value, or where it is.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "FileSecret")]
pub enum FileSecretFile {
    /// The value.
    Value(String),
    /// Where it is.
    Table(FileSecretTable),
}

/// Where a secret is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "FileSecretTable", extend("required" = ["file"]))]
pub struct FileSecretTable {
    /// File that holds it, relative to the manifest.
    pub file: Option<String>,
}

/// Networks that an app is on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Networks")]
pub enum NetworksFile {
    /// Their names.
    Names(Vec<String>),
    /// Their names, and how.
    Table(BTreeMap<String, JoinFile>),
}

/// How an app is on a network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Join")]
pub struct JoinFile {
    /// Names of the app on it, beside its own.
    pub aliases: Option<OneOrMany>,
    /// Fixed address; only with one instance.
    pub address: Option<String>,
}

/// A private network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Network")]
pub struct NetworkFile {
    /// What the engine calls it. Default: `STACK_NETWORK`.
    pub name: Option<String>,
    /// It is somebody else's: never made, never removed. Default: `false`.
    pub external: Option<bool>,
    /// Driver. Default: `bridge`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Address ranges. Default: one that is free.
    pub subnets: Vec<SubnetFile>,
    /// No way out of it. Default: `false`.
    pub internal: Option<bool>,
    /// IPv6 too. Default: `false`.
    pub ipv6: Option<bool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A range of addresses.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Subnet", extend("required" = ["subnet"]))]
pub struct SubnetFile {
    /// All of it: `172.20.0.0/16`.
    pub subnet: Option<String>,
    /// The host's own address in it. Default: the first.
    pub gateway: Option<String>,
    /// Where instances' addresses are taken from. Default: all of it.
    pub range: Option<String>,
}

/// A volume. It stays when the stack is stopped.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Volume")]
pub struct VolumeFile {
    /// What the engine calls it. Default: `STACK_VOLUME`.
    pub name: Option<String>,
    /// It is somebody else's: never made. Default: `false`.
    pub external: Option<bool>,
    /// Driver. Default: `local`.
    pub driver: Option<String>,
    /// Options of the driver: `type`, `o`, `device`.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}
