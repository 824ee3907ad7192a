//! A request's way, top to bottom.
//!
//! [`receive`] reads until there is a head; [`admit`] decides everything that can be decided without waiting: id, trusted
//! peer, log guard, snapshot (loaded once), ambiguity, route, limits, policies; [`gate`] what has to be waited for; then one handler runs. The exchange ends when the
//! *body* has ended, and its [`Record`] logs it once, however it ended.

use crate::LIMITS;
use crate::admit::{Step, admit, malformed, unreadable};
use crate::answer::{preflight, refuse};
use crate::buffer::Buffer;
use crate::connection::{Client, Next};
use crate::dashboard;
use crate::error_page::Refusal;
use crate::files;
use crate::gate;
use crate::h2;
use crate::metrics;
use crate::proxy;
use crate::record::Record;
use http1::{Reject, parse_request};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use wire::failure::Cause;

/// Runs one exchange, from the first byte of a request to the last of its answer.
pub async fn run(client: &mut Client) -> Next {
    let mut reading = Reading { buffer: client.pending.take(), timed: false, untried: true };
    let Some((mut record, mut step)) = poll_fn(|cx| receive(client, &mut reading, cx)).await else {
        return if client.pending.is_some() { Next::Http2 } else { Next::Close };
    };
    if let Step::Wait(waiting) = &mut step {
        match Box::pin(gate::pass(client, &mut record, waiting)).await {
            Some(passed) => step = passed,
            None => return Next::Close,
        }
    }
    // By reference: moved out, each would take its place in this future twice.
    let next = match &mut step {
        Step::Proxy(job) => proxy::run(client, &mut record, job).await,
        Step::File(request) => files::run(client, &mut record, request).await,
        Step::Metrics { close } => Box::pin(metrics::run(client, &mut record, *close)).await,
        Step::Dashboard { wanted, close } => {
            Box::pin(dashboard::run(client, &mut record, *wanted, *close)).await
        }
        Step::Preflight(answer, close) => Box::pin(preflight(client, &mut record, answer, *close)).await,
        // It has waited.
        Step::Wait(_) => Next::Close,
        Step::Refuse(refusal, json) => Box::pin(refuse(client, &mut record, refusal, *json)).await,
    };
    let now = Instant::now();
    record.ended = Some(now);
    client.timer.set_waiting(now, client.worker.deadlines.idle_ms);
    next
}

/// A head on its way in.
struct Reading {
    buffer: Option<Buffer>,
    /// Its deadline runs.
    timed: bool,
    /// The socket was just found ready, and not read yet.
    untried: bool,
}

/// Reads until a head is whole and decides what becomes of it. `None`: the client has gone without a request, or begins HTTP/2
/// (then it has something pending).
fn receive(client: &mut Client, reading: &mut Reading, cx: &mut Context<'_>) -> Poll<Option<(Record, Step)>> {
    loop {
        if let Some(buffer) = reading.buffer.take() {
            let buffer = match parse_request(buffer.filled(), &LIMITS) {
                Ok(Some(head)) => return Poll::Ready(Some(admit(client, buffer, &head))),
                Ok(None) if buffer.is_full() => buffer.grown(),
                Ok(None) => buffer,
                Err(_) if h2::begins(client, buffer.filled()) => {
                    client.pending = Some(buffer);
                    return Poll::Ready(None);
                }
                Err(reject) => return Poll::Ready(Some(malformed(client, reject))),
            };
            if buffer.is_full() {
                return Poll::Ready(Some(malformed(client, Reject::HeadTooLarge)));
            }
            reading.buffer = Some(buffer);
            if !std::mem::replace(&mut reading.timed, true) {
                client.timer.set_waiting(Instant::now(), client.worker.deadlines.head_ms);
            }
        }
        let mut buffer = reading.buffer.take().unwrap_or_else(Buffer::small);
        let read = match reading.untried.then(|| client.stream.read(&mut buffer)).flatten() {
            Some(read) => Poll::Ready(read),
            None => client.stream.poll_read(cx, &mut buffer),
        };
        reading.untried = false;
        reading.buffer = Some(buffer).filter(|buffer| !buffer.is_empty());
        if read.is_pending() && client.timer.expired() {
            let late = Refusal::closing(408, Cause::SlowClient, "the head did not arrive in time");
            return Poll::Ready(reading.buffer.is_some().then(|| unreadable(client, late)));
        }
        if read.is_pending() && reading.buffer.is_none() && client.worker.is_closing() {
            return Poll::Ready(None);
        }
        if matches!(ready!(read), Ok(0) | Err(_)) {
            return Poll::Ready(None);
        }
    }
}
