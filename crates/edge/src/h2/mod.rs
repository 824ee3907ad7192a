//! HTTP/2 (RFC 9113), on both sides, over the crate `h2`: that one knows frames, HPACK, windows and stream states; this module
//! knows what they mean.
//!
//! ```text
//!   client ══ frames ══▶ io (guard) ─▶ server ──one task each──▶ exchange::run, over a ServerStream
//!                                                                   │ as over a socket: an HTTP/1.1 head, its body
//!   app    ◀═ frames ══ io (guard) ◀─ upstream ◀── UpstreamStream ◀─┘ relay
//! ```
//! Everything else in the edge speaks HTTP/1.1 in bytes. A stream therefore takes a socket's place ([`Channel`]): the request is written as
//! the HTTP/1.1 head that it means and goes through the one parser, the one router and the one relay, and the bytes of the answer are
//! taken apart again. What cannot be said in HTTP/1.1 without a second reading is refused there, once, for both versions.
//!
//! - [`heads`]: heads and trailer sections, each way
//! - [`incoming`], [`outgoing`]: bodies, with flow control as back-pressure
//! - [`server`]: a client's connection; [`server_stream`]: one of its streams
//! - [`upstream`]: connections to instances, shared by the requests of a worker; [`upstream_stream`]: one request there
//! - [`io`], [`owed`], [`guard`]: bytes of a connection, gathered into few writes; how many it may hold; floods that `h2` does not bound itself, and ([`pseudo`])
//!   trailers it lets pass
//!
//! Invariants: nothing is read from a stream that its reader does not take, so windows are the only buffers; what is given to
//! `h2` to send is at most [`SEND_BUFFER`] a stream, and [`owed::MOST`] a connection; a stream ends with `END_STREAM` only where its message has ended properly.

mod guard;
mod heads;
mod incoming;
mod io;
mod outgoing;
mod owed;
mod pseudo;
mod server;
mod server_stream;
mod upstream;
mod upstream_stream;

pub use server::serve;
pub use server_stream::ServerStream;
pub use upstream::{Connections, stream};
pub use upstream_stream::UpstreamStream;

use crate::LIMITS;
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::stream::Stream;
use std::fmt;
use std::io::ErrorKind;
use std::task::{Context, Poll};

/// Streams a client may have open at a time (RFC 9113 section 5.1.2).
const MAX_STREAMS: u32 = 128;
/// Bytes a peer may send ahead on one stream, and on all of a connection together.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of one stream that `h2` holds until the peer takes them.
const SEND_BUFFER: usize = 64 << 10;
/// Bytes of a head's list, as RFC 9113 section 6.5.2 counts them.
const MAX_HEADER_LIST: u32 = LIMITS.head as u32;

/// What every client begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So much of it looks like a head to an HTTP/1.1 parser.
const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Whether a client begins HTTP/2 without TLS: with prior knowledge (RFC 9113 section 3.3), which only trusted peers may. To be asked
/// when the HTTP/1.1 parser has refused a whole head.
pub fn begins(client: &Client, filled: &[u8]) -> bool {
    let known = filled.len().min(PREFACE.len());
    filled.len() >= PREFACE_HEAD.len()
        && filled.get(..known) == PREFACE.get(..known)
        && matches!(client.stream, Stream::Tcp(_) | Stream::Unix(_))
        && client.worker.table().trusts(client.peer)
}

/// One stream in a socket's place.
pub enum Channel {
    /// A client's.
    Server(ServerStream),
    /// To an instance.
    Upstream(UpstreamStream),
}

impl Channel {
    /// As [`crate::stream::Stream::poll_read_ready`].
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self {
            Self::Server(stream) => stream.poll_read_ready(cx),
            Self::Upstream(stream) => stream.poll_read_ready(cx),
        }
    }

    /// As [`crate::stream::Stream::read`].
    pub fn read(&self, buffer: &mut Buffer) -> Option<std::io::Result<usize>> {
        match self {
            Self::Server(stream) => stream.read(buffer),
            Self::Upstream(stream) => stream.read(buffer),
        }
    }

    /// As [`crate::stream::Stream::poll_hung_up`].
    pub fn poll_hung_up(&self, cx: &mut Context<'_>) -> bool {
        matches!(self, Self::Server(stream) if stream.poll_gone(cx).is_ready())
    }

    /// As [`crate::stream::Stream::poll_write`].
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self {
            Self::Server(stream) => stream.poll_write(cx, bytes),
            Self::Upstream(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// As [`crate::stream::Stream::poll_shutdown`].
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self {
            Self::Server(stream) => stream.poll_shutdown(cx),
            // Nothing is tunnelled there.
            Self::Upstream(_) => Poll::Ready(Ok(())),
        }
    }

    /// A client's stream that asks for a protocol which is not known here.
    pub fn asks_unknown_protocol(&self) -> bool {
        matches!(self, Self::Server(stream) if stream.asks_unknown_protocol())
    }

    /// Nobody writes any more: a peer whose message did not end is told.
    pub fn finish(&self) {
        match self {
            Self::Server(stream) => stream.finish(),
            // Its drop says it.
            Self::Upstream(_) => {}
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a stream of HTTP/2")
    }
}

/// What a socket would say.
fn as_io(error: &::h2::Error) -> std::io::Error {
    match error.get_io() {
        Some(io) => io.kind().into(),
        None => ErrorKind::ConnectionReset.into(),
    }
}

fn malformed(reject: http1::Reject) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, reject)
}
