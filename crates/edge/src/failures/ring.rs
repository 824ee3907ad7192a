//! The files in which failures are kept: two rings ([`wire::failure::Ring`]) of segments, written by the access log's thread.
//!
//! ```text
//! first failure ─▶ a new segment ─ an hour or a 24th of the ring ─▶ the next one; the oldest go: by age, by size, by number
//! ```
//! An edge writes only files that it made itself, so two of them can write into one folder, and what a former one left stays until it
//! is too old. A write the disk refuses is cut away again and counted; the count stands in the ring as soon as there is room
//! ([`wire::failure::Lost`]).

use super::epoch_ms;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use wire::failure::{AGE, Failure, Lost, Ring};

/// A segment is left after this time, so that a ring forgets by the hour.
const SEGMENT_AGE: Duration = Duration::from_secs(3600);
/// Segments of a full ring.
const SEGMENTS: u64 = 24;
/// Segments at most, however small: each restart of an edge may leave one.
const MOST: usize = 500;
/// Time between two looks for what is too old.
const LOOK: Duration = Duration::from_secs(600);

/// Both rings.
#[derive(Debug)]
pub struct Rings {
    folder: PathBuf,
    pid: u32,
    segments: [Option<Segment>; 2],
    /// Bytes that each ring may hold.
    sizes: [u64; 2],
    /// Failures that are not in it.
    lost: u64,
    failing: bool,
    looked: Option<Instant>,
}

/// The file that is written.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    size: u64,
    begun: Instant,
}

impl Rings {
    /// In this folder, which is made when the first failure comes.
    pub fn new(folder: PathBuf) -> Self {
        let sizes = Ring::ALL.map(Ring::size);
        Self {
            folder,
            pid: std::process::id(),
            segments: [None, None],
            sizes,
            lost: 0,
            failing: false,
            looked: None,
        }
    }

    /// Writes what came; `missed` more did not get here.
    pub fn write(&mut self, failures: &[Failure], missed: u64) {
        self.lost += missed;
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.prune();
        }
        for (place, ring) in Ring::ALL.into_iter().enumerate() {
            let mine: Vec<&Failure> = failures.iter().filter(|failure| failure.ring() == ring).collect();
            let tells = ring == Ring::Errors && self.lost > 0;
            if mine.is_empty() && !tells {
                continue;
            }
            let mut lines = Vec::new();
            let lost = Lost { lost: self.lost, at_ms: epoch_ms(SystemTime::now()) };
            // Neither can fail: plain texts and numbers.
            if tells && serde_json::to_writer(&mut lines, &lost).is_ok() {
                lines.push(b'\n');
            }
            for failure in &mine {
                if serde_json::to_writer(&mut lines, failure).is_ok() {
                    lines.push(b'\n');
                }
            }
            let written = self.append(place, ring, &lines);
            match &written {
                Ok(()) if tells => self.lost = 0,
                Ok(()) => {}
                Err(_) => self.lost += mine.len() as u64,
            }
            self.report(written);
        }
    }

    /// Says once that it fails, and once that it works again.
    fn report(&mut self, written: io::Result<()>) {
        let fails = written.is_err();
        if let (Err(error), false) = (&written, self.failing) {
            tracing::error!(%error, folder = %self.folder.display(), "failed requests cannot be written down");
        }
        self.failing = fails;
    }

    fn append(&mut self, place: usize, ring: Ring, lines: &[u8]) -> io::Result<()> {
        let most = self.sizes.get(place).copied().unwrap_or_default() / SEGMENTS;
        let current = self.segments.get(place).and_then(Option::as_ref);
        let fits = current.is_some_and(|segment| {
            let room = segment.size == 0 || segment.size + lines.len() as u64 <= most;
            // Somebody may have emptied the folder.
            room && segment.begun.elapsed() < SEGMENT_AGE && segment.path.exists()
        });
        if !fits {
            let made = self.begin(ring)?;
            if let Some(slot) = self.segments.get_mut(place) {
                *slot = Some(made);
            }
            self.prune();
        }
        let Some(Some(segment)) = self.segments.get_mut(place) else { return Ok(()) };
        if let Err(error) = segment.file.write_all(lines) {
            // What was written of it is half a line.
            let _ = segment.file.set_len(segment.size);
            return Err(error);
        }
        segment.size += lines.len() as u64;
        Ok(())
    }

    fn begin(&self, ring: Ring) -> io::Result<Segment> {
        DirBuilder::new().recursive(true).mode(0o750).create(&self.folder)?;
        let now = epoch_ms(SystemTime::now());
        // A second one within a millisecond takes the next.
        for begun in now..now.saturating_add(1000) {
            let path = self.folder.join(ring.file(begun, self.pid));
            match OpenOptions::new().append(true).create_new(true).mode(0o640).open(&path) {
                Ok(file) => return Ok(Segment { file, path, size: 0, begun: Instant::now() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Removes what is too old, or too much, but never what this edge writes.
    fn prune(&mut self) {
        self.looked = Some(Instant::now());
        for (ring, size) in Ring::ALL.into_iter().zip(self.sizes) {
            let mut kept: Vec<(u64, PathBuf, u64)> = Vec::new();
            for (begun, path) in files(&self.folder, ring) {
                let Ok(found) = path.symlink_metadata() else { continue };
                let is_old = found.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > AGE));
                if is_old && !self.is_own(&path) {
                    remove(&path);
                } else {
                    kept.push((begun, path, found.len()));
                }
            }
            // Room for what this edge and, during an upgrade, another one write now.
            let budget = size - size / SEGMENTS * 2;
            let mut total: u64 = kept.iter().map(|(_, _, length)| length).sum();
            let mut count = kept.len();
            for (_, path, length) in kept.iter().filter(|(_, path, _)| !self.is_own(path)) {
                if total <= budget && count <= MOST {
                    break;
                }
                remove(path);
                total -= length;
                count -= 1;
            }
        }
    }

    fn is_own(&self, path: &Path) -> bool {
        self.segments.iter().flatten().any(|segment| segment.path == path)
    }
}

/// Files of a ring, the oldest first.
fn files(folder: &Path, ring: Ring) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mine =
        |path: PathBuf| Ring::of_file(&path).filter(|(of, _)| *of == ring).map(|(_, begun)| (begun, path));
    let mut files: Vec<(u64, PathBuf)> = paths.filter_map(mine).collect();
    files.sort();
    files
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "an old file of failures cannot be removed");
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
