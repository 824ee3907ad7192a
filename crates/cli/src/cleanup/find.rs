//! Finds what the patterns match, and how much it is. Nothing is changed.

use super::{DEEPEST, Folder, Guard, Kind, Pattern};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// Something that matches, and may go.
#[derive(Debug)]
pub struct Found {
    /// Relative to the stack's folder.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its size, of a folder of all in it, in bytes.
    pub bytes: u64,
    /// How much lies in it, at any depth.
    pub inside: u64,
}

/// Something that stays, or could not be removed, and why.
#[derive(Debug, Serialize)]
pub struct Stays {
    /// Relative to the stack's folder.
    pub path: PathBuf,
    /// The reason.
    pub why: String,
}

/// What was found, each list by path.
#[derive(Debug, Default)]
pub struct Plan {
    /// What goes.
    pub obsolete: Vec<Found>,
    /// What matches and stays.
    pub stays: Vec<Stays>,
}

/// Looks below the stack's folder.
///
/// # Errors
/// When that folder cannot be read; what cannot be read below it stays.
pub fn find(root: &Folder, patterns: &[String], guard: &Guard) -> io::Result<Plan> {
    let patterns: Vec<Pattern> = patterns.iter().filter_map(|text| Pattern::new(text)).collect();
    let deepest = patterns.iter().map(|pattern| pattern.depth).max().unwrap_or(0);
    let mut search = Search { patterns, deepest, guard, plan: Plan::default() };
    search.folder(root, Path::new(""), 1)?;
    let mut plan = search.plan;
    plan.obsolete.sort_by(|a, b| a.path.cmp(&b.path));
    plan.stays.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

struct Search<'a> {
    patterns: Vec<Pattern>,
    deepest: usize,
    guard: &'a Guard,
    plan: Plan,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Folder, at: &Path, depth: usize) -> io::Result<()> {
        for entry in folder.entries()? {
            let path = at.join(&entry.name);
            if self.matches(&path, entry.kind) {
                let total = match (self.guard.why(&path), entry.kind) {
                    (Some(why), _) => Err(why),
                    (None, Kind::Folder) => folder
                        .enter(&entry.name)
                        .map_err(|error| error.to_string())
                        .and_then(|inner| self.total(&inner, &path, depth + 1)),
                    (None, _) => Ok((entry.bytes, 0)),
                };
                match total {
                    Ok((bytes, inside)) => {
                        self.plan.obsolete.push(Found { path, kind: entry.kind, bytes, inside });
                    }
                    Err(why) => self.plan.stays.push(Stays { path, why }),
                }
            } else if entry.kind == Kind::Folder && depth < self.deepest.min(DEEPEST) {
                // where nobody may look, nothing is found; a pattern that matches it would say so
                if let Ok(inner) = folder.enter(&entry.name) {
                    let _ = self.folder(&inner, &path, depth + 1);
                }
            }
        }
        Ok(())
    }

    /// A name stands for whatever has it, a pattern for files, one with a `/` behind it for folders. A link is what it is called.
    fn matches(&self, path: &Path, kind: Kind) -> bool {
        let fits = |pattern: &Pattern| match kind {
            Kind::Link => true,
            Kind::Folder => pattern.folder || pattern.plain,
            Kind::File => !pattern.folder,
        };
        self.patterns.iter().any(|pattern| fits(pattern) && pattern.glob.is_match(path))
    }

    /// Bytes and number of all that lies in it; why it stays where something in it does.
    fn total(&self, folder: &Folder, at: &Path, depth: usize) -> Result<(u64, u64), String> {
        if depth > DEEPEST {
            return Err(format!("deeper than {DEEPEST} folders"));
        }
        let (mut bytes, mut inside) = (0u64, 0u64);
        for entry in folder.entries().map_err(|error| error.to_string())? {
            let path = at.join(&entry.name);
            if self.guard.keeps(&path) {
                return Err(format!("`keep` names {}", path.display()));
            }
            let (below, count) = match entry.kind {
                Kind::Folder => {
                    let inner = folder.enter(&entry.name);
                    let inner = inner.map_err(|error| format!("{} {error}", path.display()))?;
                    self.total(&inner, &path, depth + 1)?
                }
                _ => (entry.bytes, 0),
            };
            bytes = bytes.saturating_add(below);
            inside += 1 + count;
        }
        Ok((bytes, inside))
    }
}
