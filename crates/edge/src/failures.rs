//! Failed requests, for `mainstay why`: what the edge knows of each, as [`wire::failure::Failure`].
//!
//! ```text
//! Refusal.why, relay ─▶ Record { why, story } ─ drop ─▶ of ─▶ LogBuffer::fail ─▶ the log writer's thread: mask ─▶ ring
//! ```
//! A failure is 5xx of whatever origin, 4xx of the edge's own, an answer cut off in its middle, or a client that went before its answer.
//! Only a failure costs anything here. No query, header, cookie or body is taken; host and path are masked by the writer, as in the access log.

pub mod ring;

use crate::instance::Instance;
use crate::record::{Answerer, Record};
use crate::request_id;
use crate::table::Handler;
use crate::worker::Worker;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wire::failure::{Cause, Failure, Try};

/// Bytes that are kept of a path, and of a host.
const LONGEST: usize = 1024;
/// Tries that are kept of a request.
const MOST_TRIES: usize = 16;

/// What is to be said of a failed request beyond its line in the access log. Most requests have none.
#[derive(Debug, Default)]
pub struct Story {
    /// Instances that it was given to and that did not answer it.
    pub tries: Vec<Tried>,
    /// How long it waited for one.
    pub held: Duration,
}

impl Story {
    /// One more. Who waits long may try often: the first ones are kept, and the last.
    pub fn add(&mut self, tried: Tried) {
        self.tries.truncate(MOST_TRIES - 1);
        self.tries.push(tried);
    }
}

/// An instance that did not answer.
#[derive(Debug)]
pub struct Tried {
    /// It.
    pub instance: Arc<Instance>,
    /// From the request's head to what became of it there.
    pub after: Duration,
    /// That.
    pub outcome: Cow<'static, str>,
}

/// What is to be kept of a request that has ended; none: it did not fail.
pub fn of(record: &Record, worker: &Worker, ended: Instant) -> Option<Failure> {
    let cause = cause(record)?;
    let took = ended.saturating_duration_since(record.started);
    let detail = match (&record.cause, cause) {
        (Some(text), _) => text.to_string(),
        (None, Cause::Application) => format!("the application answered {}", record.status),
        (None, _) => String::new(),
    };
    let host = text(record.get(record.host));
    let table = worker.table();
    let site = table.anywhere(record.get(record.host));
    let route = record.route.as_deref();
    let stack = route.map(|route| &route.stack).or(site.map(|entry| &entry.site.stack));
    Some(Failure {
        id: String::from_utf8_lossy(record.get(record.id)).into_owned(),
        at_ms: epoch_ms(worker.log.wall(record.started)),
        stack: stack.map(ToString::to_string).unwrap_or_default(),
        host,
        method: text(record.get(record.method)),
        path: text(record.get(record.target).split(|&byte| byte == b'?').next().unwrap_or_default()),
        route: route.map(|route| route.path.to_string()),
        status: record.status,
        cut: record.is_cut,
        cause,
        tries: tries(record, cause, &detail, took),
        upstream: route.and_then(|route| match &route.handler {
            Handler::Proxy(id) => Some(id.to_string()),
            Handler::Static(_) | Handler::Redirect(_) | Handler::Metrics | Handler::Dashboard => None,
        }),
        detail,
        held_ms: record.story.as_ref().map_or(0, |story| millis(story.held)),
        took_ms: millis(took),
    })
}

/// A handshake for a name that no certificate is for. There is no request yet: it gets an id of its own.
pub fn without_certificate(worker: &Worker, name: &str) -> Failure {
    let now = worker.log.wall(Instant::now());
    let mut id = [0; request_id::LEN];
    request_id::generate(now, &mut id);
    let host = text(name.as_bytes());
    let asked = if host.is_empty() { "a client that named no host".to_owned() } else { host.clone() };
    let stack = worker.table().anywhere(name.as_bytes()).map(|entry| entry.site.stack.to_string());
    Failure {
        id: String::from_utf8_lossy(&id).into_owned(),
        at_ms: epoch_ms(now),
        stack: stack.unwrap_or_default(),
        host,
        method: String::new(),
        path: String::new(),
        route: None,
        status: 0,
        cut: false,
        cause: Cause::NoCertificate,
        detail: format!("there is no certificate for {asked}: the handshake was refused"),
        upstream: None,
        tries: Vec::new(),
        held_ms: 0,
        took_ms: 0,
    }
}

/// Why it failed. What an application answers below 500 is its own business.
fn cause(record: &Record) -> Option<Cause> {
    match record.why.filter(|why| *why != Cause::Application) {
        Some(why) => Some(why),
        None if record.status < 500 => None,
        None if matches!(record.answerer, Answerer::Instance(_)) => Some(Cause::Application),
        None => Some(Cause::Other),
    }
}

/// All instances that it was given to; the last one with what became of it in the end.
fn tries(record: &Record, cause: Cause, detail: &str, took: Duration) -> Vec<Try> {
    let noted = record.story.as_ref().map(|story| story.tries.as_slice()).unwrap_or_default();
    let mut tries: Vec<Try> =
        noted.iter().map(|tried| of_try(&tried.instance, tried.after, &tried.outcome)).collect();
    // Where nobody could be reached, the last one is noted already.
    let unreached = matches!(cause, Cause::Refused | Cause::ConnectTimeout) && !noted.is_empty();
    if let Answerer::Instance(last) = &record.answerer
        && !unreached
    {
        let after = record
            .upstream_time
            .zip(record.upstream_started)
            .map_or(took, |(time, started)| started.saturating_duration_since(record.started) + time);
        tries.push(of_try(last, after, detail));
    }
    tries
}

fn of_try(instance: &Instance, after: Duration, outcome: &str) -> Try {
    Try {
        instance: instance.name.to_string(),
        release: instance.origin.release,
        pid: instance.origin.pid,
        after_ms: millis(after),
        outcome: outcome.to_owned(),
    }
}

/// At most [`LONGEST`] bytes. A path is cut between two segments: half an address would not be known, and not be masked.
fn text(bytes: &[u8]) -> String {
    if bytes.len() <= LONGEST {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let kept = bytes.get(..LONGEST).unwrap_or_default();
    let end = kept.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    String::from_utf8_lossy(kept.get(..end).unwrap_or_default()).into_owned() + "…"
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch.
pub fn epoch_ms(time: SystemTime) -> u64 {
    millis(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Origin;
    use crate::wake::Wake;

    #[test]
    fn a_request_that_tries_for_hours_keeps_few_of_its_tries() {
        let address = model::observed::Address::Tcp(([127, 0, 0, 1], 1).into());
        let wake = Wake::new().unwrap();
        let instance = Instance::new("s/a.1#1", address, Origin::default(), wake, Arc::default(), None);
        let mut story = Story::default();
        for second in 0..10_000 {
            let after = Duration::from_secs(second);
            story.add(Tried { instance: Arc::clone(&instance), after, outcome: "connect: refused".into() });
        }
        let seconds: Vec<u64> = story.tries.iter().map(|tried| tried.after.as_secs()).collect();
        assert_eq!(seconds, (0..15).chain([9_999]).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_path_is_cut_between_segments() {
        let long = format!("/{}/bob@example.org{}", "a".repeat(1000), "b".repeat(200));
        assert_eq!(text(long.as_bytes()), format!("/{}/…", "a".repeat(1000)));
        assert_eq!(text("x".repeat(2000).as_bytes()), "…");
        assert_eq!(text(b"/short"), "/short");
    }
}
