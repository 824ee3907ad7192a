//! The proxy handler: claim an instance, get a connection to it, relay; again with another instance or a fresh connection
//! where that is safe.
//!
//! Safe to send twice is only what was not sent at all, or a request of an idempotent method without a body (RFC 9110,
//! section 9.2.2) to which not a byte was answered: again to the same instance where the connection was a *reused* one, which the
//! instance may have closed at the same moment; else once more to *another* instance, as this one may have died. Once:
//! a request that kills whoever gets it must not go round.

use crate::answer::{forwarded_wants_json, refuse};
use crate::body::Pump;
use crate::circuit::Failed;
use crate::connect::{ConnectError, connect};
use crate::connection::{Client, Next};
use crate::error_page::Refusal;
use crate::h2;
use crate::instance::Claim;
use crate::record::{Answerer, Record};
use crate::relay::{End, Relay};
use crate::sticky::Tag;
use crate::stream::Stream;
use crate::table::Limits;
use crate::upstream::{Pick, Tried, Upstream};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Cause;
use wire::snapshot::UpstreamState;

/// Seconds a client is asked to wait for an app that starts.
const RETRY_AFTER: u32 = 2;

/// A request to be proxied.
pub struct Job {
    /// Where to.
    pub upstream: Arc<Upstream>,
    /// Its route's bounds.
    pub limits: Limits,
    /// Its body, led by the forwarded head; without a body the head is in the record alone.
    pub body: Option<Box<Pump>>,
    /// The instance that its client belongs to.
    pub wish: Option<Tag>,
}

/// A connection to a claimed instance.
struct Leg {
    claim: Claim,
    stream: Stream,
    /// It has carried a request before.
    reused: bool,
}

/// Runs the exchange with whatever instance answers it.
pub async fn run(client: &mut Client, record: &mut Record, job: &mut Job) -> Next {
    let mut tried = Tried::new(job.wish);
    let mut fresh = false;
    let mut moved = false;
    if job.upstream.http2 && record.facts.upgrade {
        let cause = "switching protocols (a WebSocket) is not possible with an application over HTTP/2";
        return fail(client, record, Refusal::closing(501, Cause::Malformed, cause)).await;
    }
    // Out of the loop, so that nothing of it takes a place in the future beside the answer.
    let refusal = loop {
        let leg = match reach(client, record, job, &mut tried, fresh).await {
            Ok(leg) => leg,
            Err(Stop::ClientGone) => return Next::Close,
            Err(Stop::Refused(refusal)) => break refusal,
        };
        let elsewhere = !moved && job.upstream.instances.len() > tried.len();
        let end = {
            let mut relay = Relay::new(client, record, job, leg.claim, leg.stream, leg.reused);
            relay.may_repeat &= leg.reused || elsewhere;
            poll_fn(|cx| relay.poll(cx)).await
        };
        match end {
            End::Done => return Next::Again,
            End::Close => return Next::Close,
            End::Linger => return Next::Linger,
            End::Refused(refusal) => break refusal,
            End::Repeat if !job.upstream.may_retry() => {
                break Refusal::new(
                    502,
                    Cause::BrokenOff,
                    "the connection was closed; too many were sent again already",
                );
            }
            // The instance itself did not refuse: it may be asked again, on a connection of this request's own.
            End::Repeat if leg.reused => {
                record.note_try("the connection was closed; sent again");
                fresh = true;
                tried.pop();
            }
            End::Repeat => {
                record.note_try("the connection was closed before an answer; sent to another instance");
                moved = true;
            }
        }
    };
    fail(client, record, refusal).await
}

/// Answers with a refusal. Boxed with it: it would take its place in every exchange's future.
fn fail<'a>(
    client: &'a mut Client,
    record: &'a mut Record,
    refusal: Refusal,
) -> Pin<Box<dyn Future<Output = Next> + 'a>> {
    Box::pin(async move {
        let json = forwarded_wants_json(record);
        refuse(client, record, &refusal, json).await
    })
}

enum Stop {
    ClientGone,
    Refused(Refusal),
}

/// Claims an instance and gets a connection to it; each instance is tried once.
async fn reach(
    client: &mut Client,
    record: &mut Record,
    job: &mut Job,
    tried: &mut Tried,
    fresh: bool,
) -> Result<Leg, Stop> {
    let mut reloaded = false;
    let mut failed = None;
    loop {
        let mut claim = match job.upstream.claim(tried) {
            Pick::Claimed(claim) => claim,
            Pick::Draining if !reloaded => {
                reloaded = true;
                reload(client, record, job);
                continue;
            }
            Pick::Busy => {
                record.answerer = Answerer::Upstream(Arc::clone(&job.upstream));
                return Err(Stop::Refused(busy(job)));
            }
            Pick::Cut(wait) if failed.is_none() => {
                record.answerer = Answerer::Upstream(Arc::clone(&job.upstream));
                return Err(Stop::Refused(cut(job, wait)));
            }
            Pick::Draining | Pick::Cut(_) | Pick::Exhausted => {
                if matches!(record.answerer, Answerer::Edge) {
                    record.answerer = Answerer::Upstream(Arc::clone(&job.upstream));
                }
                return Err(Stop::Refused(unreachable(job, failed)));
            }
        };
        let now = Instant::now();
        record.upstream_started = Some(now);
        let Some(instance) = claim.instance() else { continue };
        let repeatable = job.body.is_none() && record.facts.method.is_idempotent();
        let taken = !fresh && !job.upstream.http2;
        if let Some(stream) = taken.then(|| client.worker.pool.take(instance.key, now, repeatable)).flatten()
        {
            return Ok(Leg { claim, stream, reused: true });
        }
        let (millis, watch) = (job.limits.connect_ms, job.body.is_none());
        let opened = if job.upstream.http2 {
            Box::pin(h2::stream(client, instance, millis, watch, fresh)).await
        } else {
            Box::pin(connect(client, &instance.address, millis, watch)).await.map(|stream| (stream, false))
        };
        match opened {
            Ok((stream, reused)) => return Ok(Leg { claim, stream, reused }),
            Err(error) => {
                if error.is_of_the_instance() {
                    job.upstream.failed(&mut claim, Failed::Unreachable);
                }
                record.upstream_ended(Instant::now());
                let text = explain(&error);
                record.cause = Some(text.clone().into());
                failed = Some(error);
                record.release(claim);
                record.note_try(text);
                if matches!(failed, Some(ConnectError::ClientGone)) {
                    return Err(Stop::ClientGone);
                }
            }
        }
    }
}

fn explain(error: &ConnectError) -> String {
    match error {
        ConnectError::Failed(error) => format!("connect: {error}"),
        ConnectError::TimedOut => "connect: timed out".to_owned(),
        ConnectError::ClientGone => "the client closed the connection".to_owned(),
    }
}

/// All instances drain: a newer snapshot knows where to go.
fn reload(client: &Client, record: &Record, job: &mut Job) {
    let table = client.worker.table();
    let path = record.get(record.target);
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
    let host = record.get(record.host);
    if let Some(upstream) = table.find(Some(host), path).and_then(|found| found.upstream) {
        job.upstream = Arc::clone(upstream);
    }
}

/// What to answer when each instance has as many requests as it may have.
fn busy(job: &Job) -> Refusal {
    let refusal = Refusal::new(503, Cause::Busy, "all instances are busy");
    Refusal { close: job.body.is_some(), retry_after: Some(RETRY_AFTER), ..refusal }
}

/// What to answer when all instances are left alone.
fn cut(job: &Job, wait: Duration) -> Refusal {
    let refusal =
        Refusal::new(503, Cause::CircuitOpen, "all instances are left alone after failures in a row");
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Refusal { close: job.body.is_some(), retry_after: Some(seconds), ..refusal }
}

/// What to answer when no instance could be reached.
fn unreachable(job: &Job, failed: Option<ConnectError>) -> Refusal {
    let close = job.body.is_some();
    let refusal = |status, why, cause| Refusal { close, ..Refusal::new(status, why, cause) };
    match (failed, job.upstream.state) {
        (Some(ConnectError::TimedOut), _) => refusal(504, Cause::ConnectTimeout, "connect: timed out"),
        (Some(_), _) => refusal(502, Cause::Refused, "no instance could be reached"),
        (None, UpstreamState::Starting | UpstreamState::Asleep) => {
            Refusal { retry_after: Some(RETRY_AFTER), ..refusal(503, Cause::Starting, "the app is starting") }
        }
        (None, UpstreamState::Unhealthy) => refusal(503, Cause::Unhealthy, "all instances are unhealthy"),
        (None, UpstreamState::Ready | UpstreamState::Restarting | UpstreamState::Down) => {
            refusal(502, Cause::Down, "the app is not running")
        }
    }
}
