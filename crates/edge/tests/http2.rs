//! HTTP/2 with clients and with applications: what passes, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::http2::*;
use support::*;
use wire::snapshot::Snapshot;

#[test]
fn a_request_becomes_what_it_means_in_http11_and_its_answer_comes_back() {
    let app = Backend::answering(|head| {
        let body = if head.starts_with("HEAD") { String::new() } else { head.to_owned() };
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nX-A: 1\r\n\r\n{body}",
            head.len()
        )
    });
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let mut request = get("/path?q=1");
        request.headers_mut().append("cookie", "a=1".parse().unwrap());
        request.headers_mut().append("x-own", "2".parse().unwrap());
        request.headers_mut().append("cookie", "b=2".parse().unwrap());
        let (answer, body, _) = ask(&client, request).await;
        let head = String::from_utf8(body).unwrap();
        assert!(head.starts_with("GET /path?q=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nhost: a.test\r\n") && head.contains("\r\nx-own: 2\r\n"), "{head}");
        assert!(head.contains("\r\ncookie: a=1; b=2\r\n"), "{head}");
        assert!(!head.to_lowercase().contains("connection:"), "{head}");
        assert_eq!((answer.status().as_u16(), answer.headers()["x-a"].as_bytes()), (200, &b"1"[..]));
        assert!(!answer.headers().contains_key("keep-alive") && !answer.headers().contains_key("connection"));
        let (answer, body, _) = ask(&client, to(Method::HEAD, "/")).await;
        assert!(answer.status() == 200 && body.is_empty() && answer.headers().contains_key("content-length"));
        let (answer, _, _) = ask(&client, Request::get("http://nobody.test/").body(()).unwrap()).await;
        assert_eq!(answer.status(), 404);
    });
    assert_eq!(edge.log(3).len(), 3);
}

/// Sends each body back with its trailers, as an application of HTTP/1.1.
fn http11_echo() -> Backend {
    Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = Vec::new();
            let answer = match length {
                Some(length) => {
                    body.resize(length.parse().unwrap(), 0);
                    stream.read_exact(&mut body).unwrap();
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())
                }
                None => {
                    let mut piece = [0; 16 << 10];
                    while !body.ends_with(b"\r\n0\r\nup: 1\r\n\r\n") {
                        let count = stream.read(&mut piece).unwrap();
                        body.extend_from_slice(&piece[..count]);
                    }
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
                }
            };
            if stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
                return;
            }
        }
    })
}

// A body is sent back whole, over windows much smaller than it, with its trailers.
async fn echo_whole(address: SocketAddr, length: bool) {
    let client = open(address).await;
    let body = noise(900_000);
    let mut request = to(Method::POST, "/echo");
    let trailers = (!length).then(|| HeaderMap::from_iter([("up".parse().unwrap(), "1".parse().unwrap())]));
    if length {
        request.headers_mut().insert("content-length", body.len().into());
    }
    let (answer, stream) = client.ready().await.unwrap().send_request(request, false).unwrap();
    let sending = tokio::task::spawn_local(upload(stream, body.clone(), trailers.clone()));
    let (head, got, ended) = whole(answer.await.unwrap()).await.unwrap();
    sending.await.unwrap();
    assert_eq!((head.status().as_u16(), got.len(), got == body), (200, body.len(), true));
    assert_eq!(head.headers().contains_key("content-length"), length);
    assert_eq!(ended, trailers);
}

#[test]
fn large_bodies_pass_both_ways_within_the_windows() {
    let app = http11_echo();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        echo_whole(edge.address, true).await;
        echo_whole(edge.address, false).await;
    });
    until(|| edge.in_flight("s/a.1#1") == 0);
}

async fn h2_echo(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    let mut answer = Response::new(());
    if let Some(length) = head.headers.get("content-length") {
        answer.headers_mut().insert("content-length", length.clone());
    }
    answer.headers_mut().insert("x-te", head.headers["te"].clone());
    answer.headers_mut().insert("x-path", head.uri.path().parse().unwrap());
    let ended = body.is_end_stream();
    let mut stream = respond.send_response(answer, ended).unwrap();
    while let Some(Ok(mut piece)) = body.data().await {
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let Some(Ok(window)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
            let part = piece.split_to(window.min(piece.len()));
            body.flow_control().release_capacity(part.len()).unwrap();
            stream.send_data(part, false).unwrap();
        }
    }
    if !ended {
        match body.trailers().await {
            Ok(Some(trailers)) => stream.send_trailers(trailers).unwrap(),
            _ => drop(stream.send_data(Bytes::new(), true)),
        }
    }
}

#[test]
fn an_application_may_speak_http2() {
    let edge = Edge::start(&over_h2(h2_app(h2_echo)));
    run(async {
        let client = open(edge.address).await;
        let (answer, body, _) = ask(&client, get("/some/path")).await;
        assert_eq!(answer.headers()["x-te"], "trailers");
        assert_eq!((answer.headers()["x-path"].as_bytes(), body.len()), (&b"/some/path"[..], 0));
        echo_whole(edge.address, true).await;
        echo_whole(edge.address, false).await;
    });
    // And one of HTTP/1.1 is answered by it too.
    let reply = edge
        .request("POST /old HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((reply.status, reply.text()), (200, "hello".to_owned()));
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_call_of_grpc_streams_both_ways_and_ends_with_its_trailers() {
    let app = h2_app(|request, mut respond| async move {
        let (head, mut body) = request.into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        if head.uri.path() == "/s/Missing" {
            // A head that is its own trailers.
            let mut answer = answer;
            answer.headers_mut().insert("grpc-status", 12.into());
            respond.send_response(answer, true).unwrap();
            return;
        }
        let mut stream = respond.send_response(answer, false).unwrap();
        while let Some(piece) = body.data().await {
            stream.send_data(piece.unwrap(), false).unwrap();
        }
        let status = [
            ("grpc-status".parse().unwrap(), 0.into()),
            ("grpc-message".parse().unwrap(), "ok".parse().unwrap()),
        ];
        stream.send_trailers(HeaderMap::from_iter(status)).unwrap();
    });
    let edge = Edge::start(&over_h2(app));
    let call = |path| {
        let mut request = to(Method::POST, path);
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        request
    };
    run(async {
        let client = open(edge.address).await;
        let (answer, mut stream) =
            client.clone().ready().await.unwrap().send_request(call("/s/Chat"), false).unwrap();
        // The answer's head is there before the request has said anything, and each message is answered before the next.
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        for n in 0..20 {
            let message = Bytes::from(format!("message {n}"));
            stream.send_data(message.clone(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), message);
            body.flow_control().release_capacity(message.len()).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert!(body.data().await.is_none());
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["grpc-message"]),
            (&"0".parse().unwrap(), &"ok".parse().unwrap())
        );
        let (answer, body, _) = ask(&client, call("/s/Missing")).await;
        assert_eq!((answer.headers()["grpc-status"].as_bytes(), body.len()), (&b"12"[..], 0));
    });
}

#[test]
fn a_hundred_streams_run_at_a_time() {
    let gate = std::sync::Arc::new(std::sync::Barrier::new(100));
    let app = Backend::start(move |mut stream| {
        let head = next_head(&mut stream).unwrap();
        gate.wait();
        let _ = stream.write_all(ok(&head).as_bytes());
    });
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let asked: Vec<_> = (0..100)
            .map(|n| {
                let client = client.clone();
                tokio::task::spawn_local(async move { (n, ask(&client, get(&format!("/{n}"))).await.1) })
            })
            .collect();
        for answer in asked {
            let (n, body) = answer.await.unwrap();
            let body = String::from_utf8(body).unwrap();
            assert!(body.starts_with(&format!("GET /{n} ")), "{body}");
        }
    });
    assert_eq!(edge.log(100).len(), 100);
}

#[test]
fn a_client_that_resets_its_stream_has_gone() {
    let (app, connections) = driven();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let (answer, mut stream) =
            client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        let _app = asked(connections).await;
        stream.send_reset(Reason::CANCEL);
        assert!(answer.await.is_err());
        // The connection goes on.
        let _ = client.ready().await.unwrap();
        while edge.in_flight("s/a.1#1") > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(edge.log(1)[0]["status"], 499);
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn an_answer_that_is_cut_ends_in_a_reset_and_not_in_an_end() {
    let app = Backend::start(|mut stream| {
        let head = next_head(&mut stream).unwrap();
        let framing =
            if head.contains("/chunked") { "Transfer-Encoding: chunked" } else { "Content-Length: 100" };
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n5\r\nhello\r\n").as_bytes());
    });
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        for path in ["/length", "/chunked"] {
            let (answer, _) = client.clone().ready().await.unwrap().send_request(get(path), true).unwrap();
            let error = match answer.await {
                Ok(answer) => whole(answer).await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
        }
    });
}

#[test]
fn a_websocket_passes_over_one_stream() {
    let app = Backend::start(|mut stream| {
        let Some(head) = next_head(&mut stream) else { return };
        assert!(head.starts_with("GET /chat?x=1 HTTP/1.1\r\n"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        assert_eq!(key.len(), 24, "16 bytes in base64");
        assert!(
            head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nConnection: upgrade\r\n"),
            "{head}"
        );
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: abc\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
        stream.write_all(answer).unwrap();
        let mut bytes = [0; 64];
        loop {
            match stream.read(&mut bytes).unwrap() {
                0 => break,
                count => stream.write_all(&bytes[..count]).unwrap(),
            }
        }
        stream.write_all(b"bye").unwrap();
    });
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let (answer, _) = client.clone().ready().await.unwrap().send_request(get("/none"), true).unwrap();
        drop(answer);
        while !client.is_extended_connect_protocol_enabled() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut request =
            Request::builder().method(Method::CONNECT).uri("http://a.test/chat?x=1").body(()).unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
        let (answer, mut stream) =
            client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(
            (head.status.as_u16(), head.headers["sec-websocket-protocol"].as_bytes()),
            (200, &b"chat"[..])
        );
        assert!(!head.headers.contains_key("sec-websocket-accept") && !head.headers.contains_key("upgrade"));
        for word in ["one", "two"] {
            stream.send_data(word.into(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), word);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "bye");
        let end = body.data().await;
        assert!(end.is_none_or(|end| end.unwrap().is_empty()) && body.is_end_stream());
    });
}

#[test]
fn only_trusted_peers_begin_http2_in_the_clear() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(reply.status, 505);
    edge.apply(&trusting(Snapshot { revision: 2, ..proxying(&[app.address]) }));
    run(async {
        assert_eq!(ask(&open(edge.address).await, get("/")).await.0.status(), 200);
    });
}

#[test]
fn a_connection_that_is_closed_down_says_so_and_lets_its_streams_end() {
    let (app, connections) = driven();
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open(edge.address).await;
        let (answer, _) = client.clone().ready().await.unwrap().send_request(get("/"), true).unwrap();
        let mut app = asked(connections).await;
        let closing = std::thread::spawn(move || drop(edge));
        // No new stream from now on, the one that runs is answered.
        let mut other = client.clone();
        while std::future::poll_fn(|cx| other.poll_ready(cx)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.write_all(ok("late").as_bytes()).unwrap();
        assert_eq!(whole(answer.await.unwrap()).await.unwrap().1, b"late");
        drop(client);
        closing.join().unwrap();
    });
}

#[test]
fn a_reader_with_a_small_window_gets_everything_and_a_silent_one_costs_no_more_than_its_window() {
    let body = noise(300_000);
    let sent = body.clone();
    let app = Backend::start(move |mut stream| {
        while next_head(&mut stream).is_some() {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
            if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&sent)).is_err() {
                return;
            }
        }
    });
    let edge = Edge::start(&trusting(proxying(&[app.address])));
    run(async {
        let client = open_with(edge.address, h2::client::Builder::new().initial_window_size(1_000)).await;
        let (silent, _) = client.clone().ready().await.unwrap().send_request(get("/silent"), true).unwrap();
        let mut silent = silent.await.unwrap();
        let (_, got, _) = ask(&client, get("/")).await;
        assert!(got == body);
        let first = silent.body_mut().data().await.unwrap().unwrap();
        assert!(first.len() <= 1_000);
    });
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_request_that_the_application_has_not_looked_at_goes_again() {
    let asked = AtomicUsize::new(0);
    let app = h2_app(move |request, mut respond| {
        let number = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            if number == 1 {
                respond.send_reset(Reason::REFUSED_STREAM);
                return;
            }
            let answer = Response::builder().header("x-method", request.method().as_str()).body(()).unwrap();
            respond.send_response(answer, true).unwrap();
        }
    });
    let edge = Edge::start(&over_h2(app));
    run(async {
        let client = open(edge.address).await;
        ask(&client, get("/")).await;
        // One that may not run twice, had anybody begun to run it.
        let (answer, ..) = ask(&client, to(Method::POST, "/")).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["x-method"].as_bytes()), (200, &b"POST"[..]));
    });
    assert_eq!(edge.log(2)[1]["status"], 200);
}
