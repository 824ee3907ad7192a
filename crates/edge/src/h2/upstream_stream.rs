//! One request to an instance over HTTP/2, in its socket's place: the forwarded head and body are written to it as HTTP/1.1, the answer
//! is read from it as HTTP/1.1.
//!
//! ```text
//!   Head ──request──▶ Waiting ──answer's head──▶ Answering ──▶ end
//!    (written)          (1xx are read as they come)   (read)
//! ```
//! The body goes up all the while. A request that the instance has not looked at (REFUSED_STREAM, or a stream beyond its GOAWAY,
//! RFC 9113 section 8.7) fails as a refused connection does.

use super::heads;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::owed::{Owed, Piece};
use super::upstream::Lease;
use super::{as_io, malformed};
use crate::LIMITS;
use crate::buffer::Buffer;
use h2::Reason;
use h2::client::{ResponseFuture, SendRequest};
use http::Method;
use http1::{Reject, parse_request};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

enum Answer {
    /// Nothing was asked yet.
    None,
    Waiting(ResponseFuture),
    Body(Incoming),
}

struct Inner {
    /// The way to ask, until that is done.
    send: Option<SendRequest<Piece>>,
    /// The beginning of a head.
    partial: Vec<u8>,
    method: Method,
    up: Option<Outgoing>,
    answer: Answer,
    /// Of the answer: heads that were not read yet.
    heads: Vec<u8>,
}

/// A stream to an instance.
pub struct UpstreamStream {
    inner: RefCell<Inner>,
    lease: Lease,
}

impl UpstreamStream {
    /// Not begun yet: that is the request's head.
    pub fn new(lease: Lease) -> Self {
        let inner = Inner {
            send: Some(lease.sender()),
            partial: Vec::new(),
            method: Method::GET,
            up: None,
            answer: Answer::None,
            heads: Vec::new(),
        };
        Self { inner: RefCell::new(inner), lease }
    }

    /// As of a socket.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner.borrow_mut();
        if let Answer::Waiting(response) = &mut inner.answer {
            if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
                let interim = interim.map_err(|error| failed(&error))?;
                heads::write_response(&mut inner.heads, &interim, false, &inner.method);
            } else if let Poll::Ready(answer) = Pin::new(response).poll(cx) {
                inner.begin_answer(answer.map_err(|error| failed(&error))?);
            }
        }
        if !inner.heads.is_empty() {
            return Poll::Ready(Ok(()));
        }
        match &mut inner.answer {
            Answer::Body(body) => match ready!(body.poll_ready(cx))? {
                true => Poll::Ready(Ok(())),
                // Its reader has counted the bytes and knows.
                false => Poll::Pending,
            },
            // Woken by the answer, or by whoever writes the request.
            Answer::None | Answer::Waiting(_) => Poll::Pending,
        }
    }

    /// As of a socket.
    pub fn read(&self, buffer: &mut Buffer) -> Option<io::Result<usize>> {
        let inner = &mut *self.inner.borrow_mut();
        let mut given = 0;
        if !inner.heads.is_empty() {
            given = buffer.free().len().min(inner.heads.len());
            buffer.append(inner.heads.get(..given).unwrap_or_default());
            inner.heads.drain(..given);
        }
        if let (true, Answer::Body(body)) = (inner.heads.is_empty(), &mut inner.answer) {
            given += body.fill(buffer).unwrap_or_default();
        }
        (given > 0).then_some(Ok(given))
    }

    /// Takes bytes of the request.
    ///
    /// # Errors
    /// `InvalidData` for what is no request; else the stream has ended.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner.borrow_mut();
        let mut taken = 0;
        if let Some(send) = &mut inner.send {
            ready!(send.poll_ready(cx)).map_err(|error| failed(&error))?;
            taken = inner.take_head(bytes, self.lease.owed())?;
            // Who waits for the answer has to register with it now.
            cx.waker().wake_by_ref();
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        match &mut inner.up {
            Some(up) if !rest.is_empty() => match up.poll_write(cx, rest) {
                Poll::Ready(result) => Poll::Ready(result.map(|count| taken + count)),
                Poll::Pending if taken > 0 => Poll::Ready(Ok(taken)),
                Poll::Pending => Poll::Pending,
            },
            _ => Poll::Ready(Ok(taken)),
        }
    }
}

impl Inner {
    /// Takes the head, or its beginning; returns how many of the bytes that were.
    fn take_head(&mut self, bytes: &[u8], owed: &Rc<Owed>) -> io::Result<usize> {
        let before = self.partial.len();
        if before > 0 {
            self.partial.extend_from_slice(bytes);
        }
        let buf = if before > 0 { self.partial.as_slice() } else { bytes };
        let Some(head) = parse_request(buf, &LIMITS).map_err(malformed)? else {
            if before == 0 {
                self.partial.extend_from_slice(bytes);
            }
            return Ok(bytes.len());
        };
        let request = heads::request(&head, buf).ok_or_else(|| malformed(Reject::TargetForm))?;
        self.method = request.method().clone();
        let Some(mut send) = self.send.take() else { return Ok(0) };
        let (answer, up) =
            send.send_request(request, head.body.is_empty()).map_err(|error| failed(&error))?;
        self.up = Some(Outgoing::new(up, owed, head.body));
        self.answer = Answer::Waiting(answer);
        Ok(head.len.saturating_sub(before))
    }

    fn begin_answer(&mut self, answer: http::Response<h2::RecvStream>) {
        let ended = answer.body().is_end_stream();
        let framing = heads::write_response(&mut self.heads, &answer, ended, &self.method);
        self.answer = Answer::Body(Incoming::new(answer.into_body(), framing));
    }
}

/// What a socket would say, told apart where the instance has not looked at the request.
fn failed(error: &h2::Error) -> io::Error {
    let unseen = error.is_remote()
        && (error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM));
    if unseen { io::ErrorKind::ConnectionRefused.into() } else { as_io(error) }
}
