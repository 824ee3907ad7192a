//! The access log's way to the disk, off the request threads.
//!
//! Each worker collects lines in a buffer of its own and hands it, at [`BATCH`] bytes or after [`DELAY`], to one writer
//! thread over a bounded channel. A batch holds whole lines, so several workers cannot interleave inside one. A full
//! channel means that the disk is too slow: the batch is dropped and its lines are counted as lost, nothing waits.
//!
//! Each line has a [`Lane`]: the file it belongs to and what is masked in it, as its site's stack says ([`place`]). What a client
//! sent is masked on the writer thread ([`writer`]).

pub mod place;
pub mod writer;

use arc_swap::ArcSwap;
use model::redact::RedactKind;
use model::site::LogFormat;
pub use place::Lane;
use place::{Lanes, Places};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};
use wire::failure::Failure;
use wire::snapshot::LogPlace;

/// Bytes after which a batch is handed over.
const BATCH: usize = 64 << 10;
/// Failures after which it is, too.
const FAILURES: usize = 256;
/// Time after which it is handed over anyway.
const DELAY: Duration = Duration::from_millis(250);
/// Batches that may wait for the writer: 8 MiB.
const WAITING: usize = 128;
/// Empty buffers that come back to a worker: memory is not freed by another thread than the one that will need it.
const RETURNING: usize = 4;

/// The writer thread's front: cloned into each worker.
#[derive(Clone)]
pub struct AccessLog {
    batches: SyncSender<Batch>,
    lost: Arc<AtomicU64>,
    /// Failures of batches that were dropped, until the ring says so.
    missed: Arc<AtomicU64>,
    /// The form is [`LogFormat::Combined`].
    combined: Arc<AtomicBool>,
    places: Arc<ArcSwap<Places>>,
}

/// Places in a line of what a client sent; the unused ones are empty.
pub type Texts = [Range<usize>; 4];

/// Lines, and whose they are; and failures, which go the same way to files of their own ([`crate::failures`]).
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    failures: Vec<(Lane, Failure)>,
    /// Failures of batches that were dropped before this one.
    missed: u64,
}

/// Lines of one lane, one behind the other.
#[derive(Debug)]
struct Run {
    lane: Lane,
    /// Where they end.
    end: usize,
    lines: u64,
    /// Of the one line, where something is masked.
    texts: Texts,
}

impl Lines {
    /// Adds what was written behind the last run.
    fn add(&mut self, lane: Lane, texts: Texts) {
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.lane == lane && lane.is_plain() => (run.end, run.lines) = (end, run.lines + 1),
            _ => self.runs.push(Run { lane, end, lines: 1, texts }),
        }
    }

    fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.lines).sum()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.failures.clear();
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH || self.failures.len() >= FAILURES
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.failures.is_empty()
    }
}

struct Batch {
    lines: Lines,
    home: SyncSender<Lines>,
}

impl AccessLog {
    /// Starts the writer thread, which gives batches to `append` and is told how many lines were lost; it ends when the last
    /// clone of the front is gone and all is written.
    pub fn start(
        places: Arc<ArcSwap<Places>>,
        mut append: impl FnMut(&Lines) -> u64 + Send + 'static,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (batches, waiting) = sync_channel::<Batch>(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let missed = Arc::<AtomicU64>::default();
        let (lost_ones, missed_ones) = (Arc::clone(&lost), Arc::clone(&missed));
        let log = Self { batches, lost: lost_ones, missed: missed_ones, combined: Arc::default(), places };
        let writer = std::thread::Builder::new().name("access-log".to_owned());
        let writer = writer.spawn(move || {
            for Batch { mut lines, home } in waiting {
                lines.missed = missed.swap(0, Ordering::Relaxed);
                lost.fetch_add(append(&lines), Ordering::Relaxed);
                lines.clear();
                let _ = home.try_send(lines);
            }
        })?;
        Ok((log, writer))
    }

    /// Where lines go from now on, by stack. On one thread only.
    pub fn set_places(&self, logs: &BTreeMap<String, LogPlace>) -> Lanes {
        let (places, lanes) = self.places.load().with(logs);
        self.places.store(Arc::new(places));
        lanes
    }

    /// What is masked where it is not known whose request it was.
    pub fn strictest(&self) -> Vec<RedactKind> {
        self.places.load().strictest.clone()
    }

    /// Form of the lines from now on.
    pub fn set_format(&self, format: LogFormat) {
        self.combined.store(format == LogFormat::Combined, Ordering::Relaxed);
    }

    /// Lines lost since start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn send(&self, batch: Batch) {
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            self.batches.try_send(batch)
        {
            self.lost.fetch_add(batch.lines.count(), Ordering::Relaxed);
            self.missed.fetch_add(batch.lines.failures.len() as u64, Ordering::Relaxed);
        }
    }
}

/// One worker's lines on their way.
pub struct LogBuffer {
    log: AccessLog,
    home: SyncSender<Lines>,
    returned: Receiver<Lines>,
    lines: RefCell<Lines>,
    /// There are some.
    waiting: Cell<bool>,
    clock: RefCell<Clock>,
    began: tokio::sync::Notify,
}

impl LogBuffer {
    /// An empty one.
    pub fn new(log: AccessLog) -> Self {
        let (home, returned) = sync_channel(RETURNING);
        Self {
            log,
            home,
            returned,
            lines: RefCell::default(),
            waiting: Cell::new(false),
            clock: RefCell::new(Clock::new()),
            began: tokio::sync::Notify::new(),
        }
    }

    /// Form of its lines.
    pub fn format(&self) -> LogFormat {
        if self.log.combined.load(Ordering::Relaxed) { LogFormat::Combined } else { LogFormat::Json }
    }

    /// Adds the line that `line` makes; it is given the log's form and a clock, and gives what of it a client sent.
    pub fn write(&self, lane: Lane, line: impl FnOnce(LogFormat, &mut Clock, &mut Vec<u8>) -> Texts) {
        let mut lines = self.lines.borrow_mut();
        let texts = line(self.format(), &mut self.clock.borrow_mut(), &mut lines.bytes);
        lines.add(lane, texts);
        let full = lines.is_full();
        drop(lines);
        self.added(full);
    }

    /// Adds a failure.
    pub fn fail(&self, lane: Lane, failure: Failure) {
        let mut lines = self.lines.borrow_mut();
        lines.failures.push((lane, failure));
        let full = lines.is_full();
        drop(lines);
        self.added(full);
    }

    fn added(&self, full: bool) {
        if full {
            self.flush();
        } else if !self.waiting.replace(true) {
            self.began.notify_one();
        }
    }

    /// Wall-clock time of `now`.
    pub fn wall(&self, now: Instant) -> SystemTime {
        self.clock.borrow().wall(now)
    }

    /// Hands over what is there.
    pub fn flush(&self) {
        self.waiting.set(false);
        let mut lines = self.lines.borrow_mut();
        if !lines.is_empty() {
            let lines = std::mem::replace(&mut *lines, self.returned.try_recv().unwrap_or_default());
            self.log.send(Batch { lines, home: self.home.clone() });
        }
    }

    /// Flushes after [`DELAY`] what was not flushed before, for as long as the worker lives.
    pub async fn run(&self) {
        loop {
            if !self.waiting.get() {
                self.began.notified().await;
            }
            tokio::time::sleep(DELAY).await;
            self.flush();
            self.clock.replace(Clock::new());
        }
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Time stamps, of which only the milliseconds are written anew within a second.
pub struct Clock {
    instant: Instant,
    wall: SystemTime,
    second: u64,
    text: String,
    common: (u64, String),
}

impl Clock {
    fn new() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
            second: u64::MAX,
            text: String::new(),
            common: (u64::MAX, String::new()),
        }
    }

    fn wall(&self, now: Instant) -> SystemTime {
        self.wall + now.saturating_duration_since(self.instant)
    }

    fn since_epoch(&self, now: Instant) -> Duration {
        self.wall(now).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    /// As the common log format has it, in UTC: `10/Oct/2000:13:55:36 +0000`.
    pub fn common(&mut self, now: Instant) -> &str {
        let second = self.since_epoch(now).as_secs();
        let (known, text) = &mut self.common;
        if *known != second {
            *known = second;
            *text = timestamp(second).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        }
        text
    }

    /// RFC 3339, with milliseconds.
    pub fn stamp(&mut self, now: Instant) -> &str {
        let since = self.since_epoch(now);
        if since.as_secs() != self.second {
            self.second = since.as_secs();
            self.text = timestamp(self.second).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        self.text.truncate("2026-01-01T00:00:00".len());
        let millis = since.subsec_millis();
        self.text.push('.');
        for digit in [millis / 100, millis / 10 % 10, millis % 10] {
            self.text.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
        self.text.push('Z');
        &self.text
    }
}

fn timestamp(second: u64) -> jiff::Timestamp {
    i64::try_from(second)
        .ok()
        .and_then(|second| jiff::Timestamp::from_second(second).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn stamps_are_rfc_3339_with_milliseconds() {
        let mut clock = Clock::new();
        clock.wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_712_000_007);
        let start = clock.instant;
        assert_eq!(clock.stamp(start), "2025-11-21T08:00:00.007Z");
        assert_eq!(clock.stamp(start + Duration::from_millis(995)), "2025-11-21T08:00:01.002Z");
        assert_eq!(clock.common(start), "21/Nov/2025:08:00:00 +0000");
    }

    #[test]
    fn a_disk_that_does_not_keep_up_costs_lines_not_requests() {
        let (go, stuck) = sync_channel::<()>(0);
        let stuck = move |_: &Lines| {
            let _ = stuck.recv();
            0
        };
        let (log, writer) = AccessLog::start(Arc::default(), stuck).unwrap();
        let buffer = LogBuffer::new(log.clone());
        let line = "x".repeat(BATCH);
        let batches = WAITING as u64 + 10;
        for _ in 0..batches {
            buffer.write(Lane::default(), |_, _, out| {
                out.extend_from_slice(line.as_bytes());
                Texts::default()
            });
        }
        // One batch may be in the writer's hand.
        assert!((9..=10).contains(&log.lost()), "{}", log.lost());
        drop(go);
        drop((log, buffer));
        writer.join().unwrap();
    }
}
