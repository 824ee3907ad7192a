//! Starting ([`Spawn`]), signalling and reaping processes.
//!
//! Reaping is by pid and never by a library's child object: a subreaper also reaps children it never started.

mod inside;
mod spawn;

pub use inside::{Bind, Inside};
pub use spawn::{Credentials, Spawn, SpawnError, Stage};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    fn of(status: rustix::process::WaitStatus) -> Exit {
        match status.exit_status() {
            Some(code) => Exit::Code(code),
            None => Exit::Signal(status.terminating_signal().unwrap_or(0)),
        }
    }
}

fn pid(number: u32) -> io::Result<Pid> {
    let raw = i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    Pid::from_raw(raw).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// What files and folders that this process makes shall not permit, unless it says otherwise (umask(2)). Whoever started it may have
/// closed everything to everybody, and then an app could not enter its own folder.
pub fn set_umask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
}

/// Reaps this child if it has ended; `None` while it lives. `ECHILD` as error if it is no child of ours.
pub fn try_wait(child: u32) -> io::Result<Option<Exit>> {
    Ok(rustix::process::waitpid(Some(pid(child)?), WaitOptions::NOHANG)?.map(|(_, s)| Exit::of(s)))
}

/// Waits until this child has ended and reaps it.
pub fn wait(child: u32) -> io::Result<Exit> {
    loop {
        match rustix::process::waitpid(Some(pid(child)?), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(Exit::of(status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Reaps these children, each when it has ended; gives back when all have. Who is no child of this process is left out.
///
/// # Errors
/// When they cannot be waited for.
pub fn reap(children: &[u32]) -> io::Result<()> {
    let held = |child: &u32| Some((*child, pidfd(*child).ok()?));
    let mut left: Vec<(u32, OwnedFd)> = children.iter().filter_map(held).collect();
    loop {
        left.retain(|(child, _)| matches!(try_wait(*child), Ok(None)));
        if left.is_empty() {
            return Ok(());
        }
        let polled = |(_, fd)| rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN);
        let mut fds: Vec<_> = left.iter().map(|(child, fd)| (child, fd.as_fd())).map(polled).collect();
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reaps any child that has ended, adopted ones included (see [`set_subreaper`]). Never blocks. For processes that
/// have no other way of reaping.
pub fn wait_any() -> io::Result<Reaped> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((child, status))) => Ok(Reaped::One(child.as_raw_pid() as u32, Exit::of(status))),
        Ok(None) => Ok(Reaped::AllAlive),
        Err(rustix::io::Errno::CHILD) => Ok(Reaped::NoChildren),
        Err(e) => Err(e.into()),
    }
}

/// What [`wait_any`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// This child has ended, so.
    One(u32, Exit),
    /// There are children and none has ended.
    AllAlive,
    /// There is no child, thus (for a subreaper) no descendant either.
    NoChildren,
}

/// Sends a signal to one process. `NotFound` when it is gone.
pub fn signal(process: u32, number: i32) -> io::Result<()> {
    if number == 0 {
        return is_alive(process).then_some(()).ok_or_else(|| io::ErrorKind::NotFound.into());
    }
    let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
    match rustix::process::kill_process(pid(process)?, signal) {
        Err(rustix::io::Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
        other => Ok(other?),
    }
}

/// Sends a signal to every process of the group that `leader` leads. The leader must not be reaped yet: until then its id, and
/// with it the group's, is nobody else's.
pub fn signal_group(leader: u32, number: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process_group(pid(leader)?, signal)?)
}

/// Whether a process of this id exists (a zombie does).
pub fn is_alive(process: u32) -> bool {
    let Ok(pid) = pid(process) else { return false };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// A descriptor that becomes readable when the process ends; it names this process even if its id is used again.
pub fn pidfd(process: u32) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(pid(process)?, PidfdFlags::empty())?)
}

/// Waits until the process behind a pidfd has ended, and leaves it to be reaped.
pub fn pidfd_wait(process: &OwnedFd) -> io::Result<()> {
    let mut fds = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

/// Sends a signal to the process behind a pidfd.
pub fn pidfd_signal(process: &OwnedFd, number: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_send_signal(process, signal)?)
}

/// Sends a signal to every living descendant of a process, itself not included, and says how many got it.
///
/// Those started meanwhile are missed: who must catch all repeats it until [`wait_any`] finds no child.
pub fn signal_descendants(of: u32, number: i32) -> io::Result<usize> {
    let tree = crate::proc::descendants(of)?;
    let mut reached = 0;
    for &descendant in &tree {
        let Ok(fd) = pidfd(descendant) else { continue };
        // Its id may have been given to a stranger since it was listed; what the pidfd names now is asked once more.
        let parent = crate::proc::stat(descendant).map(|s| s.parent);
        if parent.is_some_and(|p| p == of || tree.contains(&p)) && pidfd_signal(&fd, number).is_ok() {
            reached += 1;
        }
    }
    Ok(reached)
}

/// Kills all processes that were started with this in their environment (`NAME=value`), wherever they hang in the tree by now. Who took it
/// out of his environment is not found.
///
/// # Errors
/// When the list of processes cannot be read.
pub fn kill_marked(mark: &str) -> io::Result<()> {
    const SIGKILL: i32 = 9;
    const PASSES: usize = 16; // some start others meanwhile
    for _ in 0..PASSES {
        let mut found = false;
        for process in crate::proc::pids()?.into_iter().filter(|pid| *pid != std::process::id()) {
            // First held, then looked at: an id may be given to a stranger between the two.
            let Ok(fd) = pidfd(process) else { continue };
            let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
                found |= pidfd_signal(&fd, SIGKILL).is_ok() && pidfd_wait(&fd).is_ok();
            }
        }
        if !found {
            break;
        }
    }
    Ok(())
}

/// Makes this process the parent of every descendant that loses its own, instead of init.
pub fn set_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// This process gets SIGKILL when the *thread* that started it ends, however that does (`PR_SET_PDEATHSIG`, prctl(2)). One whose parent had
/// ended before it could say so hears `NotFound`.
pub fn end_with_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    match rustix::process::getppid() {
        Some(parent) if parent.as_raw_nonzero().get() != 1 => Ok(()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Lets nobody but root look into this process: no debugger of the same user, no `/proc/<pid>/mem`, no core file. Programs it
/// starts are not held to that.
pub fn close_memory() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?)
}

/// The name this thread shows in `ps` and `top` (15 bytes are kept).
pub fn set_process_name(name: &str) -> io::Result<()> {
    Ok(rustix::thread::set_name(&nul_terminated(name.into())?)?)
}

fn nul_terminated(text: OsString) -> io::Result<std::ffi::CString> {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::CString::new(text.into_vec()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
#[path = "process/tests.rs"]
mod tests;
