//! [`HeadWriter`]: the forwarded head, made by copying the kept lines of the head that came in and appending others.

use crate::{Field, FieldSet, RequestHead, ResponseHead};

/// Appends one head to a buffer: a first line, kept lines, own lines, [`HeadWriter::finish`].
///
/// ```
/// # use http1::*;
/// let buf = b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nAccept: */*\r\n\r\n";
/// let head = parse_request(buf, &Limits::DEFAULT).unwrap().unwrap();
/// let mut out = Vec::new();
/// HeadWriter::request(&mut out, buf, &head)
///     .keep(&head.fields, FieldSet::HOP_BY_HOP)
///     .field("X-Real-IP", b"192.0.2.7")
///     .finish();
/// assert_eq!(out, b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nX-Real-IP: 192.0.2.7\r\n\r\n");
/// ```
#[derive(Debug)]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
    buf: &'a [u8],
}

impl<'a> HeadWriter<'a> {
    /// Starts with the request line of `head`, as HTTP/1.1 and in origin form unless it is authority or asterisk form.
    pub fn request(out: &'a mut Vec<u8>, buf: &'a [u8], head: &RequestHead) -> HeadWriter<'a> {
        let _ = head;
        HeadWriter { out, buf }
    }

    /// Starts with a request line of the caller's: `target` replaces the one of `head` (it must be valid there), the method stays.
    pub fn request_to(
        out: &'a mut Vec<u8>,
        buf: &'a [u8],
        head: &RequestHead,
        target: &[u8],
    ) -> HeadWriter<'a> {
        let _ = (head, target);
        HeadWriter { out, buf }
    }

    /// Starts with the status line of `head`, as HTTP/1.1.
    pub fn response(out: &'a mut Vec<u8>, buf: &'a [u8], head: &ResponseHead) -> HeadWriter<'a> {
        let _ = head;
        HeadWriter { out, buf }
    }

    /// Copies all of `fields` that are neither in `drop` nor named by `Connection`, in as few runs as possible.
    #[must_use]
    pub fn keep(self, fields: &[Field], drop: FieldSet) -> HeadWriter<'a> {
        let _ = (fields, drop, self.buf);
        self
    }

    /// Appends a line. Control characters in `value` become spaces, so that no value can end its line; `name` is the caller's own.
    #[must_use]
    pub fn field(self, name: &str, value: &[u8]) -> HeadWriter<'a> {
        let _ = (name, value);
        self
    }

    /// Appends `lines`, complete and valid with their CRLFs.
    #[must_use]
    pub fn lines(self, lines: &[u8]) -> HeadWriter<'a> {
        self.out.extend_from_slice(lines);
        self
    }

    /// Ends the head with the empty line.
    pub fn finish(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}
