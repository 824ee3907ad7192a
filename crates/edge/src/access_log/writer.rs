//! The thread that writes: lines of all workers into the files of all stacks, masked as those want it.
//!
//! A file is opened when its first line comes and closed when no stack names its folder any more. What cannot be written is counted; the
//! other files do not suffer.

use super::place::Places;
use super::{Lane, Lines, Run};
use crate::failures::ring::Rings;
use arc_swap::ArcSwap;
use model::redact::RedactKind;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use telemetry::redact::Redactor;
use telemetry::rotate::RotatingFile;
use wire::failure::Failure;

/// Name of the file in its folder.
pub const NAME: &str = "access.log";

/// When files are rotated.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    /// At this many bytes.
    pub size: u64,
    /// Full files kept.
    pub keep: u32,
}

/// By what they mask; none: nothing.
type Redactors = HashMap<Vec<RedactKind>, Option<Redactor>>;

/// Writes batches.
pub struct Writer {
    shared: Arc<ArcSwap<Places>>,
    places: Arc<Places>,
    rotation: Rotation,
    /// By folder; none: everybody's.
    files: BTreeMap<Option<PathBuf>, LogFile>,
    redactors: Redactors,
    failures: Rings,
}

/// One file, and what is to be written into it.
#[derive(Default)]
struct LogFile {
    file: Option<RotatingFile>,
    pending: Vec<u8>,
    lines: u64,
    failing: bool,
}

impl Writer {
    /// Everybody's file is `common`; the others are rotated alike.
    pub fn new(
        shared: Arc<ArcSwap<Places>>,
        common: RotatingFile,
        rotation: Rotation,
        failures: Rings,
    ) -> Self {
        let common = LogFile { file: Some(common), ..LogFile::default() };
        let (files, redactors) = (BTreeMap::from([(None, common)]), HashMap::new());
        Self { places: shared.load_full(), shared, rotation, files, redactors, failures }
    }

    /// Writes a batch; gives how many of its lines were lost.
    pub fn write(&mut self, batch: &Lines) -> u64 {
        self.look_at_places();
        let mut start = 0;
        for run in &batch.runs {
            let bytes = batch.bytes.get(start..run.end).unwrap_or_default();
            self.gather(bytes, start, run);
            start = run.end;
        }
        self.fail(&batch.failures, batch.missed);
        let pending = self.files.iter_mut().filter(|(_, file)| file.lines > 0);
        pending.map(|(dir, file)| file.write(dir.as_deref(), self.rotation)).sum()
    }

    /// Host, path and what was noted may hold what a client sent.
    fn fail(&mut self, failures: &[(Lane, Failure)], missed: u64) {
        let masked: Vec<Failure> =
            failures.iter().map(|(lane, failure)| self.masked(*lane, failure)).collect();
        self.failures.write(&masked, missed);
    }

    fn masked(&mut self, lane: Lane, failure: &Failure) -> Failure {
        let mut failure = failure.clone();
        let (_, kinds) = self.places.place(lane);
        let Some(redactor) = redactor(&mut self.redactors, kinds) else { return failure };
        let outcomes = failure.tries.iter_mut().map(|tried| &mut tried.outcome);
        let own = [&mut failure.host, &mut failure.method, &mut failure.path, &mut failure.detail];
        for text in own.into_iter().chain(outcomes) {
            *text = String::from_utf8_lossy(&redactor.mask(text.as_bytes())).into_owned();
        }
        failure
    }

    fn look_at_places(&mut self) {
        let places = self.shared.load_full();
        if !Arc::ptr_eq(&places, &self.places) {
            self.files.retain(|dir, _| dir.as_ref().is_none_or(|dir| places.live.contains(dir)));
            self.places = places;
        }
    }

    /// Puts lines where they belong; `start`: where they stand in their batch.
    fn gather(&mut self, bytes: &[u8], start: usize, run: &Run) {
        let (dir, kinds) = self.places.place(run.lane);
        let file = self.files.entry(dir.cloned()).or_default();
        file.lines += run.lines;
        if kinds.is_empty() {
            return file.pending.extend_from_slice(bytes);
        }
        let Some(redactor) = redactor(&mut self.redactors, kinds) else { return };
        let mut at = 0;
        for text in run.texts.iter().filter(|text| !text.is_empty()) {
            let (from, to) = (text.start.saturating_sub(start), text.end.saturating_sub(start));
            file.pending.extend_from_slice(bytes.get(at..from).unwrap_or_default());
            file.pending.extend_from_slice(&redactor.mask(bytes.get(from..to).unwrap_or_default()));
            at = to;
        }
        file.pending.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }
}

impl LogFile {
    /// Writes what is pending; gives how many lines were lost.
    fn write(&mut self, dir: Option<&Path>, rotation: Rotation) -> u64 {
        let lines = std::mem::take(&mut self.lines);
        let written = self.append(dir, rotation);
        self.pending.clear();
        let Err(error) = written else {
            self.failing = false;
            return 0;
        };
        if !std::mem::replace(&mut self.failing, true) {
            let folder = dir.map(|dir| dir.display().to_string()).unwrap_or_default();
            tracing::error!(%error, folder, "the access log cannot be written");
        }
        lines
    }

    fn append(&mut self, dir: Option<&Path>, rotation: Rotation) -> io::Result<()> {
        if let (None, Some(dir)) = (&self.file, dir) {
            self.file = Some(RotatingFile::open(&dir.join(NAME), rotation.size, rotation.keep)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(&self.pending))
    }
}

/// What masks these kinds; none: nothing is masked.
fn redactor<'r>(known: &'r mut Redactors, kinds: &[RedactKind]) -> Option<&'r mut Redactor> {
    if kinds.is_empty() {
        return None;
    }
    if !known.contains_key(kinds) {
        // No secrets, so nothing that could be too much.
        known.insert(kinds.to_vec(), Redactor::new(kinds, []).unwrap_or_default());
    }
    known.get_mut(kinds)?.as_mut()
}
