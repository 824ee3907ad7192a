//! A body that arrives in DATA frames, read as HTTP/1.1 frames it.
//!
//! One frame is held at a time, and its window is given back only as its bytes are taken: a reader that waits slows the sender.

use super::as_io;
use super::heads::{Framing, write_trailers};
use crate::buffer::Buffer;
use bytes::Bytes;
use h2::RecvStream;
use http1::write_chunk_header;
use std::io;
use std::task::{Context, Poll, ready};

/// Room for the size line of a chunk and for its end.
const CHUNK_ROOM: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Data,
    Trailers,
    /// `tail` waits to be read.
    Tail,
    Ended,
}

/// A body on its way in.
pub struct Incoming {
    recv: RecvStream,
    framing: Framing,
    stage: Stage,
    data: Bytes,
    /// What stands behind the last chunk's data, and before: a chunk's size line.
    tail: Vec<u8>,
}

impl Incoming {
    /// Of a message framed so.
    pub fn new(recv: RecvStream, framing: Framing) -> Self {
        let stage = if framing == Framing::Empty { Stage::Ended } else { Stage::Data };
        Self { recv, framing, stage, data: Bytes::new(), tail: Vec::new() }
    }

    /// No message, but another protocol's bytes.
    pub fn is_tunnel(&self) -> bool {
        self.framing == Framing::Tunnel
    }

    /// Ready when [`Incoming::fill`] has something to give, a tunnel's end included; with false when nothing will ever come.
    ///
    /// # Errors
    /// The stream was reset, or its connection has ended.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.data.is_empty() {
            match self.stage {
                Stage::Tail => break,
                Stage::Ended => return Poll::Ready(Ok(self.framing == Framing::Tunnel)),
                Stage::Data => match ready!(self.recv.poll_data(cx)) {
                    Some(Ok(data)) => self.data = data,
                    Some(Err(error)) => return Poll::Ready(Err(as_io(&error))),
                    None => self.stage = Stage::Trailers,
                },
                Stage::Trailers => {
                    let trailers = ready!(self.recv.poll_trailers(cx)).map_err(|error| as_io(&error))?;
                    self.end(&trailers.unwrap_or_default());
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    fn end(&mut self, trailers: &http::HeaderMap) {
        self.stage = Stage::Ended;
        if self.framing == Framing::Chunked {
            self.tail.clear();
            write_trailers(&mut self.tail, trailers);
            self.stage = Stage::Tail;
        }
    }

    /// Gives what fits; 0 is the end of a tunnel. `None`: there is nothing.
    pub fn fill(&mut self, buffer: &mut Buffer) -> Option<usize> {
        let before = buffer.len();
        if !self.data.is_empty() {
            let room = buffer.free().len();
            let chunked = self.framing == Framing::Chunked;
            let most = if chunked { room.saturating_sub(CHUNK_ROOM) } else { room };
            let piece = self.data.split_to(most.min(self.data.len()));
            if piece.is_empty() {
                return None;
            }
            if chunked {
                self.tail.clear();
                write_chunk_header(&mut self.tail, piece.len());
                buffer.append(&self.tail);
            }
            buffer.append(&piece);
            if chunked {
                buffer.append(b"\r\n");
            }
            // Fails only for more than was received.
            let _ = self.recv.flow_control().release_capacity(piece.len());
            if self.data.is_empty() && self.stage == Stage::Data && self.recv.is_end_stream() {
                self.end(&http::HeaderMap::new());
            }
        }
        if self.data.is_empty() && self.stage == Stage::Tail {
            let room = buffer.free().len().min(self.tail.len());
            buffer.append(self.tail.get(..room).unwrap_or_default());
            self.tail.drain(..room);
            if self.tail.is_empty() {
                self.stage = Stage::Ended;
            }
        }
        let given = buffer.len() - before;
        (given > 0 || self.framing == Framing::Tunnel && self.stage == Stage::Ended).then_some(given)
    }
}
