//! Starting a process from plain values, and what happens between fork and exec.
//!
//! In the child, in this order: control groups → new session → default signals → umask → namespaces and mounts ([`Inside`]) → credentials
//! (groups, then group, then user) → working folder (reached *as that user*) → descriptors at their fixed numbers, all others
//! close-on-exec → exec.
//! [`SpawnError`] says which of these failed; nothing is left behind then.
#![allow(unsafe_code)]

use super::inside::{Inside, Prepared};
use super::nul_terminated;
use crate::descriptor::{LAST_FIXED, occupy_low};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// User, group and supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A process to start. Standard input is `/dev/null`; nothing else is inherited but what is named here.
#[derive(Debug)]
pub struct Spawn {
    /// A path, or a name that is looked for in `PATH` of `env`.
    pub program: OsString,
    /// Arguments, without the program.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working folder; none: this process's.
    pub dir: Option<PathBuf>,
    /// Credentials; none: this process's.
    pub credentials: Option<Credentials>,
    /// Lead a session and process group of its own, without a terminal.
    pub new_session: bool,
    /// It gets SIGKILL when the *thread* that starts it ends, however that does (`PR_SET_PDEATHSIG`, prctl(2)). What it starts
    /// itself does not.
    pub dies_with_parent: bool,
    /// File mode creation mask; none: this process's.
    pub umask: Option<u32>,
    /// Standard output; none: `/dev/null`.
    pub stdout: Option<OwnedFd>,
    /// Standard error; none: `/dev/null`.
    pub stderr: Option<OwnedFd>,
    /// Control groups it is a member of before it executes anything: [`crate::cgroup::Group::doors`].
    pub groups: Vec<OwnedFd>,
    /// Further descriptors and the numbers (3 to [`LAST_FIXED`]) at which the process finds them.
    pub descriptors: Vec<(RawFd, OwnedFd)>,
    /// What it sees that this process does not.
    pub inside: Inside,
    /// Nothing that it executes gains rights (`PR_SET_NO_NEW_PRIVS`, prctl(2)).
    pub no_new_privileges: bool,
}

/// What was being done when a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Fork and pipes.
    Fork,
    /// Control groups.
    Groups,
    /// New session, signals.
    Session,
    /// Namespaces and mounts.
    Inside,
    /// Groups, group, user.
    Credentials,
    /// The working folder.
    Folder,
    /// Descriptors at fixed numbers.
    Descriptors,
    /// The program itself.
    Exec,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct SpawnError {
    /// What was being done.
    pub stage: Stage,
    /// What the kernel said.
    #[source]
    pub error: io::Error,
    subject: String,
}

impl SpawnError {
    fn text(&self) -> String {
        let (subject, error) = (&self.subject, &self.error);
        match self.stage {
            Stage::Fork => format!("no process could be created: {error}"),
            Stage::Groups => format!("it cannot be put into its control group: {error}"),
            Stage::Session => format!("no session of its own: {error}"),
            Stage::Inside => format!("cannot enter its own network or make its own mounts: {error}"),
            Stage::Credentials => format!("cannot run as user {subject}: {error}"),
            Stage::Folder => format!("cannot enter the working folder {subject}: {error}"),
            Stage::Descriptors => format!("descriptors could not be passed: {error}"),
            Stage::Exec => format!("cannot execute {subject}: {error}"),
        }
    }
}

impl Spawn {
    /// This program, in a session of its own, with nothing else set.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Spawn {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            credentials: None,
            new_session: true,
            dies_with_parent: false,
            umask: None,
            stdout: None,
            stderr: None,
            groups: Vec::new(),
            descriptors: Vec::new(),
            inside: Inside::default(),
            no_new_privileges: false,
        }
    }

    /// Starts it and gives its pid once its `execve` has succeeded. The caller reaps it ([`try_wait`], [`wait`],
    /// [`wait_any`]).
    pub fn spawn(self) -> Result<u32, SpawnError> {
        let subjects = Subjects::of(&self);
        let fail = |stage, error| SpawnError { stage, error, subject: subjects.of_stage(stage) };
        let (mut command, stage_read) = self.command(&subjects)?;
        command.stdin(Stdio::null());
        let spawned = command.spawn();
        drop(command); // and with it our copy of the stage pipe's write end
        spawned.map(|child| child.id()).map_err(|error| fail(Stage::read(stage_read), error))
    }

    /// This process becomes it, with its own standard input, output and error, session and terminal. To be called while no other thread
    /// runs: mounts of another process's cannot be entered beside one.
    pub fn replace(mut self) -> SpawnError {
        self.new_session = false;
        let subjects = Subjects::of(&self);
        let (mut command, stage_read) = match self.command(&subjects) {
            Ok(made) => made,
            Err(error) => return error,
        };
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let error = command.exec();
        drop(command);
        let stage = Stage::read(stage_read);
        SpawnError { stage, error, subject: subjects.of_stage(stage) }
    }

    /// Everything but standard input, and what says afterwards how far the child came.
    fn command(self, subjects: &Subjects) -> Result<(Command, OwnedFd), SpawnError> {
        let fail = |stage, error| SpawnError { stage, error, subject: subjects.of_stage(stage) };
        if self.descriptors.iter().any(|(number, _)| !(3..=LAST_FIXED).contains(number)) {
            return Err(fail(Stage::Descriptors, io::ErrorKind::InvalidInput.into()));
        }
        occupy_low().map_err(|e| fail(Stage::Fork, e))?;
        let (stage_read, stage_write) = crate::pipe::new().map_err(|e| fail(Stage::Fork, e))?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdout(self.stdout.map_or_else(Stdio::null, Stdio::from));
        command.stderr(self.stderr.map_or_else(Stdio::null, Stdio::from));
        let mut child = InChild {
            stage: File::from(stage_write),
            groups: self.groups.into_iter().map(File::from).collect(),
            dir: self
                .dir
                .map(|d| nul_terminated(d.into_os_string()))
                .transpose()
                .map_err(|e| fail(Stage::Folder, e))?,
            credentials: self.credentials.map(RawCredentials::from),
            new_session: self.new_session,
            parent: self.dies_with_parent.then(rustix::process::getpid),
            umask: self.umask,
            no_new_privileges: self.no_new_privileges,
            inside: Prepared::new(self.inside).map_err(|e| fail(Stage::Inside, e))?,
            descriptors: out_of_the_way(self.descriptors).map_err(|e| fail(Stage::Descriptors, e))?,
        };
        // SAFETY: the closure runs in the forked child of a possibly threaded process, so it must not allocate, lock or
        // panic: `InChild::prepare` makes only system calls on values prepared above, and an `io::Error` made of
        // an error number does not allocate.
        unsafe { command.pre_exec(move || child.prepare()) };
        Ok((command, stage_read))
    }
}

/// Moves sources off the fixed numbers, where one could be overwritten before it was passed on.
fn out_of_the_way(descriptors: Vec<(RawFd, OwnedFd)>) -> io::Result<Vec<(RawFd, OwnedFd)>> {
    let moved = |(number, fd): (RawFd, OwnedFd)| match fd.as_raw_fd() <= LAST_FIXED {
        true => Ok((number, rustix::io::fcntl_dupfd_cloexec(&fd, LAST_FIXED + 1)?)),
        false => Ok((number, fd)),
    };
    descriptors.into_iter().map(moved).collect()
}

impl Stage {
    /// What the child wrote last before it gave up.
    fn read(pipe: OwnedFd) -> Stage {
        let mut stage = [0u8; 1];
        match File::from(pipe).read(&mut stage) {
            Ok(1) => Stage::from_byte(stage[0]),
            _ => Stage::Fork,
        }
    }

    fn from_byte(byte: u8) -> Stage {
        [
            Stage::Groups,
            Stage::Session,
            Stage::Inside,
            Stage::Credentials,
            Stage::Folder,
            Stage::Descriptors,
            Stage::Exec,
        ]
        .into_iter()
        .find(|s| *s as u8 == byte)
        .unwrap_or(Stage::Fork)
    }
}

/// What an error is about, kept because the specification is consumed.
struct Subjects {
    program: String,
    dir: String,
    user: String,
}

impl Subjects {
    fn of(spawn: &Spawn) -> Self {
        Subjects {
            program: spawn.program.to_string_lossy().into_owned(),
            dir: spawn.dir.as_ref().map(|d| d.display().to_string()).unwrap_or_default(),
            user: spawn.credentials.as_ref().map(|c| format!("{}:{}", c.uid, c.gid)).unwrap_or_default(),
        }
    }

    fn of_stage(&self, stage: Stage) -> String {
        match stage {
            Stage::Credentials => self.user.clone(),
            Stage::Folder => self.dir.clone(),
            _ => self.program.clone(),
        }
    }
}

struct RawCredentials {
    uid: rustix::process::Uid,
    gid: rustix::process::Gid,
    groups: Vec<rustix::process::Gid>,
}

impl From<Credentials> for RawCredentials {
    fn from(c: Credentials) -> Self {
        RawCredentials {
            uid: rustix::process::Uid::from_raw(c.uid),
            gid: rustix::process::Gid::from_raw(c.gid),
            groups: c.groups.into_iter().map(rustix::process::Gid::from_raw).collect(),
        }
    }
}

/// What happens between fork and exec; everything is allocated before the fork.
struct InChild {
    stage: File,
    groups: Vec<File>,
    dir: Option<CString>,
    credentials: Option<RawCredentials>,
    new_session: bool,
    /// Whom it does not outlive.
    parent: Option<rustix::process::Pid>,
    umask: Option<u32>,
    inside: Prepared,
    no_new_privileges: bool,
    descriptors: Vec<(RawFd, OwnedFd)>,
}

impl InChild {
    fn prepare(&mut self) -> io::Result<()> {
        let mut stage = Stage::Groups;
        let done = self.steps(&mut stage);
        if done.is_err() {
            let _ = self.stage.write(&[stage as u8]);
        } else {
            // If exec fails, this is what is read; if it succeeds, nobody reads it.
            let _ = self.stage.write(&[Stage::Exec as u8]);
        }
        done
    }

    fn steps(&mut self, stage: &mut Stage) -> io::Result<()> {
        for group in &mut self.groups {
            group.write_all(b"0")?; // who writes it
        }
        *stage = Stage::Session;
        if self.new_session {
            rustix::process::setsid()?;
        }
        default_signals()?;
        if let Some(mask) = self.umask {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        }
        *stage = Stage::Inside;
        self.inside.enter()?;
        *stage = Stage::Credentials;
        if let Some(c) = &self.credentials {
            rustix::thread::set_thread_groups(&c.groups)?;
            rustix::thread::set_thread_gid(c.gid)?;
            rustix::thread::set_thread_uid(c.uid)?;
        }
        if self.no_new_privileges {
            rustix::thread::set_no_new_privs(true)?;
        }
        // After the credentials: their change takes the wish back.
        if self.parent.is_some() {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            if rustix::process::getppid() != self.parent {
                return Err(rustix::io::Errno::SRCH.into()); // it died before it was asked for
            }
        }
        *stage = Stage::Folder;
        if let Some(dir) = &self.dir {
            rustix::process::chdir(dir.as_c_str())?;
        }
        *stage = Stage::Descriptors;
        close_all_on_exec();
        for (number, fd) in &self.descriptors {
            // SAFETY: dup2 onto a number that `occupy_low` keeps from every other use, in a process that is about to
            // exec; the sources lie above `LAST_FIXED` (`out_of_the_way`), so none is overwritten.
            if unsafe { libc::dup2(fd.as_raw_fd(), *number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// Marks every descriptor from 3 on close-on-exec: also those this process itself inherited unasked.
fn close_all_on_exec() {
    // SAFETY: changes only descriptor flags. On a kernel without the call (before 5.11) nothing happens.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// An empty mask and default actions: what this process blocks or ignores is its own affair.
fn default_signals() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
    for number in 1..=31 {
        let Ok(signal) = Signal::try_from(number) else { continue };
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: installs no handler function.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl)? };
        }
    }
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}
