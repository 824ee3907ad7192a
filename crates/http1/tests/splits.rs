//! Properties over any bytes and over near-valid messages: nothing panics, no split makes a difference, a spliced head means
//! what the original meant (see `checks`).

mod checks;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces of messages, right and wrong; shuffled they make most rules fire.
const REQUEST: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "POST /a?b HTTP/1.1\r\n",
    "GET http://h/x HTTP/1.1\r\n",
    "GET http://H:80?q HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "OPTIONS http://h HTTP/1.1\r\n",
    "CONNECT h:443 HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n",
    "GET /#x HTTP/1.1\r\n",
    "Host: h\r\n",
    "Host: h:80\r\n",
    "Host: [::1]:8080\r\n",
    "Host:\r\n",
    "host:h \t\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: +5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close, X\r\n",
    "Connection: upgrade\r\n",
    "Connection: Content-Length\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
    "X: y\r\n",
    "X : y\r\n",
    " folded\r\n",
    ": y\r\n",
    "X: \u{e9}\r\n",
    "X: \0\r\n",
    "X: a\rb\r\n",
    "X: y\n",
    "\r\n",
    "\n",
    "\r",
    "hello",
];

const RESPONSE: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200\r\n",
    "HTTP/1.0 204 No Content\r\n",
    "HTTP/1.1 304 \r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "HTTP/1.1 700 x\r\n",
    "HTTP/2 200\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: keep-alive, x\r\n",
    "Upgrade: websocket\r\n",
    "X: y\r\n",
    "X : y\r\n",
    "\tfolded\r\n",
    "X: y\n",
    "\r\n",
    "\r",
];

const CHUNKED: &[&str] = &[
    "0\r\n",
    "5\r\n",
    "A\r\n",
    "5;x=y\r\n",
    "5 \r\n",
    "0x5\r\n",
    "-1\r\n",
    "fffffffffffffffff\r\n",
    "7fffffffffffffff\r\n",
    "05\n",
    "hello\r\n",
    "0123456789\r\n",
    "hello",
    "\r\n",
    "\n",
    "\r",
    ";a\0\r\n",
    "X-T: v\r\n",
    "Host: h\r\n",
    "a: b\n",
    " f\r\n",
    "Content-Length: 5\r\n",
    "GET / HTTP/1.1\r\n",
];

/// A first piece more often than not in its place, then any.
fn pieces(of: &'static [&'static str], firsts: usize) -> impl Strategy<Value = Vec<u8>> {
    (select(&of[..firsts]), vec(select(of), 0..7), any::<bool>()).prop_map(|(first, rest, close)| {
        let end = if close { "\r\n" } else { "" };
        [first, &rest.concat(), end].concat().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn request_heads(data in pieces(REQUEST, 9)) {
        checks::request(&data);
    }

    #[test]
    fn response_heads(data in pieces(RESPONSE, 8)) {
        checks::response(&data);
    }

    #[test]
    fn bodies(data in vec(select(CHUNKED), 0..9)) {
        checks::chunked(data.concat().as_bytes());
    }

    #[test]
    fn any_bytes(data in vec(any::<u8>(), 0..200)) {
        checks::request(&data);
        checks::response(&data);
        checks::chunked(&data);
    }

    #[test]
    fn one_byte_changed(at in 0usize..120, byte in any::<u8>()) {
        let mut request = b"POST /a?b HTTP/1.1\r\nHost: h:8080\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nX: y\r\n\r\n".to_vec();
        let mut response = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: keep-alive\r\nX: y\r\n\r\n".to_vec();
        let mut body = b"5\r\nhello\r\n10;e=v\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n".to_vec();
        for data in [&mut request, &mut response, &mut body] {
            let at = at % data.len();
            data[at] = byte;
        }
        checks::request(&request);
        checks::response(&response);
        checks::chunked(&body);
    }
}
