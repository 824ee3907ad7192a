//! What comes before HTTP: the PROXY protocol's header, then the handshake ([`super::handshake`]). Each has the deadline of a head.

use super::handshake::shake_hands;
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::proxy_protocol::{self, Parsed};
use crate::worker::Open;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, ready};

/// What is spoken on a listening address, where that is more than plain HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Door {
    /// TLS.
    pub tls: bool,
    /// Trusted peers send a PROXY header first.
    pub proxy: bool,
}

/// Brings a new client to where its first request can be read. `None`: it ends before.
///
/// From trusted peers the PROXY header must come, from others none is taken: theirs is read as the malformed request that it is.
pub async fn welcome(open: &mut Open, mut client: Client, door: Door) -> Option<Client> {
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
    if door.tls { shake_hands(client).await } else { Some(client) }
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
