//! The connection to a shim: frames of `wire::shim`, four bytes of length and JSON.

use futures_util::SinkExt;
use std::io;
use std::path::Path;
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use wire::shim::{FromShim, ToShim};

/// A connected shim.
pub(crate) struct Link(Framed<UnixStream, LengthDelimitedCodec>);

impl Link {
    /// Connects and asks to be told every change.
    pub(crate) async fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let codec = LengthDelimitedCodec::builder().max_frame_length(wire::MAX_FRAME).new_codec();
        let mut link = Self(Framed::new(stream, codec));
        link.send(&ToShim::Watch).await?;
        Ok(link)
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, message: &ToShim) -> io::Result<()> {
        let bytes = wire::encode(message).map_err(io::Error::other)?;
        self.0.send(tokio_util::bytes::Bytes::from(bytes)).await
    }

    /// The next message; none when the shim is gone or no longer speaks the protocol. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Option<FromShim> {
        use futures_util::Stream;
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut self.0).poll_next(cx)).await?;
        frame.ok().and_then(|bytes| wire::decode(&bytes).ok())
    }
}
