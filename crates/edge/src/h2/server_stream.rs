//! One request of an HTTP/2 client, in its socket's place: the body is read from it (the head was written beforehand), the bytes of
//! the answer are written to it.
//!
//! ```text
//!   Answering ──final head──▶ Body ──▶ (END_STREAM with the last byte)
//!    │ ▲ 1xx
//!    └─┘
//! ```
//! A client that resets the stream is one that has gone: reads fail, so the claim ends and the log says 499.

use super::heads::{self, Framing};
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::owed::{Owed, Piece};
use super::{as_io, malformed};
use crate::LIMITS;
use crate::buffer::Buffer;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::StatusCode;
use http1::{BodyFraming, Method, Reject, parse_response};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

enum Phase {
    /// No final head yet; the vector holds the beginning of one.
    Answering(SendResponse<Piece>, Vec<u8>),
    Body(Outgoing),
}

impl Phase {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Answering(respond, _) => respond.poll_reset(cx).map(drop),
            Self::Body(body) => body.poll_gone(cx),
        }
    }
}

struct Inner {
    incoming: Incoming,
    phase: Phase,
    method: Method,
    /// Its connection's.
    owed: Rc<Owed>,
}

/// What a stream is of.
pub struct Origin<'a> {
    /// The request's method, as its head says it.
    pub method: Method,
    /// It asks for a protocol that is not known here.
    pub unknown_protocol: bool,
    /// Its connection's account.
    pub owed: &'a Rc<Owed>,
}

/// A client's stream.
pub struct ServerStream {
    inner: RefCell<Inner>,
    unknown_protocol: bool,
}

impl ServerStream {
    /// Of a request whose body is framed so.
    pub fn new(
        recv: RecvStream,
        framing: Framing,
        respond: SendResponse<Piece>,
        origin: &Origin<'_>,
    ) -> Self {
        let (method, owed) = (origin.method, Rc::clone(origin.owed));
        let phase = Phase::Answering(respond, Vec::new());
        let incoming = Incoming::new(recv, framing);
        Self {
            inner: RefCell::new(Inner { incoming, phase, method, owed }),
            unknown_protocol: origin.unknown_protocol,
        }
    }

    /// It asks for a protocol that is not known here (RFC 9220 section 3).
    pub fn asks_unknown_protocol(&self) -> bool {
        self.unknown_protocol
    }

    /// As of a socket; what comes behind the body can only be a reset.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner.borrow_mut();
        if ready!(inner.incoming.poll_ready(cx))? {
            return Poll::Ready(Ok(()));
        }
        ready!(inner.phase.poll_gone(cx));
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    /// Ready when the client has reset the stream, whatever of its body is still to be read.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.borrow_mut().phase.poll_gone(cx)
    }

    /// As of a socket.
    pub fn read(&self, buffer: &mut Buffer) -> Option<io::Result<usize>> {
        self.inner.borrow_mut().incoming.fill(buffer).map(Ok)
    }

    /// Takes bytes of the answer.
    ///
    /// # Errors
    /// `InvalidData` for what is no answer; else the client has gone.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner.borrow_mut();
        let mut taken = 0;
        if let Phase::Answering(..) = inner.phase {
            taken = inner.take_head(bytes)?;
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        match &mut inner.phase {
            Phase::Body(body) if !rest.is_empty() => match body.poll_write(cx, rest) {
                Poll::Ready(result) => Poll::Ready(result.map(|count| taken + count)),
                Poll::Pending if taken > 0 => Poll::Ready(Ok(taken)),
                Poll::Pending => Poll::Pending,
            },
            _ => Poll::Ready(Ok(taken)),
        }
    }

    /// Ends a tunnel from this side.
    pub fn poll_shutdown(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner.borrow_mut().phase {
            Phase::Body(body) => Poll::Ready(body.end()),
            Phase::Answering(..) => Poll::Ready(Ok(())),
        }
    }

    /// The exchange has ended: a client whose answer did not is told.
    pub fn finish(&self) {
        match &mut self.inner.borrow_mut().phase {
            Phase::Answering(respond, _) => respond.send_reset(Reason::INTERNAL_ERROR),
            Phase::Body(body) => body.abort(Reason::INTERNAL_ERROR),
        }
    }
}

impl Inner {
    /// Takes one head, or its beginning; returns how many of the bytes that were.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Phase::Answering(respond, partial) = &mut self.phase else { return Ok(0) };
        let before = partial.len();
        if before > 0 {
            partial.extend_from_slice(bytes);
        }
        let buf = if before > 0 { partial.as_slice() } else { bytes };
        let Some(head) = parse_response(buf, &LIMITS, self.method).map_err(malformed)? else {
            if before == 0 {
                partial.extend_from_slice(bytes);
            }
            return Ok(bytes.len());
        };
        let mut response = heads::response(&head, buf).ok_or_else(|| malformed(Reject::FieldValue))?;
        if self.incoming.is_tunnel() && !head.upgrade && response.status().is_success() {
            // 200 would say that the tunnel is there (RFC 8441 section 5).
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        let taken = head.len.saturating_sub(before);
        if head.is_interim() {
            respond.send_informational(response).map_err(|error| as_io(&error))?;
            partial.clear();
            return Ok(taken);
        }
        let framing = if head.upgrade { BodyFraming::UntilClose } else { head.body };
        let send = respond.send_response(response, framing.is_empty()).map_err(|error| as_io(&error))?;
        self.phase = Phase::Body(Outgoing::new(send, &self.owed, framing));
        Ok(taken)
    }
}
