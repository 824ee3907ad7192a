//! A raw HTTP/1.1 client on one connection: exactly these bytes out, one response in (RFC 9112). It follows the framing
//! strictly, so that a proxy's mistake is a test's failure.

use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A response, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Fields in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, without its coding.
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// First field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection<S: Read = TcpStream> {
    stream: BufReader<S>,
}

impl Connection {
    /// Connects; reads and writes give up after ten seconds.
    #[track_caller]
    pub fn open(address: impl ToSocketAddrs) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("connect: {error}"))
    }

    /// Connects, if somebody listens.
    pub fn try_open(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        Self::with_patience(TcpStream::connect(address)?)
    }

    fn with_patience(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Connects from this address of loopback's (`127.0.0.2`): another client, for who counts them.
    #[track_caller]
    pub fn from(source: Ipv4Addr, port: u16) -> Self {
        Self::try_from(source, port).unwrap_or_else(|error| panic!("connect from {source}: {error}"))
    }

    /// The same, if somebody listens.
    pub fn try_from(source: Ipv4Addr, port: u16) -> std::io::Result<Self> {
        Self::with_patience(socket_from(source, port)?)
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl<S: Read + Write> Connection<S> {
    /// On what was opened already.
    pub fn over(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// What it runs on.
    pub fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// A line without its end; none at the end of the stream.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap_or_else(|error| panic!("read: {error}"));
        let text = String::from_utf8_lossy(&line).into_owned();
        (!line.is_empty()).then(|| text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("read: {error}"));
        bytes
    }

    /// Everything up to the end of the stream.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("read: {error}"));
        bytes
    }

    /// Status and fields of the next response; interim ones (1xx but 101) are passed over.
    #[track_caller]
    pub fn head(&mut self) -> Response {
        loop {
            let line = self.line().expect("a status line");
            let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status: u16 = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
            let headers = self.fields();
            if status == 101 || status >= 200 {
                return Response { status, headers, body: Vec::new(), trailers: Vec::new() };
            }
        }
    }

    /// The next response, to a request whose method was not `HEAD`.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        if response.status == 101 || response.status == 204 || response.status == 304 {
            return response;
        }
        let coded = response.header("transfer-encoding").is_some();
        let length = response.header("content-length").map(|value| value.parse().expect("a length"));
        match (coded, length) {
            (true, Some(_)) => panic!("Content-Length with Transfer-Encoding: {response:?}"),
            (true, None) => {
                while let Some(chunk) = self.chunk() {
                    response.body.extend(chunk);
                }
                response.trailers = self.fields();
            }
            (false, Some(length)) => {
                response.body = vec![0; length];
                self.stream.read_exact(&mut response.body).unwrap_or_else(|error| panic!("body: {error}"));
            }
            (false, None) => {
                self.stream.read_to_end(&mut response.body).unwrap_or_else(|error| panic!("body: {error}"));
            }
        }
        response
    }

    /// The next chunk of a chunked body; none: the last one.
    #[track_caller]
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line().expect("a chunk size");
        let size = usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            return None;
        }
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).unwrap_or_else(|error| panic!("chunk: {error}"));
        assert!(chunk.ends_with(b"\r\n"), "a chunk without its end");
        chunk.truncate(size);
        Some(chunk)
    }

    /// Whether the other side has closed: the end of the stream is what comes next.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([]) | Err(_))
    }

    /// Field lines up to the empty one.
    #[track_caller]
    pub fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().expect("fields to their end");
            if line.is_empty() {
                return fields;
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// A socket that is connected from this address of loopback's.
pub(crate) fn socket_from(source: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket.into())
}

/// `GET`, on a connection of its own.
#[track_caller]
pub fn get(port: u16, host: &str, path: &str) -> Response {
    let mut connection = Connection::open(("127.0.0.1", port));
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    connection.response()
}

/// `GET`, if anything answers.
pub fn try_status(port: u16, host: &str, path: &str) -> Option<u16> {
    let mut connection = Connection::try_open(("127.0.0.1", port)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.stream.get_mut().write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    connection.stream.read_line(&mut line).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}

/// `POST` of a form, on a connection of its own; the answer in JSON.
#[track_caller]
pub fn post_form(port: u16, host: &str, path: &str, form: &str) -> Response {
    let mut connection = Connection::open(("127.0.0.1", port));
    let length = form.len();
    connection.send(format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    ));
    connection.response()
}
