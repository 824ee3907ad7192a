//! What the fields say about framing and the connection, gathered in one pass over them (RFC 9112 §6, §9; RFC 9110 §7.6.1).

use smallvec::SmallVec;

use crate::scan::{is_tchar, list, offset};
use crate::{BodyFraming, Field, FieldId, Fields, Reject, Span, Version};

/// More options than this in `Connection` are refused: each is compared with every field.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// The gathered facts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    length: Option<u64>,
    /// A `Transfer-Encoding` is there: the codings seen so far.
    codings: Option<Codings>,
    pub close: bool,
    keep_alive: bool,
    pub upgrade_option: bool,
    /// There is an `Upgrade` field with something in it.
    pub upgrade_field: bool,
    /// It names `h2c`.
    pub upgrade_h2c: bool,
    named: SmallVec<[Span; 4]>,
    options: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Codings {
    chunked: u32,
    others: u32,
    last_is_chunked: bool,
}

impl Facts {
    /// Takes note of one field.
    #[inline]
    pub(crate) fn note(&mut self, id: FieldId, value: &[u8], buf: &[u8]) -> Result<(), Reject> {
        match id {
            FieldId::ContentLength => {
                if self.length.is_some() {
                    return Err(Reject::ContentLengthRepeated);
                }
                self.length = Some(content_length(value)?);
            }
            FieldId::TransferEncoding => self.codings(value),
            FieldId::Connection => self.connection(value, buf)?,
            FieldId::Upgrade => {
                for protocol in list(value) {
                    self.upgrade_field = true;
                    self.upgrade_h2c |= protocol.eq_ignore_ascii_case(b"h2c");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn codings(&mut self, value: &[u8]) {
        let codings = self.codings.get_or_insert_default();
        for coding in list(value) {
            codings.last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            if codings.last_is_chunked {
                codings.chunked += 1;
            } else {
                codings.others += 1;
            }
        }
    }

    fn connection(&mut self, value: &[u8], buf: &[u8]) -> Result<(), Reject> {
        for option in list(value) {
            self.options += 1;
            if self.options > MAX_CONNECTION_OPTIONS || !option.iter().copied().all(is_tchar) {
                return Err(Reject::Connection);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else {
                let start = offset(buf, option);
                self.named.push(Span::new(start, start + option.len()));
            }
        }
        Ok(())
    }

    /// Marks the fields that `Connection` names. Framing and `Host` are not to be had that way: a field dropped while its body is
    /// relayed as it came would leave the next hop with other bounds than ours.
    pub(crate) fn mark_named(&self, fields: &mut Fields, buf: &[u8]) -> Result<(), Reject> {
        for named in &self.named {
            let name = named.of(buf);
            let id = FieldId::of(name);
            match id {
                FieldId::ContentLength | FieldId::Host => return Err(Reject::Connection),
                FieldId::TransferEncoding => continue,
                _ => {}
            }
            let is_named = |f: &Field| f.id == id && f.name.of(buf).eq_ignore_ascii_case(name);
            fields.iter_mut().filter(|f| is_named(f)).for_each(|f| f.hop = true);
        }
        Ok(())
    }

    /// The one decision on framing (RFC 9112 §6.3), for a message that can have a body; `None` where no field announces one.
    pub(crate) fn framing(&self, version: Version) -> Result<BodyFraming, Reject> {
        let Some(codings) = self.codings else {
            return Ok(self.length.map_or(BodyFraming::None, BodyFraming::Length));
        };
        if self.length.is_some() {
            return Err(Reject::LengthAndEncoding);
        }
        if version == Version::Http10 {
            return Err(Reject::EncodingInHttp10);
        }
        if !codings.last_is_chunked || codings.chunked != 1 {
            return Err(Reject::TransferEncoding);
        }
        if codings.others > 0 {
            return Err(Reject::UnknownCoding);
        }
        Ok(BodyFraming::Chunked)
    }

    /// Whether the sender wants the connection to go on (RFC 9112 §9.3).
    pub(crate) fn persistent(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// `1*DIGIT` and nothing else (RFC 9110 §8.6); up to 2^63 - 1, the most that signed readers hold.
fn content_length(value: &[u8]) -> Result<u64, Reject> {
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Reject::ContentLength);
    }
    let length = value.iter().fold(0u64, |sum, d| sum * 10 + u64::from(d - b'0'));
    if i64::try_from(length).is_ok() { Ok(length) } else { Err(Reject::ContentLength) }
}
