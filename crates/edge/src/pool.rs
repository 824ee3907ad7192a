//! Idle upstream connections of one worker, by instance.
//!
//! Last in, first out, so that few connections carry much and the others end. A connection waits at most
//! [`IDLE`]; one that has become readable meanwhile (closed, or speaking unasked) is not used again. A request that may
//! not run twice takes only one that waited less than [`FRESH`] and of which the kernel itself knows nothing new.

use crate::h2;
use crate::stream::Stream;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Longest time a connection waits for its next request.
pub const IDLE: Duration = Duration::from_secs(1);
/// Longest wait after which a request that may not run twice is still sent on it.
pub const FRESH: Duration = Duration::from_millis(200);
/// Connections that wait for one instance.
const MAX_IDLE: usize = 1024;

struct Idle {
    stream: Stream,
    since: Instant,
}

/// The pool of one worker.
#[derive(Default)]
pub struct Pool {
    /// Those that speak HTTP/2.
    pub http2: h2::Connections,
    idle: RefCell<HashMap<u32, Vec<Idle>>>,
    count: Cell<usize>,
    filled: tokio::sync::Notify,
}

impl Pool {
    /// A connection to the instance of this key, if one waits that may be used.
    pub fn take(&self, instance: u32, now: Instant, repeatable: bool) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&instance)?;
        let longest = if repeatable { IDLE } else { FRESH };
        // The last one waited least: where it waited too long, so did all.
        while waiting.last().is_some_and(|idle| now.saturating_duration_since(idle.since) < longest) {
            let Idle { stream, .. } = waiting.pop()?;
            self.count.set(self.count.get() - 1);
            let unready = stream.poll_read_ready(&mut Context::from_waker(Waker::noop())).is_pending();
            // The runtime knows only what it was told at its last poll, and takes a socket for readable until a call has said
            // otherwise (a splice of the last bytes says nothing): the kernel is asked in doubt, and where a miss costs an answer.
            if unready && repeatable || stream.is_silent() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection whose last response has ended.
    pub fn put(&self, instance: u32, stream: Stream, now: Instant) {
        // A stream of HTTP/2 carries one request; its connection is kept elsewhere.
        if matches!(stream, Stream::H2(_)) {
            self.filled.notify_one();
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(instance).or_default();
        if waiting.len() < MAX_IDLE {
            waiting.push(Idle { stream, since: now });
            self.count.set(self.count.get() + 1);
            if self.count.get() == 1 {
                self.filled.notify_one();
            }
        }
    }

    /// Closes what waited too long, for as long as the worker lives.
    pub async fn run(&self) {
        loop {
            if self.count.get() == 0 && self.http2.is_empty() {
                self.filled.notified().await;
            }
            tokio::time::sleep(IDLE / 2).await;
            self.sweep(Instant::now());
            self.http2.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        let mut idle = self.idle.borrow_mut();
        let mut count = 0;
        idle.retain(|_, waiting| {
            waiting.retain(|idle| now.saturating_duration_since(idle.since) < IDLE);
            count += waiting.len();
            !waiting.is_empty()
        });
        self.count.set(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// The runtime is not polled between the peer's end and the look, as when a request arrives in the same turn.
    #[tokio::test(flavor = "current_thread")]
    async fn a_request_that_may_not_run_twice_gets_no_connection_that_has_just_ended() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pool = Pool::default();
        let open = async || {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            (Stream::Tcp(stream), listener.accept().unwrap().0)
        };
        let (living, _peer) = open().await;
        let (ended, peer) = open().await;
        let Stream::Tcp(socket) = &ended else { unreachable!() };
        let watched = socket.as_fd().try_clone_to_owned().unwrap();
        let now = Instant::now();
        pool.put(1, living, now);
        pool.put(1, ended, now);
        drop(peer);
        let mut look = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut look, None).unwrap(), 1, "its end has arrived");
        let taken = pool.take(1, now, false).expect("the one that lives");
        assert!(taken.is_silent());
        assert!(pool.take(1, now, false).is_none());
    }

    /// Nothing told the runtime that the last read took all there was.
    #[tokio::test(flavor = "current_thread")]
    async fn a_large_answer_does_not_cost_its_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut peer = listener.accept().unwrap().0;
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        stream.readable().await.unwrap();
        rustix::net::recv(&stream, &mut [0u8; 1], rustix::net::RecvFlags::empty()).unwrap();
        let (pool, now) = (Pool::default(), Instant::now());
        pool.put(1, Stream::Tcp(stream), now);
        assert!(pool.take(1, now, true).is_some());
    }
}
