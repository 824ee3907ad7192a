//! One try of a health check. Every failure is a sentence for people.

use crate::command;
use http1::Limits;
use model::observed::Address;
use model::spec::{HealthSpec, Probe};
use std::path::PathBuf;
use std::sync::Arc;
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
    Target { health: health.clone(), address: Some(address.clone()), command: None }.attempt().await
}

impl Target {
    /// Tries once, within the check's own timeout.
    pub(crate) async fn attempt(self) -> Result<(), String> {
        let timeout = self.health.timeout;
        match tokio::time::timeout(timeout, self.untimed()).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    async fn untimed(self) -> Result<(), String> {
        match (&self.health.probe, &self.address) {
            (Probe::Alive, _) | (Probe::Http(_) | Probe::Connect, None) => Ok(()),
            (Probe::Connect, Some(address)) => match address {
                Address::Tcp(to) => TcpStream::connect(to).await.map(drop),
                Address::Unix(path) => UnixStream::connect(path).await.map(drop),
            }
            .map_err(|error| format!("connecting to {address}: {error}")),
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
                result.map_err(|error| format!("GET {path} on {address}: {error}"))
            }
            (Probe::Command(argv), _) => match &self.command {
                Some(surroundings) => command::run(argv, surroundings).await,
                None => Ok(()),
            },
        }
    }
}

/// `GET`, and the status must be 2xx or 3xx.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<(), String> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: mainstay-health/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
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
            Some(response) if (200..400).contains(&response.status) => return Ok(()),
            Some(response) => return Err(format!("status {}", response.status)),
            None if read == 0 => return Err("closed without an answer".into()),
            None => {}
        }
    }
}
