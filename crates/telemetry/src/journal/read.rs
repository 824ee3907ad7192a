//! Reading journals: the last lines of several files, merged by time, then what comes after them.
//!
//! A source is read as a chain of files, oldest first: `path.N` … `path.1`, `path`. Open descriptors name the files
//! of the chain, so that renames under the reader do no harm; a chain is taken again if `path` changed while it was
//! being taken. The file that a reader has reached is finished when `path` names another one.

use super::{Record, Stream};
use crate::rotate::sibling;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const BLOCK: usize = 64 * 1024;
/// A line of a foreign file longer than this is cut.
const LONGEST: usize = 1 << 20;
/// Most bytes read of one source in one call, so that no reader holds whole logs in memory.
const MOST: usize = 16 << 20;

/// A journal file and what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Such as `app.0`.
    pub label: String,
    /// Which output it holds.
    pub stream: Stream,
    /// The file; it need not exist yet.
    pub path: PathBuf,
}

/// The last `n` lines of all sources together, by time. At most 16 MiB of each source are read.
pub fn tail(sources: &[Source], n: usize) -> io::Result<Vec<Record>> {
    Ok(Follower::start(sources, n)?.1)
}

/// Reads on in several journals where the last call stopped.
#[derive(Debug)]
pub struct Follower {
    readers: Vec<Reader>,
}

impl Follower {
    /// The last `n` lines of all sources together, by time, and a follower that begins right after them.
    pub fn start(sources: &[Source], n: usize) -> io::Result<(Follower, Vec<Record>)> {
        let mut readers = Vec::new();
        let mut records = Vec::new();
        for source in sources {
            let (reader, last) = Reader::start(source.clone(), n)?;
            readers.push(reader);
            records.extend(last);
        }
        records.sort_by_key(|r| r.time);
        records.drain(..records.len().saturating_sub(n));
        Ok((Follower { readers }, records))
    }

    /// Adds a source, from its first line on.
    pub fn add(&mut self, source: Source) {
        self.readers.push(Reader::new(source));
    }

    /// What came since the last call, by time; empty when nothing did. Never waits: call it every few hundred
    /// milliseconds. Rotations between two calls lose nothing as long as fewer than `keep` files were filled.
    pub fn poll(&mut self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for reader in &mut self.readers {
            reader.read_on(&mut records)?;
        }
        records.sort_by_key(|r| r.time);
        Ok(records)
    }
}

/// A file that is being read.
#[derive(Debug)]
struct Part {
    file: File,
    inode: (u64, u64),
    offset: u64,
}

impl Part {
    fn open(path: &Path) -> io::Result<Option<Part>> {
        match File::open(path) {
            Ok(file) => {
                let meta = file.metadata()?;
                Ok(Some(Part { file, inode: (meta.dev(), meta.ino()), offset: 0 }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

#[derive(Debug)]
struct Reader {
    source: Source,
    current: Option<Part>,
    /// Younger files of the chain that were there when `current` was found to be finished.
    younger: VecDeque<Part>,
    partial: Vec<u8>,
    /// Of the last line that had a time; lines without one (a foreign file) get it too.
    time: jiff::Timestamp,
}

impl Reader {
    fn new(source: Source) -> Self {
        let time = jiff::Timestamp::UNIX_EPOCH;
        Reader { source, current: None, younger: VecDeque::new(), partial: Vec::new(), time }
    }

    fn start(source: Source, n: usize) -> io::Result<(Reader, Vec<Record>)> {
        let mut reader = Reader::new(source);
        let mut chain = chain(&reader.source.path)?;
        let mut blocks = VecDeque::new();
        let (mut lines, mut bytes) = (0, 0);
        let mut cut = false;
        for (age, part) in chain.iter_mut().rev().enumerate() {
            let mut end = part.file.metadata()?.len();
            if age == 0 {
                end = last_line_end(&part.file, end)?;
                part.offset = end;
            }
            while end > 0 && lines <= n && bytes < MOST {
                let start = end.saturating_sub(BLOCK as u64);
                let mut block = vec![0; (end - start) as usize];
                part.file.read_exact_at(&mut block, start)?;
                lines += block.iter().filter(|b| **b == b'\n').count();
                bytes += block.len();
                blocks.push_front(block);
                end = start;
            }
            cut |= end > 0;
            if cut {
                break;
            }
        }
        let text = Vec::from(blocks).concat();
        let mut all: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
        if cut && !all.is_empty() {
            all.remove(0); // a block begins anywhere in a line
        }
        let last = all.get(all.len().saturating_sub(n)..).unwrap_or_default();
        let records = last.iter().map(|line| reader.record(line)).collect();
        reader.current = chain.pop_back();
        Ok((reader, records))
    }

    fn read_on(&mut self, records: &mut Vec<Record>) -> io::Result<()> {
        let mut budget = MOST;
        loop {
            if self.current.is_none() {
                self.younger = chain(&self.source.path)?;
                self.current = self.younger.pop_front();
            }
            if self.current.is_none() {
                return Ok(());
            }
            // Asked before reading: a file that is not `path` any more is never written again.
            let finished = !self.younger.is_empty() || self.is_rotated()?;
            self.read_current(&mut budget, records)?;
            if budget == 0 || !finished {
                return Ok(());
            }
            if !self.partial.is_empty() {
                let line = std::mem::take(&mut self.partial);
                records.push(self.record(&line));
            }
            self.advance()?;
        }
    }

    fn is_rotated(&self) -> io::Result<bool> {
        match (std::fs::metadata(&self.source.path), &self.current) {
            (Ok(meta), Some(part)) => Ok((meta.dev(), meta.ino()) != part.inode),
            // Between the two renames of a rotation, or removed by hand: ask again later.
            _ => Ok(false),
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.younger.is_empty() {
            self.younger = chain(&self.source.path)?;
            let inode = self.current.as_ref().map(|p| p.inode);
            // If it has left the chain already, all that are left are younger.
            if let Some(at) = self.younger.iter().position(|p| Some(p.inode) == inode) {
                self.younger.drain(..=at);
            }
        }
        self.current = self.younger.pop_front();
        Ok(())
    }

    fn read_current(&mut self, budget: &mut usize, records: &mut Vec<Record>) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        while *budget > 0 {
            let Some(part) = &mut self.current else { return Ok(()) };
            if part.file.metadata()?.len() < part.offset {
                part.offset = 0; // truncated in place
                self.partial.clear();
            }
            let n = part.file.read_at(&mut block, part.offset)?;
            if n == 0 {
                return Ok(());
            }
            part.offset += n as u64;
            *budget = budget.saturating_sub(n);
            self.partial.extend_from_slice(block.get(..n).unwrap_or_default());
            let whole = self.partial.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let rest = self.partial.split_off(whole);
            let lines = std::mem::replace(&mut self.partial, rest);
            records.extend(lines.split_inclusive(|b| *b == b'\n').map(|line| self.record(line)));
            if self.partial.len() > LONGEST {
                let line = std::mem::take(&mut self.partial);
                records.push(self.record(&line));
            }
        }
        Ok(())
    }

    fn record(&mut self, line: &[u8]) -> Record {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (time, continued, text) = match parse(line) {
            Some(parsed) => parsed,
            None => (self.time, false, line),
        };
        self.time = time;
        Record {
            time,
            source: self.source.label.clone(),
            stream: self.source.stream,
            text: String::from_utf8_lossy(text).into_owned(),
            continued,
        }
    }
}

fn parse(line: &[u8]) -> Option<(jiff::Timestamp, bool, &[u8])> {
    let at = line.iter().take(40).position(|b| *b == b'Z')?;
    let time = std::str::from_utf8(line.get(..=at)?).ok()?.parse().ok()?;
    let (mark, text) = line.get(at + 1..)?.split_first()?;
    matches!(mark, b' ' | b'+').then_some((time, *mark == b'+', text))
}

/// All files of a journal, oldest first.
fn chain(path: &Path) -> io::Result<VecDeque<Part>> {
    let mut chain = VecDeque::new();
    for _ in 0..100 {
        chain.clear();
        chain.extend(Part::open(path)?);
        for n in 1.. {
            let Some(part) = Part::open(&sibling(path, n))? else { break };
            chain.push_front(part);
        }
        let now = Part::open(path)?.map(|p| p.inode);
        if now.is_some() && chain.back().map(|p| p.inode) == now {
            break;
        }
        if now.is_none() && chain.is_empty() {
            break;
        }
    }
    Ok(chain)
}

/// Offset after the last line end before `end`.
fn last_line_end(file: &File, mut end: u64) -> io::Result<u64> {
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let mut block = vec![0; (end - start) as usize];
        file.read_exact_at(&mut block, start)?;
        if let Some(at) = block.iter().rposition(|b| *b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
