//! One step: a process in a session of its own, whose output goes into the build's journal. Nothing of its group outlives it.

use super::{Order, Progress};
use crate::command::Running;
use crate::end::SIGKILL;
use crate::launch::{self, Placeholders};
use std::collections::VecDeque;
use std::io::{self, Read};
use sys::process::{Exit, Spawn};
use telemetry::journal::LineWriter;
use telemetry::redact::Redactor;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Last lines of output that a failure shows.
const LAST_LINES: usize = 30;
/// Most characters of a line that are shown.
const SHOWN: usize = 300;
/// Most bytes of a line that are looked at: so much more that a secret in what is shown is seen as a whole.
const SEEN: usize = 8 << 10;
/// File mode creation mask, as of apps.
const UMASK: u32 = 0o022;
/// Most that a pipe holds, in chunks.
const LEFT_IN_PIPE: usize = 64;

/// Why a step did not succeed.
pub(super) enum Stopped {
    /// Nobody wants it any more.
    Cancelled,
    /// Why, for people, after the step's name.
    Failed(String),
}

/// What the steps of a build have in common.
pub(super) struct Steps<'a> {
    pub(super) order: &'a Order,
    pub(super) env: Vec<(String, String)>,
    pub(super) values: Placeholders,
    pub(super) journal: LineWriter,
    pub(super) said: Said,
    pub(super) progress: &'a watch::Sender<Progress>,
    pub(super) until: Instant,
    pub(super) stop: &'a CancellationToken,
}

impl Steps<'_> {
    /// Runs one to its end.
    pub(super) async fn run(&mut self, words: &[String]) -> Result<(), Stopped> {
        let failed = |error: io::Error| Stopped::Failed(error.to_string());
        let (read, write) = sys::pipe::new().map_err(failed)?;
        let mut output = Receiver::from_owned_fd(read).map_err(failed)?;
        let running = self.spawn(words, write)?;
        let mut ended = running.ended().map_err(failed)?;
        let mut chunk = vec![0; 16 << 10];
        let mut open = true;
        let stopped = loop {
            tokio::select! {
                // Output comes last: what floods it ends in time all the same.
                biased;
                () = self.stop.cancelled() => break Some(Stopped::Cancelled),
                _ = &mut ended => break None,
                () = tokio::time::sleep_until(self.until) => {
                    let limit = self.order.build.timeout;
                    break Some(Stopped::Failed(format!("did not end: all steps together have {limit:?}")));
                }
                read = output.read(&mut chunk), if open => match read {
                    Ok(read @ 1..) => self.hear(chunk.get(..read).unwrap_or_default()),
                    _ => open = false,
                }
            }
        };
        if stopped.is_some() {
            // Those that left its group; the group itself is killed before it is reaped.
            let _ = sys::process::signal_descendants(running.0, SIGKILL);
        }
        let exit = running.reap().map_err(failed)?;
        // Asked of the pipe itself: that there is something may not have come to the reactor yet.
        let mut rest = std::fs::File::from(output.into_nonblocking_fd().map_err(failed)?);
        for _ in 0..LEFT_IN_PIPE {
            let Ok(read @ 1..) = rest.read(&mut chunk) else { break };
            self.hear(chunk.get(..read).unwrap_or_default());
        }
        match (stopped, exit) {
            (Some(stopped), _) => Err(stopped),
            (None, Exit::Code(0)) => Ok(()),
            (None, Exit::Code(code)) => Err(Stopped::Failed(format!("exit status: {code}"))),
            (None, Exit::Signal(signal)) => {
                Err(Stopped::Failed(format!("was ended by {}", sys::signal::name(signal))))
            }
        }
    }

    fn spawn(&self, words: &[String], output: std::os::fd::OwnedFd) -> Result<Running, Stopped> {
        let failed = |error: &dyn std::fmt::Display| Stopped::Failed(error.to_string());
        let filled = |word: &String| launch::fill(word, &self.values);
        let Some((program, arguments)) = words.split_first() else {
            return Err(Stopped::Failed("is empty".to_owned()));
        };
        let mut spawn = Spawn::new(filled(program));
        spawn.args = arguments.iter().map(|word| filled(word).into()).collect();
        spawn.env = self.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        spawn.dir = Some(self.order.spec.dir.clone());
        spawn.credentials = self.order.user.as_ref().map(launch::credentials);
        spawn.dies_with_parent = true;
        spawn.umask = Some(UMASK);
        spawn.stdout = Some(output.try_clone().map_err(|error| failed(&error))?);
        spawn.stderr = Some(output);
        spawn.spawn().map(Running).map_err(|error| failed(&error))
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.journal.feed(bytes);
        if self.said.hear(bytes) {
            let last = self.said.last();
            self.progress.send_modify(|progress| progress.line = last);
        }
    }
}

/// The last lines of the output, in bounded memory, without what could steer a terminal.
pub(super) struct Said {
    redactor: Option<Redactor>,
    lines: VecDeque<String>,
    line: Vec<u8>,
}

impl Said {
    pub(super) fn new(redactor: Option<Redactor>) -> Self {
        Self { redactor, lines: VecDeque::new(), line: Vec::new() }
    }

    /// True: a line ended.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> bool {
        let mut ended = false;
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => ended |= self.end_line(),
                byte if self.line.len() < SEEN => self.line.push(*byte),
                _ => {}
            }
        }
        ended
    }

    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let line = match &mut self.redactor {
            Some(redactor) => redactor.mask(&line),
            None => line.as_slice().into(),
        };
        let line: String =
            String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        let is_something = !line.trim().is_empty();
        if is_something {
            self.lines.push_back(line);
            self.lines.drain(..self.lines.len().saturating_sub(LAST_LINES));
        }
        is_something
    }

    pub(super) fn last(&self) -> String {
        self.lines.back().cloned().unwrap_or_default()
    }

    /// A text without what is secret.
    pub(super) fn mask(&mut self, text: &str) -> String {
        let masked =
            self.redactor.as_mut().map(|it| String::from_utf8_lossy(&it.mask(text.as_bytes())).into_owned());
        masked.unwrap_or_else(|| text.to_owned())
    }

    /// All of them, each on a line of its own.
    pub(super) fn text(&mut self) -> String {
        self.end_line();
        self.lines.iter().fold(String::new(), |text, line| text + "\n  " + line)
    }
}
