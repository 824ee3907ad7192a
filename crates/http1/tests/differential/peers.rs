//! The three readers: ours, hyper in this process, Node in a child. Each gets the same bytes and says what it saw: one
//! `METHOD target body-length` for each request, then `refused` where it refused.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use http1::{BodyDecoder, Limits, parse_request};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a peer may take for one case before the test fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// What our codec makes of a connection's bytes.
pub fn ours(mut raw: &[u8]) -> String {
    let mut seen = Vec::new();
    loop {
        let Ok(Some(head)) = parse_request(raw, &Limits::DEFAULT) else {
            if !raw.is_empty() {
                seen.push("refused".to_owned());
            }
            break;
        };
        let mut body = BodyDecoder::new(head.body, &Limits::DEFAULT);
        let consumed = match body.advance(&raw[head.len..]) {
            Ok(progress) if progress.done => progress.consumed,
            _ => {
                seen.push("refused".to_owned());
                break;
            }
        };
        seen.push(format!("{} {} {}", head.method_span.str(raw), head.target.str(raw), body.data_len()));
        if !head.keep_alive || head.method == http1::Method::Connect {
            break;
        }
        raw = &raw[head.len + consumed..];
    }
    seen.join("; ")
}

/// Reads the answers of a peer: each request it saw, and whether it ended in an error.
fn answers(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut seen: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(request) = line.strip_prefix("x-seen: ") {
            seen.push(request);
        } else if line.starts_with("HTTP/1.1 4") || line.starts_with("HTTP/1.1 5") {
            seen.push("refused");
        }
    }
    if seen.is_empty() { "refused".to_owned() } else { seen.join("; ") }
}

/// What hyper's server makes of them.
pub async fn hyper(raw: &[u8]) -> String {
    let (client, server) = tokio::io::duplex(64 << 10);
    let serve = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service_fn(answer));
    let (mut reader, mut writer) = tokio::io::split(client);
    let talk = async {
        let _ = writer.write_all(raw).await;
        let _ = writer.shutdown().await;
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text).await;
        text
    };
    let both = async { tokio::join!(serve, talk).1 };
    answers(&tokio::time::timeout(DEADLINE, both).await.expect("hyper ends the connection"))
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let start = format!("{} {}", request.method(), request.uri());
    let mut response = Response::new(Empty::new());
    match request.into_body().collect().await {
        Ok(body) => {
            let seen = format!("{start} {}", body.to_bytes().len());
            response.headers_mut().insert("x-seen", seen.parse().expect("visible ASCII"));
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

/// Node's server in a child process; ends with this value.
pub struct Node {
    child: Child,
    /// Its end tells the child to exit, also when this process is killed.
    stdin: Option<ChildStdin>,
    port: u16,
    /// Its major version.
    pub major: u32,
}

impl Node {
    /// Starts it; `None` where there is no `node`.
    pub fn start() -> Option<Node> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/differential/node_server.js");
        let mut child =
            Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take()?).read_line(&mut line).expect("its first line");
        let (port, major) = line.trim().split_once(' ').expect("port and version");
        let stdin = child.stdin.take();
        Some(Node {
            child,
            stdin,
            port: port.parse().expect("a port"),
            major: major.parse().expect("a number"),
        })
    }

    /// What Node's server makes of a connection's bytes.
    pub fn read(&self, raw: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connects");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
        let _ = stream.write_all(raw); // it may have closed already
        let _ = stream.shutdown(Shutdown::Write);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text); // a reset after the answer is an end as well
        answers(&text)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
