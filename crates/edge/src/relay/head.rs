//! From the instance's first byte to the head the client gets: interim answers pass, the final head decides about both
//! connections and about the body's form.

use super::{End, Relay, Stage};
use crate::LIMITS;
use crate::answer::forwarded_wants_json;
use crate::body::{Form, Pump};
use crate::buffer::Buffer;
use crate::date;
use crate::error_page::Refusal;
use crate::headers::{self, Connection, Response};
use crate::instance::Claim;
use crate::policy::lines;
use crate::policy::response::Answering;
use crate::policy::response::compress::Verdict;
use crate::sticky;
use http1::{BodyFraming, FieldId, FieldSet, HeadWriter, Reject, ResponseHead, parse_response};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use wire::failure::Cause;

impl Relay<'_> {
    /// Reads until the final head is there, and takes it.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
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
            match parse_response(buffer.filled(), &LIMITS, self.record.facts.method) {
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
            HeadWriter::response(&mut out, buf, head).keep(&head.fields, FieldSet::HOP_BY_HOP).finish();
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
        if head.upgrade && !self.is_sent() {
            return Err(self.bad_answer("switched protocols before the request's end".to_owned()));
        }
        self.count_answer();
        self.job.body.iter_mut().for_each(|body| body.forget());
        let framing = if head.upgrade { BodyFraming::UntilClose } else { head.body };
        self.keep_upstream = head.keep_alive && framing != BodyFraming::UntilClose;
        if self.is_replaced(head.status) {
            return Err(self.replace(head, buffer));
        }
        let form = match framing {
            _ if head.upgrade => Form::Raw,
            BodyFraming::Chunked if facts.http10 => Form::Unwrapped,
            BodyFraming::UntilClose if !facts.http10 => Form::Chunked,
            _ => Form::Raw,
        };
        let policy = self.record.policy().map(|policy| &policy.response);
        let compress = policy.and_then(|policy| policy.compress.as_ref());
        let verdict = compress.map_or(Verdict::Plain, |spec| spec.judge(facts, buffer.filled(), head));
        let varies = !matches!(verdict, Verdict::Plain);
        let encoding = if let Verdict::Encoded(encoding) = verdict { Some(encoding) } else { None };
        let coding = encoding.as_ref().map(|encoding| encoding.coding);
        let endless = facts.http10
            && (coding.is_some() || matches!(framing, BodyFraming::Chunked | BodyFraming::UntilClose));
        // Overtaken by its answer, a body may never come: it is not waited for, and the client is told (RFC 9112 section 9.6).
        self.keep_client = facts.keep_alive
            && !endless
            && !head.upgrade
            && self.is_sent()
            && !self.client.worker.is_leaving();
        let response = Response {
            id: self.record.get(self.record.id),
            connection: Connection::of(head.upgrade, self.keep_client, facts.http10),
            chunk: form == Form::Chunked || coding.is_some() && !facts.http10,
            unchunk: facts.http10,
            coding,
        };
        let mut out = self.client.worker.scratch.take();
        out.clear();
        let instance = self.claim.as_ref().and_then(Claim::instance);
        let news = instance.and_then(|instance| self.job.upstream.news(instance, self.job.wish));
        let undated = head.field(FieldId::Date).is_none() && !head.upgrade;
        let now = undated.then(|| self.client.worker.log.wall(Instant::now()));
        headers::to_client(&mut out, buffer.filled(), head, response, |out| {
            if let Some(now) = now {
                date::add(out, now);
            }
            // Where another protocol begins there is nothing to protect, and nobody who would read it.
            if let Some(policy) = policy.filter(|_| !head.upgrade) {
                policy.change_forwarded(out, Answering::of(self.record), buffer.filled(), &head.fields);
            }
            if varies {
                lines::add_vary(out, 0, b"Accept-Encoding");
            }
            if let Some((cookie, tag)) = news {
                sticky::add_line(out, cookie, tag, facts.https);
            }
        });
        buffer.consume(head.len);
        let pump = Pump::new(framing, form, u64::MAX).with_encoding(encoding);
        let fed = self.begin_body(pump, &out, buffer);
        self.client.worker.scratch.set(out);
        fed.map_err(|reject| self.bad_answer(reject.to_string()))?;
        self.record.status = head.status;
        self.stage = Stage::Body;
        if head.upgrade {
            self.begin_upgrade();
        }
        Ok(())
    }

    /// What came with the head, behind what waits already and the new head.
    fn begin_body(&mut self, pump: Pump, head: &[u8], came: Buffer) -> Result<(), Reject> {
        let interim = self.down.take_unsent();
        self.down = pump.with_large_buffers().counting_from(self.down.written());
        let fed = self.down.feed(came);
        self.down.lead(head);
        if !interim.is_empty() {
            self.down.lead_first(interim);
        }
        fed
    }

    /// The application's answer with this status gives way to a page of the user's.
    fn is_replaced(&self, status: u16) -> bool {
        let pages = self.record.policy().and_then(|policy| policy.response.pages.as_ref());
        pages.is_some_and(|pages| pages.replaces(status)) && !forwarded_wants_json(self.record)
    }

    /// Its body is not waited for: the connection goes back to the pool only where all of it is here.
    fn replace(&mut self, head: &ResponseHead, mut buffer: Buffer) -> End {
        let mut lines = Vec::new();
        let kept = |id| matches!(id, FieldId::RetryAfter | FieldId::SetCookie | FieldId::WwwAuthenticate);
        for field in head.fields.iter().filter(|field| kept(field.id)) {
            lines.extend_from_slice(field.line.of(buffer.filled()));
        }
        buffer.consume(head.len);
        let mut body = Pump::new(head.body, Form::Raw, u64::MAX);
        self.keep_upstream &= body.feed(buffer).is_ok() && body.is_read() && !body.has_rest();
        self.release_upstream();
        // Half an interim answer cannot be taken back.
        if self.down.is_writing() && self.down.written() > 0 {
            return End::Close;
        }
        let close = !self.is_sent();
        let lines = Some(lines.into());
        let page = Refusal::new(head.status, Cause::Application, "");
        End::Refused(Refusal { close, lines, cause: None, ..page })
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
}
