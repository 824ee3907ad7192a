//! Clients that ask all the time while something happens to what answers them.

use super::HOST;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use testkit::wait_until;

/// Pause between two requests of one client: constant load, not a benchmark.
const PAUSE: Duration = Duration::from_millis(3);

/// Four clients: two with one connection for all their requests, two with a new one for each.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Begins to ask for `path`.
    pub fn begin(port: u16, path: &str) -> Self {
        Self::begin_at(port, HOST, path)
    }

    /// The same of another host.
    pub fn begin_at(port: u16, host: &str, path: &str) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = [true, true, false, false].map(|keep_alive| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let request = request(host, path, keep_alive);
            std::thread::spawn(move || client(port, &request, keep_alive, &stop, &answered))
        });
        let load = Self { stop, answered, clients: clients.into() };
        load.more(20);
        load
    }

    /// Waits for so many more answers.
    #[track_caller]
    pub fn more(&self, count: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        wait_until("more requests are answered", || {
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Ends it; no request may have failed.
    #[track_caller]
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> =
            self.clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
        let total = self.answered.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} failures beside {total} answers: {:#?}",
            failures.len(),
            &failures[..failures.len().min(5)]
        );
    }
}

fn request(host: &str, path: &str, keep_alive: bool) -> String {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n")
}

/// Asks until told to stop, and gives what failed.
fn client(
    port: u16,
    request: &str,
    keep_alive: bool,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) && failures.len() < 100 {
        let result = match connection.take().map_or_else(|| connect(port), Ok) {
            Ok(mut stream) => ask(&mut stream, request).map(|answer| (answer, stream)),
            Err(error) => Err(error),
        };
        match result {
            Ok(((200, kept), stream)) => {
                answered.fetch_add(1, Ordering::Relaxed);
                connection = Some(stream).filter(|_| keep_alive && kept);
            }
            Ok(((status, _), _)) => failures.push(format!("status {status}")),
            Err(error) => failures.push(format!("{:?}: {error}", error.kind())),
        }
        std::thread::sleep(PAUSE);
    }
    failures
}

fn connect(port: u16) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(BufReader::new(stream))
}

/// One request; its status, and whether the connection is kept.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> std::io::Result<(u16, bool)> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut status, mut length, mut kept) = (None, 0, true);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        kept &= line != "connection: close";
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    status.map(|status| (status, kept)).ok_or_else(|| ErrorKind::InvalidData.into())
}
