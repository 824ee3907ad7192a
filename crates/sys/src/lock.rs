//! A lock that lives exactly as long as its holder: `flock` on a file that also tells the holder's pid.
//!
//! The file stays when the lock goes; removing it would let two processes lock two files of the same name.

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// A held lock. The kernel lets it go when this is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl Drop for FileLock {
    /// Closing alone would not do: a child that another thread has just forked holds the same open file until it
    /// executes its program.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl FileLock {
    /// Takes the lock and writes this process's pid into the file; `None` when somebody else holds it.
    pub fn try_acquire(path: &Path) -> io::Result<Option<FileLock>> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // Who can open it can lock it: nobody else may keep its owner from starting.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        // `holder` takes the lock for a moment: a few tries tell it from one who keeps it.
        let mut tries = 0;
        while !try_flock(&file, FlockOperation::NonBlockingLockExclusive)? {
            tries += 1;
            if tries == 4 {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write!(file, "{}", std::process::id())?;
        Ok(Some(FileLock { file }))
    }
}

/// Pid of the process that holds the lock; `None` when nobody does (or it has not written its pid yet).
pub fn holder(path: &Path) -> Option<u32> {
    let mut file = File::open(path).ok()?;
    if try_flock(&file, FlockOperation::NonBlockingLockShared).ok()? {
        return None;
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Pid of a process that holds a record lock (`fcntl`) which forbids writing to the file, as databases lock theirs; `None` when nobody
/// does, or the file is not there. A link is not followed.
pub fn record_holder(path: &Path) -> io::Result<Option<u32>> {
    // The folder is somebody else's, and to open some devices is to do something.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let wanted = Flock::from(FlockType::WriteLock);
    let held = rustix::process::fcntl_getlk(&file, &wanted)?;
    // A lock of another pid namespace has no id here.
    Ok(held.map(|lock| lock.pid.map_or(0, |pid| pid.as_raw_pid().cast_unsigned())))
}

fn try_flock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_hold_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::File::create(&path).unwrap().set_permissions(PermissionsExt::from_mode(0o644)).unwrap();
        let _lock = FileLock::try_acquire(&path).unwrap().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_in_a_lock_files_place_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        File::create(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(record_holder(&file).unwrap(), None);
        assert!(record_holder(&link).is_err());
    }

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(holder(&path), None);
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        assert!(FileLock::try_acquire(&path).unwrap().is_none());
        assert_eq!(holder(&path), Some(std::process::id()));
        drop(lock);
        assert_eq!(holder(&path), None);
        assert!(FileLock::try_acquire(&path).unwrap().is_some());
    }
}
