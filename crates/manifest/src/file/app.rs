//! `[app.NAME]`: code of the user's.

use super::{
    BalanceFile, BuildFile, CircuitFile, ContainerFile, DurationText, FileFile, HoldFile, ImageFile,
    LogsFile, MountFile, NetworksFile, OneOrMany, RecycleFile, ResourcesFile, StickyFile, TmpfsFile,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Code of yours, run as instances.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "App")]
pub struct AppFile {
    /// What it is, for people: `status` shows it.
    pub description: Option<String>,
    /// Command and arguments: a text that is split into words as a shell does, or a list. Never run by a shell.
    /// `$PORT`, `$SOCKET`, `$HOST` and `$BUILD_DIRECTORY` are replaced when an instance starts. In a container: instead of the image's command.
    pub run: Option<OneOrMany>,
    /// The app runs in a container of this image: its name, or a table.
    pub image: Option<ImageFile>,
    /// Instead of the image's entry point; an empty list: none at all.
    pub entrypoint: Option<OneOrMany>,
    /// What only a container has.
    pub container: Option<ContainerFile>,
    /// What of the host's, and which volumes, a container sees: `name:/path[:ro]`, `./folder:/path`, `/path`, or tables.
    pub volumes: Vec<MountFile>,
    /// Secrets and configurations that it sees as files.
    pub files: Vec<FileFile>,
    /// Private networks it is on: names, or a table. Default: of a container `default`.
    pub networks: Option<NetworksFile>,
    /// What is done before its instances start: commands, one after the other, or a table. They run once for the same steps and
    /// inputs, and leave what they make in `$BUILD_DIRECTORY`.
    pub build: Option<BuildFile>,
    /// Working folder, relative to the manifest. Default: the manifest's folder. In a container: an absolute path inside; default: the image's.
    pub dir: Option<String>,
    /// Environment beyond what every app gets. Wins over `env_file`.
    pub env: BTreeMap<String, EnvFileValue>,
    /// Files of `KEY=value` lines, relative to the manifest; a later one wins. Their values are masked wherever shown.
    pub env_file: Option<OneOrMany>,
    /// How many instances: a number, a preset that follows the machine's cores, or a table of bounds within which it follows what is asked of
    /// the app. Default: 1.
    pub instances: Option<InstancesFile>,
    /// Fixed loopback port, only with one instance. Default: a unix socket if `run` or `env` names `$SOCKET`, else a free
    /// port given as `$PORT`. Of a container: the port inside, with any number of instances; default: the only one that its image exposes.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i64>,
    /// `false`: the app does not listen (a worker). Default: `true`.
    pub listen: Option<bool>,
    /// How requests are spread over its instances: `least-requests` or `round-robin`. Default: `least-requests`.
    pub balance: Option<BalanceFile>,
    /// Most requests in flight for each instance; more wait at the edge. With 1 no connection is kept. Default: no bound.
    #[schemars(range(min = 1, max = 1000000))]
    pub concurrency: Option<i64>,
    /// A client's requests go to the instance that had its first one: `{ cookie = "NAME" }`. Default: each goes where it fits.
    pub sticky: Option<StickyFile>,
    /// Time over which an instance that became ready gets its full share of requests. Default: at once.
    pub slow_start: Option<DurationText>,
    /// When an instance is left alone because requests fail there: `false`, or a table. Default: after 5 failures in a row,
    /// for `10s`.
    pub circuit: Option<CircuitFile>,
    /// Most requests that are sent again, in percent of those that came; ten each second always may. Default: 20.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<i64>,
    /// The app speaks HTTP/2 without TLS (h2c, with prior knowledge), gRPC for example. Default: `false`.
    pub http2: Option<bool>,
    /// Where requests wait while no instance can take them: how many, or a table with the bounds; `0` or `false`: none waits.
    /// Default: 1000 requests, 64 MiB of memory, 30 seconds.
    pub hold: Option<HoldFile>,
    /// Folders below the manifest's that exist and belong to the app's user before it starts.
    pub writable: Option<OneOrMany>,
    /// Apps and services that must be ready before this one starts, or a table that says for each what is waited for; they are
    /// stopped after it.
    pub needs: Option<NeedsFile>,
    /// How health is found out: a path to `GET`, or a table. Default: connecting to the instance.
    pub health: Option<HealthFile>,
    /// When an instance that ended is started again: `always`, `on-failure`, `never`, or a table. Default: `always`.
    pub restart: Option<RestartFile>,
    /// How an instance is stopped.
    pub stop: StopFile,
    /// When an instance in good health is replaced. Default: never.
    pub recycle: Option<RecycleFile>,
    /// What an instance may use. Default: what there is.
    pub resources: ResourcesFile,
    /// Signal that has its main process load its configuration anew: `HUP`. Sent by `mainstay signal NAME`.
    pub reload: Option<String>,
    /// System user it runs as, when Mainstay was started as root.
    pub user: Option<String>,
    /// Group it runs as, when Mainstay was started as root. Default: its user's own.
    pub group: Option<String>,
    /// It can change no file but below its state folder, `writable` and `tmpfs`. Default: `false`.
    pub read_only: Option<bool>,
    /// Folders in memory, its own and gone with it: `["/tmp:noexec,size=100m"]`.
    pub tmpfs: Option<TmpfsFile>,
    /// Capabilities that it gets beyond what its user has: `NET_BIND_SERVICE`, see capabilities(7).
    pub cap_add: Option<OneOrMany>,
    /// Capabilities that it can never get; `ALL` of them.
    pub cap_drop: Option<OneOrMany>,
    /// It may gain rights by executing a set-user-id program such as `sudo`. Default: `false` where Mainstay was started as root and the
    /// app runs as another user, else `true`.
    pub new_privileges: Option<bool>,
    /// Landlock and seccomp: system calls that no web app needs are refused. Default: `true` where the app says anything else about what
    /// it is kept from (`group` to `new_privileges = false`).
    pub sandbox: Option<bool>,
    /// How much of its output is kept.
    pub logs: LogsFile,
}

/// Whom an app waits for.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Needs")]
pub enum NeedsFile {
    /// One.
    One(String),
    /// Any number.
    Many(Vec<String>),
    /// By name, and until when.
    How(BTreeMap<String, NeedFile>),
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Need")]
pub enum NeedFile {
    /// That it takes requests and its health check succeeds.
    Healthy,
    /// That its program runs.
    Started,
    /// That its program has ended with status 0.
    Completed,
}

/// How many instances.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Instances")]
pub enum InstancesFile {
    /// So many.
    Number(#[schemars(range(min = 1, max = 1000))] i64),
    /// As many as the machine's cores ask for.
    Preset(PresetFile),
    /// As many as what is asked of the app takes.
    Range(RangeFile),
}

/// Bounds of a number of instances that follows what is asked of the app.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "InstancesTable")]
pub struct RangeFile {
    /// Fewest; 0: none runs once nothing was asked of the app for `idle`, and the next request starts one. Default: 1.
    #[schemars(range(min = 0, max = 1000))]
    pub min: Option<i64>,
    /// Most. Default: `min`, at least 1.
    #[schemars(range(min = 1, max = 1000))]
    pub max: Option<i64>,
    /// Requests in flight for each instance that are aimed at. Without it there are `max`, or none.
    #[schemars(range(min = 1, max = 100000))]
    pub target: Option<i64>,
    /// Time with less to do after which one instance goes. Default: `10m`.
    pub idle: Option<DurationText>,
}

/// A number of instances, of one worker each, that follows the machine's cores.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Preset")]
pub enum PresetFile {
    /// The same as `cpu`.
    Auto,
    /// For apps that compute: cores * 2 + 1.
    Cpu,
    /// For apps that wait for others: cores * 4.
    Io,
    /// For apps that hold much memory: one for each core, from 2 to 4.
    Memory,
}

/// A value of the environment.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EnvValue")]
pub enum EnvFileValue {
    /// As it is.
    Text(String),
    /// Written out in decimal.
    Integer(i64),
    /// As it is written.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Masked wherever it would be shown.
    Secret(EnvSecretFile),
}

/// A secret value of the environment: exactly one of `file`, `secret` and `generate`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "EnvSecret")]
pub struct EnvSecretFile {
    /// File that holds the value, relative to the manifest; one trailing newline is removed.
    pub file: Option<String>,
    /// The value, usually from a variable: `${TOKEN}`.
    pub secret: Option<String>,
    /// So many random bytes, written in hexadecimal: made at the first start, and kept.
    #[schemars(range(min = 8, max = 128))]
    pub generate: Option<i64>,
}

/// A secret value: exactly one of `file` and `secret`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Secret")]
pub struct SecretFile {
    /// File that holds the value, relative to the manifest; one trailing newline is removed.
    pub file: Option<String>,
    /// The value, usually from a variable: `${TOKEN}`.
    pub secret: Option<String>,
}

/// A path to `GET`, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Health")]
pub enum HealthFile {
    /// Short for `{ path = "…" }`.
    Path(String),
    /// All of it.
    Table(HealthTable),
}

/// How health is found out: at most one of `path`, `tcp` and `command`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "HealthTable")]
pub struct HealthTable {
    /// `GET` this path; healthy when the status is 2xx or 3xx.
    pub path: Option<String>,
    /// Connect to the instance. This is the default; `false`: it is healthy while its process lives, as what takes nothing but
    /// datagrams.
    pub tcp: Option<bool>,
    /// Run this in the app's folder and environment; healthy when it exits with 0.
    pub command: Option<OneOrMany>,
    /// Time between two tries. Default: `10s`.
    pub interval: Option<DurationText>,
    /// Longest time of one try. Default: `5s`.
    pub timeout: Option<DurationText>,
    /// Failures in a row until an instance is unhealthy. Default: 3; of a server elsewhere: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub retries: Option<i64>,
    /// Time a starting instance has to become ready. Default: `60s`.
    pub start_period: Option<DurationText>,
}

/// A policy, or a table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Restart")]
pub enum RestartFile {
    /// Short for `{ policy = "…" }`.
    Policy(PolicyFile),
    /// All of it.
    Table(RestartTable),
}

/// After which ends an instance is started again.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RestartPolicy")]
pub enum PolicyFile {
    /// After every end.
    Always,
    /// After every end but exit status 0.
    OnFailure,
    /// Never.
    Never,
}

/// When an instance that ended is started again.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RestartTable")]
pub struct RestartTable {
    /// After which ends. Default: `always`.
    pub policy: Option<PolicyFile>,
    /// Time before the first start again; doubles with each unstable end. Default: `1s`.
    pub delay: Option<DurationText>,
    /// Longest such time. Default: `60s`.
    pub max_delay: Option<DurationText>,
    /// An instance that lived as long as this ends the count of unstable ends. Default: `10s`.
    pub min_uptime: Option<DurationText>,
    /// Unstable ends in a row until the instance is `failed` and not started again. Default: 10.
    #[schemars(range(min = 0, max = 1000000))]
    pub max_restarts: Option<i64>,
}

/// How an instance is stopped.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Stop")]
pub struct StopFile {
    /// Signal its main process gets first. Default: `SIGTERM`.
    pub signal: Option<String>,
    /// Time until every process of the instance gets SIGKILL. Default: `30s`.
    pub timeout: Option<DurationText>,
    /// Time that requests in flight have, before that, to end by themselves. Default: `30s`.
    pub drain: Option<DurationText>,
}
