//! Everything the checks ask the machine: files, folders, users, commands. Can be switched off ([`Disk::none`]), so that
//! text alone can be checked (fuzzing, editors): then every question about the machine is answered with "fine".

use model::spec::EDGE_ID;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest file that is read: manifest, `.env`, secret.
const MAX_FILE: u64 = 1 << 20;

/// Why a file cannot be read whose mode or folder forbids it.
pub const DENIED: &str = "may not be read";

const READ: u32 = 4;
const EXECUTE: u32 = 1;

/// The machine, and what was read of it.
#[derive(Debug, Default)]
pub struct Disk {
    real: bool,
    accepted: bool,
    /// Files that stand for those of the machine, where there is none.
    held: BTreeMap<PathBuf, String>,
    /// Users that were looked up already: each site asks for the edge's, and a name that is not in `/etc/passwd` costs a process.
    found: RefCell<BTreeMap<String, Option<Identity>>>,
    /// Every file that was read, in order, each once.
    pub files: Vec<PathBuf>,
    /// The same, to be found.
    known: HashSet<PathBuf>,
}

/// A user, as the kernel's permission check sees one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For messages.
    pub name: String,
    uid: u32,
    gids: Vec<u32>,
}

/// Why a folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// This does not exist.
    Missing(PathBuf),
    /// This is there and no folder.
    NotAFolder(PathBuf),
    /// This may not be entered or read.
    Denied(PathBuf),
}

impl Disk {
    /// The machine we run on.
    pub fn real() -> Self {
        Self { real: true, ..Self::default() }
    }

    /// The machine we run on, for a text that was accepted on it earlier.
    pub fn of_accepted() -> Self {
        Self { real: true, accepted: true, ..Self::default() }
    }

    /// Whether what only the start of a server or of a build needs is to be there. A text that was accepted is not refused for it: what runs
    /// needs it no more, and the rest of its stack never did.
    pub fn is_to_start(&self) -> bool {
        self.real && !self.accepted
    }

    /// No machine.
    pub fn none() -> Self {
        Self::default()
    }

    /// No machine, but these files.
    pub fn holding(files: &[(&Path, &str)]) -> Self {
        let held = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { held, ..Self::default() }
    }

    /// Whether there is a machine to ask.
    pub fn is_real(&self) -> bool {
        self.real
    }

    /// Cores that this process may use, so also what it starts; without a machine one.
    pub fn cores(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        if self.real { u32::try_from(cores).unwrap_or(u32::MAX) } else { 1 }
    }

    /// Whether the kernel knows IPv6; without a machine it does.
    pub fn has_ipv6(&self) -> bool {
        self.exists(Path::new("/proc/net/if_inet6"))
    }

    /// A file's text; nothing without a machine. The error is the sentence for the label.
    pub fn read(&mut self, path: &Path) -> Result<Option<String>, String> {
        if !self.real {
            return Ok(self.held.get(path).cloned());
        }
        let text = read(path)?;
        if self.known.insert(path.to_owned()) {
            self.files.push(path.to_owned());
        }
        Ok(Some(text))
    }

    /// Whether others than owner and group may read the file.
    pub fn others_may_read(&self, path: &Path) -> bool {
        self.real && fs::metadata(path).is_ok_and(|data| data.mode() & 0o004 != 0)
    }

    /// Whether something is there. Without a machine everything is.
    pub fn exists(&self, path: &Path) -> bool {
        !self.real || path.exists()
    }

    /// Why this user cannot use the folder.
    pub fn unreachable(&self, folder: &Path, who: Option<&Identity>) -> Option<Unreachable> {
        if !self.real {
            return None;
        }
        let mut parents: Vec<&Path> = folder.ancestors().collect();
        parents.reverse();
        for part in parents {
            let Ok(data) = fs::metadata(part) else {
                // What may not be entered cannot be looked at either; the caller itself may be the one who is denied.
                let denied = fs::metadata(part)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
                let above = part.parent().unwrap_or(part).to_owned();
                return Some(if denied {
                    Unreachable::Denied(above)
                } else {
                    Unreachable::Missing(part.to_owned())
                });
            };
            if !data.is_dir() {
                return Some(Unreachable::NotAFolder(part.to_owned()));
            }
            let wanted = if part == folder { READ | EXECUTE } else { EXECUTE };
            if who.is_some_and(|who| !who.may(&data, wanted)) {
                return Some(Unreachable::Denied(part.to_owned()));
            }
        }
        None
    }

    /// Why this user cannot read the file.
    pub fn unreadable(&self, file: &Path, who: Option<&Identity>) -> Option<Unreachable> {
        if !self.real {
            return None;
        }
        // Its folder has to be passed, not to be listed.
        let folder = file.parent().unwrap_or(Path::new("/"));
        let passes =
            |path: &Path| fs::metadata(path).is_ok_and(|data| who.is_none_or(|who| who.may(&data, EXECUTE)));
        let above = self.unreachable(folder, who);
        if above.is_some() && !(above == Some(Unreachable::Denied(folder.to_owned())) && passes(folder)) {
            return above;
        }
        match fs::metadata(file) {
            Ok(data) if !data.is_file() => Some(Unreachable::NotAFolder(file.to_owned())),
            Ok(data) if who.is_some_and(|who| !who.may(&data, READ)) => {
                Some(Unreachable::Denied(file.to_owned()))
            }
            Ok(_) => None,
            Err(_) => Some(Unreachable::Missing(file.to_owned())),
        }
    }

    /// Whether this user can execute the file. Without a machine it can.
    pub fn executable(&self, file: &Path, who: Option<&Identity>) -> bool {
        let may = |data: &fs::Metadata| who.is_none_or(|who| who.may(data, EXECUTE));
        let ready = |data: fs::Metadata| data.is_file() && data.mode() & 0o111 != 0 && may(&data);
        let mut folders = file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        !self.real
            || fs::metadata(file).is_ok_and(ready)
                && folders.all(|folder| fs::metadata(folder).is_ok_and(|data| may(&data)))
    }

    /// Names of the files in these folders, for suggestions.
    pub fn names(&self, folders: &[PathBuf]) -> Vec<String> {
        let entries = folders.iter().filter(|_| self.real).flat_map(fs::read_dir).flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Looks a user up by name. `Err` where there is none.
    pub fn user(&self, name: &str) -> Result<Option<Identity>, ()> {
        if !self.real {
            return Ok(None);
        }
        if let Some(known) = self.found.borrow().get(name) {
            return known.clone().map(Some).ok_or(());
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = passwd.lines().find(|line| line.split(':').next() == Some(name)).map(str::to_owned);
        let found = entry.or_else(|| getent(name)).and_then(|line| Identity::from_passwd(&line));
        self.found.borrow_mut().insert(name.to_owned(), found.clone());
        found.map(Some).ok_or(())
    }

    /// Names of the users in `/etc/passwd`, for suggestions.
    pub fn users(&self) -> Vec<String> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        passwd.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
    }

    /// Who an app without `user` runs as: the caller; started as root the owner of the stack's folder, if that is not
    /// root, else `nobody`. Never the edge's user, who holds the private keys.
    pub fn default_user(&self, root: &Path) -> Option<Identity> {
        if !self.real {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            return Some(Identity::caller());
        }
        let owner = fs::metadata(root).map_or(0, |data| data.uid());
        let edge = self.edge_user().map(|edge| edge.uid);
        if owner == 0 || edge == Some(owner) {
            return self.user("nobody").ok().flatten();
        }
        Some(Identity::from_uid(owner))
    }

    /// Who the edge runs as: the caller; started as root `mainstay`, else a user without a name.
    pub fn edge_user(&self) -> Option<Identity> {
        match self.real {
            true if rustix::process::geteuid().is_root() => {
                Some(self.user("mainstay").ok().flatten().unwrap_or_else(|| Identity::from_uid(EDGE_ID)))
            }
            true => Some(Identity::caller()),
            false => None,
        }
    }
}

impl Identity {
    fn caller() -> Self {
        let uid = rustix::process::geteuid();
        let mut gids = vec![rustix::process::getegid().as_raw()];
        gids.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()));
        Self { name: format!("uid {}", uid.as_raw()), uid: uid.as_raw(), gids }
    }

    fn from_uid(uid: u32) -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
        entry.and_then(Self::from_passwd).unwrap_or_else(|| Self {
            name: format!("uid {uid}"),
            uid,
            gids: vec![uid],
        })
    }

    /// From a line of passwd(5), with the groups of group(5).
    fn from_passwd(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let (name, uid, gid) = (*fields.first()?, fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        let mut gids = vec![gid];
        for group in fs::read_to_string("/etc/group").unwrap_or_default().lines() {
            let fields: Vec<&str> = group.split(':').collect();
            let member = fields.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
            gids.extend(fields.get(2).filter(|_| member).and_then(|gid| gid.parse::<u32>().ok()));
        }
        Some(Self { name: format!("user `{name}`"), uid, gids })
    }

    /// The permission check of path_resolution(7), without access control lists.
    fn may(&self, data: &fs::Metadata, wanted: u32) -> bool {
        let shift = match () {
            () if self.uid == 0 => return true,
            () if data.uid() == self.uid => 6,
            () if self.gids.contains(&data.gid()) => 3,
            () => 0,
        };
        (data.mode() >> shift) & wanted == wanted
    }
}

fn read(path: &Path) -> Result<String, String> {
    let reason = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => DENIED.to_owned(),
        _ => error.to_string(),
    };
    let data = fs::metadata(path).map_err(reason)?;
    if !data.is_file() {
        return Err(if data.is_dir() { "a folder, not a file" } else { "not a regular file" }.into());
    }
    let mut bytes = Vec::new();
    // Not blocking: a pipe may have taken its place since.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(reason)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(reason)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("larger than 1 MiB".into());
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".into())
}

/// Users that are not in `/etc/passwd` (LDAP, systemd) are known to `getent` alone.
fn getent(name: &str) -> Option<String> {
    let mut command = std::process::Command::new("getent");
    let output = command.args(["passwd", "--", name]).stdin(std::process::Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout)
        .ok()
        .filter(|line| output.status.success() && line.split(':').next() == Some(name))
}
