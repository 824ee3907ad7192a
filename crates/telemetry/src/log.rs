//! Diagnostics of Mainstay's own processes: `tracing` events as text, one per line.
//!
//! `MAINSTAY_LOG` chooses what is told (the syntax of `tracing_subscriber::EnvFilter`; `info` unless set). Writing
//! is synchronous: no event belongs on the request path.

use crate::rotate::RotatingFile;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Where diagnostics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard error; in colour if it is a terminal and `NO_COLOR` is not set.
    Terminal,
    /// A file that rotates by size.
    File {
        /// The file.
        path: PathBuf,
        /// Bytes at which it is rotated.
        max_size: u64,
        /// Full files kept.
        keep: u32,
    },
}

/// Sends this process's `tracing` events there from now on. `AlreadyExists` when it was done before.
pub fn init(target: Target) -> io::Result<()> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_timer(Rfc3339).with_target(true);
    let done = match target {
        Target::Terminal => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colour).with_writer(io::stderr).try_init()
        }
        Target::File { path, max_size, keep } => {
            let file = LogFile(Mutex::new(RotatingFile::open(&path, max_size, keep)?));
            builder.with_ansi(false).with_writer(file).try_init()
        }
    };
    done.map_err(|e| io::Error::new(io::ErrorKind::AlreadyExists, e))
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("MAINSTAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

/// RFC 3339, UTC, microseconds: the same form as in journals.
struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.6}", jiff::Timestamp::now())
    }
}

struct LogFile(Mutex<RotatingFile>);

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event { file: self, text: Vec::new() }
    }
}

/// One event, gathered and written as a whole when it ends: lines of two threads never mix.
struct Event<'a> {
    file: &'a LogFile,
    text: Vec<u8>,
}

impl io::Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        let mut file = self.file.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = file.write_all(&self.text); // a full disk is counted by the file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_lines_with_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        init(Target::File { path: path.clone(), max_size: 1 << 20, keep: 1 }).unwrap();
        std::thread::scope(|s| {
            for thread in 0..4 {
                s.spawn(move || (0..50).for_each(|n| tracing::info!(thread, n, "event")));
            }
        });
        tracing::debug!("not told");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 200);
        for line in text.lines() {
            line[..27].parse::<jiff::Timestamp>().unwrap();
            assert!(line.contains("INFO") && line.contains("event"), "{line}");
        }
        assert!(init(Target::Terminal).is_err());
    }
}
