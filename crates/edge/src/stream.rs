//! A byte stream of either side: what the relay needs of a TCP or unix socket, and nothing more.
//!
//! Reads and writes go through `poll_read`/`poll_write`, never `try_read`: only those let tokio see from a partial
//! read or write that the socket is drained or full, which spares the system call that would say so.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};

use crate::buffer::Buffer;
use crate::pipe::Pipe;

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
}

impl Stream {
    /// Ready when a read would give bytes, the end or an error; registers the task otherwise. Holds no buffer.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Reads into the buffer's free end; 0 is the peer's end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let (result, added) = buffer.fill(|free| match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, free),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, free),
        });
        ready!(result)?;
        Poll::Ready(Ok(added))
    }

    /// Writes what the socket takes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Moves up to `most` bytes into the pipe, which is empty; 0 is the peer's end.
    pub fn poll_splice_into(&self, cx: &mut Context<'_>, pipe: &mut Pipe, most: u64) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            let result = match self {
                Self::Tcp(stream) => stream.try_io(Interest::READABLE, || pipe.fill(stream, most)),
                Self::Unix(stream) => stream.try_io(Interest::READABLE, || pipe.fill(stream, most)),
            };
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(result);
            }
        }
    }

    /// Moves what the socket takes out of the pipe, which is not empty.
    pub fn poll_splice_from(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        loop {
            let result = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || pipe.drain(stream))
                }
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || pipe.drain(stream))
                }
            };
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
                return Poll::Ready(result);
            }
        }
    }

    /// Says to the peer that no more bytes come.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
