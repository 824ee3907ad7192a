//! A [`Pump`] moves one body from one socket to the other, with back-pressure and without a buffer while it waits.
//!
//! ```text
//!   source ──read──▶ buffer [ ready ....... | rest ] ──write──▶ sink
//! ```
//! The rest of a large body with a known length does not come into the process at all: it goes through a [`Pipe`].
//!
//! `ready` bytes were checked to belong to the body and may go out; nothing more is read before they are gone, so a slow
//! sink slows the source. Bytes behind the body's end stay in the buffer for whom they belong to ([`Pump::take_rest`]).
//!
//! The framing stays as it is ([`Form::Raw`]) wherever both sides can have it; a body without framing is chunked for an
//! HTTP/1.1 client ([`Form::Chunked`]), a chunked one is unwrapped for an HTTP/1.0 client ([`Form::Unwrapped`]).

pub mod encode;
pub mod kept;

use crate::LIMITS;
use crate::buffer::{Buffer, SMALL};
use crate::pipe::Pipe;
use crate::stream::Stream;
use encode::Encoding;
use http1::{BodyDecoder, BodyFraming, LAST_CHUNK, Reject, write_chunk_header};
use kept::Kept;
use std::io;
use std::task::{Context, Poll, ready};

/// A body with so much of it still to come goes through a pipe: below, copying is cheaper.
const SPLICE: u64 = 128 << 10;

/// What happens to a body's framing on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It passes as it came.
    Raw,
    /// Chunked at the source, plain at the sink.
    Unwrapped,
    /// Until the end of the connection at the source, chunked at the sink.
    Chunked,
}

/// Why a body did not get through.
#[derive(Debug)]
pub enum PumpError {
    /// The source failed or ended inside the body.
    Source(io::ErrorKind),
    /// The source sent what is not a body.
    Rejected(Reject),
    /// The sink takes no more.
    Sink(io::ErrorKind),
}

/// Result of an attempt to splice.
enum Spliced {
    Bytes,
    Failed(io::ErrorKind),
    /// No pipe, or sockets that cannot: copy.
    Impossible,
}

/// Moves one body.
pub struct Pump {
    decoder: BodyDecoder,
    form: Form,
    large: bool,
    read_done: bool,
    buffer: Option<Buffer>,
    ready: usize,
    /// A head that did not fit before the bytes it came with.
    prefix: Vec<u8>,
    limit: u64,
    written: u64,
    /// Bytes of a body with a known length that were not read yet; 0 for others.
    left: u64,
    /// The rest goes through pipes: the decoder has counted no further than to where that began.
    splicing: bool,
    pipe: Option<Pipe>,
    /// Compresses it; then the buffer holds what is still to be encoded, and the prefix all that is ready to go.
    encoding: Option<Box<Encoding>>,
    /// Copies what is read.
    kept: Option<Box<Kept>>,
}

impl Pump {
    /// For a body framed so, of at most `limit` bytes of data.
    pub fn new(framing: BodyFraming, form: Form, limit: u64) -> Self {
        let decoder = BodyDecoder::new(framing, &LIMITS);
        let large = matches!(framing, BodyFraming::Length(length) if length > SMALL as u64);
        let read_done = decoder.is_done();
        Self {
            decoder,
            form,
            large,
            read_done,
            buffer: None,
            ready: 0,
            prefix: Vec::new(),
            limit,
            written: 0,
            left: if let BodyFraming::Length(length) = framing { length } else { 0 },
            splicing: false,
            pipe: None,
            encoding: None,
            kept: None,
        }
    }

    /// Compresses the body; its form is the encoding's business then.
    pub fn with_encoding(mut self, encoding: Option<Box<Encoding>>) -> Self {
        if encoding.is_some() {
            self.left = 0;
        }
        self.encoding = encoding;
        self
    }

    /// Reads with large buffers from the start: they are cheap where the sink is expected to keep up.
    pub fn with_large_buffers(mut self) -> Self {
        self.large = true;
        self
    }

    /// Gives it the bytes that came together with the head.
    pub fn feed(&mut self, mut buffer: Buffer) -> Result<(), Reject> {
        if self.encoding.is_some() {
            self.buffer = Some(buffer);
            return self.encode();
        }
        let result = if self.read_done { Ok(()) } else { self.take_in(&mut buffer) };
        self.buffer = Some(buffer);
        result
    }

    /// Puts a head before the bytes that are ready to go.
    pub fn lead(&mut self, head: &[u8]) {
        if self.encoding.is_some() {
            self.lead_first(head.to_vec());
        } else if self.buffer.as_mut().is_some_and(|buffer| buffer.prepend(head)) {
            self.ready += head.len();
        } else {
            self.prefix = head.to_vec();
        }
    }

    /// Puts a head of its own (an interim answer) behind what waits already; false when too much waits.
    pub fn lead_more(&mut self, head: &[u8]) -> bool {
        self.prefix.extend_from_slice(head);
        self.prefix.len() <= SMALL
    }

    /// Puts what waited before even before the head that leads now.
    pub fn lead_first(&mut self, mut earlier: Vec<u8>) {
        earlier.append(&mut self.prefix);
        self.prefix = earlier;
    }

    /// Takes back what waits before the body.
    pub fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.prefix)
    }

    /// Counts what is written on from here.
    pub fn counting_from(mut self, written: u64) -> Self {
        self.written = written;
        self
    }

    /// The body's last byte was read (it may not be written yet).
    pub fn is_read(&self) -> bool {
        self.read_done
    }

    /// Bytes of memory that it takes now.
    pub fn memory(&self) -> usize {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.memory());
        self.buffer.as_ref().map_or(0, Buffer::memory) + self.prefix.capacity() + kept
    }

    /// All of it was written.
    pub fn is_finished(&self) -> bool {
        self.read_done && !self.is_writing()
    }

    /// Something waits for the sink.
    pub fn is_writing(&self) -> bool {
        self.ready > 0 || !self.prefix.is_empty() || self.pipe.is_some()
    }

    /// Bytes written, with a head that led it.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Something came behind the body.
    pub fn has_rest(&self) -> bool {
        self.buffer.as_ref().is_some_and(|buffer| buffer.len() > self.ready)
    }

    /// What came behind the body, if anything did.
    pub fn take_rest(&mut self) -> Option<Buffer> {
        self.buffer.take().filter(|buffer| !buffer.is_empty())
    }

    /// Moves what can be moved; ready when all is written.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
    ) -> Poll<Result<(), PumpError>> {
        loop {
            ready!(self.poll_write(cx, sink)).map_err(PumpError::Sink)?;
            if self.read_done {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx, source, sink))?;
        }
    }

    /// Writes what waits, then reads one piece; for who wants to know at once that the last one was read.
    pub fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
    ) -> Poll<Result<(), PumpError>> {
        ready!(self.poll_write(cx, sink)).map_err(PumpError::Sink)?;
        if self.read_done { Poll::Ready(Ok(())) } else { self.poll_fill(cx, source, sink) }
    }

    /// Writes what waits.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, sink: &Stream) -> Poll<Result<(), io::ErrorKind>> {
        while self.is_writing() {
            if !self.prefix.is_empty() {
                let count = ready!(write_some(cx, sink, &self.prefix))?;
                self.prefix.drain(..count);
                self.written += count as u64;
                continue;
            }
            if let (0, Some(pipe)) = (self.ready, &mut self.pipe) {
                let count = ready!(sink.poll_splice_from(cx, pipe)).map_err(|error| error.kind())?;
                self.written += count as u64;
                if pipe.filled() == 0 {
                    self.pipe = None;
                }
                continue;
            }
            let Some(buffer) = &mut self.buffer else { break };
            let count = ready!(write_some(cx, sink, buffer.filled().get(..self.ready).unwrap_or_default()))?;
            buffer.consume(count);
            self.ready -= count;
            self.written += count as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads one piece. Nothing is waiting to be written.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        sink: &Stream,
    ) -> Poll<Result<(), PumpError>> {
        if self.encoding.is_some() {
            return self.poll_encode(cx, source);
        }
        self.buffer = None;
        let failed = |error: io::Error| PumpError::Source(error.kind());
        if self.splicing || self.left >= SPLICE && source.can_splice() && sink.can_splice() {
            match ready!(self.poll_splice(cx, source)) {
                Spliced::Bytes => return Poll::Ready(Ok(())),
                Spliced::Failed(kind) => return Poll::Ready(Err(PumpError::Source(kind))),
                Spliced::Impossible => self.left = 0,
            }
        }
        let (mut buffer, count) = loop {
            ready!(source.poll_read_ready(cx)).map_err(failed)?;
            let mut buffer = if self.large { Buffer::large() } else { Buffer::small() };
            if let Some(read) = source.read(&mut buffer) {
                break (buffer, read.map_err(failed)?);
            }
        };
        if count == 0 {
            return Poll::Ready(self.source_ended(buffer));
        }
        self.large |= buffer.is_full();
        let result = self.take_in(&mut buffer);
        self.buffer = Some(buffer);
        Poll::Ready(result.map_err(PumpError::Rejected))
    }

    /// Fills a pipe, lent only while there is something in it.
    fn poll_splice(&mut self, cx: &mut Context<'_>, source: &Stream) -> Poll<Spliced> {
        if ready!(source.poll_read_ready(cx)).is_err() {
            return Poll::Ready(Spliced::Failed(io::ErrorKind::ConnectionReset));
        }
        let Some(mut pipe) = Pipe::take() else { return Poll::Ready(self.without_pipe()) };
        match ready!(source.poll_splice_into(cx, &mut pipe, self.left)) {
            Ok(0) => Poll::Ready(Spliced::Failed(io::ErrorKind::UnexpectedEof)),
            Ok(count) => {
                self.splicing = true;
                self.left -= count as u64;
                self.read_done = self.left == 0;
                self.pipe = Some(pipe);
                Poll::Ready(Spliced::Bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Poll::Ready(self.without_pipe()),
            Err(error) => Poll::Ready(Spliced::Failed(error.kind())),
        }
    }

    /// Goes on by copying, with a decoder for what is left.
    fn without_pipe(&mut self) -> Spliced {
        if self.splicing {
            self.decoder = BodyDecoder::new(BodyFraming::Length(self.left), &LIMITS);
            self.splicing = false;
        }
        self.large = true;
        Spliced::Impossible
    }

    fn source_ended(&mut self, mut buffer: Buffer) -> Result<(), PumpError> {
        self.decoder.eof().map_err(|_| PumpError::Source(io::ErrorKind::UnexpectedEof))?;
        self.read_done = true;
        if let Some(encoding) = &mut self.encoding {
            encoding.end(&mut self.prefix);
            if encoding.has_failed() {
                return Err(PumpError::Rejected(Reject::Truncated));
            }
        } else if self.form == Form::Chunked {
            self.ready = buffer.append(LAST_CHUNK);
            self.buffer = Some(buffer);
        }
        Ok(())
    }

    /// Finds out how much of what was read is body, and brings it into its form.
    fn take_in(&mut self, buffer: &mut Buffer) -> Result<(), Reject> {
        match self.form {
            Form::Raw => {
                let progress = self.decoder.advance(buffer.filled())?;
                self.read_done = progress.done;
                self.ready = progress.consumed;
                self.left = self.left.saturating_sub(progress.consumed as u64);
                if let Some(kept) = &mut self.kept {
                    kept.add(buffer.filled().get(..self.ready).unwrap_or_default());
                }
            }
            Form::Unwrapped => self.unwrap(buffer)?,
            Form::Chunked => {
                let progress = self.decoder.advance(buffer.filled())?;
                if progress.consumed > 0 {
                    let mut line = Vec::with_capacity(20);
                    write_chunk_header(&mut line, progress.consumed);
                    buffer.prepend(&line);
                    buffer.append(b"\r\n");
                }
                self.ready = buffer.len();
            }
        }
        if self.decoder.data_len() > self.limit {
            self.ready = 0;
            return Err(Reject::BodyTooLarge);
        }
        Ok(())
    }

    fn unwrap(&mut self, buffer: &mut Buffer) -> Result<(), Reject> {
        let (mut at, mut kept) = (0, 0);
        while !self.read_done && at < buffer.len() {
            let decoded = self.decoder.decode(buffer.filled().get(at..).unwrap_or_default())?;
            let data = at + decoded.data.start..at + decoded.data.end;
            let length = data.len();
            buffer.move_within(data, kept);
            kept += length;
            at += decoded.consumed;
            self.read_done = decoded.done;
        }
        // What lies behind the end is no use to anybody: a response's sender speaks only when asked.
        buffer.truncate(kept);
        self.ready = kept;
        Ok(())
    }
}

fn write_some(cx: &mut Context<'_>, sink: &Stream, bytes: &[u8]) -> Poll<Result<usize, io::ErrorKind>> {
    match ready!(sink.poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero)),
        Ok(count) => Poll::Ready(Ok(count)),
        Err(error) => Poll::Ready(Err(error.kind())),
    }
}
