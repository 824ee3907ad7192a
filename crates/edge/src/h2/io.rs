//! The bytes of an HTTP/2 connection, between its socket and `h2`.
//!
//! `h2` writes each frame by itself and flushes when it has no more: what it writes is gathered here, so that the answers of many
//! streams leave in one system call. Both buffers are lent only while there is something in them.

use super::PREFACE;
use super::guard::Guard;
use crate::buffer::Buffer;
use crate::stream::Stream;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection's socket, as `S` leads to it.
pub struct Io<S> {
    stream: S,
    /// Not where the peer is an application of the operator's own.
    guard: Option<Rc<Guard>>,
    input: Option<Buffer>,
    output: Option<Buffer>,
    /// Bytes that pass whatever the guard says: without the preface `h2` has no connection on which it could say why.
    preface: usize,
}

impl<S: Deref<Target = Stream>> Io<S> {
    /// Over a socket from which `ahead` was read already.
    pub fn new(stream: S, ahead: Option<Buffer>, guard: Option<Rc<Guard>>) -> Self {
        if let (Some(ahead), Some(guard)) = (&ahead, &guard) {
            guard.received(ahead.filled());
        }
        Self { stream, guard, input: ahead, output: None, preface: PREFACE.len() }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(output) = &mut self.output {
            if output.is_empty() {
                self.output = None;
                break;
            }
            let count = ready!(self.stream.poll_write(cx, output.filled()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            if let Some(guard) = &self.guard {
                guard.sent(count);
            }
            output.consume(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps what fits.
    fn gather(&mut self, bytes: &[u8]) -> usize {
        self.output.get_or_insert_with(Buffer::large).append(bytes)
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.as_ref().is_some_and(Buffer::is_full) {
            ready!(self.poll_out(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Deref<Target = Stream> + Unpin> AsyncRead for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let input = match &mut this.input {
            Some(input) => input,
            None => {
                // Without a buffer while nothing comes.
                ready!(this.stream.poll_read_ready(cx))?;
                let mut input = Buffer::small();
                if ready!(this.stream.poll_read(cx, &mut input))? == 0 {
                    return Poll::Ready(Ok(()));
                }
                if let Some(guard) = &this.guard {
                    guard.received(input.filled());
                }
                this.input.insert(input)
            }
        };
        let cut = this.guard.as_ref().is_some_and(|guard| guard.verdict().is_some());
        let most = if cut { this.preface } else { input.len() };
        let count = out.remaining().min(input.len()).min(most);
        if count == 0 {
            // Its owner looks at the guard after each turn, and ends the connection.
            return Poll::Pending;
        }
        this.preface = this.preface.saturating_sub(count);
        out.put_slice(input.filled().get(..count).unwrap_or_default());
        input.consume(count);
        if input.is_empty() {
            this.input = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Deref<Target = Stream> + Unpin> AsyncWrite for Io<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        Poll::Ready(Ok(self.gather(bytes)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx))?;
        let mut taken = 0;
        for piece in pieces {
            let count = self.gather(piece);
            taken += count;
            if count < piece.len() {
                break;
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The socket itself is closed by its owner.
        self.poll_out(cx)
    }
}
