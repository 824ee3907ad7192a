//! How an exchange ends: the instance released, failures named, figures noted.

use super::{End, Relay, Stage};
use crate::admit::why;
use crate::circuit::Failed;
use crate::error_page::Refusal;
use crate::instance::Claim;
use http1::Reject;
use std::borrow::Cow;
use std::io;
use std::time::Instant;
use wire::failure::Cause;

/// However it ends, dropped by a worker that ends included: the claim ends with it, and the record has its figures.
impl Drop for Relay<'_> {
    fn drop(&mut self) {
        self.record.sent += self.down.written();
        let led = self.record.head_len as u64;
        self.record.received += self.job.body.as_ref().map_or(0, |up| up.written().saturating_sub(led));
        if let Some(claim) = self.claim.take() {
            self.record.upstream_ended(Instant::now());
            self.record.release(claim);
        }
    }
}

impl Relay<'_> {
    /// The answer was read: the instance is free, and so is the connection if the request was sent whole.
    pub(super) fn release_upstream(&mut self) {
        let Some(claim) = self.claim.take() else { return };
        let now = Instant::now();
        self.record.upstream_ended(now);
        let key = claim.instance().map(|instance| instance.key);
        self.record.release(claim);
        let whole = self.is_sent() && self.head_sent >= self.record.head_len && !self.up_gone;
        let clean = self.keep_upstream && !self.down.has_rest() && self.job.upstream.keeps_connections();
        if let (true, Some(stream), Some(key)) = (whole && clean, self.upstream.take(), key) {
            self.client.worker.pool.put(key, stream, now);
        }
        self.upstream = None;
    }

    /// The instance's side of a tunnel has ended: it works for this request no more.
    pub(super) fn release_tunnel(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.record.upstream_ended(Instant::now());
            self.record.release(claim);
        }
    }

    /// The final head is there.
    pub(super) fn count_answer(&mut self) {
        if let Some(claim) = &mut self.claim {
            claim.answered();
        }
        let instance = self.claim.as_ref().and_then(Claim::instance);
        if let (Some(instance), Some(sent)) = (instance, self.record.upstream_started) {
            instance.latency.add(sent, Instant::now());
        }
    }

    /// Its answer had begun.
    fn count_failure(&self) {
        if let Some(instance) = self.claim.as_ref().and_then(Claim::instance) {
            instance.count_failure();
        }
    }

    fn unanswered(&mut self) {
        if let Some(claim) = &mut self.claim {
            self.job.upstream.failed(claim, Failed::Unanswered);
        }
    }

    pub(super) fn client_gone(&mut self) -> End {
        if self.stage == Stage::Head {
            self.record.status = 499;
            self.record.why = Some(Cause::ClientGone);
        }
        self.record.cause = Some(Cow::Borrowed("the client closed the connection"));
        End::Close
    }

    /// The answer has begun and cannot be finished.
    pub(super) fn cut(&mut self, why: Cause, cause: String) -> End {
        self.count_failure();
        let why = self.or_overrun(why);
        self.record.cut(why);
        self.record.cause = Some(cause.into());
        End::Close
    }

    /// A connection that ends while its instance drains: the time to drain was over, and the instance was ended.
    pub(super) fn or_overrun(&self, why: Cause) -> Cause {
        let drains =
            self.claim.as_ref().and_then(Claim::instance).is_some_and(|instance| instance.is_draining());
        if drains && why == Cause::BrokenOff { Cause::DrainOverrun } else { why }
    }

    pub(super) fn refused(&mut self, status: u16, why: Cause, cause: impl Into<Cow<'static, str>>) -> End {
        let why = self.or_overrun(why);
        self.record.why = Some(why);
        self.record.cause = Some(cause.into());
        // Half an interim answer cannot be taken back.
        if self.down.is_writing() && self.down.written() > 0 {
            return End::Close;
        }
        let close = !self.is_sent();
        End::Refused(Refusal { close, cause: None, ..Refusal::new(status, why, "") })
    }

    pub(super) fn bad_answer(&mut self, what: String) -> End {
        self.unanswered();
        self.refused(502, Cause::BadAnswer, format!("the instance's answer is malformed: {what}"))
    }

    pub(super) fn upstream_failed(&mut self, kind: io::ErrorKind, first: bool) -> End {
        // Over HTTP/2 an instance can say that it has not looked at a request: that one is safe to send twice whatever it is.
        let unseen = kind == io::ErrorKind::ConnectionRefused && self.reused && self.job.body.is_none();
        // A connection that was kept may have ended before the request came: that is nobody's failure.
        if !self.reused {
            self.unanswered();
        }
        if first && (self.may_repeat || unseen) && self.down.written() == 0 {
            return End::Repeat;
        }
        if self.reused {
            self.unanswered();
        }
        let unkept = self.record.facts.method.is_idempotent()
            && self.job.body.as_ref().is_some_and(|body| !body.is_kept());
        let why_once = if unkept { "; its body was not kept for another try" } else { "" };
        self.refused(
            502,
            Cause::BrokenOff,
            format!("the instance closed the connection before its answer: {kind}{why_once}"),
        )
    }

    pub(super) fn body_refused(&mut self, reject: Reject) -> End {
        if self.stage != Stage::Head {
            return self.cut(why(reject), format!("the request's body was refused: {reject}"));
        }
        self.refused(reject.status(), why(reject), reject.to_string())
    }

    pub(super) fn timed_out(&mut self) -> End {
        match self.stage {
            Stage::Upgraded { up_ended, down_ended } if up_ended || down_ended => End::Close,
            Stage::Upgraded { .. } => {
                self.record.cause = Some(Cow::Borrowed("silent for too long"));
                End::Close
            }
            Stage::Body if self.down.is_writing() => {
                self.record.cause = Some(Cow::Borrowed("the client does not take its answer"));
                End::Close
            }
            Stage::Body => {
                self.cut(Cause::ReadTimeout, "the instance fell silent inside its answer".to_owned())
            }
            Stage::Head if self.awaits_body() => {
                self.refused(408, Cause::SlowClient, "the request's body did not arrive in time")
            }
            Stage::Head => {
                self.unanswered();
                if self.is_sent() || self.up_gone {
                    let patience = self.patience();
                    return self.refused(
                        504,
                        Cause::ReadTimeout,
                        format!("the instance did not answer within {patience} ms"),
                    );
                }
                let patience = self.patience();
                self.refused(
                    504,
                    Cause::SendTimeout,
                    format!("the instance took none of the request for {patience} ms"),
                )
            }
        }
    }
}
