//! Policies on the way out. Whoever makes an answer renders its head and calls [`change_head`] before the lines that are the
//! connection's own; the relay, which has a response of the application's, does so in `headers::to_client`.
//!
//! - [`headers`]: headers added, set and removed, security headers among them
//! - [`cors`]: cross-origin resource sharing, preflights included
//! - [`error_pages`]: pages of the user's
//! - [`compress`]: which answers are compressed on their way ([`crate::body::encode`])

pub mod compress;
pub mod cors;
pub mod error_pages;
mod headers;

use crate::record::Record;
use compress::Compress;
use cors::Cors;
use error_pages::ErrorPages;
use headers::HeaderChanges;
use http1::Field;
use model::policy::PolicySpec;

/// Compiled.
#[derive(Debug, Default)]
pub struct ResponsePolicy {
    headers: HeaderChanges,
    /// Cross-origin resource sharing.
    pub cors: Option<Cors>,
    /// Pages of the user's.
    pub pages: Option<ErrorPages>,
    /// Compression.
    pub compress: Option<Compress>,
}

/// What they depend on beside the answer's head.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// The client came over HTTPS.
    pub https: bool,
    /// Path of the request, without its query.
    pub path: &'a [u8],
    /// Value of its `Origin`.
    pub origin: Option<&'a [u8]>,
}

impl<'a> Answering<'a> {
    /// As far as the record knows it; `Origin` is recorded only where the route's policy asks for it.
    pub fn of(record: &'a Record) -> Self {
        Self {
            https: record.facts.https,
            path: path_of(record.get(record.target)),
            origin: Some(record.get(record.origin)).filter(|origin| !origin.is_empty()),
        }
    }
}

/// The path of a target in origin or absolute form (RFC 9112 section 3.2).
fn path_of(target: &[u8]) -> &[u8] {
    let target = target.get(..memchr::memchr(b'?', target).unwrap_or(target.len())).unwrap_or_default();
    if target.starts_with(b"/") {
        return target;
    }
    let behind_scheme = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
    let authority = target.get(behind_scheme..).unwrap_or_default();
    memchr::memchr(b'/', authority).and_then(|at| authority.get(at..)).unwrap_or(b"/")
}

/// Changes the head of an answer to the recorded request, as its route's policies want it.
pub fn change_head(record: &Record, out: &mut Vec<u8>, start: usize) {
    if let Some(policy) = record.policy() {
        policy.response.change_head(out, start, Answering::of(record));
    }
}

impl ResponsePolicy {
    /// Of a route.
    pub fn new(spec: &PolicySpec) -> Self {
        Self {
            headers: HeaderChanges::new(&spec.response_headers),
            cors: spec.cors.as_ref().map(Cors::new),
            pages: ErrorPages::new(&spec.error_pages),
            compress: spec.compress.as_ref().map(Compress::new),
        }
    }

    /// Changes the answer's head that `out` holds from `start` on: a status line and header lines, each with its line end,
    /// without the empty line.
    pub fn change_head(&self, out: &mut Vec<u8>, start: usize, asked: Answering<'_>) {
        self.change(out, start, asked, None);
    }

    /// The same for the head of an application's answer, of which `out` has no line that is not one of `fields`.
    pub fn change_forwarded(&self, out: &mut Vec<u8>, asked: Answering<'_>, buf: &[u8], fields: &[Field]) {
        self.change(out, 0, asked, Some((buf, fields)));
    }

    fn change(&self, out: &mut Vec<u8>, start: usize, asked: Answering<'_>, came: Option<(&[u8], &[Field])>) {
        self.headers.apply(out, start, asked.https, asked.path, came);
        if let Some(cors) = &self.cors {
            cors.apply(out, start, asked.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_what_stands_before_the_query() {
        for (target, path) in [
            ("/a/b?c=/d", "/a/b"),
            ("/", "/"),
            ("http://a.test/x?y", "/x"),
            ("http://a.test", "/"),
            ("http://a.test?y=/z", "/"),
            ("*", "/"),
        ] {
            assert_eq!(path_of(target.as_bytes()), path.as_bytes(), "{target}");
        }
    }
}
