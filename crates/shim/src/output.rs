//! One output of the application: a pipe, read without blocking, into its journal file.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use telemetry::journal::LineWriter;
use telemetry::redact::Redactor;
use telemetry::rotate::RotatingFile;
use wire::shim::ShimSpec;

const CHUNK: usize = 16 * 1024;
/// Chunks in one go, so that one talkative output keeps nothing else waiting.
const CHUNKS: usize = 16;
/// Most bytes taken after every process is gone: more than any pipe holds, so only a stranger can still be writing.
const LAST: usize = 4 << 20;

/// Where an output goes: masked as the specification says, before anything is written.
///
/// # Errors
/// For people: the file cannot be had, or the secrets are too many to look for. Then nothing is started.
pub(crate) fn journal(spec: &ShimSpec, path: &Path) -> Result<LineWriter, String> {
    let file = RotatingFile::open(path, spec.log_size, spec.log_keep)
        .map_err(|e| format!("cannot open the log file {}: {e}", path.display()))?;
    let secrets = spec.env.iter().filter(|(name, _)| spec.secret.contains(name));
    let redactor = Redactor::new(&spec.redact, secrets.map(|(_, value)| value.as_str()))
        .map_err(|e| format!("cannot mask secrets in the log: {e}"))?;
    Ok(LineWriter::new(file, redactor))
}

pub(crate) struct Output {
    pipe: File,
    journal: LineWriter,
    open: bool,
}

impl Output {
    /// The output, and the end to give to the application (which blocks there as it would on any pipe). The pipe belongs to `owner`,
    /// user and group: a server that is told to log to `/dev/stdout` opens it there.
    pub(crate) fn new(journal: LineWriter, owner: Option<(u32, u32)>) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = sys::pipe::new()?;
        if let Some((uid, gid)) = owner {
            sys::pipe::give(&write, uid, gid)?;
        }
        rustix::io::ioctl_fionbio(&read, true)?;
        Ok((Output { pipe: File::from(read), journal, open: true }, write))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Takes some of what is there; closes at the end.
    pub(crate) fn read_some(&mut self) {
        self.read_up_to(CHUNKS * CHUNK);
    }

    /// Takes what is still there and closes, without waiting for an end: somebody who is no descendant may hold the
    /// pipe.
    pub(crate) fn finish(&mut self) {
        if self.open {
            self.read_up_to(LAST);
            self.close();
        }
    }

    fn read_up_to(&mut self, most: usize) {
        let mut chunk = [0; CHUNK];
        let mut taken = 0;
        while taken < most {
            match self.pipe.read(&mut chunk) {
                Ok(0) => return self.close(),
                Ok(n) => {
                    self.journal.feed(chunk.get(..n).unwrap_or_default());
                    taken += n;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(),
            }
        }
    }

    fn close(&mut self) {
        self.journal.close();
        self.open = false;
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
