//! A server under the test's hand: it speaks HTTP/1.1 strictly (RFC 9112), keeps a ledger of what reached it, and answers with
//! exactly the bytes that the test's handler writes. Every method gives `io::Result`, so that a handler ends with `?` when
//! the other side has gone.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest a handler waits for the other side.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request's head as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// First line, without its end.
    pub line: String,
    /// Fields in their order, names as they came.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The request target.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    /// Values of all fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the only field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// A backend's side of one connection.
#[derive(Debug)]
pub struct Peer {
    stream: BufReader<TcpStream>,
    ledger: Arc<Mutex<Vec<Request>>>,
}

impl Peer {
    /// The next request's head; none: the other side has closed in good order.
    fn next(&mut self) -> io::Result<Option<Request>> {
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let line = self.line()?;
        let headers = self.fields()?;
        Ok(Some(Request { line, headers }))
    }

    /// A line that must end in CRLF, without that.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Field lines up to the empty one: also the trailers of a chunked body.
    pub fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The next chunk; none: the last one, whose trailers are to be read.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size];
        if size == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut chunk)?;
        if self.line()?.is_empty() { Ok(Some(chunk)) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// Exactly so many bytes.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The request's body. Only then the request counts as one that has arrived.
    pub fn body(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if request.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
            let mut arrived = request.clone();
            arrived.headers.extend(self.fields()?);
            self.arrived(&arrived);
            return Ok(body);
        }
        if let Some(length) = request.header("content-length") {
            body = self.exactly(length.parse().map_err(io::Error::other)?)?;
        }
        self.arrived(request);
        Ok(body)
    }

    /// Puts a request into the ledger.
    pub fn arrived(&self, request: &Request) {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    }

    /// Writes these bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// A 200 with this body.
    pub fn ok(&mut self, body: impl AsRef<[u8]>) -> io::Result<()> {
        let body = body.as_ref();
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        self.send(answer)
    }

    /// Waits until the other side has closed; an error when it speaks or takes too long.
    pub fn closed(&mut self) -> io::Result<()> {
        match self.stream.fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The socket and what was read ahead of it.
    pub fn stream(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.stream
    }

    /// What a handler returns that wants the connection closed now.
    pub fn close<T>(&self) -> io::Result<T> {
        Err(ErrorKind::ConnectionAborted.into())
    }
}

/// A server on a loopback port of its own, a thread for each connection. It stops when it is dropped.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    ledger: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Backend {
    /// Calls `handler` with the head of each request; its error closes the connection.
    pub fn start(handler: impl Fn(&Request, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (ledger, connections) = (Arc::default(), Arc::<AtomicUsize>::default());
        let closed = Arc::<AtomicUsize>::default();
        let ended = Arc::clone(&closed);
        let stop = Arc::<AtomicBool>::default();
        let (own, opened, stopped) = (Arc::clone(&ledger), Arc::clone(&connections), Arc::clone(&stop));
        let handler = Arc::new(handler);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                opened.fetch_add(1, Ordering::SeqCst);
                let (ledger, handler) = (Arc::clone(&own), Arc::clone(&handler));
                let ended = Arc::clone(&ended);
                std::thread::spawn(move || {
                    serve(stream, ledger, &*handler);
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, ledger, connections, closed, stop, accepting: Some(accepting) }
    }

    /// One that answers 200 with what it saw: the head's lines, an empty line, the body (which a `HEAD` does not get).
    pub fn echo() -> Self {
        Self::start(|request, peer| {
            let body = peer.body(request)?;
            let mut seen = format!("{}\n", request.line);
            for (name, value) in &request.headers {
                seen.push_str(&format!("{name}: {value}\n"));
            }
            let mut seen = (seen + "\n").into_bytes();
            seen.extend(body);
            if request.method() == "HEAD" {
                return peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.len()));
            }
            peer.ok(seen)
        })
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Requests that arrived whole, in their order.
    pub fn ledger(&self) -> Vec<Request> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Empties the ledger and gives what was in it.
    pub fn take_ledger(&self) -> Vec<Request> {
        std::mem::take(&mut *self.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many of them it has closed, by its handler's error or because the other side did.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // wakes it
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    ledger: Arc<Mutex<Vec<Request>>>,
    handler: &dyn Fn(&Request, &mut Peer) -> io::Result<()>,
) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let mut peer = Peer { stream: BufReader::new(stream), ledger };
    while let Ok(Some(request)) = peer.next() {
        if handler(&request, &mut peer).is_err() {
            return;
        }
    }
}
