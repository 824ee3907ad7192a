//! Pipes.

use rustix::pipe::PipeFlags;
use std::io;
use std::os::fd::OwnedFd;

/// A close-on-exec pipe `(read, write)` into which nobody writes: whoever holds the read end sees its end when the
/// last holder of the write end is gone, however that happened.
pub fn lifetime() -> io::Result<(OwnedFd, OwnedFd)> {
    new()
}

/// A close-on-exec pipe: `(read, write)`.
pub fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Gives a pipe to a user and group: who shall open it again by a path (`/dev/stdout`) has to be its owner.
pub fn give(pipe: &OwnedFd, uid: u32, gid: u32) -> io::Result<()> {
    std::os::unix::fs::fchown(pipe, Some(uid), Some(gid))
}
