//! A body of HTTP/1.1, sent in DATA frames.
//!
//! No more is taken than the peer's windows (and [`super::SEND_BUFFER`], and what its connection [owes](Owed)) allow. `END_STREAM` goes out with the body's last bytes,
//! and only when the framing says that it has ended.

use super::heads::read_trailers;
use super::owed::{Owed, Piece};
use super::{as_io, malformed};
use crate::LIMITS;
use crate::buffer;
use bytes::Bytes;
use h2::{Reason, SendStream};
use http1::{BodyDecoder, BodyFraming};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A body on its way out.
pub struct Outgoing {
    send: SendStream<Piece>,
    owed: Rc<Owed>,
    decoder: BodyDecoder,
    ended: bool,
}

impl Outgoing {
    /// Of a message framed so; one without a body was ended with its head.
    pub fn new(send: SendStream<Piece>, owed: &Rc<Owed>, framing: BodyFraming) -> Self {
        let decoder = BodyDecoder::new(framing, &LIMITS);
        let ended = decoder.is_done();
        Self { send, owed: Rc::clone(owed), decoder, ended }
    }

    /// Takes what the windows allow.
    ///
    /// # Errors
    /// `InvalidData` for what is no body; else the stream or its connection has ended.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.ended {
            // What stands behind a body belongs to nobody.
            return Poll::Ready(Ok(bytes.len()));
        }
        self.send.reserve_capacity(bytes.len());
        let window = loop {
            match self.send.capacity() {
                0 => {}
                window => break window,
            }
            if let Some(count) = self.take_framing(bytes)? {
                return Poll::Ready(Ok(count));
            }
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(as_io(&error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        };
        let window = window.min(ready!(self.owed.poll_room(cx)));
        let bytes = bytes.get(..window).unwrap_or(bytes);
        let (mut taken, mut data) = (0, Vec::new());
        while taken < bytes.len() && !self.ended {
            let rest = bytes.get(taken..).unwrap_or_default();
            let step = self.decoder.decode(rest).map_err(malformed)?;
            if data.is_empty() && !step.data.is_empty() {
                data.reserve(rest.len());
            }
            data.extend_from_slice(rest.get(step.data).unwrap_or_default());
            taken += step.consumed;
            self.ended = step.done;
        }
        // Counted as long as the peer has not taken it: who asks for much and reads nothing is work that others are spared.
        self.send(buffer::counted(data))?;
        Poll::Ready(Ok(taken))
    }

    /// Framing takes no window: what stands before the next data is taken at any time.
    fn take_framing(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let mut ahead = self.decoder.clone();
        let step = ahead.decode(bytes).map_err(malformed)?;
        if !step.data.is_empty() {
            return Ok(None);
        }
        self.decoder = ahead;
        self.ended = step.done;
        self.send(Bytes::new())?;
        Ok(Some(step.consumed))
    }

    fn send(&mut self, data: Bytes) -> io::Result<()> {
        let trailers = if self.ended { self.decoder.trailers() } else { &[] };
        let last = self.ended && trailers.is_empty();
        let trailers = (!trailers.is_empty()).then(|| read_trailers(trailers));
        let failed = |error: h2::Error| as_io(&error);
        if !data.is_empty() || last {
            self.send.send_data(Piece::new(data, &self.owed), last).map_err(failed)?;
        }
        match trailers {
            Some(trailers) => self.send.send_trailers(trailers).map_err(failed),
            None => Ok(()),
        }
    }

    /// Ends a tunnel from this side; does nothing where the end was said already.
    ///
    /// # Errors
    /// The stream or its connection has ended.
    pub fn end(&mut self) -> io::Result<()> {
        if self.decoder.eof().is_err() || std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.send.send_data(Piece::new(Bytes::new(), &self.owed), true).map_err(|error| as_io(&error))
    }

    /// Ends the stream inside its message, if that has not ended.
    pub fn abort(&mut self, reason: Reason) {
        if !std::mem::replace(&mut self.ended, true) {
            self.send.send_reset(reason);
        }
    }

    /// Ready when the peer has reset the stream or its connection has ended.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.send.poll_reset(cx).map(|_| ())
    }
}
