//! A byte stream of either side: what the relay needs of a TCP or unix socket, and nothing more.
//!
//! The runtime keeps a socket's readiness; it is forgotten when a call says that nothing more can be had. A read that
//! does not fill its buffer, and a write that is not taken whole, say the same without a further system call: so the
//! closures given to `try_io` report such a call as `WouldBlock` and hand the count out beside it. (Tokio's own
//! `poll_read` does likewise.) The calls themselves go to the kernel directly: libc's `recv` and `send` are points of thread
//! cancellation, which costs two atomic operations each and is used by nobody here.

use crate::buffer::Buffer;
use crate::h2::Channel;
use crate::pipe::Pipe;
use crate::tls::Session;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket, or what takes a socket's place.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
    /// TLS over a socket.
    Tls(Box<Session>),
    /// A stream of an HTTP/2 connection.
    H2(Box<Channel>),
}

/// What a system call moved.
struct Moved {
    count: usize,
    /// Nothing more can be had (or given) now.
    drained: bool,
}

impl Stream {
    /// Ready when a read would give bytes, the end or an error; registers the task otherwise. Holds no buffer.
    #[inline]
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tls(session) => session.poll_read_ready(cx),
            Self::H2(channel) => channel.poll_read_ready(cx),
        }
    }

    /// Ready when a write to the socket is worth a try; registers the task otherwise.
    #[inline]
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
            // Asked only after an attempt on a descriptor.
            Self::Tls(_) | Self::H2(_) => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
        }
    }

    /// Reads into the buffer's free end; 0 is the peer's end.
    #[inline]
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if let Some(result) = self.read(buffer) {
                return Poll::Ready(result);
            }
        }
    }

    /// Reads from a socket that was just found ready. `None`: it was not.
    #[inline]
    pub fn read(&self, buffer: &mut Buffer) -> Option<io::Result<usize>> {
        match self {
            Self::Tls(session) => session.read(buffer),
            Self::H2(channel) => channel.read(buffer),
            _ => self.read_at_most(buffer, usize::MAX),
        }
    }

    /// The same, and no more than so many bytes; of sockets only.
    #[inline]
    pub fn read_at_most(&self, buffer: &mut Buffer, most: usize) -> Option<io::Result<usize>> {
        let free = buffer.free();
        let wanted = free.len().min(most);
        let free = free.get_mut(..wanted).unwrap_or_default();
        let result = self.attempt(Interest::READABLE, |fd| {
            let (_, count) = recv(fd, free, RecvFlags::empty())?;
            Ok(Moved { count, drained: 0 < count && count < wanted })
        });
        if let Some(Ok(count)) = result {
            buffer.commit(count);
        }
        result
    }

    /// The address that the peer connected to; none: it is not known, or no address of TCP.
    pub fn local_address(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok().map(|address| address.ip()),
            Self::Unix(_) | Self::Tls(_) | Self::H2(_) => None,
        }
    }

    /// Whether the kernel holds neither bytes nor an end nor an error to be read. One system call.
    pub fn is_silent(&self) -> bool {
        let peek = |fd: BorrowedFd<'_>| recv(fd, &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        let peeked = match self {
            Self::Tcp(stream) => peek(stream.as_fd()),
            Self::Unix(stream) => peek(stream.as_fd()),
            Self::Tls(session) => return session.is_silent(),
            Self::H2(_) => return true,
        };
        peeked.is_err_and(|error| error == rustix::io::Errno::WOULDBLOCK)
    }

    /// Whether the peer has closed its side, or the connection is broken, whatever it sent before; nothing is read. Of a stream of
    /// HTTP/2 the task is woken when it is reset, of a socket it is not: one system call tells how it is now.
    pub fn poll_hung_up(&self, cx: &mut Context<'_>) -> bool {
        let ended = |fd: BorrowedFd<'_>| {
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
        };
        match self {
            Self::Tcp(stream) => ended(stream.as_fd()),
            Self::Unix(stream) => ended(stream.as_fd()),
            Self::Tls(session) => session.poll_hung_up(cx),
            Self::H2(channel) => channel.poll_hung_up(cx),
        }
    }

    /// Writes what the socket takes.
    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes, SendFlags::NOSIGNAL)
    }

    #[inline]
    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8], flags: SendFlags) -> Poll<io::Result<usize>> {
        match self {
            Self::Tls(session) => return session.poll_write(cx, bytes, flags.contains(SendFlags::MORE)),
            Self::H2(channel) => return channel.poll_write(cx, bytes),
            _ => {}
        }
        loop {
            // Nearly always it is writable: asking first would cost more than failing now and then.
            let result = self.attempt(Interest::WRITABLE, |fd| {
                let count = send(fd, bytes, flags)?;
                Ok(Moved { count, drained: 0 < count && count < bytes.len() })
            });
            match result {
                Some(result) => return Poll::Ready(result),
                None => ready!(self.poll_write_ready(cx))?,
            }
        }
    }

    /// Likewise; more will follow at once (`MSG_MORE`), so that the kernel may wait for it to fill a packet.
    pub fn poll_write_more(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)
    }

    /// Whether [`Stream::poll_send_file`] can be used.
    pub fn takes_files(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Moves up to `most` bytes of a file, from `at` on, into the socket; 0: the file ends there.
    pub fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        at: u64,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            // Less than `most` may also mean the file's end: only the kernel can say that the socket is full.
            let call = |fd: BorrowedFd<'_>| {
                Ok(Moved { count: rustix::fs::sendfile(fd, file, Some(&mut { at }), most)?, drained: false })
            };
            match self.attempt(Interest::WRITABLE, call) {
                Some(result) => return Poll::Ready(result),
                None => ready!(self.poll_write_ready(cx))?,
            }
        }
    }

    /// Writes what the socket takes of these, in one system call. `None`: nothing, and the runtime knows it now. Of sockets only.
    pub fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.attempt(Interest::WRITABLE, |fd| {
            let count = sendmsg(fd, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?;
            Ok(Moved { count, drained: 0 < count && count < all })
        })
    }

    /// Whether bytes can be moved to and from it without coming into the process: it is a descriptor, and nothing wraps it.
    pub fn can_splice(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    /// Moves up to `most` bytes into the pipe, which is empty; 0 is the peer's end.
    pub fn poll_splice_into(
        &self,
        cx: &mut Context<'_>,
        pipe: &mut Pipe,
        most: u64,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            // Less than `most` may also mean a full pipe: only the kernel can say that the socket is drained.
            let fill = |fd: BorrowedFd<'_>| Ok(Moved { count: pipe.fill(fd, most)?, drained: false });
            if let Some(result) = self.attempt(Interest::READABLE, fill) {
                return Poll::Ready(result);
            }
        }
    }

    /// Moves what the socket takes out of the pipe, which is not empty.
    pub fn poll_splice_from(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        loop {
            let drain = |fd: BorrowedFd<'_>| Ok(Moved { count: pipe.drain(fd)?, drained: false });
            match self.attempt(Interest::WRITABLE, drain) {
                Some(result) => return Poll::Ready(result),
                None => ready!(self.poll_write_ready(cx))?,
            }
        }
    }

    /// Makes a call that was found (or is hoped) to be possible. `None`: it is not, and the runtime knows it now.
    #[inline]
    fn attempt(
        &self,
        interest: Interest,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<Moved>,
    ) -> Option<io::Result<usize>> {
        let mut moved = None;
        let mut outcome = |result: io::Result<Moved>| {
            let Moved { count, drained } = result?;
            moved = Some(count);
            if drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        let result = match self {
            Self::Tcp(stream) => stream.try_io(interest, || outcome(call(stream.as_fd()))),
            Self::Unix(stream) => stream.try_io(interest, || outcome(call(stream.as_fd()))),
            // What a call on its descriptor would say: the caller copies instead.
            Self::Tls(_) | Self::H2(_) => Err(io::ErrorKind::InvalidInput.into()),
        };
        match (moved, result) {
            (Some(count), _) => Some(Ok(count)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Some(Err(error)),
            (None, _) => None,
        }
    }

    /// Says to the peer that no more bytes come.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(session) => session.poll_shutdown(cx),
            Self::H2(channel) => channel.poll_shutdown(cx),
        }
    }
}
