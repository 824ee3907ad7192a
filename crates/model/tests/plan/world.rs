//! A simulated host: processes, an edge with claims, a keeper that may die, and a clock. Everything that takes time is a
//! [`Happening`] in a queue; every step of the plan is checked before it is executed ([`crate::invariants`]). Who
//! does what is in [`crate::keeper`], [`crate::edge`] and [`crate::fate`].

use crate::house::{SECOND, an_app, id};
use model::network::NeedCondition::{self, Completed, Healthy, Started};
use model::observed::{End, Event, Moment, Observed};
use model::plan::{AppDesired, Desired};
use model::spec::{Listen, RestartPolicy};
use model::{AppId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest time from start to ready, and to the end after a stop.
pub const START_PERIOD: Duration = Duration::from_secs(5);
pub const STOP_TIMEOUT: Duration = Duration::from_secs(4);
pub const DRAIN: Duration = Duration::from_secs(6);

/// How the processes of one specification behave.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// From start to ready; none: never.
    pub ready_after: Option<Duration>,
    /// From start to an end of its own; none: none.
    pub lives: Option<Duration>,
    /// The exit status of that.
    pub status: i32,
}

/// What somebody wants, or what fate has in store.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Crash { app: usize, pick: usize },
    Sick { app: usize, pick: usize, lasts: Duration },
    Wear { app: usize, pick: usize },
    Tight { app: usize, is_tight: bool },
    Reload { app: usize, behaviour: Behaviour },
    Restart { app: usize },
    Scale { app: usize, instances: u32 },
    Stop { app: usize },
    Start { app: usize },
    StopAll,
    StartAll,
    Requests { app: usize, count: u32, last: Duration },
    KeeperDies { back_after: Duration },
}

#[derive(Debug, Clone)]
pub enum Happening {
    Order(Order),
    /// Its program was executed.
    Runs(InstanceId),
    Up(InstanceId),
    /// The supervisor's verdict on one that is not ready in time.
    Verdict(InstanceId),
    Dies(InstanceId, End),
    Heals(InstanceId),
    EndReported(InstanceId),
    EdgeApplies(u64, BTreeMap<InstanceId, bool>),
    ClaimEnds(InstanceId),
    Drained(InstanceId),
    KeeperIsBack,
    Wake,
}

/// A process, as it really is.
pub struct Process {
    pub spec: u64,
    pub born: Moment,
    pub up: bool,
    pub was_ready: bool,
    pub sick: bool,
    pub worn: bool,
    pub told_to_stop: bool,
    pub ended: Option<(End, Duration)>,
}

/// What is wanted of an app, and what changes that.
pub struct App {
    pub id: AppId,
    pub wanted: AppDesired,
    pub stopped: bool,
    pub candidate: Option<u64>,
    pub behaviours: BTreeMap<u64, Behaviour>,
}

pub struct World {
    pub now: Moment,
    pub queue: BTreeMap<(Moment, u64), Happening>,
    number: u64,
    random: u64,
    pub apps: Vec<App>,
    pub observed: Observed,
    pub processes: BTreeMap<InstanceId, Process>,
    pub used: BTreeSet<(AppId, u64)>,
    pub keeper_is_up: bool,
    pub published: Option<BTreeMap<InstanceId, bool>>,
    pub revision: u64,
    /// What the edge serves from: its revision, and for each instance whether it drains.
    pub edge: (u64, BTreeMap<InstanceId, bool>),
    pub claims: BTreeMap<InstanceId, u32>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let good = Behaviour { ready_after: Some(SECOND), lives: None, status: 1 };
        let app = |name: &str, instances, needs: &[(&str, NeedCondition)], listen| App {
            id: id(name),
            wanted: AppDesired {
                instances,
                needs: needs.iter().map(|(need, _)| need.parse().unwrap()).collect(),
                needs_how: needs.iter().map(|(need, how)| (need.parse().unwrap(), *how)).collect(),
                listen,
                start_period: START_PERIOD,
                restart: model::spec::RestartSpec { max_restarts: 3, ..an_app().restart },
                stop: model::spec::StopSpec { signal: 15, timeout: STOP_TIMEOUT, drain: DRAIN },
                ..an_app()
            },
            stopped: false,
            candidate: None,
            behaviours: BTreeMap::from([(1, good)]),
        };
        let mut apps = vec![
            app("db", 1, &[], Listen::Port(5432)),
            app("back", 2, &[("db", Healthy), ("work", Completed)], Listen::Socket),
            app("front", 3, &[("back", Healthy)], Listen::AnyPort),
            app("work", 1, &[("db", Healthy)], Listen::Nothing),
            app("tail", 1, &[("front", Started)], Listen::Nothing),
        ];
        apps[3].wanted.restart.policy = RestartPolicy::OnFailure;
        let lives = Some(3 * SECOND);
        apps[3].behaviours.insert(1, Behaviour { lives, status: 0, ..good });
        Self {
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            number: 0,
            random: seed | 1,
            apps,
            observed: Observed::default(),
            processes: BTreeMap::new(),
            used: BTreeSet::new(),
            keeper_is_up: true,
            published: None,
            revision: 0,
            edge: Default::default(),
            claims: BTreeMap::new(),
        }
    }

    /// Below `bound`; xorshift, so that a seed is a story.
    pub fn random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.random(bound))
    }

    pub fn later(&mut self, after: Duration, happening: Happening) {
        self.number += 1;
        self.queue.insert((self.now + after, self.number), happening);
    }

    /// Lets everything happen until `end`.
    pub fn run(&mut self, end: Moment) {
        self.react();
        let mut count = 0;
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.now = entry.key().0;
            let happening = entry.remove();
            self.happen(happening);
            self.react();
            count += 1;
            assert!(count < 50_000, "it never comes to rest");
        }
        self.now = end;
    }

    pub fn desired(&self) -> Desired {
        let apps = self.apps.iter().map(|app| {
            let mut wanted = app.wanted.clone();
            wanted.keep_outdated = app.candidate.is_some();
            wanted.spec = app.candidate.unwrap_or(wanted.spec);
            if app.stopped {
                wanted.instances = 0;
            }
            (app.id.clone(), wanted)
        });
        Desired { apps: apps.collect() }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Order(order) => self.order(order),
            Happening::Runs(id) => self.runs(id),
            Happening::Up(id) => {
                if let Some(process) = self.processes.get_mut(&id) {
                    process.up = process.ended.is_none();
                }
                self.probe(&id);
            }
            Happening::Heals(id) => {
                if let Some(process) = self.processes.get_mut(&id) {
                    process.sick = false;
                }
                self.probe(&id);
            }
            Happening::Verdict(id) => self.verdict(&id),
            Happening::Dies(id, end) => self.dies(&id, end),
            Happening::EndReported(id) => self.end_reported(&id),
            Happening::EdgeApplies(revision, table) => self.edge_applies(revision, table),
            Happening::ClaimEnds(id) => self.claim_ends(&id),
            Happening::Drained(instance) if self.keeper_is_up => {
                self.observed.apply(Event::Drained { instance }, self.now);
            }
            Happening::KeeperIsBack => self.keeper_is_back(),
            Happening::Drained(_) | Happening::Wake => {}
        }
    }
}
