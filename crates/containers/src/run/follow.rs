//! What the container prints goes to the runner's own output, each stream to its own.
//!
//! Lines are asked for with their time stamps, which are taken off again: after a lost connection what was seen already is told by them.
//! Several lines may have one stamp, so the last stamp of a stream is remembered with the number of its lines.

use crate::engine;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use jiff::Timestamp;
use std::io::{self, Write};
use std::time::Duration;
use wire::container::RunnerSpec;

/// Pause before output is asked for again.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest time stamp (RFC 3339 with nanoseconds and offset), in bytes.
const STAMP: usize = 40;

/// Up to where a stream was copied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Place {
    last: Option<Timestamp>,
    /// Lines of that moment that were copied.
    copied: u64,
    /// Lines of that moment that this connection has brought.
    seen: u64,
}

impl Place {
    /// Whether a line is a new one.
    fn is_new(&mut self, stamp: Timestamp) -> bool {
        match self.last {
            Some(last) if stamp < last => false,
            Some(last) if stamp == last => {
                self.seen += 1;
                let new = self.seen > self.copied;
                self.copied = self.copied.max(self.seen);
                new
            }
            _ => {
                *self = Self { last: Some(stamp), copied: 1, seen: 1 };
                true
            }
        }
    }
}

/// Copies the output of one container.
pub(crate) struct Follower {
    name: String,
    out: Place,
    err: Place,
}

impl Follower {
    pub(crate) fn new(spec: &RunnerSpec) -> Self {
        Self { name: spec.name.clone(), out: Place::default(), err: Place::default() }
    }

    /// Copies until the container has ended and all of it is copied.
    pub(crate) async fn run(&mut self, engine: &str) {
        loop {
            let docker = engine::connect_patiently(engine).await;
            if self.follow(&docker).await && !is_running(&docker, &self.name).await {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Copies what comes; true: the engine has said that this is all.
    async fn follow(&mut self, docker: &Docker) -> bool {
        (self.out.seen, self.err.seen) = (0, 0);
        let since = [self.out.last, self.err.last].into_iter().flatten().min();
        let since = since.map_or(0, |last| i32::try_from(last.as_second()).unwrap_or(0));
        let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).timestamps(true);
        let mut lines = docker.logs(&self.name, Some(options.since(since).build()));
        while let Some(line) = lines.next().await {
            match line {
                Ok(line) => self.copy(&line),
                Err(error) => return engine::status(&error) == Some(404),
            }
        }
        true
    }

    /// A full pipe makes it wait: the shim reads as long as it lives.
    fn copy(&mut self, line: &LogOutput) {
        let bytes = line.as_ref();
        let is_error = matches!(line, LogOutput::StdErr { .. });
        let (stamp, text) = split(bytes);
        let place = if is_error { &mut self.err } else { &mut self.out };
        if stamp.is_some_and(|stamp| !place.is_new(stamp)) {
            return;
        }
        // Whoever reads is gone: then this runner is about to go too.
        let _ = if is_error { whole(io::stderr().lock(), text) } else { whole(io::stdout().lock(), text) };
    }
}

fn whole(mut to: impl Write, text: &[u8]) -> io::Result<()> {
    to.write_all(text)?;
    to.flush()
}

/// A line's stamp, and the rest of it.
fn split(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let end = line.iter().take(STAMP).position(|byte| *byte == b' ');
    let parts = end.and_then(|end| Some((line.get(..end)?, line.get(end + 1..)?)));
    let parsed = parts.and_then(|(stamp, rest)| Some((std::str::from_utf8(stamp).ok()?.parse().ok()?, rest)));
    match parsed {
        Some((stamp, rest)) => (Some(stamp), rest),
        None => (None, line),
    }
}

async fn is_running(docker: &Docker, name: &str) -> bool {
    match docker.inspect_container(name, None::<bollard::query_parameters::InspectContainerOptions>).await {
        Ok(seen) => seen.state.is_some_and(|state| state.running == Some(true)),
        Err(error) => engine::status(&error) != Some(404),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_lost_connection_no_line_is_lost_or_comes_twice() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let mut place = Place::default();
        assert_eq!([1, 1, 2, 2].map(|moment| place.is_new(at(moment))), [true; 4]);
        // The engine begins with whole seconds again; a third line of the last moment comes meanwhile.
        place.seen = 0;
        let again = [1, 1, 2, 2, 2, 3].map(|moment| place.is_new(at(moment)));
        assert_eq!(again, [false, false, false, false, true, true]);
    }

    #[test]
    fn a_stamp_is_taken_off_and_nothing_else() {
        let (stamp, text) = split(b"2026-11-21T23:54:19.123456789+01:00 a b\n");
        assert_eq!(stamp.unwrap().to_string(), "2026-11-21T22:54:19.123456789Z");
        assert_eq!(text, b"a b\n");
        assert_eq!(split(b"no stamp\n"), (None, &b"no stamp\n"[..]));
        assert_eq!(split(b""), (None, &b""[..]));
    }
}
