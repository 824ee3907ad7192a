//! Files that one process alone sees, in memory: secrets and configurations.
//!
//! A folder that is not there, or is empty, becomes a tmpfs with nothing but them in it; into a tmpfs of the process's own they are
//! written; a file that is there is covered. Nothing of the host's is changed.

use super::mounts::{attach, make, seal};
use super::{PlacedFile, Tmpfs};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::mount::OpenTreeFlags;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where each file goes.
pub(super) struct Plan<'a> {
    /// Folders that become a tmpfs.
    own: BTreeMap<PathBuf, Vec<&'a PlacedFile>>,
    /// Into folders that are in memory anyway.
    inside: Vec<&'a PlacedFile>,
    /// Over files that are there.
    over: Vec<&'a PlacedFile>,
}

/// Decides it, before anything is mounted.
pub(super) fn plan<'a>(files: &'a [PlacedFile], tmpfs: &[Tmpfs]) -> Result<Plan<'a>, String> {
    let mut plan = Plan { own: BTreeMap::new(), inside: Vec::new(), over: Vec::new() };
    for file in files {
        let folder = file.target.parent().unwrap_or(Path::new("/"));
        let is_free =
            || fs::read_dir(folder).map_or_else(|_| !folder.exists(), |mut entries| entries.next().is_none());
        if tmpfs.iter().any(|it| folder.starts_with(&it.target)) {
            plan.inside.push(file);
        } else if is_free() {
            plan.own.entry(folder.to_owned()).or_default().push(file);
        } else if file.target.is_file() {
            plan.over.push(file);
        } else {
            return Err(format!(
                "{} cannot be put into a folder that holds other things: name a folder of its own, or make an empty file there",
                file.target.display()
            ));
        }
    }
    Ok(plan)
}

impl Plan<'_> {
    /// Folders that something is mounted on.
    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.own.keys()
    }

    /// Puts them there.
    pub(super) fn place(&self) -> Result<(), String> {
        let said = |path: &Path, error: io::Error| format!("cannot place {}: {error}", path.display());
        for (folder, files) in &self.own {
            let placed = filled(files).and_then(|mount| attach(&mount, folder));
            placed.map_err(|error| said(folder, error))?;
        }
        for file in &self.inside {
            let folder = file.target.parent().unwrap_or(Path::new("/"));
            let open = || -> io::Result<()> {
                fs::create_dir_all(folder)?;
                write(&File::open(folder)?.into(), file)
            };
            open().map_err(|error| said(&file.target, error))?;
        }
        for file in &self.over {
            let cover = || -> io::Result<()> {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let one = rustix::mount::open_tree(filled(&[file])?, name(file), flags)?;
                attach(&one, &file.target)
            };
            cover().map_err(|error| said(&file.target, error))?;
        }
        Ok(())
    }
}

fn name(file: &PlacedFile) -> &Path {
    Path::new(file.target.file_name().unwrap_or_default())
}

/// A tmpfs with these, and no room for more.
fn filled(files: &[&PlacedFile]) -> io::Result<OwnedFd> {
    let page = rustix::param::page_size() as u64;
    let pages: u64 = files.iter().map(|file| (file.content.len() as u64).div_ceil(page) + 1).sum();
    let size = Some((pages + 1) * page);
    let mount = make(
        &Tmpfs { target: PathBuf::new(), size, mode: 0o755, noexec: true, nosuid: true, nodev: true },
        None,
    )?;
    for file in files {
        write(&mount, file)?;
    }
    seal(&mount)?;
    Ok(mount)
}

fn write(folder: &OwnedFd, file: &PlacedFile) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let made = rustix::fs::openat(folder.as_fd(), name(file), flags, Mode::from_raw_mode(0o400))?;
    let mut made = File::from(made);
    made.write_all(&file.content)?;
    let (uid, gid) = file.owner;
    let is_ours = (uid, gid) == (crate::user::uid(), crate::user::gid());
    if !is_ours {
        rustix::fs::chownat(
            folder.as_fd(),
            name(file),
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
    }
    Ok(rustix::fs::fchmod(&made, Mode::from_raw_mode(file.mode))?)
}
