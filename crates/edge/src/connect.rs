//! A new connection to an instance.

use crate::connection::Client;
use crate::stream::Stream;
use model::observed::Address;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;
use tokio::net::{TcpStream, UnixStream};

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// Refused, unreachable, no such socket.
    Failed(io::Error),
    /// No answer within the route's time to connect.
    TimedOut,
    /// The client did not wait.
    ClientGone,
}

impl ConnectError {
    /// It says something of who was to be reached, not of this machine or the client.
    pub fn is_of_the_instance(&self) -> bool {
        use io::ErrorKind::{
            ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, NotFound, TimedOut,
        };
        match self {
            Self::Failed(error) => matches!(
                error.kind(),
                ConnectionRefused
                    | ConnectionReset
                    | HostUnreachable
                    | NetworkUnreachable
                    | NotFound
                    | TimedOut
            ),
            Self::TimedOut => true,
            Self::ClientGone => false,
        }
    }
}

/// Connects within `millis`; with `watch`, gives up when the client goes (not while it still sends a body).
pub async fn connect(
    client: &mut Client,
    address: &Address,
    millis: u64,
    watch: bool,
) -> Result<Stream, ConnectError> {
    client.timer.set(Instant::now(), millis);
    let mut connecting = pin!(open(address));
    poll_fn(|cx| {
        if let Poll::Ready(result) = connecting.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(ConnectError::Failed));
        }
        if client.timer.expired() {
            return Poll::Ready(Err(ConnectError::TimedOut));
        }
        if watch && client.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(ConnectError::ClientGone));
        }
        Poll::Pending
    })
    .await
}

async fn open(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}
