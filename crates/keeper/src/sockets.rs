//! The listening sockets, by address: the keeper binds them and keeps duplicates, the edge serves on them.

use crate::error::KeeperError;
use crate::handed::Handed;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::frame::FrameSocket;
use wire::edge::{Listener, ToEdge};

/// Connections that may wait in one accept queue.
const BACKLOG: i32 = 4096;

/// For connections one accept queue for each core, for datagrams one.
#[derive(Default)]
pub(crate) struct Sockets {
    streams: BTreeMap<SocketAddr, Vec<OwnedFd>>,
    datagrams: BTreeMap<SocketAddr, OwnedFd>,
    handed: Handed,
}

impl Sockets {
    /// What a service manager handed over is used instead of binding.
    pub(crate) fn with(handed: Handed) -> Self {
        Self { handed, ..Self::default() }
    }

    /// Takes over what a living edge holds.
    pub(crate) fn take_over(&mut self, listeners: Vec<(Listener, OwnedFd)>) {
        for (listener, socket) in listeners {
            match listener.datagrams {
                false => self.streams.entry(listener.address).or_default().push(socket),
                true => drop(self.datagrams.insert(listener.address, socket)),
            }
        }
    }

    /// Binds `address` for connections unless that is done, and gives the address that it got: with port 0 the system chooses one.
    pub(crate) fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, KeeperError> {
        if self.streams.contains_key(&address) {
            return Ok(address);
        }
        let queues =
            std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
        let failed = |error: io::Error| KeeperError::Listen { address, cause: cause(address, &error) };
        let handed = self.handed.queues(address, queues);
        let sockets =
            handed.unwrap_or_else(|| sys::listen::bind(address, queues, BACKLOG)).map_err(failed)?;
        let bound = sockets.first().map_or(Ok(address), |socket| socket.local_addr()).map_err(failed)?;
        self.streams.insert(bound, sockets.into_iter().map(OwnedFd::from).collect());
        Ok(bound)
    }

    /// The same for datagrams; with a port.
    pub(crate) fn bind_datagrams(&mut self, address: SocketAddr) -> Result<(), KeeperError> {
        if self.datagrams.contains_key(&address) {
            return Ok(());
        }
        let failed = |error: io::Error| KeeperError::Listen { address, cause: cause(address, &error) };
        let socket = sys::listen::bind_datagrams(address).map_err(failed)?;
        self.datagrams.insert(address, UdpSocket::into(socket));
        Ok(())
    }

    /// Closes what is not among `streams` and `datagrams`.
    pub(crate) fn keep_only(&mut self, streams: &[SocketAddr], datagrams: &[SocketAddr]) {
        self.streams.retain(|address, _| streams.contains(address));
        self.datagrams.retain(|address, _| datagrams.contains(address));
    }

    /// Where connections are taken.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.streams.keys().copied().collect()
    }

    /// The message that hands them over.
    pub(crate) fn send(&self, edge: &FrameSocket) -> io::Result<()> {
        let mut listeners = Vec::new();
        let mut descriptors: Vec<BorrowedFd<'_>> = Vec::new();
        for (address, sockets) in &self.streams {
            for (queue, socket) in (0u32..).zip(sockets) {
                listeners.push(Listener { address: *address, queue, datagrams: false });
                descriptors.push(socket.as_fd());
            }
        }
        for (address, socket) in &self.datagrams {
            listeners.push(Listener { address: *address, queue: 0, datagrams: true });
            descriptors.push(socket.as_fd());
        }
        edge.send(&wire::encode(&ToEdge::Listen { listeners }).map_err(io::Error::other)?, &descriptors)
    }
}

fn cause(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => match sys::listen::port_holder(address) {
            Some(holder) => format!("it is taken by pid {} ({})", holder.pid, holder.name),
            None => "it is taken by another program".into(),
        },
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need root or the capability CAP_NET_BIND_SERVICE ({error})")
        }
        _ => error.to_string(),
    }
}
