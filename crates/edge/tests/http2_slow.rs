//! HTTP/2 where somebody does not go on: clients that take nothing, applications that do not answer a call.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge::Deadlines;
use http::{Method, Request};
use std::io::Write;
use std::time::Duration;
use support::deaf::Deaf;
use support::http2::*;
use support::*;
use wire::snapshot::Snapshot;

const WRITE_MS: u64 = 800;

/// `/big` is a megabyte, `/events` begins and never ends, all else is small.
fn app() -> Backend {
    Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            if head.starts_with("GET /events ") {
                let begin = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
                stream.write_all(begin).unwrap();
                drop(next_head(&mut stream));
                return;
            }
            let body = if head.starts_with("GET /big ") { "x".repeat(1 << 20) } else { "small".to_owned() };
            if stream.write_all(ok(&body).as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn impatient(table: &Snapshot) -> Edge {
    Edge::with_deadlines(Deadlines { write_ms: WRITE_MS, ..Deadlines::default() }, 1, table)
}

fn patient(address: std::net::SocketAddr) -> Snapshot {
    let mut table = trusting(proxying(&[address]));
    table.sites[0].routes[0].read_ms = 60_000;
    table
}

#[test]
fn a_stream_whose_window_stays_shut_is_reset_and_its_connection_goes_on() {
    let app = app();
    let edge = impatient(&patient(app.address));
    run(async {
        let client = open_with(edge.address, h2::client::Builder::new().initial_window_size(1_000)).await;
        let send = async |path| {
            let (answer, _) = client.clone().ready().await.unwrap().send_request(get(path), true).unwrap();
            answer.await.unwrap().into_body()
        };
        let mut events = send("/events").await;
        assert_eq!(events.data().await.unwrap().unwrap(), "hello");
        let mut big = send("/big").await;
        assert_eq!(big.data().await.unwrap().unwrap().len(), 1_000);
        assert!(big.data().await.unwrap().is_err(), "its window was never opened again");
        assert_eq!(ask(&client, get("/")).await.1, b"small");
    });
    until(|| edge.in_flight("s/a.1#1") == 0);
}

/// As long as another stream ran, nobody looked after what its neighbours had left behind.
#[test]
fn a_client_that_takes_nothing_is_cut_beside_a_long_running_stream() {
    let app = app();
    let edge = impatient(&patient(app.address));
    run(async {
        let socket = tokio::net::TcpStream::connect(edge.address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
        let (send, mut connection) = builder.handshake::<_, bytes::Bytes>(socket).await.unwrap();
        // The connection is driven only until all is asked; then nobody reads from its socket.
        let asked = async {
            let mut answers = Vec::new();
            for path in std::iter::once("/events").chain(std::iter::repeat_n("/big", 40)) {
                let (answer, _) = send.clone().ready().await.unwrap().send_request(get(path), true).unwrap();
                answers.push(answer);
            }
            tokio::task::yield_now().await;
            answers
        };
        let asked = std::pin::pin!(asked);
        let answers = tokio::select! {
            biased;
            _ = &mut connection => unreachable!("the connection goes on"),
            answers = asked => answers,
        };
        while edge.in_flight("s/a.1#1") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while edge.in_flight("s/a.1#1") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop((connection, answers));
    });
    assert_eq!(edge.log(41).len(), 41);
}

fn deaf(connect_ms: u64) -> (Deaf, Edge) {
    let (deaf, address) = Deaf::new();
    let mut table = over_h2(address);
    table.sites[0].routes[0].connect_ms = connect_ms;
    (deaf, Edge::start(&table))
}

/// It waited without a deadline, and nobody noticed that its client had gone.
#[test]
fn who_waits_for_anothers_connection_may_leave() {
    let (_deaf, edge) = deaf(60_000);
    run(async {
        let client = open(edge.address).await;
        let send = async |path| client.clone().ready().await.unwrap().send_request(get(path), true).unwrap();
        let _first = send("/first").await;
        let (_second, mut stream) = send("/second").await;
        while edge.in_flight("s/a.1#1") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stream.send_reset(h2::Reason::CANCEL);
        while edge.in_flight("s/a.1#1") > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let log = edge.log(2);
    assert!(log.iter().all(|line| line["status"] == 499), "{log:?}");
}

#[test]
fn who_waits_for_anothers_connection_waits_no_longer_than_for_its_own() {
    let (_deaf, edge) = deaf(500);
    run(async {
        let client = open(edge.address).await;
        let (first, second) = tokio::join!(ask(&client, get("/first")), ask(&client, get("/second")));
        assert_eq!((first.0.status().as_u16(), second.0.status().as_u16()), (504, 504));
    });
}

async fn extended(edge: &Edge, protocol: &'static str) -> u16 {
    let client = open(edge.address).await;
    ask(&client, Request::get("http://nobody.test/").body(()).unwrap()).await;
    while !client.is_extended_connect_protocol_enabled() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut request = Request::builder().method(Method::CONNECT).uri("http://a.test/chat").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
    let (answer, _stream) = client.ready().await.unwrap().send_request(request, false).unwrap();
    answer.await.unwrap().status().as_u16()
}

fn causes(edge: &Edge, lines: usize) -> Vec<String> {
    edge.log(lines).iter().map(|line| line.to_string()).filter(|line| line.contains("501")).collect()
}

#[test]
fn a_protocol_that_is_not_known_is_not_implemented() {
    let app = Backend::echoing();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    assert_eq!(run(extended(&edge, "connect-udp")), 501);
    let log = causes(&edge, 2);
    assert!(
        log.len() == 1 && log[0].contains("HTTP/2.0") && log[0].contains("protocol over CONNECT"),
        "{log:?}"
    );
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_websocket_to_an_application_over_http2_is_refused_with_a_cause() {
    let edge = Edge::start(&over_h2(h2_app(|_, _| async {})));
    assert_eq!(run(extended(&edge, "websocket")), 501);
    let upgrade = "Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\n";
    let reply = edge.request(&format!("GET /chat HTTP/1.1\r\nHost: a.test\r\n{upgrade}\r\n"));
    assert_eq!(reply.status, 501);
    let log = causes(&edge, 3);
    assert!(log.len() == 2 && log.iter().all(|line| line.contains("over HTTP/2")), "{log:?}");
}

/// 200 would have been read as: the tunnel is there.
#[test]
fn an_application_that_does_not_switch_opens_no_websocket() {
    let app = Backend::echoing();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    assert_eq!(run(extended(&edge, "websocket")), 502);
}
