//! What a process is kept from, before it becomes another program: [`Sandbox::enter`], then [`execute`].
//!
//! ```text
//! mounts (a namespace of its own: read-only root, tmpfs, private files) ─▶ bounding set ─▶ groups, group, user ─▶ capabilities
//!   ─▶ no new privileges ─▶ Landlock ─▶ working folder ─▶ seccomp ─▶ execve
//! ```
//!
//! All of it allocates, so it is nothing for the time between fork and exec of a threaded process: a small program of its own does it
//! (`mainstay confined`), which then becomes the app, with the same process id.
//! [`Able`] says what this host and this process can do of it, [`Seen`] what the kernel holds a process to.

mod able;
mod capabilities;
mod files;
mod kernel;
mod landlock;
mod mounts;
mod seccomp;
mod seen;

pub use able::Able;
pub use seen::Seen;

use crate::process::Credentials;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

/// What a process is kept from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Working folder, entered as the user.
    pub dir: PathBuf,
    /// Whom it runs as; none: as this process.
    pub credentials: Option<Credentials>,
    /// No file can be changed but below [`Self::writable`] and [`Self::tmpfs`].
    pub read_only: bool,
    /// Folders that can.
    pub writable: Vec<PathBuf>,
    /// Folders that are seen even where a tmpfs would hide them.
    pub kept: Vec<PathBuf>,
    /// Folders in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Files that it alone sees.
    pub files: Vec<PlacedFile>,
    /// Capabilities that it gets, without `CAP_`.
    pub cap_add: Vec<String>,
    /// Capabilities that it can never get; `ALL`.
    pub cap_drop: Vec<String>,
    /// Nothing that it executes gains rights.
    pub no_new_privileges: bool,
    /// Landlock and seccomp, as far as the kernel has them.
    pub confined: bool,
}

/// A folder in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where.
    pub target: PathBuf,
    /// Bytes.
    pub size: Option<u64>,
    /// Permissions.
    pub mode: u32,
    /// Nothing in it can be executed.
    pub noexec: bool,
    /// Set-user-id has no effect.
    pub nosuid: bool,
    /// Devices have no effect.
    pub nodev: bool,
}

/// A file with this content, which may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// Where.
    pub target: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
    /// User and group that it belongs to.
    pub owner: (u32, u32),
    /// Permissions.
    pub mode: u32,
}

impl std::fmt::Debug for PlacedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlacedFile").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Has this process be kept from all of it, for good.
    ///
    /// # Errors
    /// For people: what could not be done. The process is to end then: it may be half confined.
    pub fn enter(&self) -> Result<(), String> {
        mounts::enter(self)?;
        capabilities::before(self)?;
        if let Some(user) = &self.credentials {
            become_user(user)
                .map_err(|error| format!("cannot run as user {}:{}: {error}", user.uid, user.gid))?;
        }
        capabilities::after(self)?;
        if self.no_new_privileges || self.confined {
            rustix::thread::set_no_new_privs(true).map_err(|error| format!("no_new_privs: {error}"))?;
        }
        if self.confined {
            landlock::enter(self)?;
        }
        std::env::set_current_dir(&self.dir)
            .map_err(|error| format!("cannot enter the working folder {}: {error}", self.dir.display()))?;
        if self.confined {
            seccomp::enter()?;
        }
        Ok(())
    }
}

fn become_user(user: &Credentials) -> rustix::io::Result<()> {
    use rustix::process::{Gid, Uid};
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_gid(Gid::from_raw(user.gid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(user.uid))
}

/// Becomes this program, with this process's environment. Comes back only with the reason why not.
pub fn execute(argv: &[OsString]) -> String {
    let Some((program, args)) = argv.split_first() else { return "no command".into() };
    let error = std::process::Command::new(program).args(args).exec();
    format!("cannot execute {}: {error}", program.display())
}
