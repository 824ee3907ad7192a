//! Pairs from authorities, laid out for other programs (`export` of `[acme]`), and the command that is run when one has changed there.
//! Nothing waits for it, and what goes wrong is shown and tried again.

use super::live;
use certs::Pair;
use model::acme::AcmeSpec;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::process::Command;

/// Longest time for the command.
const DEADLINE: Duration = Duration::from_secs(60);
/// Pause before what went wrong is tried again.
const PAUSE: Duration = Duration::from_secs(300);
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
    let run = Command::new(program)
        .args(own)
        .env_clear()
        .envs(kept)
        .env("MAINSTAY_CERTIFICATE", name)
        .env("MAINSTAY_CERTIFICATE_DIR", folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let seconds = DEADLINE.as_secs();
    let ended = tokio::time::timeout(DEADLINE, run).await;
    let failed = match ended {
        Ok(Ok(output)) if output.status.success() => return Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: String = said.trim().replace('\n', " ").chars().take(QUOTED).collect();
            format!("failed ({}): {said}", output.status)
        }
        Ok(Err(error)) => format!("cannot be run: {error}"),
        Err(_) => format!("was not done after {seconds} s"),
    };
    Err(format!(
        "is there for other programs, but the hook {program} {failed}; it is run again in some minutes"
    ))
}
