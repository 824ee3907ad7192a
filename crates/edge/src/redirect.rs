//! The redirect handler: a URL made of a template and of the request's own parts.
//!
//! No part can break the head: a host is letters, digits and a few signs, path and query are visible ASCII, or the request was refused
//! before. Nor can a path lead elsewhere: where the template does not name the host itself, what comes out never begins with two slashes,
//! which a browser would read as another host's name.

use crate::error_page::Refusal;
use model::spec::RedirectSpec;
use std::sync::Arc;
use wire::failure::Cause;

/// Compiled.
#[derive(Debug)]
pub struct Redirect {
    status: u16,
    parts: Box<[Part]>,
    /// The template begins with a path of the request's.
    leads_with_path: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Scheme,
    Host,
    Path,
    Query,
}

/// Parts of the request.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// It came over HTTPS.
    pub https: bool,
    /// Without its port; empty: none was named.
    pub host: &'a [u8],
    /// Path and query, in origin form.
    pub target: &'a [u8],
}

impl Redirect {
    /// Compiled.
    pub fn new(spec: &RedirectSpec) -> Self {
        let mut parts = Vec::new();
        let mut rest = spec.to.as_str();
        while !rest.is_empty() {
            let (part, taken) = first_part(rest);
            parts.push(part);
            rest = rest.get(taken..).unwrap_or_default();
        }
        let leads_with_path = match parts.as_slice() {
            [Part::Path, ..] => true,
            [Part::Text(text), Part::Path, ..] => &**text == "/",
            _ => false,
        };
        Self { status: spec.status, parts: parts.into(), leads_with_path }
    }

    /// The answer.
    pub fn answer(&self, wanted: Wanted<'_>) -> Refusal {
        if wanted.host.is_empty() && self.parts.contains(&Part::Host) {
            return Refusal::new(400, Cause::Malformed, "a host is needed to be sent elsewhere");
        }
        let mark = wanted.target.iter().position(|&byte| byte == b'?').unwrap_or(wanted.target.len());
        let (path, query) = wanted.target.split_at_checked(mark).unwrap_or_default();
        let mut url: Vec<u8> = Vec::with_capacity(wanted.target.len() + 64);
        for part in &self.parts {
            url.extend_from_slice(match part {
                Part::Text(text) => text.as_bytes(),
                Part::Scheme if wanted.https => b"https",
                Part::Scheme => b"http",
                Part::Host => wanted.host,
                Part::Path if path.starts_with(b"/") => path,
                Part::Path => b"/",
                Part::Query => query,
            });
        }
        if self.leads_with_path {
            let slashes = url.iter().take_while(|&&byte| matches!(byte, b'/' | b'\\')).count();
            url.drain(..slashes.saturating_sub(1));
        }
        to(self.status, &url)
    }
}

/// An answer that sends the client there. Control characters in `url`, which a manifest may hold, are left out.
pub fn to(status: u16, url: &[u8]) -> Refusal {
    let mut lines = b"Location: ".to_vec();
    lines.extend(url.iter().filter(|byte| !byte.is_ascii_control()));
    lines.extend_from_slice(b"\r\n");
    let body = Some(Arc::default());
    Refusal { cause: None, lines: Some(lines.into()), body, ..Refusal::new(status, Cause::Gone, "") }
}

/// The part that a template begins with, and its length there.
fn first_part(text: &str) -> (Part, usize) {
    for (name, part) in
        [("{scheme}", Part::Scheme), ("{host}", Part::Host), ("{path}", Part::Path), ("{query}", Part::Query)]
    {
        if text.starts_with(name) {
            return (part, name.len());
        }
    }
    // Up to the next brace; one that begins no part is text.
    let end = text.char_indices().skip(1).find(|&(_, letter)| letter == '{').map_or(text.len(), |(at, _)| at);
    (Part::Text(text.get(..end).unwrap_or(text).into()), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str, target: &str) -> String {
        let redirect = Redirect::new(&RedirectSpec { to: to.into(), status: 308 });
        let refusal = redirect.answer(Wanted { https: true, host: b"a.test", target: target.as_bytes() });
        assert_eq!(refusal.status, 308);
        String::from_utf8(refusal.lines.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_parts_of_the_request_take_their_places() {
        for (to, expected) in [
            ("https://b.test{path}{query}", "https://b.test/x/y?z=1"),
            ("{scheme}://www.{host}{path}", "https://www.a.test/x/y"),
            ("/new", "/new"),
            ("/new{path}", "/new/x/y"),
            ("{unknown}/{path", "{unknown}/{path"),
        ] {
            assert_eq!(location(to, "/x/y?z=1"), format!("Location: {expected}\r\n"), "{to}");
        }
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        for (to, target) in
            [("{path}", "//evil.test/x"), ("/{path}", "/evil.test/x"), ("{path}", "///evil.test/x")]
        {
            assert_eq!(location(to, target), "Location: /evil.test/x\r\n", "{to} {target}");
        }
        assert_eq!(location("https://b.test{path}", "//x"), "Location: https://b.test//x\r\n");
        assert_eq!(
            location("//cdn.test{path}", "/x"),
            "Location: //cdn.test/x\r\n",
            "by the manifest's own choice"
        );
    }

    #[test]
    fn no_line_can_be_added() {
        assert_eq!(location("/a\r\nX: 1", "/"), "Location: /aX: 1\r\n");
    }

    #[test]
    fn without_a_host_nobody_is_sent_to_one() {
        let redirect = Redirect::new(&RedirectSpec { to: "https://{host}/".into(), status: 301 });
        assert_eq!(redirect.answer(Wanted { https: false, host: b"", target: b"/" }).status, 400);
    }
}
