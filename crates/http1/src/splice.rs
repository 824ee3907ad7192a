//! [`HeadWriter`]: the forwarded head, made by copying the kept lines of the head that came in and appending others.

use crate::{Field, FieldSet, Method, RequestHead, ResponseHead, TargetForm, Version};

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
    /// Starts with the request line of `head`, as HTTP/1.1 and in origin form unless it is authority or asterisk form. A request of
    /// HTTP/1.0 without `Host` needs one appended.
    pub fn request(out: &'a mut Vec<u8>, buf: &'a [u8], head: &RequestHead) -> HeadWriter<'a> {
        if head.form != TargetForm::Absolute && head.version == Version::Http11 {
            let line_end = head.target.end() + b" HTTP/1.1\r\n".len();
            let line = buf.get(head.method_span.start()..line_end).unwrap_or_default();
            reserve(out, head.len);
            out.extend_from_slice(line);
            return HeadWriter { out, buf };
        }
        if head.form != TargetForm::Absolute {
            return HeadWriter::request_to(out, buf, head, head.target.of(buf));
        }
        start_request_line(out, buf, head);
        match (head.path.of(buf), head.query) {
            // RFC 9112 §3.2.4: "http://host" with OPTIONS asks about the server as a whole
            ([], None) if head.method == Method::Options => out.push(b'*'),
            ([], _) => out.push(b'/'),
            (path, _) => out.extend_from_slice(path),
        }
        if let Some(query) = head.query {
            out.push(b'?');
            out.extend_from_slice(query.of(buf));
        }
        out.extend_from_slice(b" HTTP/1.1\r\n");
        HeadWriter { out, buf }
    }

    /// Starts with a request line of the caller's: `target` replaces the one of `head` (it must be valid there), the method stays.
    pub fn request_to(
        out: &'a mut Vec<u8>,
        buf: &'a [u8],
        head: &RequestHead,
        target: &[u8],
    ) -> HeadWriter<'a> {
        debug_assert!(target.iter().all(u8::is_ascii_graphic), "a target is visible ASCII");
        start_request_line(out, buf, head);
        out.extend_from_slice(target);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        HeadWriter { out, buf }
    }

    /// Starts with the status line of `head`, as HTTP/1.1.
    pub fn response(out: &'a mut Vec<u8>, buf: &'a [u8], head: &ResponseHead) -> HeadWriter<'a> {
        reserve(out, head.len);
        out.extend_from_slice(b"HTTP/1.1");
        // " 200" as it came, then the space that RFC 9112 §4 wants also before an empty reason
        out.extend_from_slice(buf.get(8..12).unwrap_or_default());
        out.push(b' ');
        out.extend_from_slice(head.reason.of(buf));
        out.extend_from_slice(b"\r\n");
        HeadWriter { out, buf }
    }

    /// Copies all of `fields` that are neither in `drop` nor marked [`Field::hop`], in as few runs as possible.
    #[must_use]
    pub fn keep(self, fields: &[Field], drop: FieldSet) -> HeadWriter<'a> {
        let (mut start, mut end) = (0, 0);
        for field in fields.iter().filter(|f| !f.hop && !drop.contains(f.id)) {
            if field.line.start() != end {
                self.out.extend_from_slice(self.buf.get(start..end).unwrap_or_default());
                start = field.line.start();
            }
            end = field.line.end();
        }
        self.out.extend_from_slice(self.buf.get(start..end).unwrap_or_default());
        self
    }

    /// Appends a line. Control characters in `value` become spaces, so that no value can end its line; `name` is the caller's own.
    #[must_use]
    pub fn field(self, name: &str, value: &[u8]) -> HeadWriter<'a> {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        let start = self.out.len();
        self.out.extend_from_slice(value);
        for b in self.out.iter_mut().skip(start).filter(|b| b.is_ascii_control()) {
            *b = b' ';
        }
        self.out.extend_from_slice(b"\r\n");
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

/// Room for the copied lines and for those a proxy adds.
fn reserve(out: &mut Vec<u8>, head_len: usize) {
    out.reserve(head_len + 512);
}

fn start_request_line(out: &mut Vec<u8>, buf: &[u8], head: &RequestHead) {
    reserve(out, head.len);
    out.extend_from_slice(head.method_span.of(buf));
    out.push(b' ');
}
