//! A command of an administrator's inside a running container: what is typed or piped here goes to it, what it prints comes out here, its exit
//! status is handed on.
//!
//! ```text
//! stdin ─ a thread, a few chunks ahead ─▶ engine ─▶ the command ─▶ engine ─ one chunk at a time ─▶ stdout, stderr
//! ```
//! Bytes stay as they are, unless it has a terminal. At most a few chunks are in memory on either way: who reads slowly slows the command down.

use crate::engine;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{ResizeExecOptions, StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;
use sys::terminal::{Raw, size};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wire::container::RunnerSpec;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait for the engine.
const AHEAD: usize = 4;
/// Time between two questions whether it has ended, once its output is closed.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be run, and how.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Command and arguments.
    pub command: Vec<String>,
    /// Variables over the container's, `NAME=VALUE`.
    pub env: Vec<String>,
    /// User inside; none: the container's.
    pub user: Option<String>,
    /// Folder inside; none: the container's.
    pub dir: Option<String>,
    /// It gets a terminal, which is this process's.
    pub tty: bool,
}

/// Runs it to its end and gives its exit status; `file` is what the container's runner was told.
///
/// # Errors
/// For people: the engine is silent or says no, or standard output is closed.
pub fn run(file: &Path, attach: Attach) -> Result<i32, String> {
    let spec = std::fs::read(file).map_err(|error| error.to_string())?;
    let spec: RunnerSpec = wire::decode(&spec).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let status = runtime.map_err(|error| error.to_string())?.block_on(async {
        let docker = engine::connect(&spec.engine).await?;
        within(&docker, &spec.name, attach).await
    });
    status.map_err(|error| engine::words(&error))
}

async fn within(docker: &Docker, container: &str, attach: Attach) -> Result<i32, Error> {
    let tty = attach.tty;
    let config = ExecConfig {
        cmd: Some(attach.command),
        env: Some(attach.env),
        user: attach.user,
        working_dir: attach.dir,
        tty: Some(tty),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let id = docker.create_exec(container, config).await?.id;
    let options = StartExecOptions { detach: false, tty, output_capacity: Some(CHUNK) };
    if let StartExecResults::Attached { mut output, input } = docker.start_exec(&id, Some(options)).await? {
        let _raw = if tty { Some(Raw::take()?) } else { None };
        let mut sending = std::pin::pin!(send(input));
        let mut resizing = std::pin::pin!(resize(docker, &id, tty));
        let (mut sent, mut resized) = (false, false);
        loop {
            tokio::select! {
                chunk = output.next() => match chunk {
                    Some(Ok(chunk)) => print(chunk)?,
                    // It ended without reading all that it was sent; what it printed has all been taken by then.
                    Some(Err(error)) if is_reset(&error) => break,
                    Some(Err(error)) => return Err(error),
                    None => break,
                },
                () = &mut sending, if !sent => sent = true,
                () = &mut resizing, if !resized => resized = true,
            }
        }
    }
    loop {
        let state = docker.inspect_exec(&id).await?;
        if state.running != Some(true) {
            return Ok(state.exit_code.and_then(|status| i32::try_from(status).ok()).unwrap_or(1));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The engine closed the connection with bytes on it that nobody took.
fn is_reset(error: &Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error, Error::IOError { err } if matches!(err.kind(), ConnectionReset | BrokenPipe))
}

/// Blocks while nobody reads: then nothing more is taken from the engine either.
fn print(chunk: LogOutput) -> io::Result<()> {
    match chunk {
        LogOutput::StdErr { message } => io::stderr().write_all(&message),
        LogOutput::StdIn { .. } => Ok(()),
        LogOutput::StdOut { message } | LogOutput::Console { message } => {
            let mut out = io::stdout().lock();
            out.write_all(&message)?;
            out.flush()
        }
    }
}

/// Hands standard input on until its end, which the command sees. It may end before: then nobody takes any more.
async fn send(mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    let (chunks, mut taken) = mpsc::channel(AHEAD);
    // Nobody waits for this thread: it may read from a terminal on which nothing is typed any more.
    let read = move || {
        let mut stdin = io::stdin().lock();
        let mut chunk = vec![0; CHUNK];
        while let Ok(count @ 1..) = stdin.read(&mut chunk) {
            if chunks.blocking_send(chunk.get(..count).unwrap_or_default().to_vec()).is_err() {
                return;
            }
        }
    };
    if std::thread::Builder::new().name("stdin".into()).spawn(read).is_err() {
        return;
    }
    while let Some(chunk) = taken.recv().await {
        if input.write_all(&chunk).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    let _ = input.shutdown().await; // it has ended already
}

/// Has the command's terminal follow the size of this one.
async fn resize(docker: &Docker, id: &str, tty: bool) {
    let Some(mut changes) = signal(SignalKind::window_change()).ok().filter(|_| tty) else { return };
    loop {
        if let Some((width, height)) = size() {
            // A command that has just ended has no terminal.
            let _ = docker.resize_exec(id, ResizeExecOptions { width, height }).await;
        }
        if changes.recv().await.is_none() {
            return;
        }
    }
}
