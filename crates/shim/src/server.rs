//! The shim's socket: few clients, small frames, nothing that blocks.
//!
//! Bounds: [`MAX_CLIENTS`] connections (more are closed at once), requests of [`MAX_REQUEST`] bytes, [`MAX_WAITING`]
//! bytes of answers for a client that does not read (then none of its requests are read, and a watcher is
//! dropped). A client that breaks the framing is dropped; one that sends what is no request is told so.

use rustix::event::{PollFd, PollFlags};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use sys::frame::{FrameDecoder, encode};
use wire::WireError;
use wire::shim::{FromShim, ToShim};

pub(crate) const MAX_CLIENTS: usize = 16;
const MAX_REQUEST: usize = 4096;
const MAX_WAITING: usize = 64 * 1024;

pub(crate) struct Server {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
}

struct Client {
    stream: UnixStream,
    decoder: FrameDecoder,
    waiting: Vec<u8>,
    watching: bool,
    dead: bool,
}

impl Server {
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let listener = sys::unix_socket::bind(path, 0o600)?;
        listener.set_nonblocking(true)?;
        Ok(Server { listener, path: path.to_owned(), clients: Vec::new() })
    }

    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.listener, PollFlags::IN)
    }

    /// In the order in which clients are numbered until the next [`accept`](Self::accept) or
    /// [`drop_dead`](Self::drop_dead).
    pub(crate) fn client_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.clients.iter().map(|client| {
            let mut flags = PollFlags::empty(); // an end is told in any case
            flags.set(PollFlags::IN, client.waiting.len() < MAX_WAITING);
            flags.set(PollFlags::OUT, !client.waiting.is_empty());
            PollFd::new(&client.stream, flags)
        })
    }

    /// Takes one new connection.
    pub(crate) fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        if self.clients.len() < MAX_CLIENTS && stream.set_nonblocking(true).is_ok() {
            let decoder = FrameDecoder::new(MAX_REQUEST);
            self.clients.push(Client { stream, decoder, waiting: Vec::new(), watching: false, dead: false });
        }
    }

    /// Writes what waits for a client and gives its requests in order.
    pub(crate) fn requests(&mut self, client: usize) -> Vec<Result<ToShim, WireError>> {
        match self.clients.get_mut(client) {
            Some(client) => client.requests(),
            None => Vec::new(),
        }
    }

    pub(crate) fn watch(&mut self, client: usize) {
        if let Some(client) = self.clients.get_mut(client) {
            client.watching = true;
        }
    }

    pub(crate) fn send(&mut self, client: usize, message: &FromShim) {
        if let Some(client) = self.clients.get_mut(client) {
            client.send(message);
        }
    }

    pub(crate) fn tell_watchers(&mut self, message: &FromShim) {
        self.clients.iter_mut().filter(|c| c.watching).for_each(|c| c.send(message));
    }

    pub(crate) fn drop_dead(&mut self) {
        self.clients.retain(|c| !c.dead);
    }

    /// Removes the socket file.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    fn requests(&mut self) -> Vec<Result<ToShim, WireError>> {
        self.flush();
        let mut requests = Vec::new();
        let mut chunk = [0; MAX_REQUEST];
        if self.waiting.len() >= MAX_WAITING {
            return requests;
        }
        match self.stream.read(&mut chunk) {
            Ok(0) => self.dead = true,
            Ok(n) => self.decoder.push(chunk.get(..n).unwrap_or_default()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.dead = true,
        }
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => requests.push(wire::decode(&frame)),
                Ok(None) => return requests,
                Err(_) => {
                    self.dead = true;
                    return requests;
                }
            }
        }
    }

    fn send(&mut self, message: &FromShim) {
        let Ok(bytes) = wire::encode(message) else { return };
        self.waiting.extend(encode(&bytes));
        self.flush();
        // One read brings less than this many requests: only who never reads comes here.
        self.dead |= self.waiting.len() > 8 * MAX_WAITING;
    }

    fn flush(&mut self) {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(n) if n > 0 => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                _ => {
                    self.dead = true;
                    return;
                }
            }
        }
    }
}
