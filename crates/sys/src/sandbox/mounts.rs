//! A mount namespace of its own: what is seen there can be changed only where that is said.
//!
//! What stays writable (or would be hidden) is cloned before anything is changed, and put back in its place last.

use super::kernel::mount_setattr;
use super::{Sandbox, Tmpfs, able, files};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// Files of the kernel's that change the host. The rest of `/proc` is about processes, which have files of their own there.
const OF_THE_HOST: [&str; 5] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs"];
/// Bytes of the shared memory that a process with a read-only root has: as container engines have it.
const SHARED_MEMORY: u64 = 64 << 20;

/// Makes the namespace, if anything needs one.
pub(super) fn enter(own: &Sandbox) -> Result<(), String> {
    if !own.read_only && own.tmpfs.is_empty() && own.files.is_empty() {
        return Ok(());
    }
    let said = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
        format!("{what} {}: {error}", path.display())
    };
    let mut tmpfs = own.tmpfs.clone();
    let shared = Path::new("/dev/shm");
    if own.read_only && shared.is_dir() && !tmpfs.iter().any(|it| it.target == shared) {
        let (target, size) = (shared.to_owned(), Some(SHARED_MEMORY));
        tmpfs.push(Tmpfs { target, size, mode: 0o1777, noexec: true, nosuid: true, nodev: true });
    }
    tmpfs.sort_by_key(|it| it.target.components().count());
    match namespace() {
        Ok(()) => {}
        // What was asked for in vain is told by who reads back what holds; a program without its files is of no use.
        Err(_) if own.files.is_empty() => return Ok(()),
        Err(error) => return Err(format!("no mount namespace of its own for its files: {error}")),
    }
    let plan = files::plan(&own.files, &tmpfs)?;
    for point in tmpfs.iter().map(|it| &it.target).chain(plan.folders()) {
        point_at(point).map_err(|error| said("no place for a folder in memory at", point, &error))?;
    }
    let hidden = |path: &&PathBuf| tmpfs.iter().any(|it| path.starts_with(&it.target));
    let mut kept: Vec<&PathBuf> = own
        .kept
        .iter()
        .filter(hidden)
        .chain(own.read_only.then_some(&own.writable).into_iter().flatten())
        .collect();
    kept.extend(own.writable.iter().filter(hidden));
    kept.sort();
    kept.dedup();
    let clones = kept
        .into_iter()
        .map(|path| Ok((path, clone(path).map_err(|error| said("cannot keep", path, &error))?)));
    let clones: Vec<(&PathBuf, OwnedFd)> = clones.collect::<Result<_, String>>()?;
    if own.read_only {
        read_only().map_err(|error| format!("the root cannot be made read-only: {error}"))?;
    }
    let owner = own.credentials.as_ref().map(|user| (user.uid, user.gid));
    for it in &tmpfs {
        let made = make(it, owner).and_then(|mount| attach(&mount, &it.target));
        made.map_err(|error| said("no folder in memory at", &it.target, &error))?;
    }
    for (path, clone) in clones {
        let put = fs::create_dir_all(path).and_then(|()| attach(&clone, path));
        put.map_err(|error| said("cannot keep", path, &error))?;
    }
    plan.place()
}

/// A namespace that passes nothing on. Without the right to make one it is in a user namespace, in which this user is who he was and
/// nobody else is.
fn namespace() -> io::Result<()> {
    use nix::sched::{CloneFlags, unshare};
    if able::may_mount() {
        unshare(CloneFlags::CLONE_NEWNS)?;
    } else {
        let (uid, gid) = (crate::user::uid(), crate::user::gid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        let tell = |file: &str, text: &str| crate::cgroup::write(&Path::new("/proc/self").join(file), text);
        tell("setgroups", "deny")?;
        tell("uid_map", &format!("{uid} {uid} 1"))?;
        tell("gid_map", &format!("{gid} {gid} 1"))?;
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(rustix::mount::mount_change("/", private)?)
}

/// A folder that something can be mounted on. One that is not there is made, where the folder around it is our own: nobody else leads us
/// elsewhere by a link.
fn point_at(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let around = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    if crate::user::owner(around)?.0 != crate::user::uid() {
        return Err(io::Error::other(format!(
            "make this folder: {} belongs to somebody else",
            around.display()
        )));
    }
    fs::create_dir_all(path)
}

/// A copy of what is mounted there, with all below it.
fn clone(path: &Path) -> io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(rustix::mount::open_tree(CWD, path, flags)?)
}

pub(super) fn attach(mount: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

fn read_only() -> io::Result<()> {
    for path in OF_THE_HOST.map(Path::new).into_iter().filter(|path| path.exists()) {
        attach(&clone(path)?, path)?;
    }
    mount_setattr(CWD, Path::new("/"), true, READ_ONLY, 0)?;
    mount_setattr(CWD, Path::new("/proc"), false, 0, READ_ONLY)
}

/// A tmpfs that is attached nowhere yet; it belongs to `owner`.
pub(super) fn make(it: &Tmpfs, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
    let fs = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key: &str, value: String| rustix::mount::fsconfig_set_string(fs.as_fd(), key, value);
    set("mode", format!("{:o}", it.mode))?;
    if let Some(bytes) = it.size {
        set("size", bytes.to_string())?;
    }
    if let Some((uid, gid)) = owner {
        set("uid", uid.to_string())?;
        set("gid", gid.to_string())?;
    }
    rustix::mount::fsconfig_create(fs.as_fd())?;
    let all = [
        (it.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (it.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (it.nodev, MountAttrFlags::MOUNT_ATTR_NODEV),
    ];
    let attributes = all.into_iter().filter_map(|(is_on, flag)| is_on.then_some(flag)).collect();
    Ok(rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Nothing in it can be changed from now on.
pub(super) fn seal(mount: &OwnedFd) -> io::Result<()> {
    mount_setattr(mount.as_fd(), Path::new(""), false, READ_ONLY, 0)
}
