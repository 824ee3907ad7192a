//! Formats of other programs, read into the tree of a manifest: so they are checked, explained and run like one.
//!
//! ```text
//! compose files ─ compose::load ─▶ one merged tree ─ compose::map ─▶ the tree of a manifest ─▶ shape ─▶ validate ─▶ StackSpec
//! ```
//! Every node keeps its span in the file it came from, so whatever complains later points into the user's own file.

pub mod compose;
pub mod print;
pub mod traefik;
pub mod yaml;
