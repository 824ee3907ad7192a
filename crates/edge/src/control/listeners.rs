//! Listening sockets: taken from the keeper, handed to the workers.

use super::Control;
use crate::worker::Command;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use wire::edge::Listener;

impl Control {
    /// Serves on exactly these: keeps what is the same socket, takes what is new, closes the rest.
    pub(super) fn listen(&mut self, names: &[Listener], fds: Vec<OwnedFd>) {
        if names.len() != fds.len() {
            tracing::error!(
                listeners = names.len(),
                descriptors = fds.len(),
                "listeners without descriptors"
            );
            return;
        }
        let gone: Vec<Listener> =
            self.listeners.keys().filter(|name| !names.contains(name)).copied().collect();
        for name in gone {
            self.unlisten(name);
        }
        for (&name, fd) in names.iter().zip(fds) {
            let same = self.listeners.get(&name).is_some_and(|held| same_file(held, &fd));
            if same {
                continue;
            }
            self.unlisten(name);
            if let Err(error) = self.add_listener(name, fd) {
                tracing::error!(%error, address = %name.address, "cannot listen");
            }
        }
    }

    fn add_listener(&mut self, name: Listener, fd: OwnedFd) -> io::Result<()> {
        if name.datagrams {
            let socket = UdpSocket::from(fd);
            socket.set_nonblocking(true)?;
            self.tell(name, Command::Datagrams(name, socket.try_clone()?));
            self.listeners.insert(name, socket.into());
            return Ok(());
        }
        let listener = TcpListener::from(fd);
        listener.set_nonblocking(true)?;
        // Accepted connections inherit it: a system call less for each.
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        self.tell(name, Command::Listen(name, listener.try_clone()?));
        self.listeners.insert(name, listener.into());
        Ok(())
    }

    fn unlisten(&mut self, name: Listener) {
        if self.listeners.remove(&name).is_some() {
            self.tell(name, Command::Unlisten(name));
        }
    }

    /// To the worker whose this accept queue is: each queue always has one.
    fn tell(&self, name: Listener, command: Command) {
        let count = self.workers.len().max(1);
        if let Some(worker) = self.workers.get(name.queue as usize % count) {
            // A worker that has ended needs no listeners.
            let _ = worker.commands.blocking_send(command);
        }
    }
}

fn same_file(one: &impl AsFd, other: &impl AsFd) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}
