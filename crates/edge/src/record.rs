//! One request's line in the access log, and the guard that writes it: exactly once, when the record is dropped, however
//! the exchange ended. A client's abort drops it like a proper end does.
//!
//! The texts it needs are kept in one allocation: the head that is sent to the instance, and behind it what that
//! does not show (the host without its port). Long exchanges cut it down to what the line needs ([`Record::shrink`]).

use crate::access_log::Lane;
use crate::failures;
use crate::failures::{Story, Tried};
use crate::headers::Facts;
use crate::instance::{Claim, Instance};
use crate::log_line;
use crate::metrics::{CacheStatus, Ended, Version};
use crate::policy::Policy;
use crate::policy::request::Held;
use crate::table::Route;
use crate::trace;
use crate::upstream::Upstream;
use crate::worker::Worker;
use http1::{FieldId, RequestHead};
use model::site::LogFormat;
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Cause;

/// Where a text lies in [`Record::text`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The bytes from `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Who was to answer a request, as the access log names it.
#[derive(Debug)]
pub enum Answerer {
    /// The edge itself.
    Edge,
    /// This upstream, none of whose instances could be tried.
    Upstream(Arc<Upstream>),
    /// The instance it was sent to last.
    Instance(Arc<Instance>),
}

/// What is known of a request; its drop writes the access log's line.
pub struct Record {
    worker: Rc<Worker>,
    /// When its first byte was read.
    pub started: Instant,
    /// The forwarded head, if there is one, then other texts.
    pub text: Vec<u8>,
    /// Length of the forwarded head in `text`.
    pub head_len: usize,
    /// Places in `text`.
    pub method: Place,
    /// Path and query.
    pub target: Place,
    /// Without port.
    pub host: Place,
    /// The request's id.
    pub id: Place,
    /// `Origin`, where the route's policies ask for it.
    pub origin: Place,
    /// Address of the client: the peer's, or what a trusted peer says.
    pub client: Rc<str>,
    /// What was answered; 499 when the client (or the edge) had gone before.
    pub status: u16,
    /// Bytes sent to the client, heads included.
    pub sent: u64,
    /// Bytes of the request, as passed on.
    pub received: u64,
    /// Number of its site in the metrics ([`crate::metrics::SiteNumbers`]); 0 while that is not known.
    pub site: u32,
    /// Where its line goes.
    pub lane: Lane,
    /// Spoken by the client.
    pub version: Version,
    /// Version of TLS (`TLSv1.3`), if the client came over it.
    pub tls: Option<&'static str>,
    /// What a cache had for it; none: none was asked.
    pub cache: Option<CacheStatus>,
    /// Trace id of its `traceparent`, or of the one begun here.
    pub trace: Place,
    /// Value of its `Referer`, and …
    pub referer: Place,
    /// … of its `User-Agent`: only where the log's form has them.
    pub agent: Place,
    /// Who was to answer it.
    pub answerer: Answerer,
    /// When it was.
    pub upstream_started: Option<Instant>,
    /// Time from then to the end of the answer (or its failure).
    pub upstream_time: Option<Duration>,
    /// When it ended; now, if nobody said so.
    pub ended: Option<Instant>,
    /// What the head said that is still needed.
    pub facts: Facts,
    /// Its route, once that is known.
    pub route: Option<Arc<Route>>,
    /// Places in limits on requests at a time, given back with it.
    pub held: Option<Box<Held>>,
    /// Why it fails, if it does.
    pub why: Option<Cause>,
    /// It was cut off in the middle of its answer.
    pub is_cut: bool,
    /// What else there is to say of it if it fails.
    pub story: Option<Box<Story>>,
    /// What went wrong, if anything did.
    pub cause: Option<Cow<'static, str>>,
}

impl Record {
    /// Of a request that begins now.
    pub fn new(worker: &Rc<Worker>, started: Instant, client: &Rc<str>) -> Self {
        worker.stats.begin();
        Self {
            worker: Rc::clone(worker),
            started,
            text: Vec::new(),
            head_len: 0,
            method: Place::default(),
            target: Place::default(),
            host: Place::default(),
            id: Place::default(),
            origin: Place::default(),
            client: Rc::clone(client),
            status: 0,
            sent: 0,
            received: 0,
            site: 0,
            lane: Lane::default(),
            version: Version::default(),
            tls: None,
            cache: None,
            trace: Place::default(),
            referer: Place::default(),
            agent: Place::default(),
            answerer: Answerer::Edge,
            upstream_started: None,
            upstream_time: None,
            ended: None,
            facts: Facts::default(),
            route: None,
            held: None,
            why: None,
            is_cut: false,
            story: None,
            cause: None,
        }
    }

    /// What applies to its route.
    pub fn policy(&self) -> Option<&Arc<Policy>> {
        self.route.as_ref().map(|route| &route.policy)
    }

    /// It is cut off in the middle of its answer.
    pub fn cut(&mut self, why: Cause) {
        self.why = Some(why);
        self.is_cut = true;
    }

    /// The instance that it was given to last does not answer it, and this is what became of it there.
    pub fn note_try(&mut self, outcome: impl Into<Cow<'static, str>>) {
        let Answerer::Instance(instance) = &self.answerer else { return };
        let tried =
            Tried { instance: Arc::clone(instance), after: self.started.elapsed(), outcome: outcome.into() };
        self.story.get_or_insert_default().add(tried);
    }

    /// It has waited for an instance for so long.
    pub fn note_held(&mut self, held: Duration) {
        self.story.get_or_insert_default().held += held;
    }

    /// How long it has waited for an instance; none: it did not.
    pub fn held_for(&self) -> Option<Duration> {
        self.story.as_ref().map(|story| story.held).filter(|held| !held.is_zero())
    }

    /// Adds a text behind what is there.
    pub fn add(&mut self, bytes: &[u8]) -> Place {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Place::new(start, self.text.len())
    }

    /// Notes what only the log and the metrics want of a head.
    pub fn note(&mut self, buf: &[u8], head: &RequestHead) {
        self.received = head.len as u64;
        // A forwarded request has one, if only from here.
        if self.get(self.trace).is_empty()
            && let Some(parent) = trace::of(buf, head)
        {
            self.trace = self.add(parent.get(trace::ID).unwrap_or_default());
        }
        if self.worker.log.format() == LogFormat::Combined {
            self.referer = self.add(head.value(FieldId::Referer, buf).unwrap_or_default());
            self.agent = self.add(head.value(FieldId::UserAgent, buf).unwrap_or_default());
        }
    }

    /// The text at a place.
    pub fn get(&self, place: Place) -> &[u8] {
        self.text.get(place.range()).unwrap_or_default()
    }

    /// The path as the client asked for it, without its query.
    pub fn path(&self) -> &[u8] {
        self.get(self.target).split(|&byte| byte == b'?').next().unwrap_or_default()
    }

    /// The head to send to the instance.
    pub fn head(&self) -> &[u8] {
        self.text.get(..self.head_len).unwrap_or_default()
    }

    /// Ends the claim; its instance is the last one that was tried.
    pub fn release(&mut self, claim: Claim) {
        if let Some(instance) = claim.release() {
            self.answerer = Answerer::Instance(instance);
        }
    }

    /// The instance's answer has ended, or it has failed.
    pub fn upstream_ended(&mut self, now: Instant) {
        self.upstream_time = self.upstream_started.map(|started| now.saturating_duration_since(started));
    }

    /// Drops the head, which is not needed once an answer has begun. For exchanges that may last.
    pub fn shrink(&mut self) {
        if self.head_len == 0 {
            return;
        }
        let mut kept = Vec::with_capacity(self.text.len().saturating_sub(self.head_len) + 256);
        let places = [
            &mut self.method,
            &mut self.target,
            &mut self.host,
            &mut self.id,
            &mut self.origin,
            &mut self.trace,
            &mut self.referer,
            &mut self.agent,
        ];
        for place in places {
            let start = kept.len();
            kept.extend_from_slice(self.text.get(place.range()).unwrap_or_default());
            *place = Place::new(start, kept.len());
        }
        kept.shrink_to_fit();
        self.text = kept;
        self.head_len = 0;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let now = self.ended.unwrap_or_else(|| {
            // Nobody came to its end: its task was dropped, which only the worker's end does.
            self.cause.get_or_insert(Cow::Borrowed("cut at the end of the edge"));
            self.is_cut = self.status > 0;
            self.why = Some(Cause::EdgeEnded);
            Instant::now()
        });
        if self.status == 0 {
            self.status = 499;
            self.why.get_or_insert(Cause::ClientGone);
            self.cause.get_or_insert(Cow::Borrowed("the client closed the connection"));
        }
        if self.facts.http10 {
            self.version = Version::Http10;
        }
        self.worker.stats.end(self.version);
        let took = now.saturating_duration_since(self.started);
        let Self { status, received, sent, cache, .. } = *self;
        self.worker.count(self.site, Ended { status, received, sent, took, cache });
        if let Some(failure) = failures::of(self, &self.worker, now) {
            self.worker.log.fail(self.lane, failure);
        }
        self.worker.log.write(self.lane, |format, clock, out| match format {
            LogFormat::Json => log_line::json(self, clock.stamp(now), took, out),
            LogFormat::Combined => log_line::combined(self, clock.common(now), out),
        });
    }
}
