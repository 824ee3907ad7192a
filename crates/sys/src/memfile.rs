//! Sealed memory files: bytes handed to another process that nobody can change any more.

use rustix::fs::{MemfdFlags, SealFlags};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

fn seals() -> SealFlags {
    SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL
}

/// A memory file that holds `bytes`, sealed. `name` is seen in `/proc/<pid>/fd`.
pub fn create(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, seals())?;
    Ok(file.into())
}

/// All bytes of a memory file. `InvalidData` when it is not sealed (its sender could still change it) or over `max`.
/// Leaves the file offset alone, which all holders of the descriptor share.
pub fn read(fd: &impl AsFd, max: usize) -> io::Result<Vec<u8>> {
    let sealed = rustix::fs::fcntl_get_seals(fd).map(|s| s.contains(seals())).unwrap_or(false);
    if !sealed {
        return Err(io::Error::new(ErrorKind::InvalidData, "not a sealed memory file"));
    }
    let file = File::from(fd.as_fd().try_clone_to_owned()?);
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if size > max {
        let text = format!("memory file of {size} bytes, at most {max} are taken");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_again() {
        let fd = create("test", b"hello").unwrap();
        assert_eq!(read(&fd, 5).unwrap(), b"hello");
        assert_eq!(read(&fd, 5).unwrap(), b"hello");
    }

    #[test]
    fn nobody_can_change_it() {
        let fd = create("test", b"hello").unwrap();
        let mut file = File::from(fd.try_clone().unwrap());
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
    }

    #[test]
    fn too_long_or_unsealed_is_refused() {
        let fd = create("test", b"hello").unwrap();
        assert_eq!(read(&fd, 4).unwrap_err().kind(), ErrorKind::InvalidData);
        let plain = tempfile::tempfile().unwrap();
        assert_eq!(read(&plain, 100).unwrap_err().kind(), ErrorKind::InvalidData);
        let open = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
        assert_eq!(read(&open, 100).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
