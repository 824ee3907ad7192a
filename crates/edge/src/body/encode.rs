//! Compresses a body on its way, piece by piece, on the worker's own thread.
//!
//! No more than [`PIECE`] bytes are taken at a time, about a millisecond's work, and after so many the task lets others have
//! their turn: a quick upstream with a large answer costs its neighbours no more than that. (Handing pieces to another thread
//! would cost two wakes for each, more than it spares for all but the largest.) An encoder exists only while a compressed
//! answer is on its way; it takes up to about 1.5 MiB, so no more than [`MAX_ENCODERS`] live on one thread at a time: beyond that
//! answers go as they are.
//!
//! What an upstream has said before it pauses is flushed, so that a page that is made step by step shows so. Where the body's length was told,
//! nothing is held on purpose by its sender, and flushing would only make it larger.

use super::{Pump, PumpError};
use crate::buffer::Buffer;
use crate::stream::Stream;
use http1::{LAST_CHUNK, Reject, write_chunk_header};
use model::policy::Coding;
use std::cell::Cell;
use std::io::{self, Write};
use std::task::{Context, Poll, ready};

/// Bytes that are encoded at a time.
const PIECE: usize = 64 << 10;
/// Encoders of one thread.
const MAX_ENCODERS: usize = 32;

/// Half the ratio's gain of the highest quality for a tenth of its time.
const BROTLI_QUALITY: u32 = 4;
/// 256 KiB.
const BROTLI_WINDOW: u32 = 18;
const ZSTD_LEVEL: i32 = 3;
/// 256 KiB; level 3 alone would take 2 MiB, and tables to match.
const ZSTD_WINDOW: u32 = 18;
const ZSTD_TABLES: u32 = 16;
const GZIP_LEVEL: u32 = 5;

thread_local! {
    static LIVING: Cell<usize> = const { Cell::new(0) };
}

/// A body's encoder.
pub struct Encoding {
    /// Its coding.
    pub coding: Coding,
    encoder: Encoder,
    /// The client's side is chunked; else it lasts until the connection ends.
    chunked: bool,
    /// Flushed where the source pauses.
    eager: bool,
    /// Something was taken since the last flush.
    dirty: bool,
    /// It could not go on: what was sent is all that can be.
    failed: bool,
    /// Bytes taken since others had their turn.
    taken: usize,
    _living: Living,
}

enum Encoder {
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// It has ended; what it left.
    Ended(Vec<u8>),
}

/// One of [`MAX_ENCODERS`].
struct Living;

impl Living {
    fn begin() -> Option<Self> {
        LIVING.with(|living| {
            let count = living.get();
            (count < MAX_ENCODERS).then(|| {
                living.set(count + 1);
                Self
            })
        })
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = LIVING.try_with(|living| living.set(living.get().saturating_sub(1)));
    }
}

impl Encoding {
    /// For a body of this length, if that is known. `None`: there are too many already, or no memory for one.
    pub fn begin(coding: Coding, length: Option<u64>, chunked: bool) -> Option<Box<Self>> {
        let living = Living::begin()?;
        let encoder = Encoder::new(coding, length).ok()?;
        Some(Box::new(Self {
            coding,
            encoder,
            chunked,
            eager: length.is_none(),
            dirty: false,
            failed: false,
            taken: 0,
            _living: living,
        }))
    }

    /// Takes bytes of the body.
    pub fn take(&mut self, data: &[u8]) {
        self.taken += data.len();
        self.dirty |= !data.is_empty();
        self.failed |= self.encoder.write(data).is_err();
    }

    /// Appends what is ready to go.
    pub fn give(&mut self, out: &mut Vec<u8>) {
        let ready = self.encoder.output();
        if ready.is_empty() {
            return;
        }
        if self.chunked {
            write_chunk_header(out, ready.len());
        }
        out.extend_from_slice(ready);
        if self.chunked {
            out.extend_from_slice(b"\r\n");
        }
        ready.clear();
    }

    /// The source pauses: appends what could not be read yet without this; false when there is nothing.
    pub fn pause(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.eager || !std::mem::take(&mut self.dirty) {
            return false;
        }
        self.failed |= self.encoder.flush().is_err();
        self.give(out);
        !out.is_empty()
    }

    /// The body has ended: appends the rest.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.failed |= self.encoder.end().is_err();
        self.give(out);
        if self.chunked && !self.failed {
            out.extend_from_slice(LAST_CHUNK);
        }
    }

    /// Whether it had to give up.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Pending now and then, so that others have their turn; the task is woken at once.
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.taken < PIECE {
            return Poll::Ready(());
        }
        self.taken = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Encoder {
    fn new(coding: Coding, length: Option<u64>) -> io::Result<Self> {
        let out = Vec::new();
        Ok(match coding {
            Coding::Br => {
                let window = length.map_or(BROTLI_WINDOW, |length| {
                    length.max(1 << 10).next_power_of_two().ilog2().min(BROTLI_WINDOW)
                });
                Self::Br(Box::new(brotli::CompressorWriter::new(out, 0, BROTLI_QUALITY, window)))
            }
            Coding::Zstd => {
                use zstd::stream::raw::CParameter;
                let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
                encoder.set_pledged_src_size(length)?;
                for parameter in [
                    CParameter::WindowLog(ZSTD_WINDOW),
                    CParameter::HashLog(ZSTD_TABLES),
                    CParameter::ChainLog(ZSTD_TABLES),
                ] {
                    encoder.set_parameter(parameter)?;
                }
                Self::Zstd(encoder)
            }
            Coding::Gzip => {
                Self::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL)))
            }
        })
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Br(encoder) => encoder.write_all(data),
            Self::Zstd(encoder) => encoder.write_all(data),
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Ended(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Br(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Ended(_) => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let left = match std::mem::replace(self, Self::Ended(Vec::new())) {
            Self::Br(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Ended(left) => left,
        };
        *self = Self::Ended(left);
        Ok(())
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Ended(left) => left,
        }
    }
}

impl Pump {
    /// Encodes one piece: of what was read before, else of what is read now.
    pub(super) fn poll_encode(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
    ) -> Poll<Result<(), PumpError>> {
        let Some(encoding) = &mut self.encoding else { return Poll::Ready(Ok(())) };
        ready!(encoding.poll_turn(cx));
        let failed = |error: io::Error| PumpError::Source(error.kind());
        while self.buffer.is_none() {
            let readable = source.poll_read_ready(cx);
            if readable.is_pending() && encoding.pause(&mut self.prefix) {
                return Poll::Ready(Ok(()));
            }
            ready!(readable).map_err(failed)?;
            let mut buffer = Buffer::small();
            match source.read(&mut buffer).transpose().map_err(failed)? {
                Some(0) => return Poll::Ready(self.source_ended(buffer)),
                Some(_) => self.buffer = Some(buffer),
                None => {}
            }
        }
        Poll::Ready(self.encode().map_err(PumpError::Rejected))
    }

    /// Encodes up to [`PIECE`] bytes of what was read.
    pub(super) fn encode(&mut self) -> Result<(), Reject> {
        let (Some(encoding), Some(buffer)) = (&mut self.encoding, &mut self.buffer) else { return Ok(()) };
        let mut left = PIECE;
        while left > 0 && !self.read_done && !buffer.is_empty() {
            let piece = buffer.filled().get(..left.min(buffer.len())).unwrap_or_default();
            let decoded = self.decoder.decode(piece)?;
            encoding.take(piece.get(decoded.data).unwrap_or_default());
            buffer.consume(decoded.consumed);
            left -= decoded.consumed;
            self.read_done = decoded.done;
        }
        if self.read_done {
            encoding.end(&mut self.prefix);
        } else {
            encoding.give(&mut self.prefix);
        }
        self.buffer = self.buffer.take().filter(|buffer| !buffer.is_empty());
        // What an encoder refuses is not what was announced.
        if encoding.has_failed() { Err(Reject::Truncated) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        // A body that has not ended gives an error behind what could be read.
        let _ = match coding {
            Coding::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out),
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        };
        out
    }

    #[test]
    fn what_was_said_before_a_pause_can_be_read() {
        let text = "<p>a line of a page that is made step by step</p>\n".repeat(100);
        for coding in [Coding::Br, Coding::Zstd, Coding::Gzip] {
            let (mut encoding, mut out) = (Encoding::begin(coding, None, false).unwrap(), Vec::new());
            encoding.take(text.as_bytes());
            assert!(encoding.pause(&mut out));
            assert_eq!(decoded(coding, &out), text.as_bytes(), "{coding:?}");
            assert!(!encoding.pause(&mut out), "nothing new");
            encoding.take(b"end");
            encoding.end(&mut out);
            assert!(!encoding.has_failed() && out.len() < text.len() / 5);
            assert_eq!(decoded(coding, &out), format!("{text}end").as_bytes(), "{coding:?}");
        }
    }

    #[test]
    fn encoders_are_rationed() {
        let made: Vec<_> = (0..MAX_ENCODERS).map(|_| Encoding::begin(Coding::Gzip, None, true)).collect();
        assert!(made.iter().all(Option::is_some));
        assert!(Encoding::begin(Coding::Gzip, None, true).is_none());
        drop(made);
        assert!(Encoding::begin(Coding::Gzip, None, true).is_some());
    }

    #[test]
    fn a_wrong_length_is_no_panic() {
        let (mut encoding, mut out) = (Encoding::begin(Coding::Zstd, Some(3), true).unwrap(), Vec::new());
        encoding.take(b"more than three");
        encoding.end(&mut out);
        assert!(encoding.has_failed() && !out.ends_with(LAST_CHUNK));
    }
}
