//! Pages of the user's for answers of the edge's own and, where asked, in place of the application's. Programs (by `Accept`) get
//! JSON all the same, or what the application said.
//!
//! The files are read when the table is compiled, on the control thread: no request waits for a disk, and a page that is
//! gone later is still there. They are read again when their site's configuration changes.

use crate::error_page;
use crate::html::escape;
use model::policy::ErrorPageSpec;
use std::io;
use std::path::Path;

/// Largest page, in bytes.
const MAX_PAGE: u64 = 1 << 20;

/// What is replaced in a page.
const MARKS: [&str; 3] = ["{status}", "{title}", "{request_id}"];

/// Pages of a route; the first for a status counts.
#[derive(Debug)]
pub struct ErrorPages {
    pages: Box<[Page]>,
}

#[derive(Debug)]
struct Page {
    from: u16,
    to: u16,
    replace: bool,
    kind: String,
    parts: Box<[Part]>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    Status,
    Title,
    RequestId,
}

impl ErrorPages {
    /// Of a route; `None` where it has none. A page that cannot be read is left out, with a warning: the built-in one is shown.
    pub fn new(specs: &[ErrorPageSpec]) -> Option<Self> {
        let pages: Box<[Page]> = specs.iter().filter_map(Page::new).collect();
        (!pages.is_empty()).then_some(Self { pages })
    }

    /// Whether an answer of the application's is replaced. What is no error never is.
    pub fn replaces(&self, status: u16) -> bool {
        status >= 400 && self.page(status).is_some_and(|page| page.replace)
    }

    /// The page for a status: its media type and itself. `None`: the built-in one.
    pub fn body(&self, status: u16, id: &[u8]) -> Option<(&str, String)> {
        let page = self.page(status)?;
        let mut text = String::new();
        for part in &page.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Status => text.push_str(&status.to_string()),
                Part::Title => text.push_str(error_page::title(status)),
                Part::RequestId => text.push_str(&escape(&String::from_utf8_lossy(id))),
            }
        }
        Some((&page.kind, text))
    }

    fn page(&self, status: u16) -> Option<&Page> {
        self.pages.iter().find(|page| (page.from..=page.to).contains(&status))
    }
}

impl Page {
    fn new(spec: &ErrorPageSpec) -> Option<Self> {
        let text = read(&spec.page).inspect_err(|error| {
            tracing::warn!(page = %spec.page.display(), %error, "an error page cannot be read; the built-in one is shown");
        });
        let kind = mime_guess::from_path(&spec.page).first_or(mime_guess::mime::TEXT_HTML);
        let charset = if kind.type_() == mime_guess::mime::TEXT { "; charset=utf-8" } else { "" };
        Some(Self {
            from: spec.from,
            to: spec.to,
            replace: spec.replace,
            kind: format!("{}{charset}", kind.essence_str()),
            parts: parts(&text.ok()?),
        })
    }
}

/// What a page's file holds, as far as the control thread may be kept waiting by it.
pub fn read(path: &Path) -> io::Result<String> {
    let bytes = sys::folder::read_plain(path, MAX_PAGE)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is no UTF-8"))
}

fn parts(mut text: &str) -> Box<[Part]> {
    let mut parts = Vec::new();
    let next = |text: &str| MARKS.iter().filter_map(|mark| Some((text.find(mark)?, mark.len()))).min();
    while let Some((at, length)) = next(text) {
        let (before, rest) = text.split_at(at);
        let (mark, rest) = rest.split_at(length);
        parts.push(Part::Text(before.into()));
        parts.push(match mark {
            "{status}" => Part::Status,
            "{title}" => Part::Title,
            _ => Part::RequestId,
        });
        text = rest;
    }
    parts.push(Part::Text(text.into()));
    parts.into()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn spec(page: &Path, from: u16, to: u16, replace: bool) -> ErrorPageSpec {
        ErrorPageSpec { from, to, page: page.to_owned(), replace }
    }

    #[test]
    fn pages_are_filled_in_and_escaped() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("5xx.html");
        std::fs::write(&page, "<h1>{status} {title}</h1>{request_id}{other}").unwrap();
        let pages = ErrorPages::new(&[spec(&page, 500, 599, false)]).unwrap();
        let (kind, body) = pages.body(502, b"<i d>").unwrap();
        assert_eq!(
            (kind, &*body),
            ("text/html; charset=utf-8", "<h1>502 Bad Gateway</h1>&lt;i d&gt;{other}")
        );
        assert!(pages.body(404, b"").is_none() && !pages.replaces(502));
    }

    #[test]
    fn a_page_that_cannot_be_had_leaves_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        let (gone, large) = (folder.path().join("gone.html"), folder.path().join("large.html"));
        std::fs::write(&large, "x".repeat(MAX_PAGE as usize + 1)).unwrap();
        assert!(ErrorPages::new(&[spec(&gone, 400, 599, true), spec(&large, 400, 599, true)]).is_none());
    }

    /// The control thread waited for it, and no snapshot was ever served again.
    #[test]
    fn a_pipe_in_a_pages_place_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.html");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        assert!(ErrorPages::new(&[spec(&pipe, 400, 599, true)]).is_none());
    }

    #[test]
    fn only_errors_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("all.txt");
        std::fs::write(&page, "sorry").unwrap();
        let pages = ErrorPages::new(&[spec(&page, 200, 599, true)]).unwrap();
        assert!(pages.replaces(404) && !pages.replaces(200) && !pages.replaces(304));
        assert_eq!(pages.body(404, b""), Some(("text/plain; charset=utf-8", "sorry".to_owned())));
    }
}
