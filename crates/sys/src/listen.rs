//! TCP listeners with several accept queues, sockets for datagrams, and who else listens on a port.

use crate::proc;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;

/// Listens on `address` with so many accept queues (`SO_REUSEPORT`), each a nonblocking listener; port 0 takes a free
/// one, the same for all. `AddrInUse` when anybody else holds the port, even one who would share it.
pub fn bind(address: SocketAddr, queues: u32, backlog: i32) -> io::Result<Vec<TcpListener>> {
    // Without SO_REUSEPORT first: with it, a second server of the same user would silently get half the connections.
    let test = socket(address)?;
    test.bind(&address.into())?;
    let address = test.local_addr()?.as_socket().ok_or(ErrorKind::AddrNotAvailable)?;
    drop(test);
    let mut listeners = Vec::new();
    for _ in 0..queues.max(1) {
        let socket = socket(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        socket.set_nonblocking(true)?;
        listeners.push(socket.into());
    }
    Ok(listeners)
}

/// A nonblocking socket for datagrams (UDP). `AddrInUse` when anybody else has the port.
pub fn bind_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // connections in TIME_WAIT do not hold the port
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// A process that listens somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: u32,
    /// Name of its executable.
    pub name: String,
    /// User it runs as.
    pub uid: Option<u32>,
}

/// Who keeps us from listening on `address`; `None` when nobody does, or when we may not see whose socket it is.
pub fn port_holder(address: SocketAddr) -> Option<Holder> {
    let inodes = sockets().into_iter().filter(|s| s.conflicts(address)).map(|s| s.inode).collect();
    let pid = holders(&inodes).into_iter().next()?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok().map(|m| m.uid());
    Some(Holder { pid, name: proc::stat(pid)?.name, uid })
}

/// Every process that has a listening socket on this port, on any address.
pub fn listener_pids(port: u16) -> Vec<u32> {
    let inodes = sockets().into_iter().filter(|s| s.address.port() == port).map(|s| s.inode).collect();
    holders(&inodes)
}

/// Where these processes listen, which are all in the network namespace of the first.
pub fn listening_addresses(pids: &[u32]) -> Vec<SocketAddr> {
    let Some(first) = pids.first() else { return Vec::new() };
    let inodes: HashSet<u64> = pids.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    sockets_in(&format!("/proc/{first}/net"))
        .into_iter()
        .filter(|s| inodes.contains(&s.inode))
        .map(|s| s.address)
        .collect()
}

struct Listening {
    address: SocketAddr,
    inode: u64,
}

impl Listening {
    fn conflicts(&self, wanted: SocketAddr) -> bool {
        let mine = self.address.ip();
        let meets = mine == wanted.ip() || mine.is_unspecified() || wanted.ip().is_unspecified();
        self.address.port() == wanted.port() && meets
    }
}

fn sockets() -> Vec<Listening> {
    sockets_in("/proc/net")
}

/// Of the network namespace that this folder of proc(5) shows.
fn sockets_in(folder: &str) -> Vec<Listening> {
    let read = |file| fs::read_to_string(format!("{folder}/{file}")).unwrap_or_default();
    let (four, six) = (read("tcp"), read("tcp6"));
    four.lines().chain(six.lines()).filter_map(parse_line).collect()
}

/// One line of /proc/net/tcp or tcp6, if it is a listening socket.
fn parse_line(line: &str) -> Option<Listening> {
    let mut fields = line.split_ascii_whitespace();
    let (ip, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    if state != "0A" {
        return None;
    }
    let ip = parse_ip(ip)?;
    Some(Listening { address: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), inode })
}

/// Groups of four bytes, each printed as a number in the machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for start in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let six = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
    Some(six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4))
}

fn holders(inodes: &HashSet<u64>) -> Vec<u32> {
    if inodes.is_empty() {
        return Vec::new();
    }
    let holds = |pid: &u32| socket_inodes(*pid).iter().any(|inode| inodes.contains(inode));
    proc::pids().unwrap_or_default().into_iter().filter(holds).collect()
}

/// Inodes of a process's sockets; none when we may not look.
fn socket_inodes(pid: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
