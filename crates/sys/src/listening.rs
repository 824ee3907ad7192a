//! Who listens: every TCP socket of the host that takes connections, and the processes that hold it.

use crate::proc;
use procfs::net::{TcpNetEntry, TcpState};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;

/// A listening address. Several sockets may share it (`SO_REUSEPORT`): they are one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// Processes that hold it open, by id. Empty: none of those that this user may look at.
    pub pids: BTreeSet<u32>,
}

/// All of them, by port and address; with `ports`, only those. Looks into every process that this user may look at: tens of
/// milliseconds on a busy host.
pub fn listening(ports: &[u16]) -> Vec<Listening> {
    of_tables([procfs::net::tcp(), procfs::net::tcp6()], ports)
}

/// The same of the network namespace that this process is in; nothing if it is gone.
pub fn listening_beside(process: u32, ports: &[u16]) -> Vec<Listening> {
    let found = i32::try_from(process).ok().and_then(|pid| procfs::process::Process::new(pid).ok());
    found.map_or_else(Vec::new, |process| of_tables([process.tcp(), process.tcp6()], ports))
}

fn of_tables(tables: [procfs::ProcResult<Vec<TcpNetEntry>>; 2], ports: &[u16]) -> Vec<Listening> {
    let wanted = |entry: &TcpNetEntry| {
        entry.state == TcpState::Listen && (ports.is_empty() || ports.contains(&entry.local_address.port()))
    };
    let entries = tables.into_iter().flat_map(Result::unwrap_or_default).filter(wanted);
    let entries: Vec<(u64, SocketAddr)> = entries.map(|entry| (entry.inode, entry.local_address)).collect();
    let inodes: BTreeSet<u64> = entries.iter().map(|(inode, _)| *inode).collect();
    let holders = holders(&inodes);
    let mut found: BTreeMap<(u16, SocketAddr), BTreeSet<u32>> = BTreeMap::new();
    for (inode, address) in entries {
        let pids = found.entry((address.port(), address)).or_default();
        pids.extend(holders.get(&inode).into_iter().flatten());
    }
    found.into_iter().map(|((_, address), pids)| Listening { address, pids }).collect()
}

/// Processes by the inodes of the sockets that they hold.
fn holders(inodes: &BTreeSet<u64>) -> BTreeMap<u64, Vec<u32>> {
    let mut holders: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    if inodes.is_empty() {
        return holders;
    }
    for pid in proc::pids().unwrap_or_default() {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for inode in files.filter_map(|file| socket(&fs::read_link(file.path()).ok()?.to_string_lossy())) {
            if inodes.contains(&inode) {
                holders.entry(inode).or_default().push(pid);
            }
        }
    }
    holders
}

/// Of `socket:[4711]` the number.
fn socket(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_found_by_its_port_with_who_holds_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0");
        let address = listener.local_addr().unwrap();
        let found = listening(&[address.port()]);
        let ours = found.iter().find(|it| it.address == address).unwrap();
        assert!(ours.pids.contains(&std::process::id()), "{found:?}");
        assert!(found.iter().all(|it| it.address.port() == address.port()), "{found:?}");
        assert!(listening(&[]).len() >= found.len());
        if let Ok(six) = &six {
            let address = six.local_addr().unwrap();
            assert!(listening(&[]).iter().any(|it| it.address == address));
        }
    }

    #[test]
    fn of_what_a_descriptor_shows_only_sockets_count() {
        assert_eq!(socket("socket:[4711]"), Some(4711));
        assert_eq!((socket("pipe:[4711]"), socket("socket:[x]"), socket("/dev/null")), (None, None, None));
    }
}
