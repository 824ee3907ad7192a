//! Clients and applications that speak HTTP/2, for tests.
#![allow(dead_code)]

use super::{PATIENCE, next_head, proxying};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Response};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use wire::snapshot::Snapshot;

/// A table whose edge takes HTTP/2 from this host.
pub fn trusting(mut table: Snapshot) -> Snapshot {
    table.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    table
}

/// Runs a test's client, within the patience of a test.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(PATIENCE, test).await.expect("in time") })
}

pub async fn open(address: SocketAddr) -> SendRequest<Bytes> {
    open_with(address, &mut h2::client::Builder::new()).await
}

pub async fn open_with(address: SocketAddr, builder: &mut h2::client::Builder) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = builder.handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move { drop(connection.await) });
    send
}

/// Over TLS, with HTTP/2 alone.
pub async fn open_tls(config: &ClientConfig, address: SocketAddr, name: &str) -> SendRequest<Bytes> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move { drop(connection.await) });
    send
}

pub fn to(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://a.test{path}")).body(()).unwrap()
}

pub fn get(path: &str) -> Request<()> {
    to(Method::GET, path)
}

/// Sends a request without a body and reads the whole answer.
pub async fn ask(
    send: &SendRequest<Bytes>,
    request: Request<()>,
) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
    let (answer, _) = send.clone().ready().await.unwrap().send_request(request, true).unwrap();
    whole(answer.await.unwrap()).await.unwrap()
}

pub async fn whole(
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
pub async fn upload(mut stream: h2::SendStream<Bytes>, mut body: Bytes, trailers: Option<HeaderMap>) {
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

/// An application that speaks HTTP/2: each request is given to `serve` as a task.
pub fn h2_app<F: Future<Output = ()> + 'static>(
    serve: impl Fn(Request<RecvStream>, h2::server::SendResponse<Bytes>) -> F + Send + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        let serve = std::rc::Rc::new(serve);
        local.block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let serve = std::rc::Rc::clone(&serve);
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::task::spawn_local(serve(request, respond));
                    }
                });
            }
        });
    });
    address
}

pub fn over_h2(address: SocketAddr) -> Snapshot {
    let mut table = trusting(proxying(&[address]));
    table.upstreams[0].http2 = true;
    table
}

/// Not compressible, not repeating.
pub fn noise(length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// The application's side of the first connection, once a request's head has arrived there.
pub async fn asked(connections: std::sync::mpsc::Receiver<std::net::TcpStream>) -> std::net::TcpStream {
    let take = move || {
        let mut app = connections.recv().unwrap();
        next_head(&mut app).map(|_| app).unwrap()
    };
    tokio::task::spawn_blocking(take).await.unwrap()
}
