//! Refusals, and their built-in bodies: a small page for people, JSON for programs (by `Accept`), each with the request's id.

use std::sync::Arc;
use wire::failure::Cause;

/// An answer of the edge itself.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Why, for `mainstay why`; of an answer that is no failure it says nothing.
    pub why: Cause,
    /// For the access log: what went wrong. Not shown to the client, who need not know names and addresses of instances.
    pub cause: Option<&'static str>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// Lines for its head, each with its line end (`Allow`, `WWW-Authenticate`).
    pub lines: Option<Arc<[u8]>>,
    /// In place of a page of the edge's; `lines` say what it is.
    pub body: Option<Arc<Vec<u8>>>,
    /// The connection ends with this answer.
    pub close: bool,
}

impl Refusal {
    /// An answer after which the connection may go on.
    pub fn new(status: u16, why: Cause, cause: &'static str) -> Self {
        Self { status, why, cause: Some(cause), retry_after: None, lines: None, body: None, close: false }
    }

    /// 405, with the methods that may be used (`GET, HEAD`), as RFC 9110 section 15.5.6 wants.
    pub fn method(allowed: &str, cause: &'static str) -> Self {
        let lines = format!("Allow: {allowed}\r\n").into_bytes();
        Self { lines: Some(lines.into()), ..Self::new(405, Cause::Access, cause) }
    }

    /// An answer after which the connection is closed.
    pub fn closing(status: u16, why: Cause, cause: &'static str) -> Self {
        Self { close: true, ..Self::new(status, why, cause) }
    }
}

/// The built-in body for a status: its media type and itself. `id` is the request's, and may be empty.
pub fn body(status: u16, id: &[u8], json: bool) -> (&'static str, String) {
    let (title, sentence) = wording(status);
    let id = String::from_utf8_lossy(id);
    if json {
        let body = serde_json::json!({ "error": sentence, "status": status, "request_id": id });
        return ("application/json", format!("{body}\n"));
    }
    ("text/html; charset=utf-8", page(status, title, sentence, &id))
}

/// Reason phrase of a status.
pub fn title(status: u16) -> &'static str {
    wording(status).0
}

/// Whether an `Accept` value names JSON and not HTML.
pub fn wants_json(accept: &[u8]) -> bool {
    let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
    accept.contains("json") && !accept.contains("text/html")
}

fn wording(status: u16) -> (&'static str, &'static str) {
    match status {
        200 => ("OK", ""),
        204 => ("No Content", ""),
        301 => ("Moved Permanently", "This address has moved."),
        302 => ("Found", "This address has moved for now."),
        303 => ("See Other", "The answer is at another address."),
        307 => ("Temporary Redirect", "This address has moved for now."),
        308 => ("Permanent Redirect", "This address has moved."),
        400 => ("Bad Request", "The request could not be understood."),
        401 => ("Unauthorized", "This address is only for those who sign in."),
        403 => ("Forbidden", "This address is not open to you."),
        404 => ("Not Found", "There is nothing at this address."),
        405 => ("Method Not Allowed", "This address does not take requests of this kind."),
        408 => ("Request Timeout", "The request did not arrive in time."),
        413 => ("Content Too Large", "What was sent is larger than is accepted here."),
        410 => ("Gone", "What was at this address is gone for good."),
        414 => ("URI Too Long", "The address is too long."),
        417 => ("Expectation Failed", "The request expects what is not offered here."),
        421 => ("Misdirected Request", "This connection is not for this address."),
        429 => ("Too Many Requests", "There were too many requests. Please try again in a moment."),
        431 => ("Request Header Fields Too Large", "The request's headers are too large."),
        500 => ("Internal Server Error", "Something went wrong here."),
        501 => ("Not Implemented", "The request asks for what is not supported here."),
        502 => (
            "Bad Gateway",
            "The application behind this address does not answer. Please try again in a moment.",
        ),
        503 => {
            ("Service Unavailable", "The application is not ready at the moment. Please try again shortly.")
        }
        504 => ("Gateway Timeout", "The application took too long to answer. Please try again in a moment."),
        505 => ("HTTP Version Not Supported", "This version of HTTP is not supported."),
        _ => ("Error", "The request could not be answered."),
    }
}

/// `id` was checked to hold no markup ([`crate::request_id::is_sane`]) or was made here.
fn page(status: u16, title: &str, sentence: &str, id: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
<title>{status} {title}</title><style>\
:root{{color-scheme:light dark;--paper:#fafaf9;--ink:#1f1d1b;--soft:#6b6661;--line:#e2dfdb}}\
@media(prefers-color-scheme:dark){{:root{{--paper:#181716;--ink:#efedea;--soft:#a19b95;--line:#35322f}}}}\
*{{margin:0;box-sizing:border-box}}body{{min-height:100vh;min-height:100svh;display:grid;place-items:center;padding:1.5rem;\
background:var(--paper);color:var(--ink);font:1rem/1.6 system-ui,sans-serif}}main{{width:100%;max-width:30rem;padding-bottom:10vh}}\
.status{{color:var(--soft);font-weight:600;letter-spacing:.06em;font-variant-numeric:tabular-nums}}\
h1{{font-size:2rem;line-height:1.2;letter-spacing:-.02em;margin:.25rem 0 .75rem;text-wrap:balance}}\
footer{{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem}}\
code{{font:.75rem/1.6 ui-monospace,monospace;overflow-wrap:anywhere;user-select:all}}\
</style></head><body><main><p class=\"status\">{status}</p><h1>{title}</h1><p>{sentence}</p>\
<footer>Request <code>{id}</code><br>For the operator: <code>mainstay why {id}</code></footer></main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_a_page_and_programs_json() {
        let (kind, html) = body(503, b"id-1", wants_json(b"text/html,application/xhtml+xml,*/*"));
        assert!(kind.starts_with("text/html") && html.contains("id-1") && html.contains("503"));
        let (kind, json) = body(503, b"id-1", wants_json(b"application/json"));
        assert_eq!(kind, "application/json");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((value["status"].as_u64(), value["request_id"].as_str()), (Some(503), Some("id-1")));
    }
}
