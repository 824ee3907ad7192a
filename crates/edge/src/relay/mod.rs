//! One request and its answer between a client and a claimed instance, both directions at once.
//!
//! ```text
//!   Head ──final head──▶ Body ──▶ end
//!    │ ▲ 1xx                      both: the request's body still goes up; when it is through, the client's end is watched
//!    │ └─┘
//!    └──101──▶ Upgraded ──▶ end   (bytes both ways until both sides have ended, or the other has nothing more to say)
//! ```
//! Everything is one poll function, [`Relay::poll`]: whichever socket or deadline wakes the task, it moves what can be moved.
//! While nothing moves no buffer is held. The claim ends, and the connection goes back to the pool, as soon as the answer's
//! last byte was *read*: neither a slow client nor one that keeps a tunnel open occupies an instance that is done. The
//! answer's head is taken in [`head`], ends are in [`end`].

mod end;
mod head;

use crate::body::{Form, Pump, PumpError};
use crate::buffer::Buffer;
use crate::connection::Client;
use crate::error_page::Refusal;
use crate::instance::Claim;
use crate::proxy::Job;
use crate::record::Record;
use crate::stream::Stream;
use http1::BodyFraming;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use wire::failure::Cause;

/// Milliseconds an upgraded connection may be silent.
const UPGRADED_MS: u64 = 3_600_000;
/// Milliseconds it may be silent once one of its sides has ended.
const HALF_ENDED_MS: u64 = 3_000;

/// Bytes of a request's body that count as progress while it is waited for: what drips in keeps no connection busy.
const PROGRESS: u64 = 1024;

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// The client has its answer; its connection goes on.
    Done,
    /// The client's connection ends, without any more words.
    Close,
    /// The client has its answer and may still be sending.
    Linger,
    /// The client got nothing yet: answer this.
    Refused(Refusal),
    /// Nothing happened yet that could not happen twice: send it again on a fresh connection.
    Repeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    Upgraded { up_ended: bool, down_ended: bool },
}

/// The exchange between both sides.
pub struct Relay<'a> {
    client: &'a mut Client,
    record: &'a mut Record,
    job: &'a mut Job,
    claim: Option<Claim>,
    upstream: Option<Stream>,
    /// The connection has carried a request before.
    reused: bool,
    /// The request may be sent again when the connection ends before the answer begins. At first: as far as its method
    /// and body go.
    pub may_repeat: bool,
    stage: Stage,
    head_sent: usize,
    /// The instance takes no more of the request; its answer may still come.
    up_gone: bool,
    down: Pump,
    response: Option<Buffer>,
    keep_client: bool,
    keep_upstream: bool,
    /// What [`Relay::moved`] was when the deadline was set last.
    mark: u64,
}

impl<'a> Relay<'a> {
    /// Begins: the head (and the body's first bytes) will be sent by the first poll.
    pub fn new(
        client: &'a mut Client,
        record: &'a mut Record,
        job: &'a mut Job,
        claim: Claim,
        upstream: Stream,
        reused: bool,
    ) -> Self {
        if let Some(instance) = claim.instance() {
            instance.count_request();
        }
        let relay = Self {
            // With a body the head goes before it, in one write.
            head_sent: if job.body.is_some() { record.head_len } else { 0 },
            may_repeat: record.facts.method.is_idempotent()
                && job.body.as_ref().is_none_or(|body| body.is_kept()),
            client,
            record,
            job,
            claim: Some(claim),
            upstream: Some(upstream),
            reused,
            stage: Stage::Head,
            up_gone: false,
            down: Pump::new(BodyFraming::None, Form::Raw, u64::MAX),
            response: None,
            keep_client: false,
            keep_upstream: false,
            mark: 0,
        };
        relay
            .client
            .timer
            .set(relay.record.upstream_started.unwrap_or(relay.record.started), relay.patience());
        relay
    }

    /// The request's body is sent, or there is none.
    fn is_sent(&self) -> bool {
        self.job.body.as_ref().is_none_or(|body| body.is_finished())
    }

    /// Bytes moved either way, to see whether anything moved.
    fn moved(&self) -> u64 {
        self.job.body.as_ref().map_or(0, |body| body.written()) + self.down.written()
    }

    /// Moves what can be moved.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let before = (self.stage, self.awaits_body());
        let mut polled = self.poll_stage(cx);
        if polled.is_pending() {
            let moved = self.moved();
            let enough = if self.awaits_body() { PROGRESS } else { 1 };
            if self.client.timer.expired() {
                polled = Poll::Ready(self.timed_out());
            } else if before != (self.stage, self.awaits_body()) || moved >= self.mark + enough {
                self.mark = moved;
                self.client.timer.set(Instant::now(), self.patience());
            }
        }
        polled
    }

    /// Nothing can go on before the client has sent more of its body. Once it gets its answer both may take their time: they
    /// may be talking.
    fn awaits_body(&self) -> bool {
        self.stage == Stage::Head
            && !self.up_gone
            && self.job.body.as_ref().is_some_and(|body| !body.is_finished() && !body.is_writing())
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.stage == Stage::Head {
            if let Some(end) = self.poll_request(cx) {
                return Poll::Ready(end);
            }
            if let Err(end) = ready!(self.poll_head(cx)) {
                return Poll::Ready(end);
            }
        }
        match self.stage {
            Stage::Upgraded { .. } => self.poll_upgraded(cx),
            _ => self.poll_body(cx),
        }
    }

    /// How long it may last until something moves again.
    fn patience(&self) -> u64 {
        match self.stage {
            Stage::Upgraded { up_ended, down_ended } if up_ended || down_ended => HALF_ENDED_MS,
            Stage::Upgraded { .. } => UPGRADED_MS,
            _ if self.down.is_writing() => self.client.worker.deadlines.write_ms,
            _ if self.awaits_body() => self.client.worker.deadlines.body_ms.min(self.job.limits.send_ms),
            Stage::Body => self.job.limits.read_ms,
            _ if self.is_sent() || self.up_gone => self.job.limits.read_ms,
            _ => self.job.limits.send_ms,
        }
    }

    /// Sends the request on, or watches the client once that is done. `Some`: the exchange is over.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Option<End> {
        while self.head_sent < self.record.head_len && !self.up_gone {
            let rest = self.record.head().get(self.head_sent..).unwrap_or_default();
            match self.upstream.as_ref()?.poll_write(cx, rest) {
                Poll::Ready(Ok(count)) => self.head_sent += count,
                Poll::Ready(Err(error)) => return self.sink_failed(error.kind()),
                // Over HTTP/2 it may wait for others' requests to end.
                Poll::Pending if self.job.body.is_none() => {
                    return self.client.poll_gone(cx).is_ready().then(|| self.client_gone());
                }
                Poll::Pending => return None,
            }
        }
        if self.up_gone {
            return None;
        }
        if let Some(body) = self.job.body.as_mut().filter(|body| !body.is_finished()) {
            match body.poll(cx, &self.client.stream, self.upstream.as_ref()?) {
                Poll::Pending => return None,
                // Without any there may be what came while it waited, or when it was sent before.
                Poll::Ready(Ok(())) => self.client.pending = body.take_rest().or(self.client.pending.take()),
                Poll::Ready(Err(PumpError::Sink(kind))) => return self.sink_failed(kind),
                Poll::Ready(Err(PumpError::Source(_))) => return Some(self.client_gone()),
                Poll::Ready(Err(PumpError::Rejected(reject))) => return Some(self.body_refused(reject)),
            }
        }
        self.client.poll_gone(cx).is_ready().then(|| self.client_gone())
    }

    /// The instance takes no more. Where nothing was sent at all another try is safe; else its answer may still be read.
    fn sink_failed(&mut self, kind: io::ErrorKind) -> Option<End> {
        let untouched = match &self.job.body {
            Some(body) => body.written() == 0,
            None => self.head_sent == 0,
        };
        if self.reused && untouched && self.stage == Stage::Head {
            return Some(End::Repeat);
        }
        tracing::debug!(?kind, "the instance stopped reading");
        self.up_gone = true;
        None
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.upstream.is_some()
            && let Some(end) = self.poll_request(cx)
        {
            return Poll::Ready(end);
        }
        while let (false, Some(upstream)) = (self.down.is_read(), &mut self.upstream) {
            let step = self.down.poll_step(cx, upstream, &self.client.stream);
            match step {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(PumpError::Sink(_))) => return Poll::Ready(self.client_gone()),
                Poll::Ready(Err(PumpError::Source(kind))) => {
                    return Poll::Ready(
                        self.cut(Cause::BrokenOff, format!("the instance broke off its answer: {kind}")),
                    );
                }
                Poll::Ready(Err(PumpError::Rejected(reject))) => {
                    return Poll::Ready(
                        self.cut(Cause::BadAnswer, format!("the instance's answer is malformed: {reject}")),
                    );
                }
                Poll::Pending => {
                    if self.head_sent >= self.record.head_len {
                        self.record.shrink();
                    }
                    return Poll::Pending;
                }
            }
        }
        self.release_upstream();
        match ready!(self.down.poll_write(cx, &self.client.stream)) {
            Err(_) => Poll::Ready(self.client_gone()),
            Ok(()) if !self.is_sent() => Poll::Ready(End::Linger),
            Ok(()) if self.keep_client => Poll::Ready(End::Done),
            Ok(()) if self.client.pending.is_none() => Poll::Ready(End::Close),
            Ok(()) => Poll::Ready(End::Linger),
        }
    }

    fn poll_upgraded(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Stage::Upgraded { mut up_ended, mut down_ended } = self.stage else {
            return Poll::Ready(End::Close);
        };
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(End::Close) };
        let Some(up) = &mut self.job.body else { return Poll::Ready(End::Close) };
        let client = &mut self.client.stream;
        self.record.shrink();
        if !up_ended {
            match up.poll(cx, client, upstream) {
                Poll::Ready(Ok(())) => up_ended = upstream.poll_shutdown(cx).is_ready(),
                // It takes no more; its last words may still be on their way.
                Poll::Ready(Err(PumpError::Sink(_))) => up_ended = true,
                Poll::Ready(Err(_)) => return Poll::Ready(End::Close),
                Poll::Pending => {}
            }
        }
        if !down_ended {
            match self.down.poll(cx, upstream, client) {
                Poll::Ready(Ok(())) => down_ended = client.poll_shutdown(cx).is_ready(),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Close),
                Poll::Pending => {}
            }
        }
        self.stage = Stage::Upgraded { up_ended, down_ended };
        if down_ended {
            self.release_tunnel();
        }
        if up_ended && down_ended { Poll::Ready(End::Close) } else { Poll::Pending }
    }
}
