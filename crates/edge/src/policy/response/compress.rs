//! Which answers of an application are compressed on their way.
//!
//! Compressed is what has a body of a listed media type, of the least size or of unknown size, in no coding yet. Never: event
//! streams (each event must go at once, and alone it hardly shrinks), parts (206), what says `no-transform` (RFC 9110
//! section 7.7), what carries a digest of itself.

use crate::body::encode::Encoding;
use crate::headers::Facts;
use http1::{BodyFraming, FieldId, ResponseHead};
use model::policy::{Coding, CompressSpec};

/// Fields that a compressed answer would make a lie (RFC 9530; RFC 9110 does without the last two).
const DIGESTS: [&[u8]; 4] = [b"content-digest", b"repr-digest", b"digest", b"content-md5"];

/// Compiled.
#[derive(Debug)]
pub struct Compress {
    /// Lower case.
    types: Box<[Box<[u8]>]>,
    /// The part before `*`, with its slash.
    families: Box<[Box<[u8]>]>,
    min: u64,
    /// In order of preference.
    pub codings: Box<[Coding]>,
}

/// What becomes of an answer.
pub enum Verdict {
    /// It has nothing to do with compression.
    Plain,
    /// It goes as it is, but another client would get it compressed: it varies.
    Varies,
    /// It is compressed.
    Encoded(Box<Encoding>),
}

impl Compress {
    /// Of a route.
    pub fn new(spec: &CompressSpec) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase().into_bytes().into_boxed_slice();
        let families = spec.types.iter().filter_map(|kind| kind.strip_suffix('*'));
        let types = spec.types.iter().filter(|kind| !kind.ends_with('*'));
        Self {
            families: families.map(lower).collect(),
            types: types.map(|kind| lower(kind)).collect(),
            min: spec.min,
            codings: spec.codings.clone().into(),
        }
    }

    /// Decides about the answer to a request whose client takes `facts.coding`.
    pub fn judge(&self, facts: Facts, buf: &[u8], head: &ResponseHead) -> Verdict {
        let Some(kind) = head.value(FieldId::ContentType, buf) else { return Verdict::Plain };
        let length = match head.body {
            BodyFraming::Length(length) if length < self.min.max(1) => return Verdict::Plain,
            BodyFraming::Length(length) => Some(length),
            BodyFraming::None | BodyFraming::Chunked | BodyFraming::UntilClose => None,
        };
        if head.upgrade || matches!(head.status, 204..=206 | 304) || !self.takes(kind) || is_fixed(buf, head)
        {
            return Verdict::Plain;
        }
        // An answer to `HEAD` says what one to `GET` would.
        let Some(coding) = facts.coding.filter(|_| head.body != BodyFraming::None) else {
            return Verdict::Varies;
        };
        match Encoding::begin(coding, length, !facts.http10) {
            Some(encoding) => Verdict::Encoded(encoding),
            None => Verdict::Varies,
        }
    }

    fn takes(&self, kind: &[u8]) -> bool {
        let end = memchr::memchr(b';', kind).unwrap_or(kind.len());
        let kind = kind.get(..end).unwrap_or_default().trim_ascii_end();
        let begins =
            |family: &[u8]| kind.get(..family.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(family));
        (self.types.iter().any(|listed| listed.eq_ignore_ascii_case(kind))
            || self.families.iter().any(|family| begins(family)))
            && !kind.eq_ignore_ascii_case(b"text/event-stream")
    }
}

/// The answer must stay as it is.
fn is_fixed(buf: &[u8], head: &ResponseHead) -> bool {
    head.fields.iter().any(|field| match field.id {
        FieldId::ContentEncoding => !field.value.of(buf).eq_ignore_ascii_case(b"identity"),
        FieldId::ContentRange => true,
        FieldId::CacheControl => {
            let mut directives = field.value.of(buf).split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            directives.any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
        }
        FieldId::Other => DIGESTS.iter().any(|digest| field.name.of(buf).eq_ignore_ascii_case(digest)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Limits, Method, parse_response};

    fn verdict(head: &str, coding: Option<Coding>) -> &'static str {
        let spec = CompressSpec {
            types: vec!["text/*".into(), "application/json".into()],
            min: 100,
            codings: vec![Coding::Br],
        };
        let buf = format!("HTTP/1.1 {head}\r\n\r\n");
        let head = parse_response(buf.as_bytes(), &Limits::DEFAULT, Method::Get).unwrap().unwrap();
        let facts = Facts { coding, ..Facts::default() };
        match Compress::new(&spec).judge(facts, buf.as_bytes(), &head) {
            Verdict::Plain => "plain",
            Verdict::Varies => "varies",
            Verdict::Encoded(..) => "encoded",
        }
    }

    #[test]
    fn what_should_be_is_compressed_and_nothing_else() {
        let long = "Content-Length: 1000";
        for (head, expected) in [
            (format!("200 OK\r\nContent-Type: text/html; charset=utf-8\r\n{long}"), "encoded"),
            (format!("404 Not Found\r\nContent-Type: Application/JSON\r\n{long}"), "encoded"),
            ("200 OK\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked".into(), "encoded"),
            ("200 OK\r\nContent-Type: text/css".into(), "encoded"),
            ("200 OK\r\nContent-Type: text/css\r\nContent-Length: 99".into(), "plain"),
            (format!("200 OK\r\nContent-Type: image/png\r\n{long}"), "plain"),
            (format!("200 OK\r\n{long}"), "plain"),
            ("200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked".into(), "plain"),
            (format!("200 OK\r\nContent-Type: text/css\r\nContent-Encoding: gzip\r\n{long}"), "plain"),
            (format!("200 OK\r\nContent-Type: text/css\r\nContent-Encoding: identity\r\n{long}"), "encoded"),
            (
                format!("200 OK\r\nContent-Type: text/css\r\nCache-Control: private, No-Transform\r\n{long}"),
                "plain",
            ),
            (format!("200 OK\r\nContent-Type: text/css\r\nContent-Digest: sha-256=:x:\r\n{long}"), "plain"),
            (
                format!("206 Partial\r\nContent-Type: text/css\r\nContent-Range: bytes 0-999/2000\r\n{long}"),
                "plain",
            ),
            ("204 No Content\r\nContent-Type: text/css".into(), "plain"),
            ("304 Not Modified\r\nContent-Type: text/css".into(), "plain"),
        ] {
            assert_eq!(verdict(&head, Some(Coding::Br)), expected, "{head}");
        }
        let head = format!("200 OK\r\nContent-Type: text/html\r\n{long}");
        assert_eq!(verdict(&head, None), "varies");
    }
}
