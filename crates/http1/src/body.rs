//! Where a message's body ends (RFC 9112 §6, §7): [`BodyFraming`] says how, [`BodyDecoder`] counts.
//!
//! ```text
//! chunked:  Size --;--> Extension       Trailer* --CRLF--> Done
//!             |CR          |CR             ^
//!             +-> SizeLf <-+    size 0     |
//!                   | LF ------------------+
//!                   v size n
//!                 Data --n bytes--> DataCr --> DataLf --> Size
//! ```
//! Framing is read byte by byte, so that a split can make no difference; data is skipped over in runs.

use std::ops::Range;

use smallvec::SmallVec;

use crate::{Limits, Reject, trailer};

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    /// No body and no field that announces one (or a response that can have none).
    None,
    /// `Content-Length`, in bytes; may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Responses only: everything until the connection closes.
    UntilClose,
}

impl BodyFraming {
    /// True where no body byte will come.
    #[inline]
    pub fn is_empty(self) -> bool {
        matches!(self, BodyFraming::None | BodyFraming::Length(0))
    }
}

/// What [`BodyDecoder::advance`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the input belong to this message: all of them, unless `done`.
    pub consumed: usize,
    /// The message is over; bytes behind `consumed` belong to the next one.
    pub done: bool,
}

/// What [`BodyDecoder::decode`] found: one run of data at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Body data in the input, without chunk framing; may be empty.
    pub data: Range<usize>,
    /// How many bytes of the input were used up. Call again with the rest until that is empty or `done`.
    pub consumed: usize,
    /// The message is over.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Plain data, `left` bytes of it.
    Plain,
    UntilClose,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// In the trailer section, at the start of a line or in a name; the lines so far are in `trailers`.
    Trailer,
    /// Behind the colon of a trailer.
    TrailerValue,
    Done,
    Failed(Reject),
}

/// Finds the end of one body in bytes as they come, in pieces of any size. Every byte given is used up until the body is over: there is
/// nothing to keep and give again.
///
/// Use either [`BodyDecoder::advance`] (raw relay: forward `input[..consumed]` as it came) or [`BodyDecoder::decode`] for one
/// body. Forward only after `Ok`: what a refused piece contained must not reach the other side. After an error every call
/// gives that error again.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    state: State,
    /// Of the plain body, of the chunk, or the chunk size read so far.
    left: u64,
    /// Bytes of the chunk-size line read so far.
    line: usize,
    /// Digits of the chunk size read so far.
    digits: u8,
    data_len: u64,
    /// Inline, so that the empty section of most bodies costs no allocation.
    trailers: SmallVec<[u8; 16]>,
    limits: Limits,
}

/// More digits cannot be a size that fits.
const MAX_SIZE_DIGITS: u8 = 16;

impl BodyDecoder {
    /// A decoder for a body framed so.
    pub fn new(framing: BodyFraming, limits: &Limits) -> BodyDecoder {
        let (state, left) = match framing {
            BodyFraming::None | BodyFraming::Length(0) => (State::Done, 0),
            BodyFraming::Length(n) => (State::Plain, n),
            BodyFraming::Chunked => (State::Size, 0),
            BodyFraming::UntilClose => (State::UntilClose, 0),
        };
        BodyDecoder {
            state,
            left,
            line: 0,
            digits: 0,
            data_len: 0,
            trailers: SmallVec::new(),
            limits: *limits,
        }
    }

    /// Takes raw bytes and says how many are of this message. Trailers are checked on the way.
    ///
    /// # Errors
    /// Malformed chunk framing or trailers (RFC 9112 §7.1).
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress, Reject> {
        let mut consumed = 0;
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let step = self.decode(rest)?;
            consumed += step.consumed;
            if step.done || consumed >= input.len() {
                return Ok(Progress { consumed, done: step.done });
            }
        }
    }

    /// Takes raw bytes and says which of them are body data, up to the end of one run.
    ///
    /// # Errors
    /// As [`BodyDecoder::advance`].
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, Reject> {
        let mut at = 0;
        loop {
            match self.state {
                State::Done => return Ok(Decoded { data: at..at, consumed: at, done: true }),
                State::Failed(reject) => return Err(reject),
                State::UntilClose => return Ok(self.run(at, input.len())),
                State::Plain | State::Data if at < input.len() => {
                    let here = input.len() - at;
                    let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(here);
                    self.left -= n as u64;
                    if self.left == 0 {
                        self.state = if self.state == State::Plain { State::Done } else { State::DataCr };
                    }
                    return Ok(self.run(at, at + n));
                }
                _ => {}
            }
            let Some(&byte) = input.get(at) else {
                return Ok(Decoded { data: at..at, consumed: at, done: false });
            };
            at += 1;
            match self.framing_byte(byte) {
                Ok(next) => self.state = next,
                Err(reject) => {
                    self.state = State::Failed(reject);
                    return Err(reject);
                }
            }
        }
    }

    fn run(&mut self, start: usize, end: usize) -> Decoded {
        self.data_len = self.data_len.saturating_add((end - start) as u64);
        Decoded { data: start..end, consumed: end, done: self.state == State::Done }
    }

    /// One byte of chunk framing (RFC 9112 §7.1).
    fn framing_byte(&mut self, byte: u8) -> Result<State, Reject> {
        if matches!(self.state, State::Size | State::Extension | State::SizeLf) {
            self.line += 1;
            if self.line > self.limits.chunk_line {
                return Err(Reject::ChunkLineTooLong);
            }
        }
        match (self.state, byte) {
            (State::Size, _) => self.size_byte(byte),
            (State::Extension, b'\n') => Err(Reject::BareLf),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'\t' | b' '..=b'~') => Ok(State::Extension),
            (State::Extension, _) => Err(Reject::ChunkExtension),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::Trailer),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::SizeLf, _) => Err(Reject::BareCr),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                (self.line, self.digits, self.left) = (0, 0, 0);
                Ok(State::Size)
            }
            (State::DataCr | State::DataLf, _) => Err(Reject::ChunkEnd),
            (State::Trailer | State::TrailerValue, _) => self.trailer_byte(byte),
            (state, _) => Ok(state), // data and ends are met before
        }
    }

    /// `chunk-size = 1*HEXDIG`: no sign, no `0x`, no white space, at most 2^63 - 1.
    fn size_byte(&mut self, byte: u8) -> Result<State, Reject> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b';' if self.digits > 0 => return Ok(State::Extension),
            b'\n' => return Err(Reject::BareLf),
            _ => return Err(Reject::ChunkSize),
        };
        self.digits += 1;
        let room = i64::MAX as u64 >> 4;
        if self.digits > MAX_SIZE_DIGITS || self.left > room {
            return Err(Reject::ChunkSize);
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// Collects the section; it is over with an empty line. What was taken has gone on to the other side when the rest comes, so
    /// every byte is judged as it comes: what has gone on is always the beginning of a section that may pass.
    fn trailer_byte(&mut self, byte: u8) -> Result<State, Reject> {
        let last = self.trailers.last().copied();
        let at_line_start = matches!(last, None | Some(b'\n'));
        let in_value = self.state == State::TrailerValue;
        let next = match byte {
            b'\n' if last == Some(b'\r') => State::Trailer,
            b'\n' => return Err(Reject::BareLf),
            _ if last == Some(b'\r') => return Err(Reject::BareCr),
            b'\r' if at_line_start || in_value => self.state,
            _ if in_value => trailer::value_byte(byte).map(|()| State::TrailerValue)?,
            b' ' | b'\t' if at_line_start => return Err(Reject::ObsFold),
            b':' => trailer::name(self.trailers.rsplit(|&b| b == b'\n').next().unwrap_or_default())
                .map(|()| State::TrailerValue)?,
            _ => trailer::name_byte(byte).map(|()| State::Trailer)?,
        };
        if self.trailers.len() >= self.limits.trailers {
            return Err(Reject::TrailersTooLarge);
        }
        self.trailers.push(byte);
        let over = byte == b'\n' && matches!(self.trailers.as_slice(), b"\r\n" | [.., b'\n', b'\r', b'\n']);
        if !over {
            return Ok(next);
        }
        if self.trailers.len() > 2 {
            trailer::check(&self.trailers, &self.limits)?;
        }
        self.trailers.truncate(self.trailers.len().saturating_sub(2));
        Ok(State::Done)
    }

    /// The body is over (at once for an empty one). Never true for [`BodyFraming::UntilClose`].
    #[inline]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Body data seen so far in bytes, without chunk framing and trailers: what a body limit counts.
    #[inline]
    pub fn data_len(&self) -> u64 {
        self.data_len
    }

    /// The peer closed its side: fine after the end and for [`BodyFraming::UntilClose`].
    ///
    /// # Errors
    /// [`Reject::Truncated`] inside a body.
    pub fn eof(&self) -> Result<(), Reject> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            State::Failed(reject) => Err(reject),
            _ => Err(Reject::Truncated),
        }
    }

    /// The trailer section's field lines as they came, once done; empty where there were none.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }
}
