//! The bytes of an HTTP/2 connection, between its socket and `h2`.
//!
//! `h2` writes each frame by itself and flushes behind each frame of data: what it writes is gathered here instead, and whoever
//! drives the connection sends it ([`Wire::poll_out`]) after each turn of `h2`, so that the answers of many streams leave in one system
//! call. Both buffers are lent only while there is something in them.

use super::PREFACE;
use super::guard::Guard;
use crate::buffer::Buffer;
use crate::stream::Stream;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection's socket, as `S` leads to it, and what waits for it.
pub struct Wire<S> {
    stream: S,
    /// Not where the peer is an application of the operator's own.
    guard: Option<Rc<Guard>>,
    output: RefCell<Option<Buffer>>,
    /// `h2` has more to say than there was room for.
    was_full: Cell<bool>,
}

/// A connection as `h2` sees it.
pub struct Io<S> {
    wire: Rc<Wire<S>>,
    input: Option<Buffer>,
    /// Bytes that pass whatever the guard says: without the preface `h2` has no connection on which it could say why.
    preface: usize,
}

impl<S: Deref<Target = Stream>> Wire<S> {
    /// Over a socket.
    pub fn new(stream: S, guard: Option<Rc<Guard>>) -> Rc<Self> {
        Rc::new(Self { stream, guard, output: RefCell::default(), was_full: Cell::new(false) })
    }

    /// Sends what waits; ready when nothing does any more.
    pub fn poll_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.output.borrow_mut();
        while let Some(output) = &mut *waiting {
            if output.is_empty() {
                *waiting = None;
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

    /// Whether something waits.
    pub fn is_waiting(&self) -> bool {
        self.output.borrow().is_some()
    }

    /// Whether `h2` was told to wait for room since this was last asked.
    pub fn was_full(&self) -> bool {
        self.was_full.take()
    }

    /// Keeps what fits.
    fn gather(&self, bytes: &[u8]) -> usize {
        self.output.borrow_mut().get_or_insert_with(Buffer::large).append(bytes)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let full = self.output.borrow().as_ref().is_some_and(Buffer::is_full);
        let polled = if full { self.poll_out(cx) } else { Poll::Ready(Ok(())) };
        self.was_full.set(polled.is_pending());
        polled
    }
}

impl<S: Deref<Target = Stream>> Io<S> {
    /// With what was read from the socket already.
    pub fn new(wire: &Rc<Wire<S>>, ahead: Option<Buffer>) -> Self {
        if let (Some(ahead), Some(guard)) = (&ahead, &wire.guard) {
            guard.received(ahead.filled());
        }
        Self { wire: Rc::clone(wire), input: ahead, preface: PREFACE.len() }
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
                ready!(this.wire.stream.poll_read_ready(cx))?;
                let mut input = Buffer::small();
                if ready!(this.wire.stream.poll_read(cx, &mut input))? == 0 {
                    return Poll::Ready(Ok(()));
                }
                if let Some(guard) = &this.wire.guard {
                    guard.received(input.filled());
                }
                this.input.insert(input)
            }
        };
        let cut = this.wire.guard.as_ref().is_some_and(|guard| guard.verdict().is_some());
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_room(cx))?;
        Poll::Ready(Ok(self.wire.gather(bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_room(cx))?;
        let mut taken = 0;
        for piece in pieces {
            let count = self.wire.gather(piece);
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

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Its driver does, once for many frames.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The socket itself is closed by its owner.
        self.wire.poll_out(cx)
    }
}
