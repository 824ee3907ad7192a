//! Pairs from authorities, laid out for other programs (`export` of `[acme]`), and the command that is run when one has changed there.
//! Nothing waits for it, and what goes wrong is shown and tried again.

use super::live;
use certs::Pair;
use model::acme::AcmeSpec;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Longest time for the command.
const DEADLINE: Duration = Duration::from_secs(60);
/// Pause before what went wrong is tried again.
const PAUSE: Duration = Duration::from_secs(300);
/// How long is read on when the command has ended: what it left behind may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Kept of what a command says, in bytes.
const MOST: u64 = 16 << 10;
const SIGKILL: i32 = 9;
/// Of what a command said that failed, in characters.
const QUOTED: usize = 300;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Export {
    /// It may not be there yet.
    pub(super) todo: bool,
    pub(super) running: bool,
    /// Why it is not, or what the command said.
    pub(super) problem: Option<String>,
    again: Option<SystemTime>,
}

impl Export {
    /// Whether it is to be looked at now.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.todo && !self.running && self.again.is_none_or(|again| again <= now)
    }

    /// Folds how it went.
    pub(super) fn ended(&mut self, problem: Option<String>, now: SystemTime) {
        self.running = false;
        self.todo = problem.is_some();
        self.again = problem.is_some().then(|| now + PAUSE);
        if let Some(problem) = &problem {
            tracing::error!(problem, "a certificate for other programs");
        }
        self.problem = problem;
    }
}

/// Puts a pair where the stack says, and runs its command if it was not there before, or failed (`again`). Gives what went wrong.
pub(super) async fn run(acme: AcmeSpec, name: String, pair: Arc<Pair>, again: bool) -> Option<String> {
    let folder = acme.export.clone()?;
    let of = name.clone();
    let place = folder.clone();
    let put = move || {
        let texts = (pair.chain.as_str(), pair.key.as_str());
        if live::has(&place, &of, texts) {
            Ok(again)
        } else {
            live::put(&place, &of, texts, 0o755).map(|()| true)
        }
    };
    let put = tokio::task::spawn_blocking(put).await.map_err(std::io::Error::other);
    match put.and_then(|put| put) {
        Ok(true) => hook(&acme.hook, &name, &folder.join(&name)).await.err(),
        Ok(false) => None,
        Err(error) => Some(format!("cannot be put into {}: {error}", folder.display())),
    }
}

async fn hook(command: &[String], name: &str, folder: &std::path::Path) -> Result<(), String> {
    let Some((program, own)) = command.split_first() else { return Ok(()) };
    let kept = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let child = Command::new(program)
        .args(own)
        .env_clear()
        .envs(kept)
        .env("MAINSTAY_CERTIFICATE", name)
        .env("MAINSTAY_CERTIFICATE_DIR", folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let ended = match child {
        Ok(child) => end(child).await,
        Err(error) => Err(format!("cannot be run: {error}")),
    };
    let Err(failed) = ended else { return Ok(()) };
    Err(format!(
        "is there for other programs, but the hook {program} {failed}; it is run again in some minutes"
    ))
}

/// Waits for the command, not for what it left behind. One that takes too long is ended with all that it started.
async fn end(mut child: Child) -> Result<(), String> {
    let stderr = child.stderr.take();
    let mut said = Vec::new();
    let ended = {
        let mut reading = pin!(read(stderr, &mut said));
        let waiting = async {
            tokio::select! {
                status = child.wait() => {
                    drop(tokio::time::timeout(LAST_WORDS, reading.as_mut()).await);
                    status
                }
                () = &mut reading => child.wait().await,
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await
    };
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let said = String::from_utf8_lossy(&said);
            let said: String = said.trim().replace('\n', " ").chars().take(QUOTED).collect();
            Err(format!("failed ({status}): {said}"))
        }
        Ok(Err(error)) => Err(format!("cannot be waited for: {error}")),
        Err(_) => {
            // None where it has ended meanwhile: the number may be somebody else's by now.
            if let Some(leader) = child.id() {
                drop(sys::process::signal_group(leader, SIGKILL));
            }
            Err(format!("was not done after {} s", DEADLINE.as_secs()))
        }
    }
}

/// All that is said is read, so that nobody waits for a full pipe; the first part of it is kept.
async fn read(from: Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    drop((&mut from).take(MOST).read_to_end(said).await);
    drop(tokio::io::copy(&mut from, &mut tokio::io::sink()).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    async fn run(script: &str) -> Result<(), String> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        hook(&command, "a.test", Path::new("/nowhere")).await
    }

    #[tokio::test]
    async fn a_hook_that_left_something_running_was_not_done_and_run_again() {
        let begun = std::time::Instant::now();
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        run(&format!("sleep 40 & echo $! >{}", pid.display())).await.unwrap();
        assert!(begun.elapsed() < DEADLINE / 2, "{:?}", begun.elapsed());
        run(&format!("kill $(cat {})", pid.display())).await.unwrap();
        let failed = run("echo \"no $MAINSTAY_CERTIFICATE\" >&2; exit 3").await.unwrap_err();
        assert!(failed.contains("no a.test") && failed.contains('3'), "{failed}");
        let much = run("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 4").await.unwrap_err();
        assert!(much.contains('4') && much.len() < 2 * QUOTED, "{}", much.len());
    }
}
