//! What holds for a stack as a whole: `[logs]`, `[cleanup]`; and how output is kept and masked.

use super::{OneOrMany, SizeText};
use schemars::JsonSchema;
use serde::Deserialize;

/// Logs of the stack.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "StackLogs")]
pub struct StackLogsFile {
    /// Folder of its output files and its access log, absolute or relative to the manifest; made if it is missing. Empty: as if it
    /// was not written. Default: in the home, with everybody's.
    pub dir: Option<String>,
    /// What is masked in its access log, and in the output of apps that say nothing else. Default: `["secrets"]`.
    pub redact: Option<RedactsFile>,
}

/// What the stack does not own any more.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Cleanup")]
pub struct CleanupFile {
    /// Names and patterns, relative to the manifest's folder, of what `mainstay cleanup` removes. A `/` at the end means a folder.
    pub obsolete: Option<OneOrMany>,
    /// The same of what it never removes, even where `obsolete` matches.
    pub keep: Option<OneOrMany>,
}

/// How much output is kept for each instance and stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Logs")]
pub struct LogsFile {
    /// Size of a file at which the next one is begun. Default: `10MB`.
    pub max_size: Option<SizeText>,
    /// How many full files are kept beside the current one. Default: 5.
    #[schemars(range(min = 0, max = 1000))]
    pub keep: Option<i64>,
    /// What is masked in it. Default: `redact` of `[logs]`.
    pub redact: Option<RedactsFile>,
}

/// A kind of text, or a list of them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Redacts")]
pub enum RedactsFile {
    /// One.
    One(RedactFile),
    /// Any number.
    Many(Vec<RedactFile>),
}

/// A kind of text that is masked.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Redact")]
pub enum RedactFile {
    /// Values of the app's own secrets.
    Secrets,
    /// E-mail addresses.
    Email,
    /// Payment card numbers.
    Card,
    /// Telephone numbers in international form.
    Phone,
    /// Network addresses of clients.
    Ip,
    /// Bearer tokens, JSON web tokens, values of parameters whose name says that they are secret.
    Token,
}
