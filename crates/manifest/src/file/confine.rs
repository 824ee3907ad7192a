//! What an app is kept from, and what its instances may use.

use super::SizeText;
use schemars::JsonSchema;
use serde::Deserialize;

/// What an instance may use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Resources")]
pub struct ResourcesFile {
    /// Memory of all its processes; over it, it is ended at once, and restarted as after a crash.
    pub memory: Option<SizeText>,
    /// Processors: `1.5` is the time of one and a half.
    pub cpus: Option<CpusFile>,
    /// Processes and threads: more cannot be started.
    #[schemars(range(min = 1, max = 4194304))]
    pub pids: Option<i64>,
    /// What each instance is counted with when a stack starts: a stack that reserves more than the host has is refused.
    pub reserve: Option<ReserveFile>,
}

/// What is kept free for each instance, in the books: nobody is held to it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Reserve")]
pub struct ReserveFile {
    /// Memory.
    pub memory: Option<SizeText>,
    /// Processors.
    pub cpus: Option<CpusFile>,
}

/// A number of processors, also a part of one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Cpus")]
pub enum CpusFile {
    /// Whole ones.
    Whole(i64),
    /// With a fraction.
    Part(f64),
}

/// One folder in memory, or several.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Tmpfs")]
pub enum TmpfsFile {
    /// One: `"/tmp:noexec,size=100m"`.
    One(String),
    /// Several.
    Many(Vec<TmpfsItemFile>),
}

/// A folder in memory.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TmpfsItem")]
pub enum TmpfsItemFile {
    /// Path, and options of mount(8) behind a colon: `"/tmp:noexec,nosuid,size=100m"`.
    Text(String),
    /// The same as a table.
    Table(TmpfsTable),
}

/// A folder in memory.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TmpfsTable", extend("required" = ["target"]))]
pub struct TmpfsTable {
    /// Absolute path.
    pub target: Option<String>,
    /// Most that fits in. Default: half of the host's memory.
    pub size: Option<SizeText>,
    /// Permissions, as chmod(1) has them. Default: `"1777"`.
    pub mode: Option<String>,
    /// Nothing in it can be executed. Default: `false`.
    pub noexec: Option<bool>,
    /// Set-user-id has no effect there. Default: `true`.
    pub nosuid: Option<bool>,
    /// Devices have no effect there. Default: `true`.
    pub nodev: Option<bool>,
}
