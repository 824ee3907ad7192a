//! How the instances of an app live: health, restarts, stops, output.

use crate::redact::RedactKind;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How health is found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSpec {
    /// What is tried.
    pub probe: Probe,
    /// Time between two tries of a ready instance.
    pub interval: Duration,
    /// Longest time one try may take.
    pub timeout: Duration,
    /// Failures in a row until a ready instance is unhealthy.
    pub retries: u32,
    /// Time a starting instance has to become ready before it counts as failed.
    pub start_period: Duration,
}

/// What a health check tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// `GET` this path; healthy when the status is 2xx or 3xx.
    Http(String),
    /// The same over HTTP/2, of what speaks nothing else.
    Http2(String),
    /// Connect to the instance's address.
    Connect,
    /// Run this command in the app's folder and environment; healthy when it exits with 0.
    Command(Vec<String>),
    /// Nothing: an instance is healthy while its process lives.
    Alive,
}

/// When an instance that ended is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartSpec {
    /// After which ends.
    pub policy: RestartPolicy,
    /// Time before the first start again; doubles with each unstable end.
    pub delay: Duration,
    /// Longest such time.
    pub max_delay: Duration,
    /// An instance that lived as long as this ends the count of unstable ends.
    pub min_uptime: Duration,
    /// Unstable ends in a row until the instance is `failed` and not started again.
    pub max_restarts: u32,
}

/// After which ends an instance is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// After every end but an administrator's stop.
    Always,
    /// After every end but exit status 0 and an administrator's stop.
    OnFailure,
    /// Never.
    Never,
}

/// How an instance is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// The signal its main process gets first, as a number of signal(7).
    pub signal: i32,
    /// Time until every process of the instance gets SIGKILL.
    pub timeout: Duration,
    /// Time that requests in flight have, before that, to end by themselves.
    pub drain: Duration,
}

/// How much output is kept for each instance and stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Size of a file, in bytes, at which the next one is begun.
    pub max_size: u64,
    /// How many full files are kept beside the current one.
    pub keep: u32,
    /// What is masked in it.
    #[serde(default = "crate::redact::default", skip_serializing_if = "crate::redact::is_default")]
    pub redact: Vec<RedactKind>,
    /// The stack's own folder for it ([`StackLogs::dir`]); the keeper fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}
