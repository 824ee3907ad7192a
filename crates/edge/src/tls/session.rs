//! One TLS connection over a nonblocking socket, with the poll interface of [`Stream`].
//!
//! Single-threaded, behind `&self`: a cell is borrowed for one call, and no call leads back here.
//!
//! *Reading* lends a buffer for records as long as a call lasts, takes no more from the socket than there is room for, and
//! leaves what is not whole with rustls; plain bytes beyond the room wait there too, a record's worth at most. *Writing*
//! encrypts one piece, at most [`PIECE`], and says it is written when the socket has taken all of it: whoever asks again in
//! between comes with the same bytes, as everybody does who was told to wait. So nothing is ever left to be flushed.
//!
//! What rustls wants to say by itself after the handshake of TLS 1.3 (tickets, key updates) leaves with the next answer: a system call
//! and a packet less for each connection.

use super::choice::Choice;
use super::client_auth::lines;
use super::{ClientAuth, H2, Secure};
use crate::buffer::{Buffer, SMALL};
use crate::stream::Stream;
use rustls::{Error, HandshakeKind, ProtocolVersion, ServerConnection};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::task::{Context, Poll, ready};

/// Bytes encrypted at a time.
const PIECE: usize = 64 << 10;
/// Fewest bytes taken from the socket at a time, however little room there is for what they hold.
const FEWEST: usize = 4096;

/// A connection.
pub struct Session {
    socket: Stream,
    state: RefCell<State>,
}

struct State {
    connection: ServerConnection,
    /// Decrypted bytes that wait to be read.
    plain: usize,
    /// The peer says nothing more.
    ended: bool,
    /// Nothing more is to be said: not to a peer that has gone, nor after a fatal alert.
    silent: bool,
    /// Bytes that were encrypted and not said to be written yet.
    owed: usize,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Session {
    /// Goes on after the first message, with what was read from the socket behind it.
    pub fn new(mut connection: ServerConnection, socket: Stream, ahead: Option<Buffer>) -> io::Result<Self> {
        connection.set_buffer_limit(Some(PIECE));
        let mut state = State { connection, plain: 0, ended: false, silent: false, owed: 0 };
        if let Some(ahead) = ahead {
            state.take_in(ahead.filled(), None).map_err(io::Error::other)?;
        }
        Ok(Self { socket, state: RefCell::new(state) })
    }

    /// Until both sides have agreed; a client whose messages cannot be taken is told why.
    pub fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let done = !state.connection.is_handshaking();
            if !(done && state.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)) {
                ready!(state.poll_flush(&self.socket, cx))?;
            }
            if done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.socket.poll_read_ready(cx))?;
            let mut records = Buffer::small();
            match self.socket.read(&mut records) {
                None => {}
                Some(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Some(Ok(_)) => {
                    if let Err(error) = state.take_in(records.filled(), None) {
                        state.say_last(&self.socket);
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// What was agreed on. After the handshake.
    pub fn secure(&self, choice: Choice) -> Secure {
        let connection = &self.state.borrow().connection;
        Secure {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            h2: connection.alpn_protocol() == Some(H2),
            name: connection.server_name().map(Into::into),
            certificate: choice.certificate,
            shown: choice.asks.as_ref().map_or_else(Box::default, |_| lines(connection.peer_certificates())),
            asked: choice.asks.map(|asks| asks.digest),
        }
    }

    /// Whether what was shown when the session began is still good.
    pub fn still_holds(&self, asks: &ClientAuth) -> bool {
        asks.still_takes(self.state.borrow().connection.peer_certificates())
    }

    /// The session began on a former connection.
    pub fn is_resumed(&self) -> bool {
        self.state.borrow().connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// As [`Stream::poll_read_ready`]; what is ready may turn out to be half a record.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.state.borrow();
        if state.plain > 0 || state.ended { Poll::Ready(Ok(())) } else { self.socket.poll_read_ready(cx) }
    }

    /// As [`Stream::read`].
    pub fn read(&self, buffer: &mut Buffer) -> Option<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let had = buffer.len();
            state.hand_out(buffer);
            if buffer.len() > had || state.ended {
                return Some(Ok(buffer.len() - had));
            }
            let room = buffer.free().len().max(FEWEST);
            let mut records = if room > SMALL { Buffer::large() } else { Buffer::small() };
            match self.socket.read_at_most(&mut records, room)? {
                Ok(0) => state.end(),
                Ok(_) => {
                    if let Err(error) = state.take_in(records.filled(), Some(buffer)) {
                        state.say_last(&self.socket);
                        return Some(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                    }
                    if buffer.len() > had {
                        return Some(Ok(buffer.len() - had));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// As [`Stream::poll_write`], or with `more` [`Stream::poll_write_more`]: then it may leave with what follows.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8], more: bool) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            if state.owed == 0 {
                state.silent = false;
                state.owed = state.connection.writer().write(bytes)?;
            }
            if !more || state.owed == 0 {
                ready!(state.poll_flush(&self.socket, cx))?;
            }
            let written = state.owed.min(bytes.len());
            if written > 0 || bytes.is_empty() {
                state.owed -= written;
                return Poll::Ready(Ok(written));
            }
        }
    }

    /// As [`Stream::is_silent`].
    pub fn is_silent(&self) -> bool {
        let state = self.state.borrow();
        state.plain == 0 && !state.ended && self.socket.is_silent()
    }

    /// As [`Stream::poll_hung_up`].
    pub fn poll_hung_up(&self, cx: &mut Context<'_>) -> bool {
        self.socket.poll_hung_up(cx)
    }

    /// As [`Stream::poll_shutdown`], with close_notify before it (RFC 8446 section 6.1).
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.state.get_mut();
        state.connection.send_close_notify();
        ready!(state.poll_flush(&self.socket, cx))?;
        self.socket.poll_shutdown(cx)
    }
}

impl Drop for Session {
    /// However a connection ends, a client that may still listen is told that what it has is all (RFC 8446 section 6.1), as far
    /// as its socket takes it now.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if !state.silent && !state.connection.is_handshaking() {
            state.connection.send_close_notify();
            state.say_last(&self.socket);
        }
    }
}

impl State {
    /// Decrypts what came, and hands out what there is room for.
    fn take_in(&mut self, mut records: &[u8], mut into: Option<&mut Buffer>) -> Result<(), Error> {
        while !records.is_empty() {
            // Nothing is taken after close_notify: what follows it is nobody's.
            let taken =
                self.connection.read_tls(&mut records).map_err(|error| Error::General(error.to_string()))?;
            let now = self.connection.process_new_packets()?;
            self.plain = now.plaintext_bytes_to_read();
            // It may still listen, and wants to hear that what it got is all.
            self.ended |= now.peer_has_closed();
            if let Some(into) = &mut into {
                self.hand_out(into);
            }
            if taken == 0 {
                break;
            }
        }
        Ok(())
    }

    fn hand_out(&mut self, buffer: &mut Buffer) {
        if self.plain > 0
            && let Ok(count) = self.connection.reader().read(buffer.free())
        {
            buffer.commit(count);
            self.plain = self.plain.saturating_sub(count);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.silent = true;
    }

    fn poll_flush(&mut self, socket: &Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Sink(socket)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(socket.poll_write_ready(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What waits, as far as the socket takes it now: the connection ends in any case.
    fn say_last(&mut self, socket: &Stream) {
        self.end();
        while self.connection.wants_write() {
            if !matches!(self.connection.write_tls(&mut Sink(socket)), Ok(1..)) {
                return;
            }
        }
    }
}

/// Where rustls puts its records: all that wait in one system call.
pub struct Sink<'a>(pub &'a Stream);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(pieces).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
