//! Challenges of authorities on their way to the edge, and who waits until they, or new certificates, are served.
//!
//! ```text
//! task ─ present ─▶ shown in the next snapshot ─ sent with a revision ─▶ both edges say that they serve it ─▶ the task goes on
//! ```
//! Where no edge is there, it is waited for one. Who waits too long is told so.

use super::{Certificates, Event, orders::Served};
use certs::acme::{Challenge, Host};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use wire::snapshot::{Certificate, HttpChallenge};

/// Longest wait for an edge to serve a challenge.
const LONGEST: Duration = Duration::from_secs(60);

/// Where a task's challenges go.
pub(super) struct Edge {
    pub(super) run: u64,
    pub(super) events: mpsc::Sender<Event>,
}

#[async_trait::async_trait]
impl Host for Edge {
    async fn present(&self, challenges: &[Challenge]) -> Result<(), String> {
        let (shown, told) = oneshot::channel();
        let event = Event::Present { run: self.run, challenges: challenges.to_vec(), shown };
        let ending = || "the keeper is ending".to_owned();
        self.events.send(event).await.map_err(|_| ending())?;
        told.await.map_err(|_| ending())?
    }

    async fn withdraw(&self, challenges: &[Challenge]) {
        let event = Event::Withdraw { run: self.run, challenges: challenges.to_vec() };
        // A keeper that ends shows nothing any more.
        drop(self.events.send(event).await);
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Who has to know when a snapshot is served.
#[derive(Debug)]
pub(super) enum Then {
    /// A task: its challenges are there.
    Shown(oneshot::Sender<Result<(), String>>),
    /// The pair before is not needed any more.
    Served(Served),
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    /// The snapshot that has it; none: it was not sent yet.
    revision: Option<u64>,
    then: Then,
}

/// What is shown, by the task that asked for it, and who waits.
#[derive(Default)]
pub(super) struct Challenges {
    shown: Vec<(u64, Challenge)>,
    waiters: Vec<Waiter>,
}

impl std::fmt::Debug for Challenges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenges").field("shown", &self.shown.len()).finish_non_exhaustive()
    }
}

impl Challenges {
    /// Shows these for a task.
    pub(super) fn present(&mut self, run: u64, challenges: Vec<Challenge>) {
        self.shown.extend(challenges.into_iter().map(|challenge| (run, challenge)));
    }

    /// They need not be shown any more.
    pub(super) fn withdraw(&mut self, run: u64, challenges: &[Challenge]) {
        self.shown.retain(|(of, shown)| *of != run || !challenges.contains(shown));
    }

    /// A task is gone, and whatever it asked for.
    pub(super) fn forget(&mut self, run: u64) {
        self.shown.retain(|(of, _)| *of != run);
    }

    /// Does this when what there is now is served.
    pub(super) fn when_served(&mut self, then: Then) {
        self.waiters.push(Waiter { since: Instant::now(), revision: None, then });
    }
}

impl Certificates {
    /// Answers of HTTP-01, for the snapshot.
    pub(crate) fn http_challenges(&self) -> Vec<HttpChallenge> {
        let shown = self.orders.challenges.shown.iter();
        let http = shown.filter_map(|(_, challenge)| match challenge {
            Challenge::Http(own) => Some(own.clone()),
            Challenge::Alpn(_) => None,
        });
        http.collect()
    }

    /// Certificates of TLS-ALPN-01, for the snapshot.
    pub(crate) fn alpn_challenges(&self) -> Vec<Certificate> {
        let shown = self.orders.challenges.shown.iter();
        let alpn = shown.filter_map(|(_, challenge)| match challenge {
            Challenge::Alpn(own) => Some(own.clone()),
            Challenge::Http(_) => None,
        });
        alpn.collect()
    }

    /// What waits is in the snapshot of this revision, which every edge was sent; `serves` says since when all of them serve it.
    pub(crate) fn edges_serve(&mut self, sent: Option<u64>, served: Option<u64>) {
        let waiters = &mut self.orders.challenges.waiters;
        if waiters.is_empty() {
            return;
        }
        waiters.iter_mut().filter(|it| it.revision.is_none()).for_each(|it| it.revision = sent);
        let is_served = |it: &mut Waiter| it.revision.is_some_and(|of| served.is_some_and(|now| of <= now));
        for waiter in waiters.extract_if(.., is_served).collect::<Vec<_>>() {
            match waiter.then {
                // Whose task is gone does not hear it.
                Then::Shown(task) => drop(task.send(Ok(()))),
                Then::Served(pair) => pair.forget_former(),
            }
        }
    }

    /// Tells tasks that have waited too long.
    pub(super) fn give_up_waiting(&mut self) {
        let late = |it: &mut Waiter| it.since.elapsed() > LONGEST && matches!(it.then, Then::Shown(_));
        for waiter in self.orders.challenges.waiters.extract_if(.., late) {
            let Then::Shown(task) = waiter.then else { continue };
            let seconds = LONGEST.as_secs();
            let why = format!(
                "no edge has served the challenge within {seconds} s: see mainstay status, and logs/edge/edge.log of the home"
            );
            drop(task.send(Err(why)));
        }
    }
}
