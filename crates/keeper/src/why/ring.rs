//! Reads the rings of failures that the edge writes ([`wire::failure`]).

use super::answer::Question;
use crate::home::Home;
use crate::keeper::epoch_ms;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use wire::failure::{AGE, FOLDER, Failure, Lost, Ring};

/// Bytes read of one file: no segment is larger.
const LARGEST: u64 = 32 << 20;
/// Failures that are listed at most.
const MOST: usize = 1000;

/// The files there are.
pub struct Rings {
    /// The newest first.
    files: Vec<Segment>,
}

struct Segment {
    ring: Ring,
    begun_ms: u64,
    written_ms: u64,
    size: u64,
    path: PathBuf,
}

impl Rings {
    /// Of this home.
    pub fn of(home: &Home) -> Self {
        let entries = std::fs::read_dir(home.edge_logs().join(FOLDER)).into_iter().flatten().flatten();
        let mut files: Vec<Segment> = entries.filter_map(|entry| Segment::of(entry.path())).collect();
        files.sort_by_key(|segment| std::cmp::Reverse(segment.begun_ms));
        Self { files }
    }

    /// Since when all failures are known, in milliseconds since the Unix epoch: for a day, or as long as a full ring reaches back.
    pub fn reach(&self) -> u64 {
        let age = u64::try_from(AGE.as_millis()).unwrap_or(u64::MAX);
        let full = Ring::ALL.into_iter().filter_map(|ring| {
            let mine = || self.files.iter().filter(|segment| segment.ring == ring);
            let size: u64 = mine().map(|segment| segment.size).sum();
            // One that is full is kept below its size by what is written next.
            mine().map(|segment| segment.begun_ms).min().filter(|_| size >= ring.size() / 2)
        });
        full.fold(epoch_ms().saturating_sub(age), u64::max)
    }

    /// The latest failure with this id; `made`: when the request came, if that is known.
    pub fn find(&self, id: &str, made: Option<u64>) -> Option<Failure> {
        // As it stands in a line: an id holds nothing that JSON would write otherwise.
        let mark = format!("\"id\":\"{id}\"");
        let may_have =
            |segment: &&Segment| made.is_none_or(|made| segment.written_ms.saturating_add(2000) >= made);
        self.files.iter().filter(may_have).find_map(|segment| {
            let text = segment.text();
            let lines = text.lines().rev().filter(|line| line.contains(&mark));
            lines.filter_map(parse).find(|failure| failure.id == id)
        })
    }

    /// The latest that fit, the newest first.
    pub fn latest(&self, question: &Question) -> Vec<Failure> {
        let limit = question.limit.unwrap_or(super::LISTED).min(MOST);
        let since = question.since_ms.unwrap_or_default();
        let mut latest: Vec<Failure> = Vec::new();
        for segment in &self.files {
            let oldest = latest.last().filter(|_| latest.len() >= limit).map_or(since, Failure::ended_ms);
            // Segments of two rings and two edges overlap: only one that ended before all that is listed has nothing to add.
            if segment.written_ms.saturating_add(2000) < oldest {
                continue;
            }
            let text = segment.text();
            let fitting = text.lines().rev().filter_map(parse);
            let fitting = fitting.filter(|failure| failure.at_ms >= since && question.fits(failure));
            latest.extend(fitting.take(limit));
            latest.sort_by_key(|failure| std::cmp::Reverse(failure.ended_ms()));
            latest.truncate(limit);
        }
        latest
    }

    /// How many failures were not written down.
    pub fn lost(&self) -> u64 {
        let texts = self.files.iter().filter(|segment| segment.ring == Ring::Errors).map(Segment::text);
        let lost = |text: String| {
            text.lines()
                .filter_map(|line| serde_json::from_str::<Lost>(line).ok())
                .fold(0, |sum: u64, it| sum.saturating_add(it.lost))
        };
        texts.map(lost).fold(0, u64::saturating_add)
    }
}

impl Segment {
    /// A plain file with the name of a segment.
    fn of(path: PathBuf) -> Option<Self> {
        let (ring, begun_ms) = Ring::of_file(&path)?;
        let meta = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
        let written = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            ring,
            begun_ms,
            written_ms: u64::try_from(written.as_millis()).ok()?,
            size: meta.len(),
            path,
        })
    }

    fn text(&self) -> String {
        read(&self.path)
    }
}

/// What cannot be read (it was removed just now) has nothing in it.
fn read(path: &Path) -> String {
    let bytes = sys::folder::read_plain(path, LARGEST).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line; none: half a one, or no failure.
fn parse(line: &str) -> Option<Failure> {
    serde_json::from_str(line).ok()
}
