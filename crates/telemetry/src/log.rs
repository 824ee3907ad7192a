//! Diagnostics of Mainstay's own processes: `tracing` events as text, one per line.
//!
//! `MAINSTAY_LOG` chooses what is told (the syntax of `tracing_subscriber::EnvFilter`; `info` unless set). Writing
//! is synchronous: no event belongs on the request path.
//!
//! In files, what clients sent can be masked ([`redact`]).

use crate::redact::Redactor;
use crate::rotate::RotatingFile;
use model::redact::RedactKind;
use std::borrow::Cow;
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

/// Makes an event of each panic from now on, in the place of words on standard error, whose file nobody bounds while this process lives.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
}

/// What is masked in this process's files of events.
static REDACTOR: Mutex<Option<Redactor>> = Mutex::new(None);

/// Masks these kinds from now on in what goes into a file.
pub fn redact(kinds: &[RedactKind]) {
    // Without secrets to look for there is nothing that could be too much.
    let redactor = Redactor::new(kinds, []).unwrap_or_default();
    *REDACTOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = redactor;
}

fn masked(text: &[u8]) -> Cow<'_, [u8]> {
    match &mut *REDACTOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(redactor) => redactor.mask(text),
        None => Cow::Borrowed(text),
    }
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
        let _ = file.write_all(&masked(&self.text)); // a full disk is counted by the file
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
        redact(&[RedactKind::Ip, RedactKind::Token]);
        tracing::warn!(client = "203.0.113.7", "it said token=abc");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 201);
        assert!(text.contains("203.0.113.0") && text.contains("token=[token]") && !text.contains("abc"));
        for line in text.lines() {
            line[..27].parse::<jiff::Timestamp>().unwrap();
            assert!(line.contains("event") || line.contains("WARN"), "{line}");
        }
        assert!(init(Target::Terminal).is_err());
    }
}
