//! What comes before HTTP: the PROXY protocol's header, then the handshake. Each has the deadline of a head.

use super::choice::Choice;
use super::hello::Reading;
use super::{Session, Tls};
use crate::access_log::Lane;
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::failures;
use crate::metrics::Handshake;
use crate::proxy_protocol::{self, Parsed};
use crate::stream::Stream;
use crate::timer::Timer;
use crate::worker::{Open, Worker};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// What is spoken on a listening address, where that is more than plain HTTP.
pub struct Door {
    /// TLS.
    pub tls: Option<Arc<Tls>>,
    /// Trusted peers send a PROXY header first.
    pub proxy: bool,
}

/// Brings a new client to where its first request can be read. `None`: it ends before.
///
/// From trusted peers the PROXY header must come, from others none is taken: theirs is read as the malformed request that it is.
pub async fn welcome(open: &mut Open, mut client: Client, door: Box<Door>) -> Option<Client> {
    if door.proxy && client.worker.table().trusts(client.peer) {
        let named = poll_fn(|cx| poll_header(&mut client, cx)).await;
        match named {
            Ok(Some(named)) => {
                open.belongs_to(named).ok()?;
                client.peer = named;
                client.peer_text = named.to_string().into();
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(peer = %client.peer, %error, "no PROXY header");
                return None;
            }
        }
    }
    let Some(tls) = door.tls else { return Some(client) };
    let Client { stream, timer, worker, door, peer, peer_text, pending, .. } = client;
    timer.set_waiting(Instant::now(), worker.deadlines.head_ms);
    let (session, choice) = match shake_hands(stream, pending, &timer, &tls, &worker).await {
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
    let secure = Some(Rc::new(session.secure(choice.certificate)));
    Some(Client {
        stream: Stream::Tls(Box::new(session)),
        timer,
        worker,
        door,
        peer,
        peer_text,
        pending: None,
        secure,
    })
}

/// From the client's first message to where both sides have agreed.
async fn shake_hands(
    socket: Stream,
    ahead: Option<Buffer>,
    timer: &Timer,
    tls: &Tls,
    worker: &Worker,
) -> io::Result<(Session, Choice)> {
    let mut reading = Reading::new(ahead);
    let hello = poll_fn(|cx| in_time(timer, reading.poll(cx, &socket))).await?;
    let choice = tls.choose(&hello.wish(), || socket.local_address());
    let name = hello.wish().server_name().unwrap_or_default().to_owned();
    let answered = hello.answer(&choice, socket);
    if answered.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        worker.log.fail(Lane::default(), failures::without_certificate(worker, &name));
    }
    let session = answered?;
    poll_fn(|cx| in_time(timer, session.poll_handshake(cx))).await?;
    Ok((session, choice))
}

/// What is not ready when the deadline has passed will not be.
fn in_time<T>(timer: &Timer, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    if polled.is_pending() && timer.expired() {
        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
    }
    polled
}

/// Reads until the header is whole; what came behind it becomes the client's pending bytes.
fn poll_header(client: &mut Client, cx: &mut Context<'_>) -> Poll<io::Result<Option<IpAddr>>> {
    loop {
        if let Some(mut buffer) = client.pending.take() {
            match proxy_protocol::parse(buffer.filled()) {
                Parsed::Header { len, client: named } => {
                    buffer.consume(len);
                    client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
                    return Poll::Ready(Ok(named));
                }
                Parsed::Incomplete if !buffer.is_full() => client.pending = Some(buffer),
                Parsed::Incomplete | Parsed::Invalid => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
        }
        if client.timer.expired() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(client.stream.poll_read_ready(cx))?;
        let mut buffer = client.pending.take().unwrap_or_else(Buffer::small);
        let read = client.stream.read(&mut buffer);
        client.pending = Some(buffer).filter(|buffer| !buffer.is_empty());
        match read {
            Some(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            Some(Ok(_)) | None => {}
        }
    }
}
