//! A client's connection: a small task that owns nothing but its socket and its place in the wheel while it is idle.
//!
//! ```text
//!   idle ──first byte──▶ exchange (boxed, with buffers) ──▶ idle
//!    │ end, 60 s, worker closing                        └─▶ close │ linger, then close
//!    ▼
//!  closed
//! ```
//! *Lingering*: when an answer was sent while the client may still be sending, closing at once would make the kernel
//! reset the connection and destroy the answer; so the edge says its end, reads on for a short while, then closes.

use crate::buffer::Buffer;
use crate::exchange;
use crate::guard::ClientKey;
use crate::h2;
use crate::stream::Stream;
use crate::timer::Timer;
use crate::tls::{ClientAuth, Door, Secure, welcome};
use crate::worker::{Open, Worker};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::net::TcpStream;

/// Milliseconds a lingering connection is read on.
const LINGER_MS: u64 = 2_000;
/// Bytes it is read on at most.
const LINGER_BYTES: usize = 1 << 20;

/// How long clients may keep the edge waiting between two requests and within a head.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Milliseconds a connection is kept between two requests.
    pub idle_ms: u64,
    /// Milliseconds from accept to a first byte, and from a head's first byte to its last.
    pub head_ms: u64,
    /// Milliseconds in which at least a kilobyte of a request's body has to come while the instance waits for it.
    pub body_ms: u64,
    /// Milliseconds a client may take none of what waits for it.
    pub write_ms: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { idle_ms: 60_000, head_ms: 15_000, body_ms: 30_000, write_ms: 60_000 }
    }
}

/// A client.
pub struct Client {
    /// Its connection.
    pub stream: Stream,
    /// Its only deadline; what it stands for changes with what it waits for.
    pub timer: Timer,
    /// The worker it belongs to.
    pub worker: Rc<Worker>,
    /// The listening address that it came to.
    pub door: Rc<SocketAddr>,
    /// Its address.
    pub peer: IpAddr,
    /// The same as text.
    pub peer_text: Rc<str>,
    /// What it sent ahead: the next request, or its beginning.
    pub pending: Option<Buffer>,
    /// Its TLS, if it came over one.
    pub secure: Option<Rc<Secure>>,
}

/// What becomes of the connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It waits for the next request.
    Again,
    /// It is closed.
    Close,
    /// It is closed, but the client may still be sending.
    Linger,
    /// It goes on in HTTP/2, with what is pending.
    Http2,
}

/// Serves one connection until it ends. The door: where more than plain HTTP is spoken.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function keeps its arguments beside the variables they are moved to"
)]
pub fn serve(mut open: Open, mut client: Client, door: Option<Door>) -> impl Future<Output = ()> {
    async move {
        poll_fn(|cx| {
            client.timer.bind(cx.waker());
            Poll::Ready(())
        })
        .await;
        client.timer.set_waiting(Instant::now(), client.worker.deadlines.head_ms);
        if let Some(door) = door {
            match Box::pin(welcome(&mut open, client, door)).await {
                Some(welcomed) => client = welcomed,
                None => return,
            }
        }
        if client.secure.as_ref().is_some_and(|secure| secure.h2) {
            return Box::pin(h2::serve(client)).await;
        }
        while poll_fn(|cx| client.poll_work(cx)).await {
            match Box::pin(exchange::run(&mut client)).await {
                // Refusals of requests sent ahead wait for nothing: others get their turn all the same.
                Next::Again => tokio::task::consume_budget().await,
                Next::Close => break,
                Next::Http2 => {
                    return Box::pin(h2::serve(client)).await;
                }
                Next::Linger => {
                    Box::pin(linger(&mut client)).await;
                    break;
                }
            }
        }
    }
}

impl Client {
    /// One that has just connected.
    pub fn new(worker: &Rc<Worker>, stream: TcpStream, door: &Rc<SocketAddr>, peer: SocketAddr) -> Self {
        let peer = peer.ip().to_canonical();
        Self {
            stream: Stream::Tcp(stream),
            timer: worker.wheel.timer(ClientKey::of(peer)),
            worker: Rc::clone(worker),
            door: Rc::clone(door),
            peer,
            peer_text: peer.to_string().into(),
            pending: None,
            secure: None,
        }
    }

    /// A client of its own for one of its streams, with the head of its request.
    pub fn child(&self, stream: Stream, head: Buffer) -> Self {
        Self {
            stream,
            timer: self.worker.wheel.timer(ClientKey::of(self.peer)),
            worker: Rc::clone(&self.worker),
            door: Rc::clone(&self.door),
            peer: self.peer,
            peer_text: Rc::clone(&self.peer_text),
            pending: Some(head),
            secure: self.secure.clone(),
        }
    }

    /// Lines that name the certificate it has shown to a site that asks for one.
    pub fn certificate(&self, asks: Option<&Arc<ClientAuth>>) -> &[u8] {
        match (&self.secure, asks) {
            (Some(secure), Some(_)) => secure.shown(),
            _ => b"",
        }
    }

    /// Waits for the next request without a buffer; false: the connection ends.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.pending.is_some() {
            return Poll::Ready(true);
        }
        if let Poll::Ready(result) = self.stream.poll_read_ready(cx) {
            return Poll::Ready(result.is_ok());
        }
        if self.timer.expired() || self.worker.is_closing() { Poll::Ready(false) } else { Poll::Pending }
    }

    /// Ready when the client has gone. What it sends meanwhile is kept for later, up to one small buffer; beyond
    /// that it is not looked after any more, which slows it down.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.pending.as_ref().is_some_and(Buffer::is_full) {
                return Poll::Pending;
            }
            if ready!(self.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let mut buffer = self.pending.take().unwrap_or_else(Buffer::small);
            let read = self.stream.poll_read(cx, &mut buffer);
            self.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
            match ready!(read) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Sends all of `bytes`; false when the client does not take them in time or has gone.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let mut sent = 0;
        let write_ms = self.worker.deadlines.write_ms;
        self.timer.set(Instant::now(), write_ms);
        poll_fn(|cx| {
            while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                match self.stream.poll_write(cx, rest) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                    Poll::Ready(Ok(count)) => {
                        sent += count;
                        self.timer.set(Instant::now(), write_ms);
                    }
                    Poll::Pending if self.timer.expired() => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(true)
        })
        .await
    }
}

async fn linger(client: &mut Client) {
    client.timer.set(Instant::now(), LINGER_MS);
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        if client.timer.expired() || matches!(client.stream.poll_shutdown(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        loop {
            if ready!(client.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            let mut buffer = Buffer::small();
            match ready!(client.stream.poll_read(cx, &mut buffer)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(count) => left = left.saturating_sub(count),
            }
            if left == 0 {
                return Poll::Ready(());
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle_size<F: Future>(_: impl FnOnce(Open, Client, Option<Door>) -> F) -> usize {
        size_of::<F>()
    }

    fn exchange_size<F: Future>(_: impl FnOnce(&'static mut Client) -> F) -> usize {
        size_of::<F>()
    }

    /// What lives as long as a connection, or as an event stream: whatever is larger is boxed while it is needed. Up to 1032
    /// bytes glibc's allocator gives and takes back without a search.
    #[test]
    fn waiting_costs_little() {
        let (idle, busy) = (idle_size(serve), exchange_size(exchange::run));
        assert!(idle <= 320, "idle: {idle} bytes");
        assert!(busy <= 1032, "in an exchange: {busy} bytes");
    }
}
