//! The words of an answer: for `--json`, and for the console.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::failure::{Cause, Failure};

/// What is asked: one request, or the latest failures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    /// The request's id; none: the latest failures.
    pub id: Option<String>,
    /// Only of this app, `app` or `stack/app`.
    pub app: Option<String>,
    /// Only since then: milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// So many at most.
    pub limit: Option<usize>,
}

impl Question {
    /// Whether a failure is one of those.
    pub fn fits(&self, failure: &Failure) -> bool {
        let Some(app) = &self.app else { return true };
        let upstream = failure.upstream.as_deref().unwrap_or_default();
        upstream == app || upstream.split_once('/').is_some_and(|(_, name)| name == app)
    }
}

/// Why a request failed, or that it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The request's id.
    pub id: String,
    /// `failed`, `answered`, `expired`, `unknown`.
    pub found: String,
    /// What happened, in one sentence.
    pub what: String,
    /// What was behind it, in a sentence or two; empty: `what` says it all.
    pub because: String,
    /// What to do.
    pub next: String,
    /// What the edge noted.
    pub failure: Option<Failure>,
    /// The instance where it failed: `stack/app.slot#run`, or the one whose state is the cause.
    pub instance: Option<String>,
    /// Its process id, if it is known.
    pub pid: Option<u32>,
    /// Revision of the stack that the instance is of.
    pub release: Option<u64>,
    /// When that was proposed: RFC 3339, UTC.
    pub release_at: Option<String>,
    /// What happened one after the other.
    pub timeline: Vec<Step>,
    /// The last lines that the instance printed before it happened.
    pub output: Vec<String>,
    /// Of an answered request: its line in the access log.
    pub answered: Option<Value>,
    /// Where it is not found: since when failures are known, RFC 3339, UTC.
    pub reach: Option<String>,
}

/// A moment of [`Why::timeline`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// RFC 3339, UTC, with milliseconds.
    pub at: String,
    /// Milliseconds after the request came; negative: before.
    pub after_ms: i64,
    /// What happened.
    pub text: String,
}

/// A failure in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// RFC 3339, UTC, with milliseconds.
    pub at: String,
    /// The request's id.
    pub id: String,
    /// What was answered.
    pub status: u16,
    /// Why.
    pub cause: Cause,
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Path.
    pub path: String,
    /// Stack and app, or server; none: it did not get so far.
    pub upstream: Option<String>,
    /// The instance where it failed.
    pub instance: Option<String>,
    /// In words.
    pub detail: String,
}

impl Row {
    /// Of a failure.
    pub fn of(failure: &Failure) -> Self {
        let Failure { id, status, cause, method, host, path, upstream, detail, .. } = failure.clone();
        let instance = failure.tries.last().map(|tried| tried.instance.clone());
        Self { at: stamp(failure.at_ms), id, status, cause, method, host, path, upstream, instance, detail }
    }
}

/// RFC 3339, UTC, with milliseconds.
pub fn stamp(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| format!("{at:.3}")).unwrap_or_default()
}
