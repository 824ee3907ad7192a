//! Network namespaces (network_namespaces(7)): made without a name, entered by a thread of their own.
//!
//! A namespace lives as long as something holds it: a descriptor, a socket, a process inside. Nothing is mounted, so nothing is left behind
//! when the last of them goes, however it goes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Makes a namespace and does something inside it; the namespace lives as long as the descriptor, or as somebody in it.
///
/// # Errors
/// `PermissionDenied` without the capability `CAP_SYS_ADMIN`.
pub fn make<T: Send>(first: impl FnOnce() -> T + Send) -> io::Result<(OwnedFd, T)> {
    in_thread(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
        let namespace = OwnedFd::from(File::open("/proc/thread-self/ns/net")?);
        Ok((namespace, first()))
    })
}

/// Does something inside a namespace: sockets that it opens stay there.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn inside<T: Send>(namespace: impl AsFd, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = namespace.as_fd();
    in_thread(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })
}

/// A thread that ends with its work: no other work ever meets the namespace that it is in.
fn in_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("namespace".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("work in a namespace panicked")))
    })
}

/// Whether this process may make namespaces and configure interfaces (capabilities(7): `CAP_SYS_ADMIN`, `CAP_NET_ADMIN`).
///
/// # Errors
/// For people: which capability is missing.
pub fn capable() -> Result<(), String> {
    const NEEDED: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];
    let status = std::fs::read_to_string("/proc/thread-self/status").map_err(|error| error.to_string())?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(bit, _)| effective & (1 << bit) == 0).map(|(_, name)| *name).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("the capability {} is missing", missing.join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_namespace_has_ports_of_its_own() {
        if let Err(reason) = capable() {
            return eprintln!("skipped: {reason}");
        }
        let here = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = here.local_addr().unwrap();
        let (namespace, up) =
            make(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap().lines().count()).unwrap();
        assert_eq!(up, 3, "two lines of heading and `lo`");
        let there = inside(&namespace, || TcpListener::bind(address)).unwrap();
        assert_eq!(there.unwrap().local_addr().unwrap(), address);
        assert!(inside(&namespace, || TcpStream::connect(address)).unwrap().is_err());
        assert!(TcpStream::connect(address).is_ok(), "this thread stayed where it was");
    }
}
