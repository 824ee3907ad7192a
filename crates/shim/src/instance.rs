//! The application: start, reap, stop, and the certainty that nobody of it remains.
//!
//! ```text
//!            start fails ──▶ NotStarted
//! start ──▶ running ──stop──▶ stopping ──deadline──▶ killing ─┐
//!              │                  │                     │     │ again, until there is no child
//!              └── main exits ────┴─────────────────────┘◀────┘
//!                      │ no child left: Ended
//!                      └ others left: the stop signal to them, then as after a stop
//! ```
//!
//! The shim is subreaper of all its descendants and reaps them all: that it has no child left means that no
//! process of the application is left, double forks and new sessions included.

use crate::confined;
use crate::oom::OomCounter;
use crate::output::{Output, journal};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sys::cgroup::Group;
use sys::process::{Bind, Exit, Inside, Reaped, Spawn};
use wire::shim::{Confined, ShimSpec, ShimState};

const SIGKILL: i32 = 9;
/// First and longest pause between two rounds of SIGKILL.
const KILL_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// File mode creation mask of applications, whatever that of the keeper is.
const UMASK: u32 = 0o022;

pub(crate) struct Instance {
    state: ShimState,
    started_ms: u64,
    /// [`wire::shim::ShimStatus::born`].
    born: u64,
    /// How the main process ended and when, once it did.
    exit: Option<(Exit, u64)>,
    stop_signal: i32,
    stop_after: Duration,
    stop_asked: bool,
    /// Those that the main process left behind have had the stop signal.
    orphans_told: bool,
    /// From then on every process is killed.
    kill_at: Option<Instant>,
    kill_pause: Duration,
    /// SIGKILL has been sent by us.
    killed: bool,
    oom: OomCounter,
    /// Its own control groups; empty: it has none.
    group: Group,
}

impl Instance {
    /// Starts the application; also when that fails there is an instance, which tells why.
    pub(crate) fn start(spec: ShimSpec, network: Option<OwnedFd>) -> (Self, Vec<Output>) {
        let mut instance = Instance {
            state: ShimState::NotStarted { reason: String::new() },
            started_ms: 0,
            born: 0,
            exit: None,
            stop_signal: spec.stop_signal,
            stop_after: Duration::from_millis(spec.stop_ms),
            stop_asked: false,
            orphans_told: false,
            kill_at: None,
            kill_pause: KILL_PAUSE.0,
            killed: false,
            oom: OomCounter::now(),
            group: Group::of(spec.groups.clone()),
        };
        match spawn(spec, network, &instance.group) {
            Ok((pid, outputs)) => {
                instance.state = ShimState::Running { pid };
                instance.started_ms = now_ms();
                instance.born = sys::proc::start_time(pid).unwrap_or(0);
                (instance, outputs)
            }
            Err(reason) => {
                instance.group.remove();
                instance.state = ShimState::NotStarted { reason };
                (instance, Vec::new())
            }
        }
    }

    pub(crate) fn state(&self) -> &ShimState {
        &self.state
    }

    pub(crate) fn started_ms(&self) -> u64 {
        self.started_ms
    }

    pub(crate) fn born(&self) -> u64 {
        self.born
    }

    /// The stop was asked for, and not all is gone yet.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop_asked && !self.is_over()
    }

    /// Nothing of it runs, and nothing will.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.state, ShimState::Running { .. })
    }

    /// The main process, as long as it is not reaped: its id cannot be anybody else's.
    fn main(&self) -> Option<u32> {
        match self.state {
            ShimState::Running { pid } if self.exit.is_none() => Some(pid),
            _ => None,
        }
    }

    /// Sends a signal to the main process.
    pub(crate) fn signal(&self, number: i32) -> Result<(), String> {
        let main = self.main().ok_or("the main process is gone")?;
        sys::process::signal(main, number).map_err(|e| format!("signal {number}: {e}"))
    }

    /// Begins to stop. Asked again, it can only bring the deadline forward.
    pub(crate) fn stop(&mut self, within: Option<Duration>, now: Instant) {
        if self.is_over() {
            return;
        }
        let first = !std::mem::replace(&mut self.stop_asked, true);
        self.kill_within(within.unwrap_or(self.stop_after), now);
        if first && self.exit.is_none() {
            let _ = self.signal(self.stop_signal); // it may just have ended by itself
        }
    }

    fn kill_within(&mut self, within: Duration, now: Instant) {
        // A deadline beyond what the clock can tell never comes.
        let at = now.checked_add(within);
        self.kill_at = [self.kill_at, at].into_iter().flatten().min();
    }

    /// When to be called again at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_over() { None } else { self.kill_at }
    }

    /// Reaps, kills what is due, and says whether it came to its end now.
    pub(crate) fn advance(&mut self, now: Instant) -> bool {
        let ShimState::Running { pid } = self.state else { return false };
        loop {
            match sys::process::wait_any() {
                Ok(Reaped::One(child, exit)) if child == pid => self.exit = Some((exit, now_ms())),
                Ok(Reaped::One(..)) => {}
                Ok(Reaped::AllAlive) => break,
                Ok(Reaped::NoChildren) => return self.end(pid),
                Err(_) => break,
            }
        }
        if self.exit.is_some() && !std::mem::replace(&mut self.orphans_told, true) {
            self.kill_within(self.stop_after, now);
            let _ = sys::process::signal_descendants(std::process::id(), self.stop_signal);
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            let _ = sys::process::signal_descendants(std::process::id(), SIGKILL);
            self.killed |= self.exit.is_none();
            self.kill_at = now.checked_add(self.kill_pause);
            self.kill_pause = (self.kill_pause * 2).min(KILL_PAUSE.1);
        }
        false
    }

    fn end(&mut self, pid: u32) -> bool {
        let (exit, ended_ms) = self.exit.unwrap_or((Exit::Code(0), now_ms()));
        let (code, signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
        };
        // A group of its own counts exactly; that of the keeper may have counted somebody else.
        let killed_there = signal == Some(SIGKILL) && !self.killed && self.oom.has_risen();
        let out_of_memory = self.group.oom_kills() > 0 || killed_there;
        let held = self.group.peak().zip(self.group.read().memory).filter(|_| out_of_memory);
        self.group.remove();
        let stopped = self.stop_asked;
        self.state = ShimState::Ended { pid, code, signal, stopped, out_of_memory, held, ended_ms };
        true
    }
}

fn spawn(spec: ShimSpec, network: Option<OwnedFd>, group: &Group) -> Result<(u32, Vec<Output>), String> {
    let owner = spec.user.as_ref().map(|u| (u.uid, u.gid));
    let output = |path| Output::new(journal(&spec, path)?, owner).map_err(no_pipe);
    let (out, stdout) = output(&spec.out)?;
    let (err, stderr) = output(&spec.err)?;
    let mut process = Spawn::new(spec.argv.first().ok_or("no command")?);
    process.env = spec.env.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    process.umask = Some(UMASK);
    process.groups = group.doors().map_err(|e| format!("its control group: {e}"))?;
    process.stdout = Some(stdout);
    process.stderr = Some(stderr);
    // Nobody but the instance holds its network: the two end together.
    let bind =
        |bind: wire::shim::Bind| Bind { source: bind.source, target: bind.target, read_only: bind.read_only };
    process.inside = Inside { network, of: None, binds: spec.binds.into_iter().map(bind).collect() };
    let (argv, dir, user, no_new_privileges) = (spec.argv, spec.dir, spec.user, spec.no_new_privileges);
    let pid = match spec.confine {
        Some(confine) => confined::start(process, &Confined { argv, dir, user, no_new_privileges, confine })?,
        None => {
            process.args = argv.into_iter().skip(1).map(OsString::from).collect();
            process.dir = Some(dir);
            process.credentials = user.map(confined::credentials);
            process.no_new_privileges = no_new_privileges;
            process.spawn().map_err(|e| e.to_string())?
        }
    };
    Ok((pid, vec![out, err]))
}

fn no_pipe(error: std::io::Error) -> String {
    format!("no pipe for the output: {error}")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
