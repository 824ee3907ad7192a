//! The hold: while no instance can take a request, it waits here, within bounds (`model::traffic::HoldSpec`).
//!
//! ```text
//!   claim ── got one ─────────────────────────────────────────────▶ connect, relay
//!     │ none now: starting, restarting, asleep, draining, refused, all busy      ▲
//!     ▼                                                                           │ a claim, of the upstream as it is now
//!   line of the upstream ([`line`]) ── a place is free, a new snapshot, time ─────┘
//!     │ full: at once · too long · the client has gone · nothing will come
//!     ▼
//!   503 with `Retry-After` · nothing · 502
//! ```
//! A line lasts from one snapshot to the next, with its upstream's id ([`lines`]); all workers share it. Its lock is taken only by who
//! finds no place or waits for one, and by who frees one while somebody waits. A waiter keeps its head and what came with it of
//! its body; the rest of a body stays in the kernel.

pub mod line;
pub mod lines;

use crate::body::Pump;
use crate::connection::Client;
use crate::instance::Claim;
use crate::record::Record;
use crate::upstream::{Tried, Upstream};
use line::{Given, Joining, Place};
use model::traffic::HoldSpec;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Bytes of a request that waits, beside its texts and buffers.
const TASK: usize = 2 << 10;
/// Time between two looks at a client that may still be sending its body: it can be watched only by reading on.
const LOOK: Duration = Duration::from_millis(500);

/// How waiting ended.
pub enum Waited {
    /// With a claim on an instance of this upstream, which may be newer than the one that was waited for.
    Claimed(Claim, Arc<Upstream>),
    /// Nothing will come here: look where the route leads now.
    Over,
    /// Not at all: too many wait.
    Full,
    /// Without any.
    TimedOut,
    /// The client did not wait.
    ClientGone,
}

/// Waits in an upstream's line. `tried` are the instances that have refused it, as before and after [`Upstream::claim`].
pub async fn wait(
    client: &mut Client,
    record: &mut Record,
    body: Option<&Pump>,
    upstream: &Upstream,
    tried: &mut Tried,
    hold: HoldSpec,
) -> Waited {
    let counts = &upstream.lasting.line.counts;
    let began = Instant::now();
    let until = began + hold.wait.saturating_sub(record.held_for().unwrap_or_default());
    let bytes = TASK + record.text.capacity() + body.map_or(0, Pump::memory);
    let since = record.started;
    let mut joining = Some(Joining { since, tried: tried.clone(), bytes: bytes as u64, hold });
    let mut place = None;
    // Else what is read of the client comes before what came already.
    let watched = body.is_none_or(|body| body.is_read() && !body.has_rest());
    let mut look = began + LOOK;
    let next = |look: Instant| if watched { until } else { until.min(look) };
    client.timer.set(began, millis(next(look), began));
    let waited = poll_fn(|cx| {
        if let Some(joining) = joining.take() {
            place = Place::join(&upstream.lasting, joining, cx.waker());
        }
        let Some(place) = &mut place else { return Poll::Ready(Waited::Full) };
        match place.poll(cx) {
            Poll::Ready(Given::Claim(claim, upstream, now)) => {
                *tried = now;
                // Nobody is there for what an instance would do now.
                let gone = !watched && client.stream.poll_hung_up(cx);
                return Poll::Ready(if gone { Waited::ClientGone } else { Waited::Claimed(claim, upstream) });
            }
            Poll::Ready(Given::Over) => return Poll::Ready(Waited::Over),
            Poll::Pending => {}
        }
        if is_gone(client, watched, cx) {
            return Poll::Ready(Waited::ClientGone);
        }
        while client.timer.expired() {
            let now = Instant::now();
            if now >= until {
                return Poll::Ready(Waited::TimedOut);
            }
            look = now + LOOK;
            client.timer.set(now, millis(next(look), now));
        }
        Poll::Pending
    })
    .await;
    drop(place);
    if matches!(waited, Waited::Full | Waited::TimedOut) {
        counts.overflowed.fetch_add(1, Ordering::Relaxed);
    }
    if !matches!(waited, Waited::Full) {
        if record.held_for().is_none() {
            counts.held.fetch_add(1, Ordering::Relaxed);
        }
        record.note_held(began.elapsed());
    }
    waited
}

/// Whether the client has gone. One whose whole request is here is watched by reading on; else reading would take what belongs to
/// the body.
fn is_gone(client: &mut Client, watched: bool, cx: &mut Context<'_>) -> bool {
    if watched { client.poll_gone(cx).is_ready() } else { client.stream.poll_hung_up(cx) }
}

fn millis(until: Instant, now: Instant) -> u64 {
    u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
}
