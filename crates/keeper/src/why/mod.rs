//! Why a request failed: `mainstay why`, and `POST /v1/why` of the control API.
//!
//! ```text
//! id ─▶ ring (home/logs/edge/failures) ─ found ─▶ past (history and releases in the store, output in the logs) ─▶ story ─▶ Why
//!         └─ not there ─▶ access log ─ answered, in one line
//!                            └─ not there either ─▶ expired, or unknown
//! ```
//! Reads files only, so it answers as well when no keeper lives, and takes nothing of the keeper's loop. All of them were masked when they
//! were written; nothing is added that is not in them. Every search has a bound.

mod access;
mod advice;
mod answer;
mod id;
mod past;
mod ring;
mod story;

pub use answer::{Question, Row, Step, Why};
pub use id::time as made_ms;

use crate::home::Home;

/// Failures that are listed without a number.
pub const LISTED: usize = 20;

/// What is known of the request with this id.
pub fn of(home: &Home, id: &str) -> Why {
    let rings = ring::Rings::of(home);
    let made = id::time(id);
    if let Some(failure) = rings.find(id, made) {
        return story::tell(failure, home);
    }
    if let Some(line) = access::find(home, id, made) {
        return story::answered(id, line);
    }
    story::missing(id, made, rings.reach(), rings.lost())
}

/// The latest failures, the newest first.
pub fn list(home: &Home, question: &Question) -> Vec<Row> {
    ring::Rings::of(home).latest(question).iter().map(Row::of).collect()
}
