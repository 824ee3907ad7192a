//! Raw chunks of a pipe → lines with time stamps in a rotating file. Holds at most one unfinished line.
//!
//! With a redactor, lines are masked before they are written. One that is longer than [`MAX_LINE`] is then held a little further than that, so that it
//! is never cut inside what is to be masked.

use crate::redact::Redactor;
use crate::rotate::RotatingFile;
use std::io::Write;

/// Longest text of one line in the file, in bytes; what goes beyond continues on the next.
pub const MAX_LINE: usize = 16 * 1024;

/// Formatted lines are handed to the file in batches of about this size.
const BATCH: usize = 32 * 1024;

/// Writes one output of an application into one file.
#[derive(Debug)]
pub struct LineWriter {
    file: RotatingFile,
    line: Vec<u8>,
    /// The next text goes on with a line whose beginning is written.
    continued: bool,
    batch: Vec<u8>,
    lost_told: u64,
    redactor: Option<Redactor>,
    /// A secret without an end: nothing more of its line is written.
    muted: bool,
}

impl LineWriter {
    /// Writes into this file, what the redactor finds masked.
    pub fn new(file: RotatingFile, redactor: Option<Redactor>) -> Self {
        let (line, batch) = (Vec::new(), Vec::new());
        LineWriter { file, line, continued: false, batch, lost_told: 0, redactor, muted: false }
    }

    /// Takes what was read from the pipe. Whole lines are in the file when this returns, unless the disk refused them
    /// ([`lost`](Self::lost)).
    pub fn feed(&mut self, chunk: &[u8]) {
        let now = jiff::Timestamp::now();
        let mut rest = chunk;
        while !rest.is_empty() {
            // One byte more, so that a line of just this length is not cut.
            let room = self.longest() + 1 - self.line.len();
            let window = rest.get(..room).unwrap_or(rest);
            let end = memchr::memchr(b'\n', window);
            let (text, after) = rest.split_at(end.unwrap_or(window.len()));
            self.line.extend_from_slice(text);
            rest = after;
            if end.is_some() {
                rest = rest.get(1..).unwrap_or_default();
                self.end_line(now);
            } else if self.line.len() > self.longest() {
                self.write_first_part(now);
            }
            if self.batch.len() >= BATCH {
                self.write_batch();
            }
        }
        self.write_batch();
    }

    /// Writes an unfinished line, at the end of the output.
    pub fn close(&mut self) {
        if !self.line.is_empty() {
            self.end_line(jiff::Timestamp::now());
        }
        (self.continued, self.muted) = (false, false);
        self.write_batch();
    }

    /// Bytes the disk did not take.
    pub fn lost(&self) -> u64 {
        self.file.lost()
    }

    /// Most bytes of a line that are held.
    fn longest(&self) -> usize {
        MAX_LINE + self.redactor.as_ref().map_or(0, Redactor::overlap)
    }

    /// The line is whole, or its last part is there.
    fn end_line(&mut self, now: jiff::Timestamp) {
        while self.line.len() > MAX_LINE {
            self.write_first_part(now);
        }
        let muted = std::mem::take(&mut self.muted);
        if !(muted || self.continued && self.line.is_empty()) {
            self.write_part(now, self.line.len());
        }
        self.line.clear();
        self.continued = false;
    }

    /// Writes the beginning of a line that is too long, or forgets it.
    fn write_first_part(&mut self, now: jiff::Timestamp) {
        let cut = match &mut self.redactor {
            _ if self.muted => None,
            Some(redactor) => redactor.cut(&self.line, MAX_LINE),
            None => Some(MAX_LINE),
        };
        match cut {
            Some(cut) => {
                self.write_part(now, cut);
                self.continued = true;
            }
            None => {
                if !std::mem::replace(&mut self.muted, true) {
                    self.write_part(now, self.line.len());
                }
                self.line.clear();
                self.continued = true;
            }
        }
    }

    /// Moves the first bytes of the line into the batch.
    fn write_part(&mut self, now: jiff::Timestamp, length: usize) {
        let part = self.line.get(..length).unwrap_or(&self.line);
        // Writing into a vector cannot fail.
        let _ = write!(self.batch, "{now:.6}{}", if self.continued { '+' } else { ' ' });
        match &mut self.redactor {
            Some(redactor) => self.batch.extend_from_slice(&redactor.mask(part)),
            None => self.batch.extend_from_slice(part),
        }
        self.batch.push(b'\n');
        self.line.drain(..length.min(self.line.len()));
    }

    fn write_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let lost = self.file.lost();
        if lost > self.lost_told {
            let now = jiff::Timestamp::now();
            let note = format!(
                "{now:.6} (mainstay: {} bytes of output were lost, the disk did not take them)\n",
                lost - self.lost_told
            );
            if self.file.write_all(note.as_bytes()).is_ok() {
                self.lost_told = lost;
            }
        }
        let _ = self.file.write_all(&self.batch); // counted by the file
        self.batch.clear();
    }
}
