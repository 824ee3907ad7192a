//! What is passed on without being looked at: streams here, datagrams in [`datagrams`].
//!
//! ```text
//!   accept ──▶ claim an instance (wait for one, as a request would) ──▶ connect ──▶ bytes both ways until both sides have ended
//! ```
//! A connection holds its claim to its end: an instance that drains is waited for as long as its `drain` allows. What can be retried is only the
//! connecting: from the first byte on nobody knows what was said. While nothing moves no buffer is held.

pub mod datagrams;

use crate::buffer::Buffer;
use crate::circuit::Failed;
use crate::connect::connect;
use crate::connection::Client;
use crate::instance::Claim;
use crate::stream::Stream;
use crate::upstream::{Pick, Tried, Upstream};
use crate::worker::{Open, Worker};
use rustix::net::sockopt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use wire::snapshot::UpstreamState;

/// Milliseconds to connect to an instance.
const CONNECT_MS: u64 = 5_000;
/// Milliseconds between two looks for an instance.
const LOOK_MS: u64 = 50;
/// Milliseconds a connection may be silent once one of its sides has ended.
const HALF_ENDED_MS: u64 = 300_000;
/// A peer that is gone without a word is found out so long after its last one, and by so many unanswered questions.
const KEEPALIVE: Duration = Duration::from_secs(60);
const QUESTIONS: u32 = 5;

/// Serves one connection until it ends.
pub async fn serve(_open: Open, mut client: Client, upstream: Arc<Upstream>) {
    poll_fn(|cx| {
        client.timer.bind(cx.waker());
        Poll::Ready(())
    })
    .await;
    if let Stream::Tcp(stream) = &client.stream {
        keep_alive(stream);
    }
    let Some((claim, server)) = reach(&mut client, upstream).await else { return };
    if let Stream::Tcp(stream) = &server {
        keep_alive(stream);
    }
    if let Err(error) = pass(&mut client, server).await {
        tracing::debug!(peer = %client.peer, %error, "a forwarded connection was cut");
    }
    drop(claim);
}

/// Without it a connection that a firewall has forgotten would hold its claim for ever.
fn keep_alive(stream: &tokio::net::TcpStream) {
    let set = sockopt::set_socket_keepalive(stream, true)
        .and_then(|()| sockopt::set_tcp_keepidle(stream, KEEPALIVE))
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, KEEPALIVE / QUESTIONS))
        .and_then(|()| sockopt::set_tcp_keepcnt(stream, QUESTIONS));
    if let Err(error) = set {
        tracing::debug!(%error, "no keepalive");
    }
}

/// The upstream as the newest table has it.
fn newest(worker: &Worker, upstream: Arc<Upstream>) -> Option<Arc<Upstream>> {
    worker.table().upstream(&upstream.id).map(Arc::clone)
}

/// Claims an instance and connects to it; waits for one as long as the app's `hold` says. `None`: there is none, or the client has gone.
async fn reach(client: &mut Client, mut upstream: Arc<Upstream>) -> Option<(Claim, Stream)> {
    let mut tried = Tried::new(None);
    let until = Instant::now() + upstream.traffic.hold.wait;
    loop {
        match upstream.claim(&mut tried) {
            Pick::Claimed(mut claim) => {
                let Some(instance) = claim.instance().map(Arc::clone) else { continue };
                match connect(client, &instance.address, CONNECT_MS, true).await {
                    Ok(server) => {
                        instance.count_request();
                        claim.answered();
                        return Some((claim, server));
                    }
                    Err(error) if error.is_of_the_instance() => {
                        upstream.failed(&mut claim, Failed::Unreachable)
                    }
                    Err(_) => return None,
                }
            }
            _ if matches!(upstream.state, UpstreamState::Down | UpstreamState::Unhealthy) => return None,
            _ if !upstream.traffic.hold.is_on() || Instant::now() >= until => return None,
            _ => {
                if upstream.state == UpstreamState::Asleep {
                    upstream.lasting.line.want();
                }
                pause(client).await?;
                upstream = newest(&client.worker, upstream)?;
                tried.clear();
            }
        }
    }
}

/// Waits a little; `None`: the client has gone.
async fn pause(client: &mut Client) -> Option<()> {
    client.timer.set(Instant::now(), LOOK_MS);
    poll_fn(|cx| match client.poll_gone(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending if client.timer.expired() => Poll::Ready(Some(())),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// One direction.
#[derive(Default)]
struct Way {
    buffer: Option<Buffer>,
    /// Whoever sends has ended.
    read: bool,
    /// And who receives was told.
    told: bool,
    moved: bool,
}

impl Way {
    /// Moves what can be moved; ready when this direction has ended.
    fn poll(&mut self, cx: &mut Context<'_>, from: &Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            if self.told {
                return Poll::Ready(Ok(()));
            }
            if let Some(buffer) = self.buffer.as_mut().filter(|buffer| !buffer.is_empty()) {
                match ready!(to.poll_write(cx, buffer.filled()))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => buffer.consume(count),
                }
                self.moved = true;
                continue;
            }
            self.buffer = None;
            if self.read {
                ready!(to.poll_shutdown(cx))?;
                self.told = true;
                continue;
            }
            ready!(from.poll_read_ready(cx))?;
            let mut buffer = Buffer::small();
            if ready!(from.poll_read(cx, &mut buffer))? == 0 {
                self.read = true;
            }
            self.buffer = Some(buffer);
        }
    }
}

/// Bytes both ways, until both sides have ended.
async fn pass(client: &mut Client, mut server: Stream) -> io::Result<()> {
    let mut up = Way { buffer: client.pending.take(), ..Way::default() };
    let mut down = Way::default();
    let mut half = false;
    poll_fn(|cx| {
        let sent = up.poll(cx, &client.stream, &mut server)?;
        let answered = down.poll(cx, &server, &mut client.stream)?;
        if sent.is_ready() && answered.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let moved = std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved);
        if up.told || down.told {
            if moved || !std::mem::replace(&mut half, true) {
                client.timer.set(Instant::now(), HALF_ENDED_MS);
            } else if client.timer.expired() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        Poll::Pending
    })
    .await
}
