//! Output of applications on disk, one file for each instance and stream, and the way back.
//!
//! Each line of a file is
//!
//! ```text
//! 2026-11-21T07:30:00.123456Z text of the application, as it came
//! 2026-11-21T07:30:00.123456Z+what went on after the first 16 KiB of that line
//! ```
//!
//! with the time (UTC, microseconds) at which it was read from the application. Invalid UTF-8 and control
//! characters stand in the file as they came; a reader that shows them on a terminal must mask them.
//!
//! - [`LineWriter`]: raw chunks of a pipe → lines of a file.
//! - [`tail`], [`Follower`]: the last lines of several files, merged by time, and what comes after them, without loss
//!   or repetition through any number of rotations.

mod read;
mod write;

pub use read::{Follower, Source, tail};
pub use write::{LineWriter, MAX_LINE};

use serde::{Deserialize, Serialize};

/// Which of an application's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One line an application wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was read from the application.
    pub time: jiff::Timestamp,
    /// Label of the [`Source`].
    pub source: String,
    /// Which output.
    pub stream: Stream,
    /// The text without its line end; what was no UTF-8 is replaced by U+FFFD.
    pub text: String,
    /// It goes on with the line before it, which was longer than [`MAX_LINE`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
}

#[cfg(test)]
#[path = "journal/tests.rs"]
mod tests;
