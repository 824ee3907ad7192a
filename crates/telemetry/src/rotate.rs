//! An append-only file that rotates by size: `path` → `path.1` → … → `path.<keep>`.
//!
//! Invariants: for a while two processes may write a file (two edges, while one takes over from the other): each write is one
//! `O_APPEND` of whole lines, which the kernel keeps together, and only who holds the file's lock moves it away; the other
//! finds that out before its next lines. Only whole lines are given to it; a file is left
//! behind only after a whole line, so no line is split by a rotation. A file that was seen not to be `path` any more is never
//! written again. A write the disk refuses is lost, counted, and tried again with the next lines; a line torn
//! by it is ended before the next one begins.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries to be the only one who moves a file away.
const LOCK_TRIES: u32 = 20;
/// Between two of them.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// An append-only file that rotates at line ends.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    max_size: u64,
    keep: u32,
    file: File,
    size: u64,
    /// The file ends inside a line.
    torn: bool,
    lost: u64,
}

impl RotatingFile {
    /// Opens `path` for appending (mode 0640 if it is new). It is rotated before it grows over `max_size` bytes,
    /// unless a single line is longer; `keep` full files are kept beside it.
    pub fn open(path: &Path, max_size: u64, keep: u32) -> io::Result<Self> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        let mut last = [b'\n'];
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)?;
        }
        // Its former writer was killed inside a line.
        let torn = last != [b'\n'];
        Ok(RotatingFile { path: path.to_owned(), max_size, keep, file, size, torn, lost: 0 })
    }

    /// Appends whole lines, each with its line end. An error says that some were lost and counted in
    /// [`lost`](Self::lost); the file can be written on.
    pub fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        self.follow();
        let mut rest = lines;
        while !rest.is_empty() {
            let room = self.max_size.saturating_sub(self.size);
            let mut fits = whole_lines(rest, room);
            if fits == 0 {
                if self.size > 0 {
                    self.rotate();
                }
                let first = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
                fits = whole_lines(rest, self.max_size).max(first);
            }
            let (now, later) = rest.split_at(fits);
            if let Err((written, error)) = self.append(now) {
                self.lost += (rest.len() - written) as u64;
                return Err(error);
            }
            rest = later;
        }
        Ok(())
    }

    /// Bytes lost so far because the disk did not take them.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Has everything written reach the disk.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Looks what another writer has done meanwhile: the file may have grown, or been moved away.
    fn follow(&mut self) {
        if self.is_at_path() {
            self.size = self.file.metadata().map_or(self.size, |meta| meta.len());
        } else {
            let _ = self.reopen(); // else what was there is written on
        }
    }

    fn is_at_path(&self) -> bool {
        match (self.file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// Opens `path` anew, after somebody else has moved the file away.
    pub fn reopen(&mut self) -> io::Result<()> {
        *self = RotatingFile { lost: self.lost, ..Self::open(&self.path, self.max_size, self.keep)? };
        Ok(())
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.torn {
            self.append_some(b"\n").map_err(|(_, error)| (0, error))?;
        }
        self.append_some(lines)
    }

    fn append_some(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while let Some(rest @ [_, ..]) = bytes.get(written..) {
            match self.file.write(rest) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(n) => {
                    written += n;
                    self.size += n as u64;
                    self.torn = bytes.get(written - 1) != Some(&b'\n');
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err((written, e)),
            }
        }
        Ok(())
    }

    /// Moves the files on by one, unless another writer just did. If that cannot be done, the present file simply grows on.
    fn rotate(&mut self) {
        // Another writer has it for less than that. Somebody who keeps it is not waited for.
        for _ in 0..LOCK_TRIES {
            if self.file.try_lock().is_ok() {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        if self.is_at_path() {
            self.move_on();
        } else {
            let _ = self.reopen();
        }
        let _ = self.file.unlock(); // closed, the old file is unlocked by itself
    }

    fn move_on(&mut self) {
        if self.torn && self.append_some(b"\n").is_err() {
            return;
        }
        let shifted = if self.keep == 0 {
            std::fs::remove_file(&self.path)
        } else {
            for n in (1..self.keep).rev() {
                let _ = std::fs::rename(sibling(&self.path, n), sibling(&self.path, n + 1));
            }
            std::fs::rename(&self.path, sibling(&self.path, 1))
        };
        if shifted.is_err() {
            return;
        }
        if let Ok(file) = append(&self.path) {
            self.file = file;
            self.size = 0;
        } else if self.keep > 0 {
            // No new file can be made: take the old name back, so that readers still find what is written.
            let _ = std::fs::rename(sibling(&self.path, 1), &self.path);
        }
    }
}

/// Name of the `n`-th older file.
pub(crate) fn sibling(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)
}

/// Length of the whole lines at the start of `bytes` that fit into `room`. Bytes after the last line end count as a
/// line of their own.
fn whole_lines(bytes: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    match bytes.get(..room) {
        None => bytes.len(),
        Some(fitting) if fitting.len() == bytes.len() => bytes.len(),
        Some(fitting) => fitting.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1),
    }
}

#[cfg(test)]
#[path = "rotate_tests.rs"]
mod tests;
