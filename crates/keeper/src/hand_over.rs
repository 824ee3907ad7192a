//! The keeper becomes another program, and keeps its process id: whoever watches it sees the same process.
//!
//! ```text
//! asked ─▶ recorded ─▶ the loop ends, apps and edge go on ─▶ copy of the store ─▶ the new program runs as a child, on trial
//!                                                                │ fails, hangs, ends      │ proves itself
//!                                             the store as it was ◀┘                       └▶ ends; recorded
//!                                             execve(this program)                           execve(the new program)
//! ```
//! This process waits as long as the trial lasts: so the old program is there until the new one has shown that it can do all of
//! it ([`crate::trial`]). A trial dies with this process; whoever starts a keeper next finds in `programs.json` that it was not
//! finished, and goes on from what was before ([`recover`]).

use crate::api::{UpgradeAccepted, UpgradeRequest};
use crate::ending::Ending;
use crate::error::KeeperError;
use crate::home::Home;
use crate::keeper::{Keeper, epoch_ms};
use crate::programs::{self, Attempt, Program, Programs, Stage};
use crate::trial::Verdict;
use crate::{Options, Shutdown};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use sys::process::{Exit, Spawn};
use sys::service_manager::{self, Notifier};
use tokio::sync::watch;

/// Between two looks at the trial.
const LOOK: Duration = Duration::from_millis(50);
/// Between two signs of life for the service manager, at the most.
const SIGN: Duration = Duration::from_secs(1);
/// Longest time that a keeper which has proven itself takes to end.
const ENDS: Duration = Duration::from_secs(10);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
/// Argument by which a keeper knows that it is on trial.
const TRIAL: &str = "--trial";

impl Keeper {
    /// Records that this keeper is to become another program, and begins to end.
    pub(crate) async fn upgrade(&mut self, request: UpgradeRequest) -> Result<UpgradeAccepted, KeeperError> {
        self.check_upgrade(&request)?;
        let home = self.home.clone();
        let kept = tokio::task::spawn_blocking(move || programs::keep_own(&home)).await;
        let mut from = kept.map_err(|error| KeeperError::Io(io::Error::other(error)))??;
        let mut known = Programs::load(&self.home)?;
        if self.options.exe.starts_with(self.home.bin()) {
            // A copy: what stands aside for it is written down already.
            from.origin = known.current.as_ref().and_then(|current| current.origin.clone());
            from.path.clone_from(&self.options.exe);
        }
        let broken = self.stacks.values().filter(|stack| stack.broken.is_some());
        let attempt = Attempt {
            id: request.id,
            copy: self.home.store_copy(store::SCHEMA),
            broken: broken.map(|stack| stack.name.to_string()).collect(),
            from,
            to: request.program,
            within_ms: request.within_ms,
            drain_ms: request.drain_ms,
            began_ms: epoch_ms(),
            stage: Stage::Trial,
            reason: None,
        };
        let lost = store::migrate::lost(attempt.to.schema);
        let accepted = UpgradeAccepted {
            from: attempt.from.clone(),
            lost: lost.iter().map(ToString::to_string).collect(),
        };
        known.attempt = Some(attempt.clone());
        known.save(&self.home)?;
        tracing::info!(to = %attempt.to.path.display(), version = attempt.to.version, "an upgrade begins");
        self.hand_over = Some(attempt);
        self.end(Ending::Alone);
        Ok(accepted)
    }

    fn check_upgrade(&self, request: &UpgradeRequest) -> Result<(), KeeperError> {
        let refused = |why: String| Err(KeeperError::Conflict(why));
        if self.options.foreground {
            return refused(
                "this keeper belongs to `mainstay up`: end that, and start the new program's".into(),
            );
        }
        if self.ending.is_some() || self.options.trial.is_some() {
            return refused("the keeper is ending, or an upgrade is under way".into());
        }
        if let Some(beside) = self.beside_status() {
            let until =
                beside.until.map(|until| format!(", at the latest until {until}")).unwrap_or_default();
            let since = beside.since.map(|since| format!(" since {since}")).unwrap_or_default();
            return refused(format!(
                "two front doors live since the last upgrade: the former one (pid {}) is leaving{since}, with {} connections{until}",
                beside.pid, beside.connections
            ));
        }
        if !self.builds.is_idle() {
            return refused("an app is being built: wait until that is done".into());
        }
        if !programs::is_kept(&self.home, &request.program.path) {
            let path = request.program.path.display();
            return Err(KeeperError::Wrong(format!("{path} is no program of {}", self.home.bin().display())));
        }
        Ok(())
    }
}

/// An upgrade that nobody finished, and the store as this program can read it. Called with the lock held.
pub(crate) fn recover(home: &Home) -> Result<(), KeeperError> {
    let mut known = Programs::load(home)?;
    let Some(attempt) = known.attempt.clone().filter(|attempt| attempt.stage == Stage::Trial) else {
        return Ok(());
    };
    if store::migrate::schema_of(&home.database())? > store::SCHEMA && attempt.copy.exists() {
        store::migrate::put_back(&attempt.copy, &home.database())?;
    }
    known.fail("the keeper ended before the new program had proven itself");
    known.save(home)
}

/// Brings the upgrade about; this process is another program then, or this one again. Gives an error where neither can be
/// executed, and returns where it was told to end meanwhile.
pub(crate) fn run(
    options: &Options,
    attempt: &Attempt,
    shutdown: &mut watch::Receiver<Shutdown>,
) -> Result<(), KeeperError> {
    let home = Home::open(&options.home)?;
    let tried = attempt_it(&home, attempt, shutdown);
    let mut known = Programs::load(&home)?;
    match tried {
        Ok(()) => {
            known.commit();
            known.save(&home)?;
            tracing::info!(version = attempt.to.version, "the new program has proven itself");
            execute(&attempt.to.path)
        }
        Err(reason) => {
            tracing::error!(reason, "the new program failed; the former one goes on");
            if store::migrate::schema_of(&home.database()).ok() != Some(store::SCHEMA)
                && attempt.copy.exists()
            {
                store::migrate::put_back(&attempt.copy, &home.database())?;
            }
            known.fail(reason);
            known.save(&home)?;
            if is_to_end(shutdown) {
                return Ok(());
            }
            execute(&programs::own(&options.exe))
        }
    }
}

/// The trial, from its start to its end.
fn attempt_it(
    home: &Home,
    attempt: &Attempt,
    shutdown: &mut watch::Receiver<Shutdown>,
) -> Result<(), String> {
    let text = |error: store::StoreError| error.to_string();
    store::migrate::copy(&home.database(), &attempt.copy).map_err(text)?;
    if attempt.to.schema < store::SCHEMA {
        store::migrate::go_back(&home.database(), attempt.to.schema).map_err(text)?;
    }
    let (child, verdicts) =
        start(home, &attempt.to).map_err(|error| format!("it cannot be started: {error}"))?;
    let verdict = wait(child, &verdicts, Duration::from_millis(attempt.within_ms), shutdown);
    if verdict.is_ok() {
        let _ = sys::process::signal(child, SIGTERM);
        let until = Instant::now() + ENDS;
        while matches!(sys::process::try_wait(child), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if matches!(sys::process::try_wait(child), Ok(None)) {
        let _ = sys::process::signal(child, SIGKILL);
        let _ = sys::process::wait(child);
    }
    verdict
}

/// Starts the new program as keeper. It dies with this thread, which is the process's first.
fn start(home: &Home, program: &Program) -> io::Result<(u32, Receiver<Option<String>>)> {
    let (read, write) = sys::pipe::new()?;
    let log = sys::folder::append_to(&home.keeper_log(), 0o640)?;
    let mut spawn = Spawn::new(&program.path);
    spawn.args = arguments().chain([OsString::from(TRIAL)]).collect();
    // what a service manager says is said to this process alone
    let is_own = |name: &OsString| service_manager::VARIABLES.iter().any(|own| name == own);
    spawn.env = std::env::vars_os().filter(|(name, _)| !is_own(name)).collect();
    spawn.stdout = Some(log.try_clone()?.into());
    spawn.stderr = Some(log.into());
    spawn.descriptors = vec![(3, write)];
    spawn.dies_with_parent = true;
    let child = spawn.spawn().map_err(io::Error::other)?;
    let (say, said) = sync_channel(1);
    std::thread::Builder::new().name("trial".into()).spawn(move || {
        let line = BufReader::new(File::from(read)).lines().next().and_then(Result::ok);
        let _ = say.send(line); // nobody waits any more: it was too late
    })?;
    Ok((child, said))
}

fn wait(
    child: u32,
    verdicts: &Receiver<Option<String>>,
    within: Duration,
    shutdown: &mut watch::Receiver<Shutdown>,
) -> Result<(), String> {
    let manager = Notifier::from_environment().ok().flatten();
    let sign = service_manager::watchdog().map_or(SIGN, |patience| SIGN.min(patience / 2));
    let (begun, mut signed) = (Instant::now(), None::<Instant>);
    loop {
        match verdicts.recv_timeout(LOOK) {
            Ok(Some(line)) => match serde_json::from_str(&line) {
                Ok(Verdict::Proven) => return Ok(()),
                Ok(Verdict::Failed(reason)) => return Err(reason),
                Err(_) => return Err(format!("it said what is not understood: {line:.200}")),
            },
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Err(ended(child)),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if is_to_end(shutdown) {
            return Err("the keeper was told to end".into());
        }
        if begun.elapsed() > within {
            return Err(format!("it has not proven itself within {} s", within.as_secs()));
        }
        if signed.is_none_or(|at| at.elapsed() > sign) {
            signed = Some(Instant::now());
            if let Some(manager) = &manager {
                let _ = manager.say("WATCHDOG=1"); // its patience decides
            }
        }
    }
}

/// How a child ended that has said nothing: a moment may pass between the pipe's end and its own.
fn ended(child: u32) -> String {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match sys::process::try_wait(child) {
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(Exit::Code(code))) => return format!("it ended with exit code {code}; see keeper.log"),
            Ok(Some(Exit::Signal(signal))) => return format!("{} ended it", sys::signal::name(signal)),
            _ => return "it closed its end of the pipe".into(),
        }
    }
}

/// Edges and shims that this process had started as the program it was before are its children still.
pub(crate) fn reap_inherited() {
    let own = std::process::id();
    let is_child = |pid: &u32| sys::proc::stat(*pid).is_some_and(|stat| stat.parent == own);
    let children: Vec<u32> = sys::proc::pids().unwrap_or_default().into_iter().filter(is_child).collect();
    if children.is_empty() {
        return;
    }
    // Without it zombies are left, no more.
    let reaper = std::thread::Builder::new().name("reaper".into());
    if let Err(error) = reaper.spawn(move || sys::process::reap(&children)) {
        tracing::warn!(%error, "what the former program started will not be reaped");
    }
}

fn is_to_end(shutdown: &watch::Receiver<Shutdown>) -> bool {
    *shutdown.borrow() != Shutdown::No
}

fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// This process becomes that program, with its own arguments; returns only if it cannot.
///
/// # Errors
/// Then.
pub fn execute(program: &Path) -> Result<(), KeeperError> {
    let mut command = std::process::Command::new(program);
    command.args(arguments());
    // Descriptors handed over by a service manager are with the edge by now.
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env_remove(name);
    }
    let error = command.exec();
    Err(KeeperError::at(format!("cannot execute {}", program.display()))(error))
}
