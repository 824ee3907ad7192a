//! The lines of a head that is being made: found by name, taken out, `Vary` extended.
//!
//! A head here is what [`super::response::ResponsePolicy::change_head`] is given: a status line and header lines, each with its line end,
//! without the empty line. It begins at an offset of a buffer that may hold more before it. It was written by the edge itself
//! or parsed strictly, so each line has its colon and its CRLF.

use memchr::memchr;

/// A header line, as offsets into the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    start: usize,
    colon: usize,
    end: usize,
}

impl Line {
    /// Its name.
    #[inline]
    pub fn name(self, out: &[u8]) -> &[u8] {
        out.get(self.start..self.colon).unwrap_or_default()
    }

    /// Its value, without the white space around it.
    pub fn value(self, out: &[u8]) -> &[u8] {
        out.get(self.colon + 1..self.end).unwrap_or_default().trim_ascii()
    }
}

/// The header lines of the head at `start`, in order.
#[inline]
pub fn lines(out: &[u8], start: usize) -> impl Iterator<Item = Line> {
    lines_from(out, line_end(out, start).unwrap_or(out.len()))
}

/// The lines from the one that begins at `at` on.
#[inline]
fn lines_from(out: &[u8], mut at: usize) -> impl Iterator<Item = Line> {
    std::iter::from_fn(move || {
        let colon = at + memchr(b':', out.get(at..)?)?;
        let line = Line { start: at, colon, end: line_end(out, colon)? };
        at = line.end;
        Some(line)
    })
}

#[inline]
fn line_end(out: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr(b'\n', out.get(from..)?)? + 1)
}

/// Takes out every line whose name is told to go.
pub fn remove(out: &mut Vec<u8>, start: usize, goes: impl Fn(&[u8]) -> bool) {
    let mut at = line_end(out, start).unwrap_or(out.len());
    loop {
        let found = lines_from(out, at).find(|line| goes(line.name(out)));
        let Some(line) = found else { return };
        at = line.start;
        out.drain(line.start..line.end);
    }
}

/// Appends a line.
pub fn add(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Says that the answer depends on this request header (RFC 9110 section 12.5.5), unless it says so already.
pub fn add_vary(out: &mut Vec<u8>, start: usize, on: &[u8]) {
    let said = lines(out, start).filter(|line| line.name(out).eq_ignore_ascii_case(b"vary")).any(|line| {
        let mut names = line.value(out).split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name == b"*" || name.eq_ignore_ascii_case(on))
    });
    if !said {
        add(out, b"Vary", on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"beforeHTTP/1.1 200 OK\r\nA: 1\r\nVary: Accept, Origin\r\na:2\r\n";

    #[test]
    fn lines_are_found_behind_the_status_line() {
        let found: Vec<_> = lines(HEAD, 6).map(|line| (line.name(HEAD), line.value(HEAD))).collect();
        assert_eq!(found, [(&b"A"[..], &b"1"[..]), (b"Vary", b"Accept, Origin"), (b"a", b"2")]);
        assert_eq!(lines(b"HTTP/1.1 200 OK\r\n", 0).count(), 0);
    }

    #[test]
    fn all_lines_of_a_name_go() {
        let mut out = HEAD.to_vec();
        remove(&mut out, 6, |name| name.eq_ignore_ascii_case(b"a"));
        assert_eq!(out, b"beforeHTTP/1.1 200 OK\r\nVary: Accept, Origin\r\n");
    }

    #[test]
    fn vary_is_said_once() {
        let mut out = HEAD.to_vec();
        add_vary(&mut out, 6, b"origin");
        assert_eq!(out, HEAD);
        add_vary(&mut out, 6, b"Accept-Encoding");
        assert!(out.ends_with(b"a:2\r\nVary: Accept-Encoding\r\n"));
    }
}
