//! The request target's four forms (RFC 9112 §3.2) and what may stand in it.
//!
//! Visible ASCII only. `#` is refused everywhere (a fragment is never sent, RFC 9110 §4.2.5) and `\` in the path, which some
//! servers read as `/`. The rest of what RFC 3986 leaves out (`|`, `{`, `"`, `^` ...) passes: browsers send it in queries.

use memchr::{memchr, memchr2, memchr3};

use crate::authority::Authority;
use crate::{Method, Reject, Span};

/// Which form the target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`.
    Origin,
    /// `http://host/path?query`; to be forwarded in origin form.
    Absolute,
    /// `host:port`, with `CONNECT` only.
    Authority,
    /// `*`, with `OPTIONS` only.
    Asterisk,
}

/// A target taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub form: TargetForm,
    pub path: Span,
    pub query: Option<Span>,
    /// Where the target names one: it, and the port its scheme implies.
    pub authority: Option<(Authority, u16)>,
}

/// Takes apart the target in `buf`, of which the tokenizer has said that no byte is a control or a space.
pub(crate) fn parse(buf: &[u8], span: Span, method: Method) -> Result<Target, Reject> {
    let text = span.of(buf);
    if !text.is_ascii() {
        return Err(Reject::TargetChar);
    }
    let nothing = Span::new(span.end(), span.end());
    match text {
        _ if method == Method::Connect => authority_form(text, span, nothing),
        [b'/', ..] => {
            let (path, query) = path_and_query(text, span.start())?;
            Ok(Target { form: TargetForm::Origin, path, query, authority: None })
        }
        b"*" if method == Method::Options => {
            Ok(Target { form: TargetForm::Asterisk, path: nothing, query: None, authority: None })
        }
        _ => absolute_form(text, span.start()),
    }
}

/// `CONNECT host:port`; the port is not optional (RFC 9112 §3.2.3).
fn authority_form(text: &[u8], span: Span, nothing: Span) -> Result<Target, Reject> {
    let authority = Authority::parse(text, span.start()).map_err(|_| Reject::TargetForm)?;
    let port = authority.port.ok_or(Reject::TargetForm)?;
    Ok(Target { form: TargetForm::Authority, path: nothing, query: None, authority: Some((authority, port)) })
}

/// `http://authority[/path][?query]` (RFC 9112 §3.2.2). Other schemes are not ours to serve.
fn absolute_form(text: &[u8], at: usize) -> Result<Target, Reject> {
    let (scheme_len, default_port) = [(&b"http://"[..], 80), (b"https://", 443)]
        .into_iter()
        .find(|(scheme, _)| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)))
        .map(|(scheme, port)| (scheme.len(), port))
        .ok_or(Reject::TargetForm)?;
    let rest = text.get(scheme_len..).unwrap_or_default();
    let authority_len = memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(authority_len).ok_or(Reject::TargetForm)?;
    let start = at + scheme_len;
    let authority = Authority::parse(authority, start)?;
    let (path, query) = path_and_query(rest, start + authority_len)?;
    Ok(Target { form: TargetForm::Absolute, path, query, authority: Some((authority, default_port)) })
}

fn path_and_query(text: &[u8], at: usize) -> Result<(Span, Option<Span>), Reject> {
    let end = at + text.len();
    let Some(first) = memchr3(b'?', b'#', b'\\', text) else { return Ok((Span::new(at, end), None)) };
    let query = match text.get(first..) {
        Some([b'?', query @ ..]) => query,
        _ => return Err(Reject::TargetChar),
    };
    if memchr(b'#', query).is_some() {
        return Err(Reject::TargetChar);
    }
    Ok((Span::new(at, at + first), Some(Span::new(at + first + 1, end))))
}
