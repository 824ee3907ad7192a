//! One try of a health check. Every failure is a sentence for people.

use crate::command::{self, Failure};
use http1::Limits;
use model::observed::Address;
use model::spec::{HealthSpec, Probe};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sys::process::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// What a try needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) health: HealthSpec,
    pub(crate) address: Option<Address>,
    /// For a health command; none after an adoption whose specification is gone.
    pub(crate) command: Option<Arc<Surroundings>>,
    /// It has a network of its own: nobody else can listen at its address.
    pub(crate) own_network: bool,
    /// Main process of such an instance, once it runs: a health command sees what that sees.
    pub(crate) inside: Option<Main>,
    /// Its command runs in a container, which may not have the program.
    pub(crate) contained: bool,
    /// Before its command is run, wait so long at most for somebody to listen.
    pub(crate) knock: Duration,
}

/// Time between two looks whether somebody listens.
const KNOCKS: Duration = Duration::from_millis(20);

/// Exit status of shells, and of `mainstay container probe`, for a program that is not there: nothing was found out about the app.
const NO_PROGRAM: i32 = 127;

/// A process by id and birth (in the kernel's ticks): so that nobody else is taken for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Main {
    pub(crate) pid: u32,
    pub(crate) born: Option<u64>,
}

impl Main {
    /// A descriptor that names it for good.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn open(self) -> io::Result<OwnedFd> {
        let process = sys::process::pidfd(self.pid)?;
        match sys::proc::start_time(self.pid) == self.born {
            true => Ok(process),
            false => Err(io::Error::other("the instance is gone")),
        }
    }
}

/// Where and as whom a health command runs.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) dir: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) user: Option<Credentials>,
}

/// Tries once, within the check's own timeout, a server that no instance of ours is. Health commands are for instances only: they
/// succeed unseen.
///
/// # Errors
/// What failed, in a sentence.
pub async fn probe(health: &HealthSpec, address: &Address) -> Result<(), String> {
    Target {
        health: health.clone(),
        address: Some(address.clone()),
        command: None,
        own_network: false,
        inside: None,
        contained: false,
        knock: Duration::ZERO,
    }
    .attempt()
    .await
    .map(drop)
}

impl Target {
    /// Tries once, within the check's own timeout. Gives why its command could not be asked, where it takes connections all the same.
    pub(crate) async fn attempt(mut self) -> Result<Option<String>, String> {
        let timeout = self.health.timeout;
        if let (Probe::Command(_), Some(Address::Tcp(to))) = (&self.health.probe, &self.address) {
            let listens = async {
                while TcpStream::connect(to).await.is_err() {
                    tokio::time::sleep(KNOCKS).await;
                }
            };
            let _ = tokio::time::timeout(self.knock, listens).await; // its command is asked all the same
        }
        let whole = async {
            match self.untimed().await {
                Ok(()) => Ok(None),
                Err(failure) if self.contained && failure.status == Some(NO_PROGRAM) => {
                    self.health.probe = Probe::Connect;
                    self.untimed().await.map_err(|other| format!("{failure}; {other}"))?;
                    Ok(Some(failure.said))
                }
                Err(failure) => Err(failure.to_string()),
            }
        };
        match tokio::time::timeout(timeout, whole).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    async fn untimed(&self) -> Result<(), Failure> {
        match (&self.health.probe, &self.address) {
            (Probe::Alive, _) | (Probe::Http(_) | Probe::Http2(_) | Probe::Connect, None) => Ok(()),
            (Probe::Connect, Some(address)) => match address {
                Address::Tcp(to) => TcpStream::connect(to).await.map(drop),
                Address::Unix(path) => UnixStream::connect(path).await.map(drop),
            }
            .map_err(|error| format!("connecting to {address}: {error}").into()),
            (Probe::Http(path), Some(address)) => {
                let result = match address {
                    Address::Tcp(to) => match TcpStream::connect(to).await {
                        Ok(stream) => get(stream, path).await,
                        Err(error) => Err(error.to_string()),
                    },
                    Address::Unix(socket) => match UnixStream::connect(socket).await {
                        Ok(stream) => get(stream, path).await,
                        Err(error) => Err(error.to_string()),
                    },
                };
                result.map_err(|error| format!("GET {path} on {address}: {error}").into())
            }
            (Probe::Http2(path), Some(address)) => {
                let result = match address {
                    Address::Tcp(to) => match TcpStream::connect(to).await {
                        Ok(stream) => get_http2(stream, path).await,
                        Err(error) => Err(error.to_string()),
                    },
                    Address::Unix(socket) => match UnixStream::connect(socket).await {
                        Ok(stream) => get_http2(stream, path).await,
                        Err(error) => Err(error.to_string()),
                    },
                };
                result.map_err(|error| format!("GET {path} over HTTP/2 on {address}: {error}").into())
            }
            (Probe::Command(argv), _) => match &self.command {
                Some(surroundings) => command::run(argv, surroundings, self.inside).await,
                None => Ok(()),
            },
        }
    }
}

/// What says who asks.
const AGENT: &str = concat!("mainstay-health/", env!("CARGO_PKG_VERSION"));

/// The status must be 2xx or 3xx.
fn judge(status: u16) -> Result<(), String> {
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("status {status}")) }
}

/// `GET` over HTTP/2 with prior knowledge (RFC 9113 section 3.3), as the edge speaks it to such servers.
async fn get_http2(stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<(), String> {
    let request = http::Request::get(format!("http://localhost{path}"))
        .header(http::header::USER_AGENT, AGENT)
        .body(())
        .map_err(|error| error.to_string())?;
    let ask = async {
        let (sender, connection) = h2::client::handshake(stream).await?;
        // The connection ends when its one request has ended and nobody can make another.
        let status = async move {
            let (answer, _) = sender.ready().await?.send_request(request, true)?;
            Ok(answer.await?.status().as_u16())
        };
        tokio::join!(connection, status).1
    };
    judge(ask.await.map_err(|error: h2::Error| error.to_string())?)
}

/// `GET` over HTTP/1.1.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let limits = Limits::default();
    let mut head = Vec::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut head).await.map_err(|error| error.to_string())?;
        match http1::parse_response(&head, &limits, http1::Method::Get)
            .map_err(|reject| reject.to_string())?
        {
            Some(response) if (100..200).contains(&response.status) => {
                head.drain(..response.len);
            }
            Some(response) => return judge(response.status),
            None if read == 0 => return Err("closed without an answer".into()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server of HTTP/2 that answers with this status and a body without an end.
    async fn server(status: u16) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the test.
        tokio_util::task::TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut bodies = Vec::new();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/health"));
                    let answer = http::Response::builder().status(status).body(()).unwrap();
                    bodies.push(respond.send_response(answer, false).unwrap());
                }
            }
        });
        Address::Tcp(address)
    }

    #[tokio::test]
    async fn what_speaks_http2_is_asked_in_http2() {
        let health = HealthSpec {
            probe: Probe::Http2("/health".into()),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            retries: 1,
            start_period: Duration::ZERO,
        };
        for (status, wanted) in
            [(200, None), (302, None), (404, Some("status 404")), (500, Some("status 500"))]
        {
            let problem = probe(&health, &server(status).await).await.err();
            assert_eq!(problem.is_some(), wanted.is_some(), "{status}: {problem:?}");
            assert!(problem.unwrap_or_default().ends_with(wanted.unwrap_or_default()), "{status}");
        }
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(plain.local_addr().unwrap());
        let closes = async { drop(plain.accept().await) };
        let (problem, ()) = tokio::join!(probe(&health, &address), closes);
        assert!(problem.is_err(), "closed without an answer");
    }
}
