//! A folder that goes with all that is in it, which may be somebody's who wants root to remove something else, or to fail at it.
//!
//! By descriptor, step by step; no link is followed. Depth costs neither descriptors nor stack: what lies too deep is moved to the top
//! first, and goes with the next pass.

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Levels that are gone down at once. Each holds two descriptors.
const DEEPEST: usize = 32;
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a folder and all that is in it, whoever it belongs to; that it is not there is no error. Never follows a link, and never
/// leaves the folder (`openat`, `unlinkat`): what is in it may be somebody's who changes it meanwhile.
///
/// # Errors
/// When the system refuses.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let top = match enter(rustix::fs::CWD, path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    loop {
        let mut moved = false;
        empty(&top, &top, 1, &mut moved)?;
        match std::fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && moved => {}
            other => return other,
        }
    }
}

/// Opens a folder, as one that can be emptied: whoever is not root cannot empty a folder of his own that he cannot write into. Module
/// caches are such.
fn enter(above: impl std::os::fd::AsFd, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd> {
    let is_root = crate::user::is_root();
    let folder = match rustix::fs::openat(&above, name, FLAGS, Mode::empty()) {
        Err(Errno::ACCESS) if !is_root => {
            // A link in its place gives nothing away: not root.
            rustix::fs::chmodat(&above, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(&above, name, FLAGS, Mode::empty())?
        }
        other => other?,
    };
    if !is_root {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

/// Empties a folder that is so deep below the top, or moves what is too deep to the top.
fn empty(folder: &OwnedFd, top: &OwnedFd, depth: usize, moved: &mut bool) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {} // it is a folder: Linux says the one, POSIX the other
            Err(error) => return Err(error.into()),
        }
        let inner = enter(folder, name)?;
        if depth < DEEPEST {
            empty(&inner, top, depth + 1, moved)?;
            match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            // A name that nobody can have taken.
            rustix::fs::renameat(folder, name, top, crate::random::hex(16)?)?;
            *moved = true;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{append_to, make};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_folder_goes_with_all_that_is_in_it_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, kept) = (dir.path().join("folder"), dir.path().join("kept"));
        make(&folder.join("locked"), 0o755, None).unwrap();
        make(&kept, 0o755, None).unwrap();
        drop(append_to(&kept.join("file"), 0o600).unwrap());
        drop(append_to(&folder.join("locked/file"), 0o400).unwrap());
        symlink(&kept, folder.join("locked/link")).unwrap();
        std::fs::set_permissions(folder.join("locked"), PermissionsExt::from_mode(0o500)).unwrap();
        remove_all(&folder).unwrap();
        remove_all(&folder).unwrap();
        assert!(!folder.exists() && kept.join("file").exists());
    }

    #[test]
    fn a_folder_of_great_depth_takes_neither_stack_nor_descriptors() {
        const DEPTH: usize = 5000;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let mut at = rustix::fs::open(&folder, FLAGS, Mode::empty()).unwrap();
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            drop(rustix::fs::openat(&at, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap());
            at = rustix::fs::openat(&at, "d", FLAGS, Mode::empty()).unwrap();
        }
        let removal = std::thread::Builder::new().stack_size(128 << 10).spawn(move || remove_all(&folder));
        removal.unwrap().join().unwrap().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
