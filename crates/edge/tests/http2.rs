//! HTTP/2 with clients and with applications: what passes, what is refused, what is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Method, Request, Response};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use support::*;
use tokio::net::TcpStream;
use wire::snapshot::Snapshot;

/// A table whose edge takes HTTP/2 from this host.
fn trusting(mut table: Snapshot) -> Snapshot {
    table.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    table
}

/// Runs a test's client, within the patience of a test.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(PATIENCE, test).await.expect("in time") })
}

async fn open(address: SocketAddr) -> SendRequest<Bytes> {
    open_with(address, &mut h2::client::Builder::new()).await
}

async fn open_with(address: SocketAddr, builder: &mut h2::client::Builder) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = builder.handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move { drop(connection.await) });
    send
}

fn to(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://a.test{path}")).body(()).unwrap()
}

fn get(path: &str) -> Request<()> {
    to(Method::GET, path)
}

/// Sends a request without a body and reads the whole answer.
async fn ask(send: &SendRequest<Bytes>, request: Request<()>) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
    let (answer, _) = send.clone().ready().await.unwrap().send_request(request, true).unwrap();
    whole(answer.await.unwrap()).await.unwrap()
}

async fn whole(
    answer: Response<RecvStream>,
) -> Result<(Response<()>, Vec<u8>, Option<HeaderMap>), h2::Error> {
    let (head, mut body) = answer.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await?;
    Ok((Response::from_parts(head, ()), bytes, trailers))
}

/// Sends a body as the windows allow.
async fn upload(mut stream: h2::SendStream<Bytes>, mut body: Bytes, trailers: Option<HeaderMap>) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let window = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let piece = body.split_to(window.min(body.len()));
        stream.send_data(piece, body.is_empty() && trailers.is_none()).unwrap();
    }
    if let Some(trailers) = trailers {
        stream.send_trailers(trailers).unwrap();
    }
}

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
