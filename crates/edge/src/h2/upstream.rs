//! HTTP/2 connections to instances, with prior knowledge (RFC 9113 section 3.3): few for each instance, shared by the requests of one worker.
//!
//! A request takes the first connection that has a stream left; a further one is opened only when there is none, up to
//! [`MAX_CONNECTIONS`], and beyond that requests queue for a stream. While a first connection is being opened the others wait for it, so
//! that a burst does not open one each. A connection that said GOAWAY, failed, or has been idle for [`IDLE`] is given up: with
//! its last handle it ends.

use super::io::{Io, Wire};
use super::owed::{Owed, Piece};
use super::{CONNECTION_WINDOW, Channel, MAX_HEADER_LIST, SEND_BUFFER, STREAM_WINDOW, UpstreamStream};
use crate::connect::{ConnectError, connect};
use crate::connection::Client;
use crate::instance::Instance;
use crate::stream::Stream;
use h2::client::{Builder, Connection, SendRequest};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Connections of one worker to one instance.
const MAX_CONNECTIONS: usize = 4;
/// Streams asked for before the instance has said how many it takes.
const FIRST_STREAMS: usize = 100;
/// How long a connection is kept without a stream.
const IDLE: Duration = Duration::from_secs(10);

/// A connection as its requests see it.
pub struct Shared {
    send: SendRequest<Piece>,
    streams: Cell<usize>,
    idle_since: Cell<Instant>,
    owed: Rc<Owed>,
    gone: Cell<bool>,
}

/// One stream of a connection is in use as long as this lives.
pub struct Lease(Rc<Shared>);

impl Lease {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.streams.set(shared.streams.get() + 1);
        Self(Rc::clone(shared))
    }

    /// The way to begin a stream.
    pub fn sender(&self) -> SendRequest<Piece> {
        self.0.send.clone()
    }

    /// The connection's account.
    pub fn owed(&self) -> &Rc<Owed> {
        &self.0.owed
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.idle_since.set(Instant::now());
    }
}

#[derive(Default)]
struct Entry {
    open: Vec<Rc<Shared>>,
    opening: usize,
    opened: Rc<Notify>,
}

/// Connections of one worker, by instance.
#[derive(Default)]
pub struct Connections {
    entries: RefCell<HashMap<u32, Entry>>,
}

/// A connection is being opened as long as this lives; then who waits for it looks again.
struct Opening<'a>(&'a Connections, u32);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.0.entries.borrow_mut().get_mut(&self.1) {
            entry.opening -= 1;
            entry.opened.notify_waiters();
        }
    }
}

/// What a request finds.
enum Place {
    Taken(Lease),
    /// Somebody opens the first one.
    Wait(Rc<Notify>),
    Open,
}

impl Connections {
    fn place(&self, key: u32, fresh: bool, waited: bool) -> Place {
        let mut entries = self.entries.borrow_mut();
        let entry = entries.entry(key).or_default();
        entry.open.retain(|shared| !shared.gone.get());
        let free = |shared: &&Rc<Shared>| shared.streams.get() < shared.send.current_max_send_streams();
        let all_open = entry.open.len() + entry.opening >= MAX_CONNECTIONS;
        let found = match entry.open.iter().find(free) {
            None if all_open => entry.open.iter().min_by_key(|shared| shared.streams.get()),
            found => found,
        };
        match found {
            Some(shared) if !fresh => Place::Taken(Lease::new(shared)),
            _ if entry.opening > 0 && !fresh && !waited => Place::Wait(Rc::clone(&entry.opened)),
            _ => {
                entry.opening += 1;
                Place::Open
            }
        }
    }

    fn add(&self, key: u32, shared: &Rc<Shared>) {
        self.entries.borrow_mut().entry(key).or_default().open.push(Rc::clone(shared));
    }

    /// No connection is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// Gives up what has been idle for too long.
    pub fn sweep(&self, now: Instant) {
        self.entries.borrow_mut().retain(|_, entry| {
            entry.open.retain(|shared| {
                let idle = now.saturating_duration_since(shared.idle_since.get()) >= IDLE;
                !(shared.gone.get() || idle && shared.streams.get() == 0)
            });
            !entry.open.is_empty() || entry.opening > 0
        });
    }
}

/// A stream to the instance, on a connection that is there or (`fresh`: always) on a new one; the flag: it has carried others before.
///
/// # Errors
/// Those of [`connect`].
pub async fn stream(
    client: &mut Client,
    instance: &Instance,
    millis: u64,
    watch: bool,
    fresh: bool,
) -> Result<(Stream, bool), ConnectError> {
    let worker = Rc::clone(&client.worker);
    let connections = &worker.pool.http2;
    let began = Instant::now();
    let mut waited = false;
    let (lease, reused) = loop {
        let passed = if waited { began.elapsed().as_millis() } else { 0 };
        let left = millis.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
        match connections.place(instance.key, fresh, waited) {
            Place::Taken(lease) => break (lease, true),
            Place::Wait(opened) => {
                wait(client, &opened, left, watch).await?;
                waited = true;
            }
            Place::Open => {
                let _opening = Opening(connections, instance.key);
                let socket = connect(client, &instance.address, left, watch).await?;
                let shared = greet(socket).await.map_err(ConnectError::Failed)?;
                connections.add(instance.key, &shared);
                break (Lease::new(&shared), false);
            }
        }
    };
    Ok((Stream::H2(Box::new(Channel::Upstream(UpstreamStream::new(lease)))), reused))
}

/// Waits for another's connection as long as for one's own: within `millis`, and with `watch` no longer than the client does.
async fn wait(client: &mut Client, opened: &Notify, millis: u64, watch: bool) -> Result<(), ConnectError> {
    client.timer.set(Instant::now(), millis);
    let mut notified = pin!(opened.notified());
    poll_fn(|cx| match notified.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(Ok(())),
        Poll::Pending if client.timer.expired() => Poll::Ready(Err(ConnectError::TimedOut)),
        Poll::Pending if watch && client.poll_gone(cx).is_ready() => {
            Poll::Ready(Err(ConnectError::ClientGone))
        }
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn greet(socket: Stream) -> io::Result<Rc<Shared>> {
    let wire = Wire::new(Box::new(socket), None);
    let handshake = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(FIRST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake(Io::new(&wire, None));
    let (send, connection) = handshake.await.map_err(|error| super::as_io(&error))?;
    let shared = Rc::new(Shared {
        send,
        streams: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        owed: Rc::default(),
        gone: Cell::new(false),
    });
    tokio::task::spawn_local(drive(connection, wire, Rc::downgrade(&shared)));
    Ok(shared)
}

async fn drive(
    mut connection: Connection<Io<Box<Stream>>, Piece>,
    wire: Rc<Wire<Box<Stream>>>,
    shared: std::rc::Weak<Shared>,
) {
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(ended.map_err(|error| super::as_io(&error)));
            }
            match wire.poll_out(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) if wire.was_full() => {}
                _ => return Poll::Pending,
            }
        }
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection to an instance ended");
    }
    if let Some(shared) = shared.upgrade() {
        shared.gone.set(true);
    }
}
