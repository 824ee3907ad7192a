//! Answers of the edge itself: a small page for people, JSON for programs (by `Accept`), each with the request's id.

/// An answer of the edge itself.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// For the access log: what went wrong. Not shown to the client, who need not know names and addresses of instances.
    pub cause: Option<&'static str>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// The connection ends with this answer.
    pub close: bool,
}

impl Refusal {
    /// An answer after which the connection may go on.
    pub fn new(status: u16, cause: &'static str) -> Self {
        Self { status, cause: Some(cause), retry_after: None, close: false }
    }

    /// An answer after which the connection is closed.
    pub fn closing(status: u16, cause: &'static str) -> Self {
        Self { close: true, ..Self::new(status, cause) }
    }
}

/// What the answer depends on beside the refusal.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The request's id.
    pub id: &'a [u8],
    /// The client wants JSON ([`wants_json`]).
    pub json: bool,
    /// Answer to `HEAD`: no body.
    pub head: bool,
    /// An HTTP/1.0 client that wants its connection kept must be told that it is.
    pub http10: bool,
}

/// The whole answer, head and body.
pub fn render(refusal: &Refusal, asked: Asked<'_>) -> Vec<u8> {
    let (title, sentence) = wording(refusal.status);
    let id = String::from_utf8_lossy(asked.id);
    let status = refusal.status;
    let (kind, body) = if asked.json {
        let body = serde_json::json!({ "error": sentence, "status": status, "request_id": id });
        ("application/json", format!("{body}\n"))
    } else {
        ("text/html; charset=utf-8", page(status, title, sentence, &id))
    };
    let mut answer = format!(
        "HTTP/1.1 {status} {title}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n",
        body.len()
    );
    if let Some(seconds) = refusal.retry_after {
        answer.push_str(&format!("Retry-After: {seconds}\r\n"));
    }
    if status == 405 {
        answer.push_str("Allow: GET, HEAD\r\n");
    }
    if !id.is_empty() {
        answer.push_str(&format!("X-Request-Id: {id}\r\n"));
    }
    match (refusal.close, asked.http10) {
        (true, _) => answer.push_str("Connection: close\r\n"),
        (false, true) => answer.push_str("Connection: keep-alive\r\n"),
        (false, false) => {}
    }
    answer.push_str("\r\n");
    if !asked.head {
        answer.push_str(&body);
    }
    answer.into_bytes()
}

/// Whether an `Accept` value names JSON and not HTML.
pub fn wants_json(accept: &[u8]) -> bool {
    let accept = String::from_utf8_lossy(accept).to_ascii_lowercase();
    accept.contains("json") && !accept.contains("text/html")
}

fn wording(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("Bad Request", "The request could not be understood."),
        404 => ("Not Found", "There is nothing at this address."),
        405 => ("Method Not Allowed", "This address does not take requests of this kind."),
        408 => ("Request Timeout", "The request did not arrive in time."),
        413 => ("Content Too Large", "What was sent is larger than is accepted here."),
        414 => ("URI Too Long", "The address is too long."),
        417 => ("Expectation Failed", "The request expects what is not offered here."),
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
<footer>Request <code>{id}</code></footer></main></body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static [u8]) -> Asked<'static> {
        Asked { id: b"id-1", json: wants_json(accept), head: false, http10: false }
    }

    #[test]
    fn people_get_a_page_and_programs_json() {
        let refusal = Refusal { retry_after: Some(2), ..Refusal::closing(503, "starting") };
        let html =
            String::from_utf8(render(&refusal, asked(b"text/html,application/xhtml+xml,*/*"))).unwrap();
        assert!(html.contains("text/html") && html.contains("id-1") && html.contains("Retry-After: 2\r\n"));
        assert!(html.contains("Connection: close\r\n") && !html.contains("starting"));
        let json = String::from_utf8(render(&refusal, asked(b"application/json"))).unwrap();
        let body = json.split_once("\r\n\r\n").unwrap().1;
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((value["status"].as_u64(), value["request_id"].as_str()), (Some(503), Some("id-1")));
    }

    #[test]
    fn a_head_request_gets_no_body() {
        let answer = render(&Refusal::new(404, "no site"), Asked { head: true, ..asked(b"") });
        assert!(answer.ends_with(b"\r\n\r\n"));
    }
}
