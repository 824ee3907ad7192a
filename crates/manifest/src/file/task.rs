//! `[task.NAME]`: commands by the clock.

use super::{DurationText, EnvFileValue, LogsFile, NeedsFile, OneOrMany, StopFile};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A command that runs by the clock.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Task", extend("required" = ["schedule", "run"]))]
pub struct TaskFile {
    /// What it is, for people: `status` shows it.
    pub description: Option<String>,
    /// When: the five fields of crontab(5) (minute, hour, day of the month, month, day of the week), a sixth before them for seconds, or
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; in the host's time zone.
    pub schedule: Option<String>,
    /// Command and arguments: a text that is split into words as a shell does, or a list. Never run by a shell.
    pub run: Option<OneOrMany>,
    /// Working folder, relative to the manifest. Default: the manifest's folder.
    pub dir: Option<String>,
    /// Environment beyond what every app gets. Wins over `env_file`.
    pub env: BTreeMap<String, EnvFileValue>,
    /// Files of `KEY=value` lines, relative to the manifest; a later one wins. Their values are masked wherever shown.
    pub env_file: Option<OneOrMany>,
    /// Folders below the manifest's that exist and belong to the task's user before it starts.
    pub writable: Option<OneOrMany>,
    /// Apps and services that must be ready before a run begins.
    pub needs: Option<NeedsFile>,
    /// What becomes of a run that is due while the last one still goes on: `skip`, `wait` (one at most) or `replace`. Default: `skip`.
    pub overlap: Option<OverlapFile>,
    /// What becomes of runs that were due while Mainstay did not run: `report`, or `run` for one that makes up for them. Default: `report`.
    pub missed: Option<MissedFile>,
    /// Longest time of one run. Default: none.
    pub timeout: Option<DurationText>,
    /// How a run is stopped.
    pub stop: StopFile,
    /// System user it runs as, when Mainstay was started as root.
    pub user: Option<String>,
    /// How much of its output is kept.
    pub logs: LogsFile,
}

/// Of two runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Overlap")]
pub enum OverlapFile {
    /// The later one is left out.
    Skip,
    /// The later one begins when the former has ended.
    Wait,
    /// The former one is stopped.
    Replace,
}

/// Of runs that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Missed")]
pub enum MissedFile {
    /// They are reported.
    Report,
    /// One run makes up for them.
    Run,
}
