//! One request and its answer between a client and a claimed instance, both directions at once.
//!
//! ```text
//!   Head ──final head──▶ Body ──▶ end
//!    │ ▲ 1xx                      both: the request's body still goes up; when it is through, the client's end is watched
//!    │ └─┘
//!    └──101──▶ Upgraded ──▶ end   (bytes both ways until both sides have ended)
//! ```
//! Everything is one poll function: whichever socket or deadline wakes the task, it moves what can be moved. While nothing
//! moves no buffer is held. The claim ends, and the connection goes back to the pool, as soon as the answer's last byte was
//! *read*: a slow client does not occupy an instance.

use crate::body::{Form, Pump, PumpError};
use crate::buffer::Buffer;
use crate::connection::{Client, WRITE_MS};
use crate::error_page::Refusal;
use crate::headers::{self, Connection, Response};
use crate::instance::Claim;
use crate::proxy::Job;
use crate::record::Record;
use crate::stream::Stream;
use http1::{BodyFraming, HeadWriter, Reject, ResponseHead, parse_response};
use std::borrow::Cow;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// Milliseconds an upgraded connection may be silent.
const UPGRADED_MS: u64 = 3_600_000;

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
            may_repeat: job.body.is_none() && record.facts.method.is_idempotent(),
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
        let before = (self.stage, self.moved());
        let mut polled = self.poll_stage(cx);
        if polled.is_pending() {
            if self.client.timer.expired() {
                polled = Poll::Ready(self.timed_out());
            } else if before != (self.stage, self.moved()) {
                self.client.timer.set(Instant::now(), self.patience());
            }
        }
        if let Poll::Ready(end) = &polled {
            self.settle(end);
        }
        polled
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
            Stage::Upgraded { .. } => UPGRADED_MS,
            _ if self.down.is_writing() => WRITE_MS,
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
                Poll::Pending => return None,
            }
        }
        if self.up_gone {
            return None;
        }
        if let Some(body) = self.job.body.as_mut().filter(|body| !body.is_finished()) {
            match body.poll(cx, &self.client.stream, self.upstream.as_ref()?) {
                Poll::Pending => return None,
                Poll::Ready(Ok(())) => self.client.pending = body.take_rest(),
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

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            if self.down.is_writing()
                && matches!(self.down.poll_write(cx, &self.client.stream), Poll::Ready(Err(_)))
            {
                return Poll::Ready(Err(self.client_gone()));
            }
            let Some(upstream) = &self.upstream else { return Poll::Ready(Err(End::Close)) };
            let ready = ready!(upstream.poll_read_ready(cx));
            let mut buffer = self.response.take().unwrap_or_else(Buffer::large);
            let first = buffer.is_empty();
            let read = ready.map_or_else(|error| Some(Err(error)), |()| upstream.read(&mut buffer));
            match read {
                Some(Ok(0)) => {
                    return Poll::Ready(Err(self.upstream_failed(io::ErrorKind::UnexpectedEof, first)));
                }
                Some(Err(error)) => return Poll::Ready(Err(self.upstream_failed(error.kind(), first))),
                Some(Ok(_)) => {}
                None => {
                    self.response = Some(buffer).filter(|buffer| !buffer.is_empty());
                    continue;
                }
            }
            match self.take_heads(buffer) {
                Ok(true) => return Poll::Ready(Ok(())),
                Ok(false) => {}
                Err(end) => return Poll::Ready(Err(end)),
            }
        }
    }

    /// Takes all heads that are whole; true when the final one was among them.
    fn take_heads(&mut self, mut buffer: Buffer) -> Result<bool, End> {
        loop {
            match parse_response(buffer.filled(), &crate::LIMITS, self.record.facts.method) {
                Err(reject) => return Err(self.bad_answer(reject.to_string())),
                Ok(Some(head)) if head.is_interim() => {
                    self.take_interim(&head, buffer.filled())?;
                    buffer.consume(head.len);
                }
                Ok(Some(head)) => return self.begin_response(&head, buffer).map(|()| true),
                Ok(None) => {
                    let buffer = if buffer.is_full() { buffer.grown() } else { buffer };
                    if buffer.is_full() {
                        return Err(self.bad_answer(Reject::HeadTooLarge.to_string()));
                    }
                    self.response = Some(buffer).filter(|buffer| !buffer.is_empty());
                    return Ok(false);
                }
            }
        }
    }

    /// An interim answer goes on to a client that can know it (RFC 9110 section 15.2).
    fn take_interim(&mut self, head: &ResponseHead, buf: &[u8]) -> Result<(), End> {
        if !self.record.facts.http10 {
            let mut out = Vec::new();
            HeadWriter::response(&mut out, buf, head)
                .keep(&head.fields, http1::FieldSet::HOP_BY_HOP)
                .finish();
            if !self.down.lead_more(&out) {
                return Err(self.bad_answer("more interim answers than the client takes".to_owned()));
            }
        }
        Ok(())
    }

    /// The final head: decides about both connections and makes the pump for the body, led by the head.
    fn begin_response(&mut self, head: &ResponseHead, mut buffer: Buffer) -> Result<(), End> {
        let facts = self.record.facts;
        if head.upgrade && !facts.upgrade || head.status == 101 && !head.upgrade {
            return Err(self.bad_answer("switched protocols unasked".to_owned()));
        }
        let framing = if head.upgrade { BodyFraming::UntilClose } else { head.body };
        let form = match framing {
            _ if head.upgrade => Form::Raw,
            BodyFraming::Chunked if facts.http10 => Form::Unwrapped,
            BodyFraming::UntilClose if !facts.http10 => Form::Chunked,
            _ => Form::Raw,
        };
        let endless = facts.http10 && matches!(framing, BodyFraming::Chunked | BodyFraming::UntilClose);
        self.keep_client = facts.keep_alive && !endless && !head.upgrade && !self.client.worker.is_closing();
        self.keep_upstream = head.keep_alive && framing != BodyFraming::UntilClose;
        let connection = match (head.upgrade, self.keep_client, facts.http10) {
            (true, ..) => Connection::Upgrade,
            (_, false, _) => Connection::Close,
            (_, true, true) => Connection::KeepAlive,
            (_, true, false) => Connection::Silent,
        };
        let response = Response {
            id: self.record.get(self.record.id),
            connection,
            chunk: form == Form::Chunked,
            unchunk: facts.http10,
        };
        let mut out = self.client.worker.scratch.take();
        out.clear();
        headers::to_client(&mut out, buffer.filled(), head, response);
        buffer.consume(head.len);
        let interim = self.down.take_unsent();
        let sent = self.down.written();
        self.down = Pump::new(framing, form, u64::MAX).with_large_buffers().counting_from(sent);
        let fed = self.down.feed(buffer);
        self.down.lead(&out);
        if !interim.is_empty() {
            self.down.lead_first(interim);
        }
        self.client.worker.scratch.set(out);
        fed.map_err(|reject| self.bad_answer(reject.to_string()))?;
        self.record.status = head.status;
        self.stage = Stage::Body;
        if head.upgrade {
            self.begin_upgrade();
        }
        Ok(())
    }

    /// From now on bytes go both ways as they come; what the client sent ahead goes first.
    fn begin_upgrade(&mut self) {
        self.stage = Stage::Upgraded { up_ended: false, down_ended: false };
        let mut up = Box::new(Pump::new(BodyFraming::UntilClose, Form::Raw, u64::MAX));
        if let Some(ahead) = self.client.pending.take() {
            // A body that ends with the connection has no form that could be wrong.
            let _ = up.feed(ahead);
        }
        self.job.body = Some(up);
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
                    return Poll::Ready(self.cut(format!("the instance broke off its answer: {kind}")));
                }
                Poll::Ready(Err(PumpError::Rejected(reject))) => {
                    return Poll::Ready(self.cut(format!("the instance's answer is malformed: {reject}")));
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
        if up_ended && down_ended { Poll::Ready(End::Close) } else { Poll::Pending }
    }

    /// The answer was read: the instance is free, and so is the connection if the request was sent whole.
    fn release_upstream(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        let now = Instant::now();
        self.record.upstream_ended(now);
        self.record.upstream = claim.release();
        let whole = self.is_sent() && self.head_sent >= self.record.head_len && !self.up_gone;
        let clean = self.keep_upstream && !self.down.has_rest();
        if let (true, Some(stream), Some(instance)) =
            (whole && clean, self.upstream.take(), &self.record.upstream)
        {
            self.client.worker.pool.put(instance.key, stream, now);
        }
        self.upstream = None;
    }

    /// Whatever happened, the claim ends with the exchange, and the record has its figures.
    fn settle(&mut self, end: &End) {
        self.record.sent += self.down.written();
        if let Some(claim) = self.claim.take() {
            if !matches!(end, End::Repeat) {
                self.record.upstream_ended(Instant::now());
            }
            self.record.upstream = claim.release();
        }
        self.upstream = None;
    }

    fn count_failure(&self) {
        if let Some(instance) = self.claim.as_ref().and_then(Claim::instance) {
            instance.count_failure();
        }
    }

    fn client_gone(&mut self) -> End {
        if self.stage == Stage::Head {
            self.record.status = 499;
        }
        self.record.cause = Some(Cow::Borrowed("the client closed the connection"));
        End::Close
    }

    fn cut(&mut self, cause: String) -> End {
        self.count_failure();
        self.record.cause = Some(cause.into());
        End::Close
    }

    fn refused(&mut self, status: u16, cause: impl Into<Cow<'static, str>>) -> End {
        self.record.cause = Some(cause.into());
        // Half an interim answer cannot be taken back.
        if self.down.is_writing() && self.down.written() > 0 {
            return End::Close;
        }
        let close = !self.is_sent();
        End::Refused(Refusal { close, cause: None, ..Refusal::new(status, "") })
    }

    fn bad_answer(&mut self, what: String) -> End {
        self.count_failure();
        self.refused(502, format!("the instance's answer is malformed: {what}"))
    }

    fn upstream_failed(&mut self, kind: io::ErrorKind, first: bool) -> End {
        if first && self.may_repeat && self.down.written() == 0 {
            return End::Repeat;
        }
        self.count_failure();
        self.refused(502, format!("the instance closed the connection before its answer: {kind}"))
    }

    fn body_refused(&mut self, reject: Reject) -> End {
        if self.stage != Stage::Head {
            return self.cut(format!("the request's body was refused: {reject}"));
        }
        self.refused(reject.status(), reject.to_string())
    }

    fn timed_out(&mut self) -> End {
        match self.stage {
            Stage::Upgraded { .. } => {
                self.record.cause = Some(Cow::Borrowed("silent for too long"));
                End::Close
            }
            Stage::Body if self.down.is_writing() => {
                self.record.cause = Some(Cow::Borrowed("the client does not take its answer"));
                End::Close
            }
            Stage::Body => self.cut("the instance fell silent inside its answer".to_owned()),
            Stage::Head
                if !self.is_sent()
                    && !self.up_gone
                    && !self.job.body.as_ref().is_some_and(|body| body.is_writing()) =>
            {
                self.refused(408, "the request's body did not arrive in time")
            }
            Stage::Head => {
                self.count_failure();
                self.refused(504, "the instance did not answer in time")
            }
        }
    }
}
