//! A client's handshake, from its first message to where both sides have agreed. All of it has the deadline of a head; so has, before
//! it, the wait for a certificate that does not exist yet.

use super::Session;
use super::choice::Choice;
use super::hello::{Hello, Reading};
use crate::access_log::Lane;
use crate::connection::Client;
use crate::failures;
use crate::metrics::Handshake;
use crate::stream::Stream;
use crate::timer::Timer;
use crate::worker::Worker;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

/// A client whose handshake is under way.
struct Shaking<'a> {
    socket: Stream,
    timer: &'a Timer,
    worker: &'a Worker,
    door: SocketAddr,
}

/// `None`: the connection ends, as the handshake failed or was all that was wanted.
pub async fn shake_hands(client: Client) -> Option<Client> {
    let Client { stream, timer, worker, door, peer, peer_text, pending, .. } = client;
    timer.set_waiting(Instant::now(), worker.deadlines.head_ms);
    let shaking = Shaking { socket: stream, timer: &timer, worker: &worker, door: *door };
    let (session, choice) = match shaking.run(Reading::new(pending)).await {
        Ok(shaken) => shaken,
        Err(error) => {
            worker.stats.handshake(Handshake::Failed);
            tracing::debug!(%peer, %error, "no TLS");
            return None;
        }
    };
    worker.stats.handshake(if session.is_resumed() { Handshake::Resumed } else { Handshake::Full });
    if choice.is_challenge {
        tracing::info!(%peer, "a certificate authority has seen that a name is ours");
        return None;
    }
    timer.set_waiting(Instant::now(), worker.deadlines.head_ms);
    let secure = Some(Rc::new(session.secure(choice)));
    let stream = Stream::Tls(Box::new(session));
    Some(Client { stream, timer, worker, door, peer, peer_text, pending: None, secure })
}

impl Shaking<'_> {
    async fn run(self, mut reading: Reading) -> io::Result<(Session, Choice)> {
        let hello = poll_fn(|cx| self.in_time(reading.poll(cx, &self.socket))).await?;
        let (asked, choice) = {
            let named = hello.wish().server_name().map(str::to_owned);
            let asked = named.unwrap_or_else(|| address_of(&self.socket));
            let mut choice = self.choose(&hello, &asked)?;
            if choice.is_empty() && self.worker.table().on_demand {
                choice = self.wait(&hello, &asked, choice).await?;
            }
            (asked, choice)
        };
        let Self { socket, timer, worker, .. } = self;
        let session = hello.answer(&choice, socket).inspect_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                worker.log.fail(Lane::default(), failures::without_certificate(worker, &asked));
            }
        })?;
        poll_fn(|cx| in_time(timer, session.poll_handshake(cx))).await?;
        match &choice.asks {
            Some(asks) if session.is_resumed() && !session.still_holds(asks) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "what the client showed is good no more"))
            }
            _ => Ok((session, choice)),
        }
    }

    /// By the table as it is now.
    fn choose(&self, hello: &Hello, asked: &str) -> io::Result<Choice> {
        let table = self.worker.table();
        let tls = table.tls.as_ref().ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok(tls.choose(&hello.wish(), asked, table.asks(self.door, asked.as_bytes())))
    }

    /// Tells the keeper of a name without a certificate, and waits for a table that has one. Where none comes the former choice
    /// stands.
    async fn wait(&self, hello: &Hello, asked: &str, mut choice: Choice) -> io::Result<Choice> {
        let unknown = &self.worker.unknown;
        let Some(_held) = hello.wish().server_name().and_then(|name| unknown.hold(name)) else {
            return Ok(choice);
        };
        while choice.is_empty() {
            let mut renewed = pin!(unknown.renewed());
            // Before the look: a table that comes between the two is not missed.
            renewed.as_mut().enable();
            choice = self.choose(hello, asked)?;
            if !choice.is_empty() {
                break;
            }
            let is_over = poll_fn(|cx| {
                if self.socket.poll_read_ready(cx).is_ready() && self.socket.poll_hung_up(cx) {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                if self.timer.expired() || self.worker.is_closing() {
                    return Poll::Ready(Ok(true));
                }
                renewed.as_mut().poll(cx).map(|()| io::Result::Ok(false))
            });
            if is_over.await? {
                break;
            }
        }
        self.timer.set_waiting(Instant::now(), self.worker.deadlines.head_ms);
        Ok(choice)
    }

    fn in_time<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        in_time(self.timer, polled)
    }
}

/// What a client that names no host has asked for, as hosts are written: IPv6 in brackets.
fn address_of(socket: &Stream) -> String {
    match socket.local_address().map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        None => String::new(),
    }
}

/// What is not ready when the deadline has passed will not be.
fn in_time<T>(timer: &Timer, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    if polled.is_pending() && timer.expired() {
        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
    }
    polled
}
