//! A started command: its output is read all the time, so that it can be waited for and never blocks the command.

use crate::DEADLINE;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A command that has ended.
#[derive(Debug)]
pub struct Output {
    /// Exit status; none: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Panics, showing everything, unless it exited so.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// What a stream has said so far.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }

    fn read(&self, mut stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let said = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut chunk) {
                said.lock().extend_from_slice(&chunk[..n]);
            }
        })
    }
}

/// A running command. Dropped, it is ended with SIGKILL and reaped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Said,
    stderr: Said,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it, without standard input.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, stderr) = (Said::default(), Said::default());
        let readers = vec![
            stdout.read(child.stdout.take().expect("a pipe")),
            stderr.read(child.stderr.take().expect("a pipe")),
        ];
        Self { child, stdout, stderr, readers }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has said this on either output; panics if it ends without.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if self.stdout().contains(text) || self.stderr().contains(text) {
                return;
            }
            let late = begun.elapsed() > DEADLINE;
            assert!(
                !ended && !late,
                "never said {text:?}\nstdout:\n{}\nstderr:\n{}",
                self.stdout(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        crate::signal(self.pid(), name);
    }

    /// Waits for its end, at most [`DEADLINE`].
    #[track_caller]
    pub fn wait(self) -> Output {
        self.wait_within(DEADLINE)
    }

    /// Waits for its end, at most so long.
    #[track_caller]
    pub fn wait_within(mut self, limit: Duration) -> Output {
        let (stdout, stderr) = (self.stdout.clone(), self.stderr.clone());
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            let (out, err) = (stdout.text(), stderr.text());
            assert!(begun.elapsed() < limit, "after {limit:?} it still runs\n{out}\n{err}");
            std::thread::sleep(Duration::from_millis(10));
        };
        // A grandchild may hold a pipe on: what is not said by then is not waited for.
        let begun = Instant::now();
        while self.readers.iter().any(|reader| !reader.is_finished()) && begun.elapsed().as_secs() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        Output { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
