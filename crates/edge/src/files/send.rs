//! Sends bodies: from memory, or from an open file by `sendfile` where the socket can, in pieces through a buffer where it
//! cannot (TLS, HTTP/2).
//!
//! A file that changes while it is sent is cut, never mixed: before each call that goes on in it the descriptor's version is
//! compared with the one the head spoke of. `sendfile` may wait for the disk on the worker, as nginx's does: asking first
//! whether the pages are there would cost each hot file a call, and the kernel reads ahead of it. Pieces ask (`RWF_NOWAIT` costs nothing) and
//! are read by a blocking thread where they are not there; file systems that cannot tell are read like `sendfile` reads.

use super::asset::{Body, Stamp, Variant};
use crate::buffer::Buffer;
use crate::connection::Client;
use rustix::fs::fstat;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// Bytes given to one `sendfile`: then other clients get their turn.
const MOST: u64 = 2 << 20;

/// What is sent one after the other.
#[derive(Debug)]
pub enum Segment {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These of the body.
    Slice(Range<u64>),
}

impl Segment {
    /// Bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Slice(range) => range.end - range.start,
        }
    }
}

/// Why nothing more can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client takes no more.
    #[error("the client took no more")]
    Client,
    /// The file is no longer what its head said.
    #[error("the file changed while it was sent")]
    Changed,
    /// It cannot be read.
    #[error("the file could not be read: {0}")]
    Read(io::Error),
}

/// Sends `bytes` and adds to `total` what was taken; `more`: others follow at once, so that the kernel may wait for them to fill a packet.
pub async fn bytes(client: &mut Client, bytes: &[u8], more: bool, total: &mut u64) -> Result<(), SendError> {
    let (mut sent, mut timed) = (0, false);
    poll_fn(|cx| {
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            let written = if more {
                client.stream.poll_write_more(cx, rest)
            } else {
                client.stream.poll_write(cx, rest)
            };
            match written {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(SendError::Client)),
                Poll::Ready(Ok(count)) => {
                    sent += count;
                    *total += count as u64;
                    timed = false;
                }
                Poll::Pending => return wait(client, &mut timed),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// The client does not take any more now: from the first time on its patience is measured.
fn wait(client: &Client, timed: &mut bool) -> Poll<Result<(), SendError>> {
    if !std::mem::replace(timed, true) {
        client.timer.set(Instant::now(), client.worker.deadlines.write_ms);
        return Poll::Pending;
    }
    if client.timer.expired() { Poll::Ready(Err(SendError::Client)) } else { Poll::Pending }
}

/// Sends the segments of a body.
pub async fn segments(
    client: &mut Client,
    variant: &Variant,
    segments: &[Segment],
    total: &mut u64,
) -> Result<(), SendError> {
    for (place, segment) in segments.iter().enumerate() {
        let more = place + 1 < segments.len();
        match (segment, &variant.body) {
            (Segment::Bytes(own), _) => bytes(client, own, more, total).await?,
            (Segment::Slice(range), Body::Memory(all)) => {
                let place = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
                let slice = all.get(place(range.start)..place(range.end)).unwrap_or_default();
                bytes(client, slice, more, total).await?;
            }
            (Segment::Slice(range), Body::Disk(file)) if client.stream.takes_files() => {
                by_sendfile(client, file, &variant.stamp, range.clone(), total).await?;
            }
            (Segment::Slice(range), Body::Disk(file)) => {
                in_pieces(client, file, &variant.stamp, range.clone(), total).await?;
            }
        }
    }
    Ok(())
}

/// The open file is still the version that was said.
fn check(file: &OwnedFd, stamp: &Stamp) -> Result<(), SendError> {
    let stat = fstat(file).map_err(|error| SendError::Read(error.into()))?;
    if Stamp::of(&stat).is_same_content(stamp) { Ok(()) } else { Err(SendError::Changed) }
}

async fn by_sendfile(
    client: &mut Client,
    file: &Arc<OwnedFd>,
    stamp: &Stamp,
    range: Range<u64>,
    total: &mut u64,
) -> Result<(), SendError> {
    let (mut at, mut timed) = (range.start, false);
    while at < range.end {
        check(file, stamp)?;
        let count = poll_fn(|cx| {
            match client.stream.poll_send_file(cx, file.as_fd(), at, (range.end - at).min(MOST)) {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(SendError::Changed)),
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
                Poll::Ready(Err(_)) => Poll::Ready(Err(SendError::Client)),
                Poll::Pending => wait(client, &mut timed).map_ok(|()| 0),
            }
        })
        .await?;
        timed = false;
        at += count as u64;
        *total += count as u64;
        tokio::task::consume_budget().await;
    }
    Ok(())
}

async fn in_pieces(
    client: &mut Client,
    file: &Arc<OwnedFd>,
    stamp: &Stamp,
    range: Range<u64>,
    total: &mut u64,
) -> Result<(), SendError> {
    let mut at = range.start;
    while at < range.end {
        let piece = piece(file, at, range.end).await.map_err(SendError::Read)?;
        check(file, stamp)?;
        if piece.is_empty() {
            return Err(SendError::Changed);
        }
        at += piece.len() as u64;
        bytes(client, piece.filled(), at < range.end, total).await?;
    }
    Ok(())
}

/// As many bytes from `at` on as fit a large buffer, none from `end` on; empty where the file ends.
async fn piece(file: &Arc<OwnedFd>, at: u64, end: u64) -> io::Result<Buffer> {
    let mut buffer = Buffer::large();
    match fill(file, &mut buffer, at, end, ReadWriteFlags::NOWAIT) {
        Err(Errno::AGAIN) => {}
        // A file system that does not tell, as tmpfs and overlayfs: a thread for each piece would cost more than the read, which is
        // no longer than `sendfile`'s.
        Err(Errno::OPNOTSUPP) => {
            fill(file, &mut buffer, at, end, ReadWriteFlags::empty())?;
            return Ok(buffer);
        }
        result => return result.map(|()| buffer).map_err(Into::into),
    }
    let file = Arc::clone(file);
    let read = move || fill(&file, &mut buffer, at, end, ReadWriteFlags::empty()).map(|()| buffer);
    Ok(tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??)
}

fn fill(file: &OwnedFd, buffer: &mut Buffer, at: u64, end: u64, flags: ReadWriteFlags) -> Result<(), Errno> {
    let most = usize::try_from(end - at).unwrap_or(usize::MAX);
    let free = buffer.free();
    let most = most.min(free.len());
    let free = free.get_mut(..most).unwrap_or_default();
    loop {
        match preadv2(file, &mut [IoSliceMut::new(free)], at, flags) {
            Err(Errno::INTR) => {}
            result => return result.map(|count| buffer.commit(count)),
        }
    }
}
