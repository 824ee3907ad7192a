//! Removes what was found, one thing after the other. What fails is told and the rest goes on.

use super::find::Stays;
use super::{DEEPEST, Folder, Found, Guard, Kind};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// Removes one thing that was found; gives what of it could not be removed.
pub fn remove(root: &Folder, found: &Found, guard: &Guard) -> Vec<Stays> {
    let mut failed = Vec::new();
    if let Err(error) = one(root, found, guard, &mut failed) {
        failed.push(Stays { path: found.path.clone(), why: error.to_string() });
    }
    failed
}

fn one(root: &Folder, found: &Found, guard: &Guard, failed: &mut Vec<Stays>) -> io::Result<()> {
    let mut way: Vec<&OsStr> = found.path.iter().collect();
    let Some(name) = way.pop() else { return Ok(()) };
    let mut above: Option<Folder> = None;
    for step in way {
        above = Some(above.as_ref().unwrap_or(root).enter(step)?);
    }
    entry(above.as_ref().unwrap_or(root), name, &found.path, found.kind, guard, failed)
}

/// Removes one entry, of a folder all that is in it before. `kind`: what it was when it was listed.
fn entry(
    folder: &Folder,
    name: &OsStr,
    path: &Path,
    kind: Kind,
    guard: &Guard,
    failed: &mut Vec<Stays>,
) -> io::Result<()> {
    if let Some(why) = guard.why(path) {
        return Err(io::Error::other(why));
    }
    if path.components().count() > DEEPEST {
        return Err(io::Error::other(format!("deeper than {DEEPEST} folders")));
    }
    if folder.entry(name)?.kind != kind {
        return Err(io::Error::other("is not what it was when it was listed"));
    }
    if kind == Kind::Folder {
        let inner = folder.enter(name)?;
        let before = failed.len();
        for below in inner.entries()? {
            let path = path.join(&below.name);
            if let Err(error) = entry(&inner, &below.name, &path, below.kind, guard, failed) {
                failed.push(Stays { path, why: error.to_string() });
            }
        }
        // it is not empty, and what is left in it was told
        if failed.len() > before {
            return Ok(());
        }
    }
    folder.unlink(name, kind)
}
