//! Users and groups of this host, through the name service (so LDAP and the like count too).
//!
//! Lookups allocate and may ask a network service: call them before a fork, never between fork and exec.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// An entry of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home folder.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// Effective user id of this process.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Effective group id of this process.
pub fn gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    uid() == 0
}

/// The user of this name; `None` where there is none (a failing name service counts as none).
pub fn lookup(name: &str) -> Option<User> {
    nix::unistd::User::from_name(name).ok().flatten().map(User::from)
}

/// The user with this id.
pub fn by_uid(uid: u32) -> Option<User> {
    nix::unistd::User::from_uid(uid.into()).ok().flatten().map(User::from)
}

/// Id of the group of this name.
pub fn group(name: &str) -> Option<u32> {
    nix::unistd::Group::from_name(name).ok().flatten().map(|g| g.gid.as_raw())
}

/// Every group the user belongs to, `gid` included.
pub fn groups(name: &str, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(name) else { return vec![gid] };
    match nix::unistd::getgrouplist(&name, gid.into()) {
        Ok(found) => found.into_iter().map(|g| g.as_raw()).collect(),
        Err(_) => vec![gid],
    }
}

/// User and group id of the owner of a path (of what a symbolic link points to).
pub fn owner(path: &Path) -> io::Result<(u32, u32)> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.uid(), meta.gid()))
}

impl From<nix::unistd::User> for User {
    fn from(u: nix::unistd::User) -> Self {
        User { name: u.name, uid: u.uid.as_raw(), gid: u.gid.as_raw(), home: u.dir, shell: u.shell }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_by_id() {
        let root = lookup("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(by_uid(0).unwrap().name, "root");
        assert!(groups("root", 0).contains(&0));
        assert_eq!(group("root"), Some(0));
    }

    #[test]
    fn an_unknown_user_is_none() {
        assert_eq!(lookup("no-such-user-here"), None);
        assert_eq!(lookup("nul\0inside"), None);
        assert_eq!(groups("no-such-user-here", 7), vec![7]);
    }
}
