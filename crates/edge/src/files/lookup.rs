//! What lies at a path: asks the file system. Runs on a blocking thread, never on a worker's.
//!
//! Everything is opened by `openat2` with `RESOLVE_BENEATH` from the root, so that neither a path nor a link leads out of it;
//! the root itself is opened each time, because a release may be switched by its link. A file is answered by the first of: itself, its
//! clean URL's page, its folder's index. The rules of [`super::deny`] hold for the name that was found as for the one asked for.

use super::asset::{Asset, Body, Stamp};
use super::head;
use super::kind::Kind;
use super::listing::{self, Entry};
use super::{INLINE, Root};
use model::policy::Coding;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

/// Smallest and largest file whose coded form is prepared.
pub const PREPARED: std::ops::RangeInclusive<u64> = 256..=4 << 20;

/// How often what raced with a change is tried again.
const TRIES: usize = 4;

/// What there is.
#[derive(Debug)]
pub enum Found {
    /// A file.
    Asset(Arc<Asset>),
    /// The same under another spelling.
    Moved(Spelling),
    /// A folder to be shown.
    Folder(Vec<Entry>),
    /// Nothing.
    Missing,
}

/// How the right path differs from the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// With a slash at its end.
    WithSlash,
    /// Without it.
    WithoutSlash,
    /// Without so many last characters (`.html`).
    Shorter(usize),
}

enum Opened {
    File(OwnedFd, Stat),
    Folder(OwnedFd),
    Missing,
}

/// One look below a root.
struct Look<'a> {
    root: &'a Root,
    folder: OwnedFd,
    path: &'a str,
    known: Option<&'a Arc<Asset>>,
    now: u64,
}

/// Looks at `path`, which the rules let pass. `known`: what was found there before; it is found again if nothing has changed. `now`
/// as [`super::millis`] counts.
///
/// # Errors
/// Where the file system fails for a reason that is not the path's.
pub fn look_up(root: &Root, path: &str, known: Option<&Arc<Asset>>, now: u64) -> io::Result<Found> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(&root.spec.root, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(error) if is_absence(error) => return Ok(Found::Missing),
        Err(error) => return Err(error.into()),
    };
    let look = Look { root, folder, path, known, now };
    match path.strip_suffix('/') {
        None if path.is_empty() => look.index("."),
        None => look.file(),
        Some(folder) => look.folder(folder),
    }
}

impl Look<'_> {
    /// A path without a slash at its end.
    fn file(&self) -> io::Result<Found> {
        let spec = &self.root.spec;
        match self.open(self.path)? {
            Opened::File(file, stat) => {
                if let Some(spelling) = self.cleaner() {
                    return Ok(Found::Moved(spelling));
                }
                self.asset(self.path, file, &stat)
            }
            Opened::Folder(_) => {
                if let Some(found) = self.page(self.path)? {
                    return Ok(found);
                }
                match self.index(self.path)? {
                    Found::Missing => Ok(Found::Missing),
                    found if spec.trailing_slash == Some(false) => Ok(found),
                    _ => Ok(Found::Moved(Spelling::WithSlash)),
                }
            }
            Opened::Missing => Ok(self.page(self.path)?.unwrap_or(Found::Missing)),
        }
    }

    /// A path with one.
    fn folder(&self, path: &str) -> io::Result<Found> {
        let choice = self.root.spec.trailing_slash;
        match self.open(path)? {
            Opened::Folder(_) => match self.index(path)? {
                Found::Missing => Ok(Found::Missing),
                _ if choice == Some(false) => Ok(Found::Moved(Spelling::WithoutSlash)),
                found => Ok(found),
            },
            Opened::File(..) if choice.is_some() => Ok(Found::Moved(Spelling::WithoutSlash)),
            Opened::Missing if choice.is_some() && self.page(path)?.is_some() => {
                Ok(Found::Moved(Spelling::WithoutSlash))
            }
            Opened::File(..) | Opened::Missing => Ok(Found::Missing),
        }
    }

    /// `about.html` for `about`.
    fn page(&self, path: &str) -> io::Result<Option<Found>> {
        if !self.root.spec.clean_urls {
            return Ok(None);
        }
        let name = format!("{path}.html");
        match self.open(&name)? {
            Opened::File(file, stat) => self.asset(&name, file, &stat).map(Some),
            Opened::Folder(_) | Opened::Missing => Ok(None),
        }
    }

    /// The path that should have been asked for in the place of a page's file name.
    fn cleaner(&self) -> Option<Spelling> {
        let spec = &self.root.spec;
        let stem = self.path.strip_suffix(".html").filter(|_| spec.clean_urls)?;
        let (folder, name) =
            self.path.rsplit_once('/').map_or(("", self.path), |(folder, name)| (folder, name));
        if spec.index.first().is_some_and(|index| index == name) {
            let slash = usize::from(spec.trailing_slash == Some(false) && !folder.is_empty());
            return Some(Spelling::Shorter(name.len() + slash));
        }
        Some(Spelling::Shorter(self.path.len() - stem.len()))
            .filter(|_| !stem.is_empty() && !stem.ends_with('/'))
    }

    /// A folder's index, or its listing.
    fn index(&self, folder: &str) -> io::Result<Found> {
        let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
        for index in &self.root.spec.index {
            let name = format!("{prefix}{index}");
            if let Opened::File(file, stat) = self.open(&name)? {
                return self.asset(&name, file, &stat);
            }
        }
        if !self.root.spec.listing {
            return Ok(Found::Missing);
        }
        match self.open(folder)? {
            Opened::Folder(opened) => {
                let refuse = |name: &str| self.root.rules.refuse(&format!("{prefix}{name}"));
                listing::read(&opened, refuse).map(Found::Folder)
            }
            Opened::File(..) | Opened::Missing => Ok(Found::Missing),
        }
    }

    /// Opens what has this name, unless it may not be served or is neither file nor folder.
    fn open(&self, name: &str) -> io::Result<Opened> {
        if name != self.path && name != "." && self.root.rules.refuse(name) {
            return Ok(Opened::Missing);
        }
        // NONBLOCK: opening a pipe must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            let file = match openat2(&self.folder, name, flags, Mode::empty(), resolve) {
                Ok(file) => file,
                Err(error) if is_absence(error) => return Ok(Opened::Missing),
                // A name on the way was changed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let stat = fstat(&file)?;
            return Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Opened::File(file, stat),
                FileType::Directory => Opened::Folder(file),
                _ => Opened::Missing,
            });
        }
        Ok(Opened::Missing)
    }

    /// The file with all that is said of it, or what was known if it is the same version.
    fn asset(&self, name: &str, file: OwnedFd, stat: &Stat) -> io::Result<Found> {
        let spec = &self.root.spec;
        let (kind, shown) = if spec.inert { Kind::inert(name) } else { (Kind::of(name), true) };
        let siblings = if kind.compressible { self.siblings(name, stat)? } else { Vec::new() };
        if let Some(known) = self.known.filter(|known| is_same(known, stat, &siblings)) {
            return Ok(Found::Asset(Arc::clone(known)));
        }
        let (body, stamp) = load(file, stat)?;
        let worth = kind.compressible && PREPARED.contains(&stamp.size);
        let there = |coding: &Coding| siblings.iter().any(|(sibling, ..)| sibling == coding);
        let codings: Box<[Coding]> =
            spec.codings.iter().copied().filter(|coding| worth || there(coding)).collect();
        let facts = head::Facts {
            kind: &kind.value,
            cache: self.root.cache_rule(name).unwrap_or_else(|| kind.cache_control(name)),
            varies: !codings.is_empty(),
            inert: spec.inert,
            shown,
        };
        let racy = stamp.is_racy(SystemTime::now());
        let plain = head::variant(None, body, stamp, stamp.modified(), &facts);
        let asset = Asset::new((self.root.id, self.path), &facts, plain, codings, racy, self.now);
        for (coding, file, stat) in siblings {
            let (body, stamp) = load(file, &stat)?;
            let modified = asset.plain.stamp.modified();
            asset.add(coding, Some(head::variant(Some(coding), body, stamp, modified, &facts)));
        }
        Ok(Found::Asset(Arc::new(asset)))
    }

    /// Coded forms that lie beside the file (`app.js.br`) and are not older.
    fn siblings(&self, name: &str, stat: &Stat) -> io::Result<Vec<(Coding, OwnedFd, Stat)>> {
        let mut found = Vec::new();
        for &coding in &self.root.spec.codings {
            let extension = match coding {
                Coding::Br => "br",
                Coding::Zstd => "zst",
                Coding::Gzip => "gz",
            };
            if let Opened::File(file, sibling) = self.open(&format!("{name}.{extension}"))?
                && (sibling.st_mtime, sibling.st_mtime_nsec) >= (stat.st_mtime, stat.st_mtime_nsec)
            {
                found.push((coding, file, sibling));
            }
        }
        Ok(found)
    }
}

/// Nothing has changed since, neither the file nor what lies beside it.
fn is_same(known: &Asset, stat: &Stat, siblings: &[(Coding, OwnedFd, Stat)]) -> bool {
    let beside = |coding: Coding| {
        let there =
            siblings.iter().find(|(sibling, ..)| *sibling == coding).map(|(.., stat)| Stamp::of(stat));
        // What was prepared here is of the file itself.
        let had = known
            .coded(coding)
            .map(|variant| variant.stamp)
            .filter(|stamp| !stamp.is_of_same_file(&known.plain.stamp));
        there == had
    };
    !known.racy
        && known.plain.stamp == Stamp::of(stat)
        && [Coding::Br, Coding::Zstd, Coding::Gzip].into_iter().all(beside)
}

/// A small file is read, at once and whole; a larger one is kept open.
fn load(file: OwnedFd, stat: &Stat) -> io::Result<(Body, Stamp)> {
    let mut stamp = Stamp::of(stat);
    if stamp.size > INLINE {
        return Ok((Body::Disk(Arc::new(file)), stamp));
    }
    let mut bytes = Vec::new();
    for _ in 0..TRIES {
        bytes = read(&file, stamp.size)?;
        let after = Stamp::of(&fstat(&file)?);
        if after == stamp && bytes.len() as u64 == stamp.size {
            break;
        }
        // Written to while it was read: once more, and if that never ends what was read stands for it.
        stamp = after.with_size(after.size.min(INLINE));
    }
    let stamp = stamp.with_size(bytes.len() as u64);
    Ok((Body::Memory(bytes.into()), stamp))
}

/// Up to `size` bytes from the beginning; fewer where the file ends before.
pub fn read(file: &OwnedFd, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let mut filled = 0;
    while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
        match rustix::io::pread(file, free, filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Errors that say only that there is nothing to be served at a path. NXIO: a socket's file; XDEV: a way out of the root.
fn is_absence(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::ACCESS
            | Errno::NXIO
            | Errno::NAMETOOLONG
            | Errno::PERM
    )
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
pub(super) mod tests;
