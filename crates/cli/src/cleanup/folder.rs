//! Folders by descriptor. A name is always one step below an open folder, links are never followed, and a folder of another file
//! system is not entered: what was looked at is what is removed, or nothing is.

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    device: u64,
}

/// What lies in one.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes; 0 of a folder.
    pub bytes: u64,
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, or what is removed like one: a socket, a pipe.
    File,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A folder.
    Folder,
}

/// Flags of every folder that is opened.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    /// Opens the folder where all begins.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, FLAGS, Mode::empty())?;
        let device = rustix::fs::fstat(&fd)?.st_dev;
        Ok(Self { fd, device })
    }

    /// Opens a folder in this one. A link, and a folder of another file system, is an error.
    pub fn enter(&self, name: &OsStr) -> io::Result<Self> {
        one_name(name)?;
        // the kernel also sees mounts of the same file system; an old one, or one that is told not to, knows only the flags
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let fd = match rustix::fs::openat2(&self.fd, name, FLAGS, Mode::empty(), strict) {
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(&self.fd, name, FLAGS, Mode::empty()),
            other => other,
        };
        let fd = fd.map_err(|error| match error {
            Errno::XDEV => elsewhere(),
            Errno::LOOP | Errno::NOTDIR => io::Error::other("is not the folder that it was"),
            error => error.into(),
        })?;
        match rustix::fs::fstat(&fd)?.st_dev {
            device if device == self.device => Ok(Self { fd, device }),
            _ => Err(elsewhere()),
        }
    }

    /// All that lies in it, by name.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            if name != "." && name != ".." {
                // what is gone meanwhile is not there
                entries.extend(self.entry(&name).ok());
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// One of them.
    pub fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        one_name(name)?;
        let stat: Stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::File,
        };
        let bytes = if kind == Kind::Folder { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        Ok(Entry { name: name.to_owned(), kind, bytes })
    }

    /// Removes one of them: a link itself, a folder only when it is empty.
    pub fn unlink(&self, name: &OsStr, kind: Kind) -> io::Result<()> {
        one_name(name)?;
        let flags = if kind == Kind::Folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        Ok(rustix::fs::unlinkat(&self.fd, name, flags)?)
    }
}

/// No path, and not the folder itself or the one above it.
fn one_name(name: &OsStr) -> io::Result<()> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(io::Error::other("is no name")),
        name if name.contains(&b'/') => Err(io::Error::other("is no name")),
        _ => Ok(()),
    }
}

fn elsewhere() -> io::Error {
    io::Error::other("is of another file system")
}
