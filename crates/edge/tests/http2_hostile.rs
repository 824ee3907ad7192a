//! Clients of HTTP/2 that mean no good: floods are cut, requests with two readings never reach an application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use support::http2::*;
use support::*;
use wire::snapshot::Handler;

/// A client that sends frames of its own making.
struct Raw(std::net::TcpStream);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET`, `http`, `/`, `a.test`.
const REQUEST: &[u8] = b"\x82\x86\x84\x41\x06a.test";
const POST: &[u8] = b"\x83\x86\x84\x41\x06a.test";
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A field without compression (RFC 7541 section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

impl Raw {
    fn open(edge: &Edge) -> Self {
        let mut client = edge.client();
        let settings = frame(4, 0, 0, &[]);
        client.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settings.as_slice()].concat()).unwrap();
        Self(client)
    }

    /// Sends all of it from a thread of its own: the edge may stop reading.
    fn flood(&self, frames: Vec<u8>) {
        let mut client = self.0.try_clone().unwrap();
        std::thread::spawn(move || client.write_all(&frames));
    }

    /// The next frame: kind, flags, stream, payload.
    fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut header = [0; 9];
        self.0.read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
        Some((header[3], header[4], stream, payload))
    }

    /// Reads until the edge says why it ends the connection.
    fn goodbye(&mut self) -> Option<u32> {
        while let Some((kind, _, _, payload)) = self.next() {
            if kind == GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        None
    }
}

fn is_calmed(name: &str, frames: impl FnOnce() -> Vec<u8>) {
    let app = Backend::echoing();
    let mut table = trusting(proxying(&[app.address]));
    table.sites[0].routes.insert(0, handled("/metrics", Handler::Metrics));
    let edge = Edge::start(&table);
    let mut client = Raw::open(&edge);
    client.flood(frames());
    assert_eq!(client.goodbye(), Some(ENHANCE_YOUR_CALM), "{name}");
    let figures = edge.get("a.test", "/metrics").text();
    assert!(figures.contains("mainstay_offences_total{offence=\"malformed\"} 1\n"), "{name}: {figures}");
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_flood_of_pings_is_cut() {
    is_calmed("ping", || frame(6, 0, 0, &[0; 8]).repeat(50_000));
}

#[test]
fn a_flood_of_settings_is_cut() {
    is_calmed("settings", || frame(4, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(20_000));
}

#[test]
fn a_flood_of_priorities_is_cut() {
    is_calmed("priority", || frame(2, 0, 1, &[0, 0, 0, 0, 1]).repeat(50_000));
}

#[test]
fn a_flood_of_window_updates_is_cut() {
    is_calmed("window", || frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(50_000));
}

#[test]
fn a_flood_of_empty_data_is_cut() {
    let open = frame(HEADERS, END_HEADERS, 1, POST);
    is_calmed("data", || [open, frame(DATA, 0, 1, &[]).repeat(50_000)].concat());
}

#[test]
fn a_head_in_endless_pieces_is_cut() {
    let open = frame(HEADERS, END_STREAM, 1, REQUEST);
    is_calmed("continuation", || [open, frame(CONTINUATION, 0, 1, &[]).repeat(50_000)].concat());
}

#[test]
fn a_client_that_opens_and_resets_streams_all_the_time_is_cut() {
    let pair = |stream| {
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
    };
    is_calmed("reset", || (0..5_000).flat_map(|n| pair(2 * n + 1)).flatten().collect());
}

#[test]
fn a_client_that_makes_the_edge_reset_streams_all_the_time_is_cut() {
    let pair = |stream| {
        [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST),
            frame(WINDOW_UPDATE, 0, stream, &[127, 255, 255, 255]),
        ]
    };
    is_calmed("made you reset", || (0..5_000).flat_map(|n| pair(2 * n + 1)).flatten().collect());
}

#[test]
fn pseudo_fields_in_trailers_end_the_connection() {
    let app = Backend::echoing();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    let mut client = Raw::open(&edge);
    client.flood(
        [frame(HEADERS, END_HEADERS, 1, POST), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82])].concat(),
    );
    assert_eq!(client.goodbye(), Some(PROTOCOL_ERROR));
}

/// What an application behind HTTP/1.1 could read in a second way never gets there.
#[test]
fn no_request_is_smuggled() {
    let app = Backend::echoing();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    let with = |field: Vec<u8>| [POST.to_vec(), field].concat();
    let path = |path: &str| [b"\x83\x86\x41\x06a.test".to_vec(), literal(":path", path)].concat();
    let cases = [
        ("transfer-encoding", with(literal("transfer-encoding", "chunked"))),
        ("connection", with(literal("connection", "close"))),
        ("upgrade", with(literal("upgrade", "websocket"))),
        ("te", with(literal("te", "gzip"))),
        ("capitals", with(literal("X-Capital", "1"))),
        ("line end in a value", with(literal("x", "1\r\nHost: b.test"))),
        ("line feed in a value", with(literal("x", "1\nx: y"))),
        ("nul in a value", with(literal("x", "1\0"))),
        ("colon in a name", with(literal("x:y", "1"))),
        ("space in a name", with(literal("x y", "1"))),
        ("another host", with(literal("host", "b.test"))),
        ("two hosts", with([literal("host", "a.test"), literal("host", "c.test")].concat())),
        ("two lengths", with([literal("content-length", "3"), literal("content-length", "4")].concat())),
        ("a signed length", with(literal("content-length", "+3"))),
        ("a length that does not fit", with(literal("content-length", "5"))),
        ("space in the path", path("/a b")),
        ("a request line in the path", path("/ HTTP/1.1\r\nHost: b.test\r\n\r\n")),
        ("nul in the path", path("/\0")),
        ("another form", path("http://b.test/")),
        ("a user in the authority", [b"\x83\x86\x84".to_vec(), literal(":authority", "u@a.test")].concat()),
        ("no path", b"\x83\x86\x41\x06a.test".to_vec()),
        ("two paths", with(literal(":path", "/b"))),
    ];
    for (name, block) in cases {
        let mut client = Raw::open(&edge);
        client.flood([frame(HEADERS, END_HEADERS, 1, &block), frame(DATA, END_STREAM, 1, b"abc")].concat());
        loop {
            match client.next().unwrap_or_else(|| panic!("{name}: closed without a word")) {
                (RST_STREAM | GOAWAY, ..) => break,
                // `:status: 400`, of the static table.
                (HEADERS, _, 1, answer) => {
                    assert_eq!(answer[0], 0x8c, "{name}");
                    break;
                }
                _ => {}
            }
        }
    }
    let seen = edge.stats().instances[0].requests;
    assert!(
        seen <= 1,
        "{seen} requests reached the application; only the length that does not fit is found later"
    );
}

#[test]
fn a_head_beyond_its_bounds_is_refused() {
    let app = Backend::echoing();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let mut request = get("/");
        for n in 0..20 {
            let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
            request.headers_mut().insert(name, "v".repeat(3_000).parse().unwrap());
        }
        let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
        assert!(answer.await.map_or(true, |answer| answer.status() == 431));
        let mut request = get("/");
        for n in 0..150 {
            let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
            request.headers_mut().insert(name, "v".parse().unwrap());
        }
        assert_eq!(ask(&open(edge.address).await, request).await.0.status(), 431);
    });
    assert_eq!(edge.stats().instances[0].requests, 0);
}
