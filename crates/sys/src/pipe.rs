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
