//! The table. A connection's verdict is what `peers` describes; `hyper` and `node` are `None` where they agree with ours.

/// One connection's bytes (the sentinel may follow them) and what is made of them.
pub struct Case {
    pub raw: &'static [u8],
    pub ours: &'static str,
    pub hyper: Option<&'static str>,
    pub node: Option<&'static str>,
    /// Why ours is right where another differs (RFC 9112 unless said otherwise).
    pub why: &'static str,
}

const fn same(raw: &'static [u8], ours: &'static str) -> Case {
    Case { raw, ours, hyper: None, node: None, why: "" }
}

const fn hyper(raw: &'static [u8], ours: &'static str, hyper: &'static str, why: &'static str) -> Case {
    Case { raw, ours, hyper: Some(hyper), node: None, why }
}

const fn node(raw: &'static [u8], ours: &'static str, node: &'static str, why: &'static str) -> Case {
    Case { raw, ours, hyper: None, node: Some(node), why }
}

const fn both(
    raw: &'static [u8],
    ours: &'static str,
    hyper: &'static str,
    node: &'static str,
    why: &'static str,
) -> Case {
    Case { raw, ours, hyper: Some(hyper), node: Some(node), why }
}

/// Nothing was accepted.
pub const REFUSED: &str = "refused";

#[rustfmt::skip] // one case a line
pub const CASES: &[Case] = &[
    // plain requests
    same(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / 0; GET /sentinel 0"),
    same(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "POST /x 5; GET /sentinel 0"),
    same(b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST /x 5; GET /sentinel 0"),
    same(b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "POST /x 5; GET /sentinel 0"),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "GET / 5; GET /sentinel 0"),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / 0"),
    same(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / 0"),
    same(b"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / 0; GET /sentinel 0"),
    same(b"GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://h/x 0; GET /sentinel 0"),
    same(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * 0; GET /sentinel 0"),
    same(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "CONNECT h:443 0"),
    // framing
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED, "POST / 0", "§6.3: an attempt at smuggling; who ignores one of the two stands beside somebody who ignores the other"),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", REFUSED, "POST / 0", "§6.3: as above, in the other order"),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", REFUSED, "POST / 5; GET /sentinel 0", "§6.3 allows to refuse repeated equal lengths; no sound client sends them"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nhello", REFUSED),
    both(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", REFUSED, "POST / 0; GET /sentinel 0", "POST / 0; GET /sentinel 0", "§6.1: a coding that is not understood is answered with 501; passed on undecoded it would be taken for the content"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", REFUSED),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", REFUSED, "POST / 0; GET /sentinel 0", "§6.1: chunked must not be applied twice"),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED, "POST / 0; GET /sentinel 0", "§6.1: two lines are one list, so chunked is applied twice"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", REFUSED),
    node(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", REFUSED, "POST / 0; GET /sentinel 0", "§6.3: a Transfer-Encoding without chunked at its end leaves the length unknown"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REFUSED),
    both(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", REFUSED, "GET / 5; GET /sentinel 0", "GET / 5; GET /sentinel 0", "RFC 9110 §7.6.1: a hop that obeys drops the length and leaves the body to be read as a request"),
    // lines and fields
    hyper(b"GET / HTTP/1.1\nHost: h\n\n", REFUSED, "GET / 0; GET /sentinel 0", "§2.2 only permits to take a bare LF; behind us others may not, and then lines differ"),
    hyper(b"GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "§2.2: as above, in a field line"),
    hyper(b"GET / HTTP/1.1\r\nHost: h\r\n\n", REFUSED, "GET / 0; GET /sentinel 0", "§2.2: as above, at the end of the head, where it would move the start of the body"),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX y\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n", REFUSED),
    both(b"GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "refused; GET /sentinel 0", "RFC 9110 §10.1.1: 417; we close as after every refusal, the body that was announced might come or not"),
    // request lines
    node(b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "§3: exactly one space; with two, others read an empty target"),
    same(b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", REFUSED),
    same(b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED),
    same(b"GET /\r\nHost: h\r\n\r\n", REFUSED),
    same(b"GET / http/1.1\r\nHost: h\r\n\r\n", REFUSED),
    same(b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", REFUSED),
    same(b"GET / HTTP/0.9\r\nHost: h\r\n\r\n", REFUSED),
    same(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    node(b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "BREW / 0; GET /sentinel 0", REFUSED, "RFC 9110 §9.1: methods are open; which ones exist is the application's to say"),
    same(b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED),
    hyper(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET /\u{e9} 0; GET /sentinel 0", "RFC 3986 §2: a target is ASCII; what raw bytes become depends on the reader's encoding"),
    both(b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET /a 0; GET /sentinel 0", "GET /a#b 0; GET /sentinel 0", "RFC 9110 §4.2.5: a fragment is never sent; the two peers already disagree about the path"),
    both(b"GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET /a\\b 0; GET /sentinel 0", "GET /a\\b 0; GET /sentinel 0", "RFC 3986 §3.3: no path character; some servers read it as a slash, past the rules of a proxy"),
    hyper(b"GET x HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET x 0; GET /sentinel 0", "§3.2.1: the origin form starts with a slash"),
    both(b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET * 0; GET /sentinel 0", "GET * 0; GET /sentinel 0", "§3.2.4: the asterisk is for OPTIONS only"),
    hyper(b"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET h:80 0; GET /sentinel 0", "§3.2.3: the authority form is for CONNECT only"),
    both(b"CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "CONNECT / 0", "CONNECT / 0", "§3.2.3: CONNECT takes the authority form only"),
    both(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§2.2: one empty line is what old clients sent; more of them only hide where a message starts"),
    both(b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§2.2: an empty line is CRLF"),
    // hosts
    hyper(b"GET / HTTP/1.1\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "§3.2: 400 without Host"),
    both(b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§3.2: 400 with more than one Host; routing and the application might take different ones"),
    both(b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§3.2: 400 with more than one Host"),
    both(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "RFC 9110 §4.2.1: an http target without a host is invalid"),
    both(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§3.2: 400 for an invalid value; applications build links from it"),
    both(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§3.2: as above"),
    both(b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", REFUSED, "GET / 0; GET /sentinel 0", "GET / 0; GET /sentinel 0", "§3.2: as above; user information is no part of Host (RFC 9110 §7.2)"),
    both(b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", REFUSED, "GET http://a/ 0; GET /sentinel 0", "GET http://a/ 0; GET /sentinel 0", "§3.2.2: Host must equal the target's authority; a next hop might route by the other one"),
    // chunked bodies
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", REFUSED),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", REFUSED, "POST / 5; GET /sentinel 0", "§7.1: chunk-size is hexadecimal digits; space behind it is read in several ways"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x\nhello\r\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", REFUSED),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", REFUSED),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", REFUSED, "POST / 0; GET /sentinel 0", "RFC 9110 §6.5.1: no framing in trailers"),
    same(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n", REFUSED),
    hyper(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", REFUSED, "POST / 0", "§2.2: the body ends with CRLF; the peer has swallowed a byte of the next request"),
];
