//! The loop: one message at a time is folded into the state; then changes are judged, a plan is made and executed, and the
//! edge gets what changed. Nothing else writes this state, so there is nothing to lock.

use crate::api;
use crate::bans::Bans;
use crate::builds::Builds;
use crate::certificates::Certificates;
use crate::control::Call;
use crate::edge_host::{EdgeEvent, Recipe, Sockets};
use crate::home::Home;
use crate::publish::Parts;
use crate::resolve::Found;
use crate::servers::{Servers, Verdict};
use crate::stack::Stack;
use crate::{Options, Shutdown};
use certs::ticket::Tickets;
use model::observed::{Address, End, Event, Moment, Observed, Phase};
use model::plan::{Desired, plan};
use model::{InstanceId, StackName};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Store;
use supervisor::{Report, Supervisor, What};
use sys::frame::FrameSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use wire::edge::{Stats, ToEdge};

/// Last lines of output that a failure shows.
pub(crate) const LAST_LINES: usize = 30;
/// Time between two looks at everything, whatever happens: the net under all events. Also how often foreign host
/// names are looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Time between two looks at what others change on the disk: certificates.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);
/// `up`: time that requests under way have to end after Ctrl-C. Longer than a `drain` of three seconds: so an app that ends its
/// event streams on SIGTERM ends them cleanly, before the edge cuts them.
const UP_DRAIN: Duration = Duration::from_secs(5);

/// What is known of an instance beyond what the plan needs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) fingerprint: u64,
    pub(crate) pid: Option<u32>,
    pub(crate) address: Option<Address>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) was_ready: bool,
    /// Its step in the journal, until that is done.
    pub(crate) journal: Option<u64>,
}

/// Everything the keeper holds.
pub(crate) struct Keeper {
    pub(crate) options: Options,
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) born: Instant,
    pub(crate) stacks: BTreeMap<StackName, Stack>,
    pub(crate) observed: Observed,
    pub(crate) facts: HashMap<InstanceId, Facts>,
    pub(crate) supervisor: Supervisor,
    pub(crate) recipe: Recipe,
    pub(crate) lifetime: Option<Arc<OwnedFd>>,
    pub(crate) edge: Option<Edge>,
    pub(crate) edge_generation: u64,
    pub(crate) edge_events: mpsc::Sender<EdgeEvent>,
    pub(crate) sockets: Sockets,
    /// Addresses that could not be bound, and why; tried again by the timer.
    pub(crate) unserved: BTreeMap<SocketAddr, String>,
    pub(crate) found: Found,
    pub(crate) found_events: mpsc::Sender<Found>,
    pub(crate) certificates: Certificates,
    pub(crate) tickets: Tickets,
    pub(crate) bans: Bans,
    pub(crate) servers: Servers,
    pub(crate) builds: Builds,
    /// The edge has not been sent the listeners that there are now.
    pub(crate) listeners_due: bool,
    /// What the edge was sent last, without its revision.
    pub(crate) published: Option<Parts>,
    pub(crate) stats: Stats,
    /// Status calls that wait for the edge's figures.
    pub(crate) waiting: Vec<oneshot::Sender<api::Status>>,
    /// Calls for metrics that wait for the edge's.
    pub(crate) metrics_waiting: Vec<oneshot::Sender<String>>,
    pub(crate) ending: Option<Ending>,
    pub(crate) tasks: TaskTracker,
}

/// How the keeper is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Alone: apps and edge run on.
    Alone,
    /// After everything was drained and stopped in order.
    Orderly,
    /// After everything was killed.
    Now,
}

/// A connected edge.
pub(crate) struct Edge {
    pub(crate) socket: FrameSocket,
    pub(crate) generation: u64,
    pub(crate) pid: u32,
    /// What it serves from.
    pub(crate) revision: u64,
    /// Revision that it was sent last and has not answered to; 0 until it was sent one. None: it serves from all that is known.
    pub(crate) unanswered: Option<u64>,
}

/// Where the loop's messages come from.
pub(crate) struct Inbox {
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) edge: mpsc::Receiver<EdgeEvent>,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) found: mpsc::Receiver<Found>,
    pub(crate) servers: mpsc::Receiver<Verdict>,
    pub(crate) builds: mpsc::Receiver<supervisor::build::Report>,
    pub(crate) shutdown: watch::Receiver<Shutdown>,
}

impl Keeper {
    /// Runs until it is told to end and everything that has to end has ended.
    pub(crate) async fn run(mut self, mut inbox: Inbox) {
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut files = tokio::time::interval(LOOK_AT_FILES);
        files.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = self.settle();
            if self.is_over() {
                if self.ending != Some(Ending::Alone) {
                    // A file left behind would be a ghost that the next keeper adopts.
                    self.supervisor.finished().await;
                }
                return self.remove_sockets();
            }
            tokio::select! {
                Some(report) = inbox.reports.recv() => self.instance(report),
                Some(event) = inbox.edge.recv() => self.edge_event(event),
                Some(call) = inbox.calls.recv() => self.answer(call).await,
                Some(found) = inbox.found.recv() => self.looked_up(found),
                Some(verdict) = inbox.servers.recv() => self.servers.fold(verdict),
                Some(report) = inbox.builds.recv() => self.build_ended(report),
                changed = inbox.shutdown.changed() => {
                    let wanted = *inbox.shutdown.borrow();
                    self.shut_down(if changed.is_err() { Shutdown::Orderly } else { wanted });
                }
                _ = look.tick() => self.look_again(),
                _ = files.tick() => {
                    self.certificates.look(SystemTime::now());
                    self.refresh_bans();
                }
                () = until(self.born, next) => {}
            }
        }
    }

    /// The time that plans are made with.
    pub(crate) fn now(&self) -> Moment {
        self.born.elapsed()
    }

    /// What all stacks want.
    pub(crate) fn desired(&self) -> Desired {
        let mut desired = Desired::default();
        self.stacks.values().for_each(|stack| stack.desire(&mut desired));
        self.tell_builds(&mut desired);
        desired
    }

    /// Judges changes, plans, executes, publishes. Gives the moment at which to do so again.
    fn settle(&mut self) -> Option<Moment> {
        self.judge();
        self.build();
        let mut next = None;
        // Each round's steps are applied to what is observed; a plan that still finds something to do after so many
        // rounds is looked at again by the timer instead of spinning.
        for _ in 0..16 {
            let plan = plan(&self.desired(), &self.observed, self.now());
            next = plan.next;
            if plan.steps.is_empty() {
                break;
            }
            plan.steps.into_iter().for_each(|step| self.execute(step));
        }
        self.tidy();
        self.certificates.keep(self.stacks.values(), SystemTime::now());
        let active = self.stacks.values().filter(|stack| !stack.removing).flat_map(|stack| &stack.active);
        let tried = active.flat_map(|active| crate::publish::tried(active, &self.found));
        self.servers.keep(tried.collect());
        self.publish();
        // After the snapshot: what is spoken on an address is known before its first connection is accepted.
        self.hand_over_listeners();
        next
    }

    /// Commits every candidate that is ready, and gives up those that never will be.
    fn judge(&mut self) {
        let now = self.now();
        let ready = |stack: &Stack| {
            let looked_up = |revision| crate::publish::is_looked_up(revision, &self.found);
            stack.candidate.as_ref().is_some_and(looked_up)
                && stack.candidate_is_ready(&self.observed)
                && self.candidate_is_built(stack)
        };
        let ready: Vec<StackName> =
            self.stacks.values().filter(|stack| ready(stack)).map(|stack| stack.name.clone()).collect();
        ready.iter().for_each(|name| self.commit(name));
        let failed = self.stacks.values().filter_map(|stack| stack.failed_slot(&self.observed, now));
        let failed: Vec<(InstanceId, End)> = failed.collect();
        failed.iter().for_each(|(id, end)| self.give_up(id, end));
    }

    /// Folds what happened to an instance.
    pub(crate) fn instance(&mut self, Report { id, what }: Report) {
        let now = self.now();
        match what {
            What::Running { pid, address, started_ms } => {
                if let Some(facts) = self.facts.get_mut(&id) {
                    (facts.pid, facts.address, facts.started_ms) = (Some(pid), address, Some(started_ms));
                }
                self.finish_journal(&id);
            }
            What::Ready => {
                if self.enter(
                    &id,
                    "ready",
                    "its health check succeeded",
                    Event::Ready { instance: id.clone() },
                ) && let Some(facts) = self.facts.get_mut(&id)
                {
                    facts.was_ready = true;
                }
            }
            What::Unhealthy(reason) => {
                self.enter(&id, "unhealthy", &reason, Event::Unhealthy { instance: id.clone() });
            }
            What::Stopping => {
                self.enter(
                    &id,
                    "stopping",
                    "its shim was told to stop",
                    Event::Stopping { instance: id.clone() },
                );
            }
            What::Ended { end, uptime } => self.ended(id, end, uptime, now),
        }
    }

    /// Folds an event in, and notes it if it fits where the instance stands: the history's last word is what the next keeper
    /// goes on from. True: it does.
    fn enter(&mut self, id: &InstanceId, state: &str, reason: &str, event: Event) -> bool {
        let phase = |observed: &Observed| observed.instances.get(id).map(|instance| instance.phase.clone());
        let before = phase(&self.observed);
        self.observed.apply(event, self.now());
        let entered = before != phase(&self.observed);
        if entered {
            self.note(id, state, reason);
        }
        entered
    }

    fn ended(&mut self, id: InstanceId, end: End, uptime: Duration, now: Moment) {
        self.finish_journal(&id);
        self.supervisor.forget(&id);
        self.observed.apply(Event::Ended { instance: id.clone(), end, uptime }, now);
        // What is observed knows better whether a stop was asked for or was the verdict on a late start.
        let phase = self.observed.instances.get(&id).map(|instance| &instance.phase);
        let Some(Phase::Ended { end, .. }) = phase else { return };
        let end = end.clone();
        self.note(&id, "ended", &end.to_string());
        let Some(facts) = self.facts.get(&id).filter(|facts| !facts.was_ready) else { return };
        let fails = |stack: &Stack| stack.fails_candidate(&id, facts.fingerprint, &end);
        if end != End::Stopped && self.stacks.get(&id.app.stack).is_some_and(fails) {
            self.give_up(&id, &end);
        }
    }

    /// Gives the candidate up because of how this instance of it ended.
    fn give_up(&mut self, id: &InstanceId, end: &End) {
        let reason = format!("{} {end}{}", id.label(), self.last_lines(id));
        self.drop_change(&id.app.stack, reason);
    }

    /// Gives the candidate of this stack up.
    pub(crate) fn drop_change(&mut self, name: &StackName, reason: String) {
        let Some(stack) = self.stacks.get_mut(name) else { return };
        let Some(number) = stack.candidate.as_ref().map(|candidate| candidate.number) else { return };
        stack.drop_candidate(reason);
        let dropped = self.store.drop_candidate(name, number).map(drop);
        report_failure("recording the dropped change", dropped);
        self.keep_services(name);
        // What was bound for it alone is closed again.
        self.send_listeners();
    }

    /// What the timer does.
    fn look_again(&mut self) {
        self.look_up();
        if !self.unserved.is_empty() {
            self.send_listeners();
        }
    }

    /// What the owner of this keeper wants: a daemon leaves everything running, `up` leaves nothing.
    fn shut_down(&mut self, wanted: Shutdown) {
        report_failure("recording bans", self.store_bans());
        match (wanted, self.options.foreground) {
            (Shutdown::No, _) => {}
            (_, false) => self.end(Ending::Alone),
            (Shutdown::Orderly, true) => self.end(Ending::Orderly),
            (Shutdown::Now, true) => self.end(Ending::Now),
        }
    }

    /// Begins to end, or ends harder. The edge stops accepting first; instances are stopped when it has nothing left of theirs.
    pub(crate) fn end(&mut self, ending: Ending) {
        let first = self.ending.is_none();
        self.ending = self.ending.max(Some(ending));
        if first && ending >= Ending::Orderly {
            let deadline_ms = u64::try_from(UP_DRAIN.as_millis()).unwrap_or(u64::MAX);
            self.tell_edge(&ToEdge::Shutdown { deadline_ms });
            self.stacks.values_mut().for_each(|stack| stack.removing = true);
        }
        if ending == Ending::Now {
            self.tell_edge(&ToEdge::Shutdown { deadline_ms: 0 });
            self.supervisor.kill_all();
        }
    }

    /// Whether nothing is left to do.
    fn is_over(&self) -> bool {
        match self.ending {
            None => false,
            Some(Ending::Alone) => self.builds.is_idle(),
            Some(_) => self.builds.is_idle() && self.supervisor.is_empty() && self.edge.is_none(),
        }
    }

    /// Removes what nobody listens on any more.
    fn remove_sockets(&self) {
        let home = &self.home;
        let _ = std::fs::remove_file(home.control_socket());
        if self.ending == Some(Ending::Alone) {
            return;
        }
        let _ = std::fs::remove_file(home.edge_socket());
        let data = home.run().join("data");
        let services = std::fs::read_dir(&data).into_iter().flatten().flatten().map(|entry| entry.path());
        let shared = [home.run().join("shim"), home.run().join("app"), data, home.run().to_owned()];
        for folder in services.chain(shared) {
            let _ = std::fs::remove_dir(folder); // stays if an app left something of its own there
        }
    }

    /// Writes a change of an instance's state into the history (OBS-16).
    pub(crate) fn note(&self, id: &InstanceId, state: &str, reason: &str) {
        tracing::info!(instance = %id, state, reason, "instance");
        let (instance, state, reason) = (id.label(), state.to_owned(), reason.to_owned());
        let transition =
            store::Transition { app: id.app.clone(), instance, state, reason, at_ms: epoch_ms() };
        report_failure("writing the history", self.store.record(&transition));
    }

    /// The last lines an instance wrote, each on a line of its own, for a failure's text.
    pub(crate) fn last_lines(&self, id: &InstanceId) -> String {
        let logs = self.app_logs(&id.app, id.slot, self.facts.get(id).map(|facts| facts.fingerprint));
        let since = self.facts.get(id).and_then(|facts| facts.started_ms);
        crate::status::tail(&logs, since, LAST_LINES)
            .iter()
            .fold(String::new(), |text, line| text + "\n  " + line)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn epoch_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What could not be recorded does not stop the keeper: what runs serves on, and the log says what is missing.
pub(crate) fn report_failure(what: &str, result: Result<(), store::StoreError>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what} failed");
    }
}

async fn until(born: Instant, moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep_until((born + moment).into()).await,
        None => std::future::pending().await,
    }
}
