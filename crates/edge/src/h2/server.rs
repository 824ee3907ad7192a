//! A client's HTTP/2 connection: one task drives its frames, each stream runs as a task of its own.
//!
//! ```text
//!   serving ──idle, worker closing──▶ leaving (GOAWAY; streams end) ──▶ closed
//!      └──flood, stall───────────────▶ cut (GOAWAY) ──────────────────▶ closed
//! ```
//! The connection's deadline: the preface has to come in time; then it is the idle time while nothing is open. Exchanges have
//! deadlines of their own; what they leave behind is looked after here, [`LOOKS`] times in the time in which a client has to take
//! something: when each time nothing of what waits for the socket was taken, or bodies stayed behind although all that may be sent was, the
//! connection is cut, whatever else runs on it.

use super::guard::Guard;
use super::heads::{self, Framing};
use super::io::{Io, Wire};
use super::owed::{Owed, Piece};
use super::server_stream::Origin;
use super::{
    CONNECTION_WINDOW, Channel, MAX_HEADER_LIST, MAX_STREAMS, PREFACE, SEND_BUFFER, STREAM_WINDOW,
    ServerStream,
};
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::exchange;
use crate::guard::Offence;
use crate::stream::Stream;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use http1::Method;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Streams that a client had us reset by breaking the protocol, before its connection ends (CVE-2025-8671).
const MAX_OWN_RESETS: usize = 200;
/// Streams reset by the client that were not even looked at, before its connection ends (CVE-2023-44487).
const MAX_UNSEEN_RESETS: usize = 100;
/// How often it is looked whether a client takes anything, in the time it has for that.
const LOOKS: u8 = 4;
/// Milliseconds for the last words of a connection.
const LAST_WORDS_MS: u64 = 2_000;

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(MAX_OWN_RESETS))
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .enable_connect_protocol();
    builder
}

/// What the streams of a connection share with its driver.
struct Front {
    client: Client,
    running: Cell<usize>,
    driver: RefCell<Option<Waker>>,
}

/// Counts a running stream; the driver is woken when the last one ends.
struct Running(Rc<Front>);

impl Running {
    fn new(front: &Rc<Front>) -> Self {
        front.running.set(front.running.get() + 1);
        Self(Rc::clone(front))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        if self.0.running.get() == 0
            && let Some(driver) = &*self.0.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }
}

/// Serves a connection whose client begins with the preface (or has agreed on it by ALPN), until it ends.
pub async fn serve(mut client: Client) {
    let guard = Rc::new(Guard::new(PREFACE.len()));
    let ahead = client.pending.take();
    let front = Rc::new(Front { client, running: Cell::new(0), driver: RefCell::new(None) });
    let client = &front.client;
    client.timer.set_waiting(Instant::now(), client.worker.deadlines.head_ms);
    let wire = Wire::new(Socket(Rc::clone(&front)), Some(Rc::clone(&guard)));
    let io = Io::new(&wire, ahead);
    let connection = {
        let mut handshake = pin!(builder().handshake::<_, Piece>(io));
        poll_fn(|cx| match handshake.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result.ok()),
            Poll::Pending if client.timer.expired() || client.worker.is_closing() => Poll::Ready(None),
            // Its settings go out before it is heard; an error is found by reading, too.
            Poll::Pending => {
                let _ = wire.poll_out(cx);
                Poll::Pending
            }
        })
        .await
    };
    if let Some(connection) = connection {
        let mut driver = Driver {
            connection,
            wire,
            guard,
            front: &front,
            owed: Rc::default(),
            stage: Stage::Idle,
            taken: 0,
            behind: false,
            stuck: 0,
        };
        poll_fn(|cx| driver.poll(cx)).await;
    }
    // The streams find out now that their client has gone.
    poll_fn(|cx| {
        *front.driver.borrow_mut() = Some(cx.waker().clone());
        if front.running.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The socket, as [`Io`] needs it.
struct Socket(Rc<Front>);

impl std::ops::Deref for Socket {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0.client.stream
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No stream is open.
    Idle,
    Busy,
    /// GOAWAY was said: no new streams, those that run may end.
    Leaving,
    /// The last words go out.
    Cut,
}

struct Driver<'a> {
    connection: Connection<Io<Socket>, Piece>,
    wire: Rc<Wire<Socket>>,
    guard: Rc<Guard>,
    front: &'a Rc<Front>,
    owed: Rc<Owed>,
    stage: Stage,
    /// Bytes the client had taken when it was last looked.
    taken: u64,
    /// Since then all was sent that may be, and some stayed behind.
    behind: bool,
    /// How often in a row something was found stuck.
    stuck: u8,
}

impl Driver<'_> {
    /// Moves what can be moved; ready when the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    start(self.front, &self.owed, request, respond);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    // Not the socket's end, nor the client's own: the client broke the protocol, or went beyond the bounds.
                    if error.is_library() {
                        let client = &self.front.client;
                        client.worker.offend(client.peer, Offence::Malformed);
                    }
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            match self.wire.poll_out(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) if self.wire.was_full() => continue,
                Poll::Ready(Ok(())) => self.behind |= self.owed.total() > 0,
                Poll::Pending => {}
            }
            if !self.turn() {
                return if self.stage == Stage::Cut && self.front.client.timer.expired() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
        }
    }

    /// Looks at what has changed; true: the connection has something to say.
    fn turn(&mut self) -> bool {
        let client = &self.front.client;
        if self.stage == Stage::Cut {
            return false;
        }
        if let Some(verdict) = self.guard.verdict() {
            tracing::debug!(peer = %client.peer, %verdict, "a connection of HTTP/2 has to end");
            client.worker.offend(client.peer, Offence::Malformed);
            return self.cut(verdict);
        }
        if self.stage != Stage::Leaving && client.worker.is_leaving() {
            return self.leave();
        }
        let open = self.connection.has_streams() || self.wire.is_waiting();
        match self.stage {
            Stage::Idle if open => self.wait(Stage::Busy),
            Stage::Busy if !open => self.wait(Stage::Idle),
            Stage::Idle if client.timer.expired() => return self.leave(),
            _ if client.timer.expired() => {
                if self.is_stuck() {
                    tracing::debug!(peer = %client.peer, "a client of HTTP/2 takes nothing");
                    return self.cut(Reason::CANCEL);
                }
                self.wait(self.stage);
            }
            _ => {}
        }
        false
    }

    /// Looks whether the client takes what it asked for; true when it was found too often that it does not.
    fn is_stuck(&mut self) -> bool {
        let unheard = self.wire.is_waiting() && self.guard.taken() == self.taken;
        let behind = std::mem::take(&mut self.behind) && self.owed.total() > 0;
        self.stuck = if unheard || behind { self.stuck + 1 } else { 0 };
        self.stuck >= LOOKS
    }

    fn wait(&mut self, stage: Stage) {
        if self.stage == Stage::Idle {
            (self.behind, self.stuck) = (false, 0);
        }
        self.stage = stage;
        self.taken = self.guard.taken();
        let (timer, deadlines) = (&self.front.client.timer, &self.front.client.worker.deadlines);
        match stage {
            Stage::Idle => timer.set_waiting(Instant::now(), deadlines.idle_ms),
            Stage::Busy | Stage::Leaving => timer.set(Instant::now(), deadlines.write_ms / u64::from(LOOKS)),
            Stage::Cut => timer.set(Instant::now(), LAST_WORDS_MS),
        }
    }

    fn leave(&mut self) -> bool {
        self.wait(Stage::Leaving);
        self.connection.graceful_shutdown();
        true
    }

    fn cut(&mut self, reason: Reason) -> bool {
        self.wait(Stage::Cut);
        self.connection.abrupt_shutdown(reason);
        true
    }
}

/// Runs one request in a task of its own.
fn start(front: &Rc<Front>, owed: &Rc<Owed>, request: Request<RecvStream>, mut respond: SendResponse<Piece>) {
    let worker = &front.client.worker;
    let mut head = worker.scratch.take();
    head.clear();
    let framing = heads::write_request(&mut head, &request, request.body().is_end_stream());
    let mut buffer = if head.len() <= Buffer::SMALL_ROOM { Buffer::small() } else { Buffer::large() };
    let whole = buffer.append(&head) == head.len();
    worker.scratch.set(head);
    if !whole {
        // No larger buffer is to be had now.
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    }
    let method = match framing {
        Framing::Tunnel => Method::Get,
        _ => Method::from_bytes(request.method().as_str().as_bytes()),
    };
    let origin = Origin { method, unknown_protocol: heads::is_unknown_protocol(&request), owed };
    let stream = ServerStream::new(request.into_body(), framing, respond, &origin);
    let mut client = front.client.child(Stream::H2(Box::new(Channel::Server(stream))), buffer);
    let running = Running::new(front);
    tokio::task::spawn_local(async move {
        poll_fn(|cx| {
            client.timer.bind(cx.waker());
            Poll::Ready(())
        })
        .await;
        exchange::run(&mut client).await;
        if let Stream::H2(channel) = &client.stream {
            channel.finish();
        }
        drop(running);
    });
}
