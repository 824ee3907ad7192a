//! From the instance's first byte to the head the client gets: interim answers pass, the final head decides about both
//! connections and about the body's form.

use super::{End, Relay, Stage};
use crate::LIMITS;
use crate::body::{Form, Pump};
use crate::buffer::Buffer;
use crate::headers::{self, Connection, Response};
use crate::policy::response::change_head;
use http1::{BodyFraming, FieldSet, HeadWriter, Reject, ResponseHead, parse_response};
use std::io;
use std::task::{Context, Poll, ready};

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
        let framing = if head.upgrade { BodyFraming::UntilClose } else { head.body };
        let form = match framing {
            _ if head.upgrade => Form::Raw,
            BodyFraming::Chunked if facts.http10 => Form::Unwrapped,
            BodyFraming::UntilClose if !facts.http10 => Form::Chunked,
            _ => Form::Raw,
        };
        let endless = facts.http10 && matches!(framing, BodyFraming::Chunked | BodyFraming::UntilClose);
        // Overtaken by its answer, a body may never come: it is not waited for, and the client is told (RFC 9112 section 9.6).
        self.keep_client = facts.keep_alive
            && !endless
            && !head.upgrade
            && self.is_sent()
            && !self.client.worker.is_closing();
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
        headers::to_client(&mut out, buffer.filled(), head, response, |out| {
            // Another protocol begins: there is nothing to protect, and nobody who would read it.
            if !head.upgrade {
                change_head(self.record, out, 0);
            }
        });
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
}
