//! What an engine says of itself to a ping: the version of its API, and whether it is Podman.
//!
//! `GET /version` says more, but Podman 4.3 looks up the packages of all its helpers for each answer, which takes it seconds where a machine is
//! busy; a ping takes a millisecond. Invariant: an engine that says it otherwise, or not at all, is asked the long way by [`crate::engine`].

use bollard::ClientVersion;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Most bytes of the head of an answer that are read.
const HEAD: usize = 8 << 10;
/// Time for the whole of it.
const PATIENCE: Duration = Duration::from_secs(10);
const PING: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n";

/// An engine's answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    major: usize,
    minor: usize,
    pub(crate) podman: bool,
}

impl Greeting {
    /// The version of its API, to connect with.
    pub(crate) fn version(self) -> ClientVersion {
        ClientVersion { major_version: self.major, minor_version: self.minor }
    }
}

/// Pings the engine that listens there; none: it does not answer, or does not say its version.
pub(crate) async fn ping(socket: &Path) -> Option<Greeting> {
    tokio::time::timeout(PATIENCE, asked(socket)).await.ok()?
}

async fn asked(socket: &Path) -> Option<Greeting> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(PING).await.ok()?;
    // Not to the stream's end: an engine may keep it open.
    let mut head = Vec::new();
    while head.len() < HEAD && stream.read_buf(&mut head).await.ok()? > 0 {
        if let Some(greeting) = parsed(&head) {
            return Some(greeting);
        }
    }
    None
}

fn parsed(bytes: &[u8]) -> Option<Greeting> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut fields);
    if !answer.parse(bytes).ok()?.is_complete() || answer.code != Some(200) {
        return None;
    }
    let field = |name: &str| answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let version = std::str::from_utf8(field("Api-Version")?.value).ok()?;
    let (major, minor) = version.trim().split_once('.')?;
    let podman = field("Libpod-Api-Version").is_some();
    Some(Greeting { major: major.parse().ok()?, minor: minor.parse().ok()?, podman })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_told_apart_by_their_ping() {
        let podman = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\n\r\nOK";
        assert_eq!(parsed(podman), Some(Greeting { major: 1, minor: 41, podman: true }));
        let docker = b"HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nOstype: linux\r\n\r\nOK";
        assert_eq!(parsed(docker), Some(Greeting { major: 1, minor: 51, podman: false }));
        for other in [
            &b"HTTP/1.1 200 OK\r\nApi-Version: new\r\n\r\n"[..],
            b"HTTP/1.1 500 No\r\n\r\n",
            b"",
            b"HTTP/1.1 2",
        ] {
            assert_eq!(parsed(other), None);
        }
    }

    /// Every health check inside a container connected by way of `/version`: five seconds each on a busy machine with Podman 4.3.
    #[tokio::test]
    async fn nobody_asks_podman_for_its_version_to_connect() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let engine = async {
            let mut first = Vec::new();
            while first.len() < 2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 1024];
                let read = stream.read(&mut bytes).await.unwrap();
                first.push(String::from_utf8_lossy(&bytes[..read]).lines().next().unwrap().to_owned());
                let answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nLibpod-Api-Version: 4.3.1\r\nContent-Length: 2\r\n\r\nOK";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            first
        };
        let name = format!("unix://{}", socket.display());
        let asked = async {
            let docker = crate::engine::connect(&name).await.unwrap();
            crate::engine::kind(&docker, &name).await.unwrap()
        };
        let (first, kind) = tokio::join!(engine, asked);
        assert!(kind.podman);
        assert_eq!(first, ["GET /_ping HTTP/1.1"; 2]);
    }
}
