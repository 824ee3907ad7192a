//! What a process sees of the host, where that is not what its parent sees: its network, and files in the place of others.
//!
//! ```text
//! network ─▶ setns                         of ─▶ setns, of a process that runs already
//! binds   ─▶ unshare, mounts no longer travel to the host ─▶ one bind mount for each
//! ```
//! [`Inside`] is what is asked for; it is made [`Prepared`] before the fork, so that between fork and exec there are system calls only.

use super::nul_terminated;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount};
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What a process sees that its parent does not.
#[derive(Debug, Default)]
pub struct Inside {
    /// A network namespace.
    pub network: Option<OwnedFd>,
    /// The network and the mounts of the process behind this pidfd (Linux 5.8).
    pub of: Option<OwnedFd>,
    /// Files and folders that take the place of others, for it and what it starts alone.
    pub binds: Vec<Bind>,
}

/// A file or folder in the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is seen.
    pub source: PathBuf,
    /// Where; something of the same kind is there. Links are followed.
    pub target: PathBuf,
    /// It cannot be changed through it.
    pub read_only: bool,
}

/// The same, ready for the child.
pub(super) struct Prepared {
    network: Option<OwnedFd>,
    of: Option<OwnedFd>,
    binds: Vec<(CString, CString, bool)>,
}

impl Prepared {
    pub(super) fn new(inside: Inside) -> io::Result<Self> {
        let Inside { network, of, binds } = inside;
        let raw = |bind: Bind| {
            let source = nul_terminated(bind.source.into_os_string())?;
            Ok((source, nul_terminated(bind.target.into_os_string())?, bind.read_only))
        };
        Ok(Self { network, of, binds: binds.into_iter().map(raw).collect::<io::Result<_>>()? })
    }

    /// In the child: nothing but system calls.
    pub(super) fn enter(&self) -> io::Result<()> {
        if let Some(process) = &self.of {
            setns(process, CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        }
        if let Some(network) = &self.network {
            setns(network, CloneFlags::CLONE_NEWNET)?;
        }
        if self.binds.is_empty() {
            return Ok(());
        }
        unshare(CloneFlags::CLONE_NEWNS)?;
        // What the host mounts later is seen here too; what is mounted here is not seen there.
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        for (source, target, read_only) in &self.binds {
            mount_bind(source.as_c_str(), target.as_c_str())?;
            if *read_only {
                mount_remount(target.as_c_str(), MountFlags::BIND | MountFlags::RDONLY, c"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Exit, Spawn, wait};

    fn run(script: &str, inside: Inside) -> Exit {
        let mut spawn = Spawn::new("/bin/sh");
        spawn.args = vec!["-c".into(), script.into()];
        spawn.inside = inside;
        wait(spawn.spawn().unwrap()).unwrap()
    }

    #[test]
    fn files_take_the_place_of_others_for_that_process_alone() {
        if let Err(reason) = crate::netns::capable() {
            return eprintln!("skipped: {reason}");
        }
        let dir = tempfile::tempdir().unwrap();
        let (hosts, folder) = (dir.path().join("hosts"), dir.path().join("folder"));
        crate::durable::write(&hosts, b"10.1.2.3 db\n", 0o644).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let (network, ()) = crate::netns::make(|| ()).unwrap();
        let binds = vec![
            Bind { source: hosts.clone(), target: "/etc/hosts".into(), read_only: true },
            Bind { source: dir.path().into(), target: folder.clone(), read_only: false },
        ];
        let script = format!(
            "grep -qx '10.1.2.3 db' /etc/hosts && ! echo >> /etc/hosts && cat {0}/hosts >/dev/null && echo >{0}/new && ! grep -q : /proc/net/route && [ $(wc -l < /proc/net/dev) = 3 ]",
            folder.display()
        );
        assert_eq!(run(&script, Inside { network: Some(network), of: None, binds }), Exit::Code(0));
        assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("10.1.2.3 db"));
        assert!(dir.path().join("new").exists() && !folder.join("hosts").exists());
    }

    #[test]
    fn a_later_process_joins_one_that_runs() {
        if let Err(reason) = crate::netns::capable() {
            return eprintln!("skipped: {reason}");
        }
        let dir = tempfile::tempdir().unwrap();
        let hosts = dir.path().join("hosts");
        crate::durable::write(&hosts, b"10.1.2.4 cache\n", 0o644).unwrap();
        let (network, ()) = crate::netns::make(|| ()).unwrap();
        let mut first = Spawn::new("/bin/sleep");
        first.args = vec!["600".into()];
        let binds = vec![Bind { source: hosts, target: "/etc/hosts".into(), read_only: true }];
        first.inside = Inside { network: Some(network), of: None, binds };
        let first = first.spawn().unwrap();
        let of = crate::process::pidfd(first).unwrap();
        let there = Inside { of: Some(of), ..Inside::default() };
        assert_eq!(run("grep -q cache /etc/hosts && [ $(wc -l < /proc/net/dev) = 3 ]", there), Exit::Code(0));
        crate::process::signal(first, 9).unwrap();
        wait(first).unwrap();
    }
}
