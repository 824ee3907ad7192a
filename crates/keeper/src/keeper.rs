//! The loop: one message at a time is folded into the state; then changes are judged, a plan is made and executed, and the
//! edge gets what changed. Nothing else writes this state, so there is nothing to lock.

use crate::api;
use crate::bans::Bans;
use crate::beside::{Beside, Said};
use crate::builds::Builds;
use crate::certificates::{self, Certificates};
use crate::control::Call;
use crate::edge_host::{EdgeEvent, Recipe};
use crate::ending::Ending;
use crate::engine_host::EngineHost;
use crate::herald::Herald;
use crate::home::Home;
use crate::load::Load;
use crate::networks::Networks;
use crate::programs::Attempt;
use crate::publish::Parts;
use crate::recycle::{Look, Wear};
use crate::resolve::Found;
use crate::schedule::Schedule;
use crate::servers::{Servers, Verdict};
use crate::sockets::Sockets;
use crate::stack::Stack;
use crate::usage::Sampler;
use crate::{Options, Shutdown};
use certs::ticket::Tickets;
use model::observed::{Address, End, Moment, Observed, SlotId, SlotRecord};
use model::plan::{Desired, plan};
use model::{InstanceId, StackName};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Store;
use supervisor::{Report, Supervisor};
use sys::frame::FrameSocket;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;
use wire::edge::Stats;
use wire::snapshot::{Certificate, StickyKey};

/// Last lines of output that a failure shows.
pub(crate) const LAST_LINES: usize = 30;
/// Time between two looks at everything, whatever happens: the net under all events. Also how often foreign host
/// names are looked up again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Time between two looks at what wears out, how much there is to do, and what is due.
const BEAT: Duration = Duration::from_secs(1);
/// Time between two looks at what others change on the disk: certificates.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);

/// What is known of an instance beyond what the plan needs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) fingerprint: u64,
    pub(crate) pid: Option<u32>,
    pub(crate) address: Option<Address>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) was_ready: bool,
    /// Why its health command says nothing.
    pub(crate) not_asked: Option<String>,
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
    /// What was written down of `observed.slots`.
    pub(crate) kept_slots: BTreeMap<SlotId, SlotRecord>,
    pub(crate) supervisor: Supervisor,
    pub(crate) engine: EngineHost,
    pub(crate) recipe: Recipe,
    pub(crate) lifetime: Option<Arc<OwnedFd>>,
    pub(crate) networks: Networks,
    pub(crate) edge: Option<Edge>,
    /// The second one, while one takes over from another.
    pub(crate) beside: Option<Beside>,
    /// What of it was not said by both yet.
    pub(crate) said_drained: Said,
    /// Time that connections of a leaving edge have.
    pub(crate) drain: Duration,
    /// The coming one is to be asked whether it serves.
    pub(crate) ask_coming: bool,
    /// The edge was started by this keeper.
    pub(crate) edge_is_new: bool,
    pub(crate) edge_generation: u64,
    pub(crate) edge_events: mpsc::Sender<EdgeEvent>,
    pub(crate) sockets: Sockets,
    pub(crate) herald: Herald,
    /// Addresses that could not be bound, and why; tried again by the timer.
    pub(crate) unserved: BTreeMap<SocketAddr, String>,
    pub(crate) found: Found,
    pub(crate) found_events: mpsc::Sender<Found>,
    pub(crate) certificates: Certificates,
    pub(crate) tickets: Tickets,
    pub(crate) sticky_key: StickyKey,
    pub(crate) bans: Bans,
    pub(crate) servers: Servers,
    pub(crate) builds: Builds,
    /// The edge has not been sent the listeners that there are now.
    pub(crate) listeners_due: bool,
    /// What the edge was sent last, without its revision.
    pub(crate) published: Option<Parts>,
    /// Revision of the snapshot that was sent last.
    pub(crate) sent: Option<u64>,
    pub(crate) stats: Stats,
    /// What was seen of instances that wear out.
    pub(crate) wear: Wear,
    /// What was asked of apps whose number of instances follows it.
    pub(crate) load: Load,
    /// When tasks are due.
    pub(crate) schedule: Schedule,
    /// What was used when it was last looked at, and how often was time to.
    pub(crate) sampler: Arc<Sampler>,
    pub(crate) beats: u32,
    /// Status calls that wait for the edge's figures.
    pub(crate) waiting: Vec<(api::StatusQuery, oneshot::Sender<api::Status>)>,
    /// Calls for metrics that wait for the edge's.
    pub(crate) metrics_waiting: Vec<oneshot::Sender<String>>,
    pub(crate) ending: Option<Ending>,
    /// What this keeper is to become when it has ended.
    pub(crate) hand_over: Option<Attempt>,
    /// How the trial went was said.
    pub(crate) trial_told: bool,
    pub(crate) tasks: TaskTracker,
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
    /// It takes certificates apart from snapshots.
    pub(crate) takes_certificates: bool,
    /// Those that it was sent last, and with which revision.
    pub(crate) certificates: Option<(u64, Arc<[Certificate]>)>,
}

/// Where the loop's messages come from.
pub(crate) struct Inbox {
    pub(crate) reports: mpsc::Receiver<Report>,
    pub(crate) edge: mpsc::Receiver<EdgeEvent>,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) found: mpsc::Receiver<Found>,
    pub(crate) servers: mpsc::Receiver<Verdict>,
    pub(crate) builds: mpsc::Receiver<supervisor::build::Report>,
    pub(crate) looks: mpsc::Receiver<Look>,
    pub(crate) certificates: mpsc::Receiver<certificates::Event>,
    pub(crate) shutdown: watch::Receiver<Shutdown>,
}

impl Keeper {
    /// Runs until it is told to end and everything that has to end has ended.
    /// Gives what it is to become then.
    pub(crate) async fn run(mut self, mut inbox: Inbox) -> Option<Attempt> {
        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut files = tokio::time::interval(LOOK_AT_FILES);
        files.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let hangup = Arc::clone(&self.options.hangup);
        if self.options.trial.is_some() {
            self.certificates.pause();
        }
        loop {
            let next = self.settle();
            let next = next.into_iter().chain(self.tell_manager()).min();
            if self.is_over() {
                if self.ending != Some(Ending::Alone) {
                    // A file left behind would be a ghost that the next keeper adopts.
                    self.supervisor.finished().await;
                    self.end_networks().await;
                }
                if self.ending != Some(Ending::Alone) {
                    self.engine.close().await;
                }
                self.remove_sockets();
                return self.hand_over;
            }
            tokio::select! {
                Some(report) = inbox.reports.recv() => self.instance(report),
                Some(event) = inbox.edge.recv() => self.edge_event(event),
                Some(call) = inbox.calls.recv() => self.answer(call).await,
                Some(found) = inbox.found.recv() => self.looked_up(found),
                Some(verdict) = inbox.servers.recv() => self.servers.fold(verdict),
                Some(report) = inbox.builds.recv() => self.build_ended(report),
                Some(look) = inbox.looks.recv() => self.memory_seen(look),
                Some(event) = inbox.certificates.recv() => self.certificates.fold(event, SystemTime::now()),
                changed = inbox.shutdown.changed() => {
                    let wanted = *inbox.shutdown.borrow();
                    self.shut_down(if changed.is_err() { Shutdown::Orderly } else { wanted });
                }
                () = hangup.notified() => self.reload_all().await,
                _ = look.tick() => self.look_again(),
                _ = beat.tick() => self.beat(),
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
        self.tell_room(&mut desired);
        desired
    }

    /// Judges changes, plans, executes, publishes. Gives the moment at which to do so again.
    fn settle(&mut self) -> Option<Moment> {
        self.judge();
        self.build();
        self.end_runs();
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
        self.keep_networks();
        self.keep_slots();
        self.certificates.keep(self.stacks.values(), SystemTime::now());
        let active = self.stacks.values().filter(|stack| !stack.removing).flat_map(|stack| &stack.active);
        let tried = active.flat_map(|active| crate::publish::tried(active, &self.found));
        self.servers.keep(tried.collect());
        self.publish();
        self.tell_what_is_served();
        // After the snapshot: what is spoken on an address is known before its first connection is accepted.
        self.hand_over_listeners();
        self.look_at_coming();
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

    /// What the timer does.
    fn look_again(&mut self) {
        self.look_up();
        self.look_at_networks();
        if !self.unserved.is_empty() {
            self.send_listeners();
        }
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
