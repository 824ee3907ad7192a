//! A simulated host: processes, an edge with claims, a keeper that may die, and a clock. Everything that takes time is a
//! [`Happening`] in a queue; every step of the plan is checked before it is executed ([`crate::invariants`]).

use crate::house::{SECOND, an_app, id};
use crate::invariants;
use model::observed::{End, Event, Moment, Observed, Phase};
use model::plan::{AppDesired, Desired, Step, plan};
use model::spec::Listen;
use model::{AppId, InstanceId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest time from start to ready, and to the end after a stop.
pub const START_PERIOD: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
pub const DRAIN: Duration = Duration::from_secs(6);

/// How the processes of one specification behave.
#[derive(Debug, Clone, Copy)]
pub struct Behaviour {
    /// From start to ready; none: never.
    pub ready_after: Option<Duration>,
    /// From start to a crash; none: none.
    pub lives: Option<Duration>,
}

/// What somebody wants, or what fate has in store.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    Crash { app: usize, pick: usize },
    Sick { app: usize, pick: usize, lasts: Duration },
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
    queue: BTreeMap<(Moment, u64), Happening>,
    number: u64,
    random: u64,
    pub apps: Vec<App>,
    pub observed: Observed,
    pub processes: BTreeMap<InstanceId, Process>,
    pub used: BTreeSet<(AppId, u64)>,
    pub keeper_is_up: bool,
    published: Option<BTreeMap<InstanceId, bool>>,
    revision: u64,
    /// What the edge serves from: its revision, and for each instance whether it drains.
    edge: (u64, BTreeMap<InstanceId, bool>),
    pub claims: BTreeMap<InstanceId, u32>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let good = Behaviour { ready_after: Some(SECOND), lives: None };
        let app = |name: &str, instances, needs: &[&str], listen| App {
            id: id(name),
            wanted: AppDesired {
                instances,
                needs: needs.iter().map(|need| need.parse().unwrap()).collect(),
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
        let apps = vec![
            app("db", 1, &[], Listen::Port(5432)),
            app("back", 2, &["db"], Listen::Socket),
            app("front", 3, &["back"], Listen::AnyPort),
        ];
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
    fn random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
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

    /// The keeper: plan and execute until there is nothing to do, commit what is prepared, publish.
    fn react(&mut self) {
        if !self.keeper_is_up {
            return;
        }
        loop {
            let plan = plan(&self.desired(), &self.observed, self.now);
            let idle = plan.steps.is_empty();
            for step in plan.steps {
                invariants::before(self, &step);
                self.observed.apply(step.event(), self.now);
                self.execute(step);
            }
            if idle && !self.commit() {
                if let Some(next) = plan.next {
                    assert!(next > self.now, "a plan that is due at once");
                    self.later(next - self.now, Happening::Wake);
                }
                break;
            }
        }
        invariants::after(self);
        self.publish();
    }

    fn execute(&mut self, step: Step) {
        match step {
            Step::Start { instance, spec } => self.start(instance, spec),
            Step::Drain { instance } => {
                if !self.processes.get(&instance).is_some_and(|process| process.was_ready) {
                    self.observed.apply(Event::Drained { instance }, self.now);
                }
            }
            // One in sixteen orders is not heard: it has to be repeated.
            Step::Stop { instance, .. } if self.random(16) > 0 => self.tell_to_stop(&instance, End::Stopped),
            Step::Stop { .. } | Step::Forget { .. } => {}
        }
    }

    fn start(&mut self, instance: InstanceId, spec: u64) {
        self.used.insert((instance.app.clone(), instance.run));
        let app = self.apps.iter().find(|app| app.id == instance.app).unwrap();
        let behaviour = app.behaviours[&spec];
        if let Some(after) = behaviour.ready_after {
            self.later(after, Happening::Up(instance.clone()));
        }
        if let Some(after) = behaviour.lives {
            self.later(after, Happening::Dies(instance.clone(), End::Exited(1)));
        }
        self.later(START_PERIOD, Happening::Verdict(instance.clone()));
        let process = Process {
            spec,
            born: self.now,
            up: false,
            was_ready: false,
            sick: false,
            told_to_stop: false,
            ended: None,
        };
        self.processes.insert(instance, process);
    }

    fn tell_to_stop(&mut self, id: &InstanceId, end: End) {
        let takes = self.millis(STOP_TIMEOUT.as_millis() as u64);
        if let Some(process) = self.processes.get_mut(id) {
            process.told_to_stop = true;
            self.later(takes, Happening::Dies(id.clone(), end));
        }
    }

    /// Puts candidates whose instances are all ready in force. True if there was one.
    fn commit(&mut self) -> bool {
        let desired = self.desired();
        let mut any = false;
        for app in &mut self.apps {
            let Some(spec) = app.candidate else { continue };
            let wanted = desired.apps[&app.id].instances as usize;
            let of = |fits: &dyn Fn(&model::observed::Instance) -> bool| {
                self.observed.of(&app.id).filter(|instance| fits(instance)).count()
            };
            let in_place = matches!(app.wanted.listen, Listen::Port(_))
                && of(&|instance| instance.spec != spec && instance.phase.is_alive()) > 0;
            if in_place || of(&|instance| instance.spec == spec && instance.phase.is_ready()) >= wanted {
                app.wanted.spec = spec;
                app.candidate = None;
                any = true;
            }
        }
        any
    }

    fn publish(&mut self) {
        let table = self.observed.instances.values().filter_map(|instance| match instance.phase {
            Phase::Ready { .. } => Some((instance.id.clone(), false)),
            Phase::Draining { drained: false, .. } => Some((instance.id.clone(), true)),
            _ => None,
        });
        let table: BTreeMap<InstanceId, bool> = table.collect();
        if self.published.as_ref() != Some(&table) {
            self.published = Some(table.clone());
            self.revision += 1;
            let takes = self.millis(200);
            self.later(takes, Happening::EdgeApplies(self.revision, table));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Order(order) => self.order(order),
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

    fn pick(&self, app: usize, pick: usize) -> Option<InstanceId> {
        let app = &self.apps[app % self.apps.len()].id;
        let living = self.processes.iter().filter(|(id, process)| id.app == *app && process.ended.is_none());
        let living: Vec<&InstanceId> = living.map(|(id, _)| id).collect();
        living.get(pick % living.len().max(1)).map(|id| (*id).clone())
    }

    fn order(&mut self, order: Order) {
        let count = self.apps.len();
        match order {
            Order::Crash { app, pick } => {
                if let Some(id) = self.pick(app, pick) {
                    self.dies(&id, End::Signaled(9));
                }
            }
            Order::Sick { app, pick, lasts } => {
                let Some(id) = self.pick(app, pick) else { return };
                if let Some(process) = self.processes.get_mut(&id) {
                    process.sick = true;
                }
                self.probe(&id);
                self.later(lasts, Happening::Heals(id));
            }
            Order::Requests { app, count, last } => {
                let app = self.apps[app % self.apps.len()].id.clone();
                for _ in 0..count {
                    let takes = self.millis(last.as_millis() as u64 + 1);
                    self.claim(&app, takes);
                }
            }
            Order::KeeperDies { back_after } if self.keeper_is_up => {
                self.keeper_is_up = false;
                self.later(back_after, Happening::KeeperIsBack);
            }
            // Nobody takes orders while the keeper is away.
            _ if !self.keeper_is_up => {}
            Order::KeeperDies { .. } => {}
            Order::Reload { app, behaviour } => {
                let app = &mut self.apps[app % count];
                let spec = app.behaviours.len() as u64 + 1;
                app.behaviours.insert(spec, behaviour);
                app.candidate = Some(spec);
                self.observed.apply(Event::Cleared { app: app.id.clone() }, self.now);
            }
            Order::Restart { app } => {
                let app = &mut self.apps[app % count];
                let spec = app.behaviours.len() as u64 + 1;
                app.behaviours.insert(spec, app.behaviours[&app.wanted.spec]);
                app.wanted.spec = spec;
            }
            // A fixed port has one holder.
            Order::Scale { app, instances }
                if !matches!(self.apps[app % count].wanted.listen, Listen::Port(_)) =>
            {
                self.apps[app % count].wanted.instances = instances;
            }
            Order::Scale { .. } => {}
            Order::Stop { app } => self.apps[app % count].stopped = true,
            Order::Start { app } => self.apps[app % count].stopped = false,
            Order::StopAll => self.apps.iter_mut().for_each(|app| app.stopped = true),
            Order::StartAll => self.apps.iter_mut().for_each(|app| app.stopped = false),
        }
    }

    /// The supervisor's health check of one instance.
    fn probe(&mut self, id: &InstanceId) {
        let Some(process) = self.processes.get_mut(id) else { return };
        if !self.keeper_is_up || !process.up || process.told_to_stop || process.ended.is_some() {
            return;
        }
        let instance = id.clone();
        let event = if process.sick { Event::Unhealthy { instance } } else { Event::Ready { instance } };
        process.was_ready |= !process.sick;
        self.observed.apply(event, self.now);
    }

    fn verdict(&mut self, id: &InstanceId) {
        let phase = self.observed.instances.get(id).map(|instance| &instance.phase);
        let Some(Phase::Starting { since }) = phase else { return };
        if self.keeper_is_up && self.now >= *since + START_PERIOD {
            self.tell_to_stop(id, End::NotReady("refused".into()));
        }
    }

    fn dies(&mut self, id: &InstanceId, end: End) {
        let Some(process) = self.processes.get_mut(id).filter(|process| process.ended.is_none()) else {
            return;
        };
        process.ended = Some((end, self.now - process.born));
        self.claims.remove(id);
        let takes = self.millis(50);
        self.later(takes, Happening::EndReported(id.clone()));
    }

    fn end_reported(&mut self, id: &InstanceId) {
        if !self.keeper_is_up {
            return;
        }
        let Some(Process { spec, was_ready, ended: Some((end, uptime)), .. }) = self.processes.remove(id)
        else {
            return;
        };
        let of = |app: &&mut App| app.id == id.app && app.candidate == Some(spec);
        if let Some(app) = self.apps.iter_mut().find(of).filter(|_| !was_ready && end != End::Stopped) {
            app.candidate = None;
        }
        self.observed.apply(Event::Ended { instance: id.clone(), end, uptime }, self.now);
    }

    fn claim(&mut self, app: &AppId, takes: Duration) {
        let open = self.edge.1.iter().filter(|(id, draining)| id.app == *app && !**draining);
        let claims = |id: &InstanceId| self.claims.get(id).copied().unwrap_or(0);
        let Some(id) = open.map(|(id, _)| id).min_by_key(|id| claims(id)).cloned() else { return };
        let Some(process) = self.processes.get(&id).filter(|process| process.ended.is_none()) else { return };
        assert!(!process.told_to_stop, "{id} was told to stop and the edge still sends to it");
        *self.claims.entry(id.clone()).or_default() += 1;
        self.later(takes, Happening::ClaimEnds(id));
    }

    fn claim_ends(&mut self, id: &InstanceId) {
        if let Some(claims) = self.claims.get_mut(id) {
            *claims -= 1;
            if *claims == 0 {
                self.claims.remove(id);
            }
        }
        if self.edge.1.get(id) == Some(&true) {
            self.say_drained(id);
        }
    }

    fn edge_applies(&mut self, revision: u64, table: BTreeMap<InstanceId, bool>) {
        if revision <= self.edge.0 {
            return;
        }
        let draining: Vec<InstanceId> =
            table.iter().filter(|(_, draining)| **draining).map(|(id, _)| id.clone()).collect();
        self.edge = (revision, table);
        draining.iter().for_each(|id| self.say_drained(id));
    }

    fn say_drained(&mut self, id: &InstanceId) {
        if !self.claims.contains_key(id) {
            let takes = self.millis(100);
            self.later(takes, Happening::Drained(id.clone()));
        }
    }

    /// A new keeper: it knows the run numbers, finds the processes, and asks how they are.
    fn keeper_is_back(&mut self) {
        self.keeper_is_up = true;
        self.published = None;
        self.observed = Observed { runs: self.observed.runs.clone(), ..Observed::default() };
        let known: Vec<(InstanceId, u64)> =
            self.processes.iter().map(|(id, process)| (id.clone(), process.spec)).collect();
        for (instance, spec) in known {
            let phase = Phase::Starting { since: self.now };
            self.observed.apply(Event::Adopted { instance: instance.clone(), spec, phase }, self.now);
            self.probe(&instance);
            if self.processes.get(&instance).is_some_and(|process| process.ended.is_some()) {
                self.later(Duration::ZERO, Happening::EndReported(instance));
            } else {
                self.later(START_PERIOD, Happening::Verdict(instance));
            }
        }
    }
}
