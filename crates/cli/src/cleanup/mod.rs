//! What a stack no longer owns: found, shown by `cmd/cleanup.rs`, and removed.
//!
//! `folder` is all that touches the disk: folders by descriptor, so that no link and no other file system is ever entered, whatever
//! others do to the tree meanwhile. `guard` says what never goes. `find` lists, `remove` removes what was listed and nothing
//! else, and asks the guard again on its way down.

mod find;
mod folder;
mod guard;
mod remove;
#[cfg(test)]
mod tests;

pub use find::{Found, Plan, Stays, find};
pub use folder::{Folder, Kind};
pub use guard::Guard;
pub use remove::remove;

use globset::{GlobBuilder, GlobMatcher};

/// Deepest folder that is entered: each level holds a descriptor.
const DEEPEST: usize = 128;

/// A name or a pattern of the manifest, relative to the stack's folder.
#[derive(Debug)]
struct Pattern {
    glob: GlobMatcher,
    /// It ends in `/`.
    folder: bool,
    /// It stands for one name.
    plain: bool,
    /// How many folders deep it can match.
    depth: usize,
}

impl Pattern {
    /// Nothing of what is no pattern: the manifest was checked before.
    fn new(text: &str) -> Option<Self> {
        let name = text.strip_suffix('/').unwrap_or(text);
        Some(Self {
            glob: GlobBuilder::new(name).literal_separator(true).build().ok()?.compile_matcher(),
            folder: name.len() < text.len(),
            plain: !name.contains(['*', '?', '[', '{', '\\']),
            depth: if name.contains("**") { DEEPEST } else { name.split('/').count() },
        })
    }
}
