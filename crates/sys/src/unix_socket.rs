//! Unix sockets at paths: who may connect, and what to do with a socket file that is there already.

use rustix::fs::{AtFlags, Gid, Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

const BACKLOG: i32 = 128;

/// Listens at `path` with this mode. A socket nobody listens on any more is replaced; one that is alive is not
/// (`AddrInUse`), nor is anything that is no socket.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(e) if e.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    // Before it listens nobody can connect: so nobody comes in under the mode the umask happened to leave.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether somebody listens at `path`.
pub fn is_live(path: &Path) -> bool {
    match UnixStream::connect(path) {
        Ok(_) => true,
        // A full backlog, or a socket that we may not connect to, has somebody behind it.
        Err(e) => !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused),
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path)?.file_type().is_socket();
    if !is_socket || is_live(path) {
        return Err(ErrorKind::AddrInUse.into());
    }
    fs::remove_file(path)
}

/// Gives a socket that `owner` made (none: anybody) this group and mode. The folder is the owner's, who can put anything in the
/// socket's place at any moment: so what is looked at and what is changed are one descriptor, and no link is followed.
///
/// # Errors
/// When the system refuses, or what is there is no socket of the owner's.
pub fn share(path: &Path, owner: Option<u32>, group: u32, mode: u32) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&socket)?;
    let is_socket = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket();
    if !is_socket || owner.is_some_and(|owner| owner != stat.st_uid) {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "what is there is no socket of the user it runs as",
        ));
    }
    rustix::fs::chownat(&socket, c"", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
    // chmod knows no empty path before Linux 6.6; this name stands for the descriptor.
    fs::set_permissions(format!("/proc/self/fd/{}", socket.as_raw_fd()), Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let first = bind(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(bind(&path, 0o600).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(is_live(&path));
        drop(first);
        assert!(!is_live(&path));
        let second = bind(&path, 0o666).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(second);
    }

    #[test]
    fn a_link_in_a_sockets_place_shares_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("control"), dir.path().join("s"));
        let _live = bind(&victim, 0o600).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let (me, group) = (crate::user::uid(), crate::user::gid());
        assert!(share(&link, Some(me), group, 0o660).is_err());
        assert!(share(&victim, Some(me + 1), group, 0o660).is_err(), "somebody else's");
        let mode = || fs::metadata(&victim).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        share(&victim, Some(me), group, 0o660).unwrap();
        assert_eq!(mode(), 0o660);
        let file = dir.path().join("file");
        fs::File::create(&file).unwrap();
        assert!(share(&file, Some(me), group, 0o660).is_err());
    }

    #[test]
    fn a_file_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::File::create(&path).unwrap();
        assert_eq!(bind(&path, 0o600).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(path.exists());
    }
}
