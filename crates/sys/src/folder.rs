//! Folders with an owner and a mode.

use rustix::fs::{Gid, Mode, Uid};
use std::io;
use std::path::Path;

/// Makes the folder, and its parents with the same mode, unless it is there; then gives it to `owner` (user, group) and sets
/// the mode. Parents that are there already are left as they are.
///
/// # Errors
/// When the system refuses, or a file of that name is in the way.
pub fn make(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
    if let Some((uid, gid)) = owner {
        rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(())
}
