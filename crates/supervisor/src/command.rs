//! A health command: as the app's user, in a session of its own (it reaches no terminal of the keeper's), with a bounded memory
//! of what it prints. Nothing of its process group outlives the try, however that ends.

use crate::end::SIGKILL;
use crate::launch;
use crate::probe::{Main, Surroundings};
use std::io::{self, Read};
use sys::process::{Exit, Spawn};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// Last bytes of output that are remembered.
const SAID: usize = 4096;
/// Most characters of its last line that go into the failure.
const SHOWN: usize = 200;
/// File mode creation mask, as of apps.
const UMASK: u32 = 0o022;

/// Why a check failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit status of the command.
    pub(crate) status: Option<i32>,
    /// What the command said last.
    pub(crate) said: String,
    text: String,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { status: None, said: String::new(), text }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Runs it to its end; its last line of output goes into the failure. Dropped earlier, it is killed.
pub(crate) async fn run(
    argv: &[String],
    surroundings: &Surroundings,
    inside: Option<Main>,
) -> Result<(), Failure> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err("the health command is empty".to_owned().into());
    };
    let values = launch::placeholders_of(&surroundings.env);
    let program = &launch::fill(program, &values);
    let failed = |error: io::Error| Failure::from(format!("{program}: {error}"));
    let (read, write) = sys::pipe::new().map_err(failed)?;
    let mut output = Receiver::from_owned_fd(read).map_err(failed)?;
    let mut spawn = Spawn::new(program);
    spawn.args = arguments.iter().map(|argument| launch::fill(argument, &values).into()).collect();
    spawn.env = surroundings.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    spawn.dir = Some(surroundings.dir.clone());
    spawn.credentials = surroundings.user.clone();
    spawn.umask = Some(UMASK);
    spawn.inside.of = inside.map(Main::open).transpose().map_err(failed)?;
    spawn.stdout = Some(write.try_clone().map_err(failed)?);
    spawn.stderr = Some(write);
    let running = Running(spawn.spawn().map_err(|error| Failure::from(error.to_string()))?);
    let mut ended = running.ended().map_err(failed)?;
    let mut said = Vec::new();
    let mut open = true;
    loop {
        tokio::select! {
            // Its end first: what floods its output is not read for ever.
            biased;
            _ = &mut ended => break,
            read = next(&mut output, &mut said), if open => open = read,
        }
    }
    // What it said last may still be in the pipe, which holds a few of these at most. Asked of the pipe itself: that there is something
    // may not have come to the reactor yet.
    let mut rest = std::fs::File::from(output.into_nonblocking_fd().map_err(failed)?);
    for _ in 0..32 {
        let mut chunk = [0; SAID];
        let Ok(read @ 1..) = rest.read(&mut chunk) else { break };
        keep(&mut said, chunk.get(..read).unwrap_or_default());
    }
    let exit = running.reap().map_err(failed)?;
    if exit == Exit::Code(0) {
        return Ok(());
    }
    let how = match exit {
        Exit::Code(code) => format!("exit status: {code}"),
        Exit::Signal(signal) => format!("ended by {}", sys::signal::name(signal)),
    };
    let said = String::from_utf8_lossy(&said);
    let last: String = said.lines().last().unwrap_or_default().chars().take(SHOWN).collect();
    let status = if let Exit::Code(code) = exit { Some(code) } else { None };
    let text = format!("{program}: {how}{}{last}", if last.is_empty() { "" } else { ": " });
    Err(Failure { status, said: last, text })
}

/// Takes some output; false at its end.
async fn next(output: &mut Receiver, said: &mut Vec<u8>) -> bool {
    let mut chunk = [0; SAID];
    match output.read(&mut chunk).await {
        Ok(read @ 1..) => {
            keep(said, chunk.get(..read).unwrap_or_default());
            true
        }
        _ => false,
    }
}

fn keep(said: &mut Vec<u8>, more: &[u8]) {
    said.extend_from_slice(more);
    said.drain(..said.len().saturating_sub(SAID));
}

/// A command that is not reaped yet: so its id, and that of its group, is its own.
pub(crate) struct Running(pub(crate) u32);

impl Running {
    /// Done when it has ended. It is not reaped by that.
    pub(crate) fn ended(&self) -> io::Result<JoinHandle<io::Result<()>>> {
        let process = sys::process::pidfd(self.0)?;
        Ok(tokio::task::spawn_blocking(move || sys::process::pidfd_wait(&process)))
    }

    /// Its exit, once it has ended; those it left behind are killed.
    pub(crate) fn reap(self) -> io::Result<Exit> {
        let _ = sys::process::signal_group(self.0, SIGKILL);
        let exit = sys::process::wait(self.0);
        std::mem::forget(self);
        exit
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = sys::process::signal_group(self.0, SIGKILL);
        if let Ok(None) = sys::process::try_wait(self.0)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let command = self.0;
            runtime.spawn_blocking(move || sys::process::wait(command));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn surroundings() -> Surroundings {
        let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        Surroundings { dir: "/".into(), env, user: None }
    }

    async fn sh(script: &str) -> Result<(), Failure> {
        run(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], &surroundings(), None).await
    }

    #[tokio::test]
    async fn its_last_line_says_why() {
        sh("exit 0").await.unwrap();
        let failure = sh("echo one; echo two >&2; exit 3").await.unwrap_err().to_string();
        assert_eq!(failure, "sh: exit status: 3: two");
        let failure =
            run(&["no-such-program".to_owned()], &surroundings(), None).await.unwrap_err().to_string();
        assert!(failure.contains("no-such-program"), "{failure}");
    }

    #[tokio::test]
    async fn one_that_floods_its_output_costs_the_keeper_no_memory() {
        let before = sys::proc::private_memory(std::process::id()).unwrap();
        sh("head -c 200000000 /dev/zero").await.unwrap();
        let after = sys::proc::private_memory(std::process::id()).unwrap();
        assert!(after < before + (50 << 20), "{before} → {after}");
    }

    #[tokio::test]
    async fn one_that_leaves_a_child_with_its_output_behind_has_ended() {
        let begun = Instant::now();
        sh("sleep 600 & exit 0").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn one_that_is_given_up_leaves_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let given_up = tokio::time::timeout(Duration::from_secs(3), async {
            tokio::join!(sh(&script), async {
                while !file.exists() {
                    tokio::task::yield_now().await
                }
            })
        });
        assert!(given_up.await.is_err());
        let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let gone = || sys::proc::stat(pid).is_none_or(|stat| stat.state == 'Z');
        while !gone() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(gone());
    }
}
