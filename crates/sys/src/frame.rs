//! Framed messages with descriptors over a unix stream socket.
//!
//! A frame is its length (4 bytes, big endian) and that many bytes. Descriptors ride on the frame's first bytes
//! (`SCM_RIGHTS`, [`DESCRIPTORS_PER_CALL`] for each byte) and are close-on-exec on receipt.
//!
//! Against a hostile peer: a length over the maximum is refused before anything is read; memory grows with what has
//! really arrived; more than [`MAX_DESCRIPTORS`] descriptors end the connection, and all that came are closed.
//!
//! An error in the middle of a frame (a timeout too) leaves the stream unusable: drop the socket then. Two clones may
//! be used by two threads as long as one only sends and the other only receives.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Longest frame unless the caller says otherwise.
pub const DEFAULT_MAX: usize = 1 << 20;
/// The kernel's `SCM_MAX_FD`.
pub const DESCRIPTORS_PER_CALL: usize = 253;
/// Most descriptors with one frame: one batch for each byte of its length.
pub const MAX_DESCRIPTORS: usize = 4 * DESCRIPTORS_PER_CALL;

const ANCILLARY: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_CALL));
const CHUNK: usize = 16 * 1024;

/// One end of a framed connection.
#[derive(Debug)]
pub struct FrameSocket {
    stream: UnixStream,
    max: usize,
}

impl From<UnixStream> for FrameSocket {
    fn from(stream: UnixStream) -> Self {
        FrameSocket { stream, max: DEFAULT_MAX }
    }
}

impl From<FrameSocket> for UnixStream {
    fn from(socket: FrameSocket) -> Self {
        socket.stream
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl FrameSocket {
    /// Frames of at most `max` bytes in both directions, over a blocking stream.
    pub fn with_max(stream: UnixStream, max: usize) -> Self {
        FrameSocket { stream, max: max.min(u32::MAX as usize) }
    }

    /// Connects to the socket at `path`.
    pub fn connect(path: &std::path::Path) -> io::Result<Self> {
        Ok(UnixStream::connect(path)?.into())
    }

    /// A pair of connected ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = UnixStream::pair()?;
        Ok((a.into(), b.into()))
    }

    /// A second handle on the same connection.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(FrameSocket { stream: self.stream.try_clone()?, max: self.max })
    }

    /// The stream underneath, for `shutdown` and peer credentials.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Longest wait for the next bytes; [`recv`](Self::recv) then fails with `WouldBlock` when no frame had begun.
    pub fn set_read_timeout(&self, after: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(after)
    }

    /// Longest wait for room in the peer's buffer.
    pub fn set_write_timeout(&self, after: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(after)
    }

    /// Sends one frame with these descriptors; the caller keeps its own. `InvalidInput` when it is over the limits.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.len() > self.max {
            return Err(io::Error::new(ErrorKind::InvalidInput, "frame is too long"));
        }
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors for one frame"));
        }
        let header = (bytes.len() as u32).to_be_bytes();
        let mut sent = 0;
        // All batches but the last ride on one byte of the length each; the last one on all that is left.
        let mut batches = descriptors.chunks(DESCRIPTORS_PER_CALL).peekable();
        while let Some(batch) = batches.next() {
            let upto = if batches.peek().is_some() { sent + 1 } else { header.len() };
            let body = if batches.peek().is_some() { &[][..] } else { bytes };
            sent += self.send_some(header.get(sent..upto).unwrap_or_default(), body, batch)?;
        }
        while sent < header.len() + bytes.len() {
            let head = header.get(sent..).unwrap_or_default();
            let body = bytes.get(sent.saturating_sub(header.len())..).unwrap_or_default();
            sent += self.send_some(head, body, &[])?;
        }
        Ok(())
    }

    fn send_some(&self, head: &[u8], body: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        loop {
            let mut space = [MaybeUninit::uninit(); ANCILLARY];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors for one call"));
            }
            match rustix::net::sendmsg(&self.stream, &slices, &mut control, SendFlags::NOSIGNAL) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => return Ok(n),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The next frame with its descriptors; `None` when the peer has ended between two frames. `InvalidData` when the
    /// peer breaks the protocol, `WouldBlock` when nothing came within the read timeout, `TimedOut` when the rest of
    /// a frame did not, `UnexpectedEof` when the peer ended inside a frame.
    pub fn recv(&self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut descriptors = Vec::new();
        let mut header = [0u8; 4];
        let mut have = 0;
        while let Some(rest @ [_, ..]) = header.get_mut(have..) {
            match self.recv_some(rest, &mut descriptors) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(e) if have == 0 => return Err(e),
                Err(e) => return Err(inside(e)),
            }
        }
        let length = length(header, self.max)?;
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let start = bytes.len();
            bytes.resize(length.min(start + CHUNK), 0);
            let room = bytes.get_mut(start..).unwrap_or_default();
            let n = self.recv_some(room, &mut descriptors).map_err(inside)?;
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes.truncate(start + n);
        }
        Ok(Some((bytes, descriptors)))
    }

    fn recv_some(&self, into: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); ANCILLARY];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(into)];
            match rustix::net::recvmsg(&self.stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(came) = message {
                descriptors.extend(came);
            }
        }
        // Cut short: this process is at its descriptor limit, or the peer sent more than one call can carry.
        if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(ErrorKind::InvalidData, "descriptors were cut off"));
        }
        Ok(received.bytes)
    }
}

fn inside(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        return io::Error::new(ErrorKind::TimedOut, "timed out inside a frame");
    }
    error
}

fn length(header: [u8; 4], max: usize) -> io::Result<usize> {
    let length = u32::from_be_bytes(header) as usize;
    if length > max {
        let text = format!("frame of {length} bytes, at most {max} are taken");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok(length)
}

/// Bytes of a frame, for those who write to a nonblocking stream or a pipe themselves.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 4);
    frame.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

/// Frames from bytes as they come, without descriptors: for nonblocking streams and for pipes.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    max: usize,
}

impl FrameDecoder {
    /// Frames of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        FrameDecoder { buffer: Vec::new(), max }
    }

    /// Takes what has arrived. Call [`next_frame`](Self::next_frame) until it gives `None` before pushing more, so that no more than
    /// one frame and one push are ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame. `InvalidData` when it is announced longer than the maximum.
    pub fn next_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(header) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = length(*header, self.max)?;
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.buffer.split_off(4 + length);
        let mut frame = std::mem::replace(&mut self.buffer, rest);
        frame.drain(..4);
        Ok(Some(frame))
    }

    /// Whether a frame has begun and is not whole.
    pub fn is_inside(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
