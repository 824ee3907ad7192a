//! The proxy handler: claim an instance, get a connection to it, relay; again with another instance or a fresh connection
//! where that is safe.
//!
//! Safe to send twice is only what was not sent at all, or a request of an idempotent method (RFC 9110, section 9.2.2), without a body or
//! with one that was kept ([`crate::body::kept`]), to which not a byte was answered: again to the same instance where the connection was a *reused* one, which the
//! instance may have closed at the same moment; else once more to *another* instance, as this one may have died. Once:
//! a request that kills whoever gets it must not go round.
//!
//! Where no instance can take it, a request waits in the upstream's line ([`hold`]) and goes on with the claim it is given there,
//! maybe one on an instance that is known only to a newer snapshot.

use crate::answer::{forwarded_wants_json, refuse};
use crate::body::Pump;
use crate::circuit::Failed;
use crate::connect::{ConnectError, connect};
use crate::connection::{Client, Next};
use crate::error_page::Refusal;
use crate::h2;
use crate::hold::line::Counts;
use crate::hold::{self, Waited};
use crate::instance::Claim;
use crate::record::{Answerer, Record};
use crate::relay::{End, Relay};
use crate::sticky::Tag;
use crate::stream::Stream;
use crate::table::Limits;
use crate::upstream::{Pick, Tried, Upstream};
use model::traffic::HoldSpec;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use wire::failure::{BUSY, Cause};
use wire::snapshot::UpstreamState;

/// The shortest wait of who has waited for connections already.
const LEAST: Duration = Duration::from_millis(1);
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
            Err(stop) => {
                if !tried.was_claimed() {
                    counts(job).unsent.fetch_add(1, Ordering::Relaxed);
                }
                match stop {
                    Stop::ClientGone => return Next::Close,
                    Stop::Refused(refusal) => break refusal,
                }
            }
        };
        let elsewhere =
            !moved && (job.upstream.instances.len() > tried.len() || job.upstream.traffic.hold.is_on());
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
            End::Repeat => counts(job).retried.fetch_add(1, Ordering::Relaxed),
        };
        rewind(record, job);
        if leg.reused {
            // The instance itself did not refuse: it may be asked again, on a connection of this request's own.
            record.note_try("the connection was closed; sent again");
            fresh = true;
            tried.pop();
        } else {
            record.note_try("the connection was closed before an answer; sent to another instance");
            moved = true;
        }
    };
    fail(client, record, refusal).await
}

/// The body goes from its begin again, where any of it went; what came is counted once.
fn rewind(record: &mut Record, job: &mut Job) {
    let Some(body) = job.body.as_mut().filter(|body| body.written() > 0) else { return };
    let led = record.head_len as u64;
    record.received = record.received.saturating_sub(body.written().saturating_sub(led));
    body.rewind(record.head());
}

fn counts(job: &Job) -> &Counts {
    &job.upstream.lasting.line.counts
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

/// Claims an instance, waiting for one where it has to, and gets a connection to it. Where nothing waits each instance is tried
/// once.
async fn reach(
    client: &mut Client,
    record: &mut Record,
    job: &mut Job,
    tried: &mut Tried,
    fresh: bool,
) -> Result<Leg, Stop> {
    let mut reloaded = false;
    let mut failed = None;
    let mut spent = Duration::ZERO;
    loop {
        let mut claim = match claim(job, tried) {
            Pick::Claimed(claim) => claim,
            Pick::Draining if !reloaded => {
                reloaded = true;
                reload(client, record, job);
                continue;
            }
            pick => Box::pin(held(client, record, job, tried, pick, failed.as_ref(), spent)).await?,
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
                if matches!(error, ConnectError::TimedOut) {
                    spent += now.elapsed();
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

/// Claims, unless others wait already: they are first.
fn claim(job: &Job, tried: &mut Tried) -> Pick {
    if job.upstream.lasting.line.is_empty() { job.upstream.claim(tried) } else { Pick::Busy }
}

/// No instance takes the request now: it waits for one, where it may.
async fn held(
    client: &mut Client,
    record: &mut Record,
    job: &mut Job,
    tried: &mut Tried,
    mut pick: Pick,
    failed: Option<&ConnectError>,
    spent: Duration,
) -> Result<Claim, Stop> {
    let closing = |job: &Job, refusal| Refusal { close: job.body.is_some(), ..refusal };
    let refusal = loop {
        if let Pick::Claimed(claim) = pick {
            return Ok(claim);
        }
        if job.upstream.state == UpstreamState::Asleep {
            job.upstream.lasting.line.want();
        }
        let mut hold = hold_of(client, record, job);
        // Time in which instances did not accept the connection was waited, too.
        if hold.is_on() && !spent.is_zero() {
            hold.wait = hold.wait.saturating_sub(spent).max(LEAST);
        }
        if !hold.is_on() {
            // Who may not wait does not stand behind those who do.
            match job.upstream.claim(tried) {
                Pick::Claimed(claim) => return Ok(claim),
                pick => break unreachable(job, &pick, failed),
            }
        }
        if !is_worth_waiting(job, &pick) {
            break unreachable(job, &pick, failed);
        }
        let (upstream, body) = (Arc::clone(&job.upstream), job.body.as_deref());
        match hold::wait(client, record, body, &upstream, tried, hold).await {
            Waited::Claimed(claim, upstream) => {
                job.upstream = upstream;
                return Ok(claim);
            }
            Waited::Over if reload(client, record, job) => pick = claim(job, tried),
            Waited::Over => break Refusal::new(502, Cause::Down, "the app is not there any more"),
            Waited::ClientGone => return Err(Stop::ClientGone),
            Waited::Full => {
                let cause = why_held(client, record, job, "too many requests wait for an instance");
                break later(Cause::HoldFull, cause);
            }
            Waited::TimedOut if matches!(failed, Some(ConnectError::TimedOut)) => {
                break unreachable(job, &Pick::Exhausted, failed);
            }
            Waited::TimedOut => {
                let cause = why_held(client, record, job, "no instance took the request while it waited");
                break later(Cause::HoldTimeout, cause);
            }
        }
    };
    if matches!(record.answerer, Answerer::Edge) {
        record.answerer = Answerer::Upstream(Arc::clone(&job.upstream));
    }
    Err(Stop::Refused(closing(job, refusal)))
}

/// What those wait for who wait now: a free place at an instance, or an instance at all.
fn why_held(client: &Client, record: &Record, job: &mut Job, absent: &'static str) -> &'static str {
    if reload(client, record, job) && job.upstream.is_there() { BUSY } else { absent }
}

/// Whether an instance may take it sooner or later.
fn is_worth_waiting(job: &Job, pick: &Pick) -> bool {
    match (pick, job.upstream.state) {
        (Pick::Busy, _) => true,
        (_, UpstreamState::Unhealthy | UpstreamState::Down) => false,
        (_, UpstreamState::Ready | UpstreamState::Starting) => true,
        (_, UpstreamState::Restarting | UpstreamState::Asleep) => true,
    }
}

/// The bounds of waiting: the route's, else the upstream's. Looked up only here, as few requests wait.
fn hold_of(client: &Client, record: &Record, job: &Job) -> HoldSpec {
    let table = client.worker.table();
    let found = table.find(*client.door, Some(record.get(record.host)), record.path(), None);
    let route = found.map(|found| found.route).or(record.route.as_ref());
    route.and_then(|route| route.hold).unwrap_or(job.upstream.traffic.hold)
}

fn explain(error: &ConnectError) -> String {
    match error {
        ConnectError::Failed(error) => format!("connect: {error}"),
        ConnectError::TimedOut => "connect: timed out".to_owned(),
        ConnectError::ClientGone => "the client closed the connection".to_owned(),
    }
}

/// Takes the upstream as the newest snapshot has it: the one to which the route leads now, else the same one. False: there is none.
fn reload(client: &Client, record: &Record, job: &mut Job) -> bool {
    let table = client.worker.table();
    let found = table.find(*client.door, Some(record.get(record.host)), record.path(), None);
    let upstream = found.and_then(|found| found.upstream).or_else(|| table.upstream(&job.upstream.id));
    upstream.is_some_and(|upstream| {
        job.upstream = Arc::clone(upstream);
        true
    })
}

/// To be tried again later.
fn later(why: Cause, cause: &'static str) -> Refusal {
    Refusal { retry_after: Some(RETRY_AFTER), ..Refusal::new(503, why, cause) }
}

/// What to answer when all instances are left alone.
fn cut(wait: Duration) -> Refusal {
    let refusal =
        Refusal::new(503, Cause::CircuitOpen, "all instances are left alone after failures in a row");
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    Refusal { retry_after: Some(seconds), ..refusal }
}

/// What to answer when no instance could be reached, and nothing is waited for.
fn unreachable(job: &Job, pick: &Pick, failed: Option<&ConnectError>) -> Refusal {
    match (pick, failed, job.upstream.state) {
        (_, Some(ConnectError::TimedOut), _) => {
            Refusal::new(504, Cause::ConnectTimeout, "connect: timed out")
        }
        (Pick::Cut(wait), None, _) => cut(*wait),
        (Pick::Busy, ..) => later(Cause::Busy, BUSY),
        (_, Some(_), _) => Refusal::new(502, Cause::Refused, "no instance could be reached"),
        (_, None, UpstreamState::Starting | UpstreamState::Asleep) => {
            later(Cause::Starting, "the app is starting")
        }
        (_, None, UpstreamState::Unhealthy) => {
            Refusal::new(503, Cause::Unhealthy, "all instances are unhealthy")
        }
        (_, None, UpstreamState::Restarting) => {
            Refusal::new(502, Cause::Down, "the app has ended and is started again")
        }
        (_, None, UpstreamState::Ready | UpstreamState::Down) => {
            Refusal::new(502, Cause::Down, "the app is not running")
        }
    }
}
