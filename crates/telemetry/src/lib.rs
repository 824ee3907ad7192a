//! What Mainstay and its applications say, on its way to disk and back.
//!
//! - [`rotate`]: an append-only file that rotates by size; everything below is written through it.
//! - [`journal`]: output of applications, a time stamp before each line; reading it back, merged and followed.
//! - [`log`]: diagnostics of keeper and edge themselves.
//! - [`redact`]: what logs do not show.
//!
//! A log is never a reason to fail: what the disk does not take is counted, and the writer goes on.

pub mod journal;
pub mod log;
pub mod redact;
pub mod rotate;
