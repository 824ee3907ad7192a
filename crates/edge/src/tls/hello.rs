//! A client's first message, read before it is decided how it is answered.

use super::choice::Choice;
use super::session::{Session, Sink};
use crate::buffer::Buffer;
use crate::stream::Stream;
use rustls::Error;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, ClientHello};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

/// A fatal alert, unrecognized_name (RFC 8446 section 6.2), as it is before any key is agreed on.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// A message on its way in.
pub struct Reading {
    acceptor: Acceptor,
    /// What was read and not looked at.
    ahead: Option<Buffer>,
}

/// The message, and what came behind it.
pub struct Hello {
    accepted: Accepted,
    ahead: Option<Buffer>,
}

impl Reading {
    /// Begins, with what was read from the socket already.
    pub fn new(ahead: Option<Buffer>) -> Self {
        Self { acceptor: Acceptor::default(), ahead }
    }

    /// Until the message is whole; a client whose message is none is told so.
    pub fn poll(&mut self, cx: &mut Context<'_>, socket: &Stream) -> Poll<io::Result<Hello>> {
        loop {
            if let Some(ahead) = self.ahead.take()
                && let Some(hello) = self.take_in(ahead, socket)?
            {
                return Poll::Ready(Ok(hello));
            }
            ready!(socket.poll_read_ready(cx))?;
            let mut records = Buffer::small();
            match socket.read(&mut records) {
                None => {}
                Some(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Some(Ok(_)) => self.ahead = Some(records),
                Some(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn take_in(&mut self, mut records: Buffer, socket: &Stream) -> io::Result<Option<Hello>> {
        while !records.is_empty() {
            let taken = self.acceptor.read_tls(&mut records.filled())?;
            records.consume(taken);
            match self.acceptor.accept() {
                Ok(None) if taken == 0 => return Err(io::ErrorKind::InvalidData.into()),
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let ahead = Some(records).filter(|rest| !rest.is_empty());
                    return Ok(Some(Hello { accepted, ahead }));
                }
                Err((error, alert)) => return Err(refuse(error, alert, socket)),
            }
        }
        Ok(None)
    }
}

impl Hello {
    /// What the client wants.
    pub fn wish(&self) -> ClientHello<'_> {
        self.accepted.client_hello()
    }

    /// Goes on as was chosen; a client that cannot be served is told why.
    pub fn answer(self, choice: &Choice, socket: Stream) -> io::Result<Session> {
        match self.accepted.into_connection(choice.config.clone()) {
            Ok(connection) => Session::new(connection, socket, self.ahead),
            // For a name without a certificate rustls would say access_denied, which no client explains.
            Err((error @ Error::General(_), _)) if choice.is_empty() => {
                // The connection ends, whether it is heard or not.
                let _ = socket.write_vectored(&[IoSlice::new(UNRECOGNIZED_NAME)]);
                Err(io::Error::new(io::ErrorKind::NotFound, error))
            }
            Err((error, alert)) => Err(refuse(error, alert, &socket)),
        }
    }
}

/// Says the alert, as far as the socket takes it now: the connection ends in any case.
fn refuse(error: Error, mut alert: AcceptedAlert, socket: &Stream) -> io::Error {
    let _ = alert.write_all(&mut Sink(socket));
    io::Error::new(io::ErrorKind::InvalidData, error)
}
