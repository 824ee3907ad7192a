//! Raw chunks of a pipe → lines with time stamps in a rotating file. Holds at most one unfinished line.

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
}

impl LineWriter {
    /// Writes into this file.
    pub fn new(file: RotatingFile) -> Self {
        LineWriter { file, line: Vec::new(), continued: false, batch: Vec::new(), lost_told: 0 }
    }

    /// Takes what was read from the pipe. Whole lines are in the file when this returns, unless the disk refused them
    /// ([`lost`](Self::lost)).
    pub fn feed(&mut self, chunk: &[u8]) {
        let now = jiff::Timestamp::now();
        let mut rest = chunk;
        while !rest.is_empty() {
            let room = MAX_LINE - self.line.len();
            let window = rest.get(..room).unwrap_or(rest);
            if let Some(end) = window.iter().position(|b| *b == b'\n') {
                let (text, after) = rest.split_at(end);
                self.line.extend_from_slice(text);
                rest = after.get(1..).unwrap_or_default();
                self.end_line(now, false);
            } else {
                self.line.extend_from_slice(window);
                rest = rest.get(window.len()..).unwrap_or_default();
                if self.line.len() == MAX_LINE && rest.first() != Some(&b'\n') {
                    self.end_line(now, true);
                } else if self.line.len() == MAX_LINE {
                    rest = rest.get(1..).unwrap_or_default();
                    self.end_line(now, false);
                }
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
            self.end_line(jiff::Timestamp::now(), false);
        }
        self.continued = false;
        self.write_batch();
    }

    /// Bytes the disk did not take.
    pub fn lost(&self) -> u64 {
        self.file.lost()
    }

    fn end_line(&mut self, now: jiff::Timestamp, goes_on: bool) {
        // Writing into a vector cannot fail.
        let _ = write!(self.batch, "{now:.6}{}", if self.continued { '+' } else { ' ' });
        self.batch.append(&mut self.line);
        self.batch.push(b'\n');
        self.continued = goes_on;
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
