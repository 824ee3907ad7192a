//! What the tests have in common: one stack, a clock, and a way to say what happens.

use model::observed::{End, Event, Instance, Moment, Observed};
use model::plan::{AppDesired, Build, Desired, Plan, Step, plan};
use model::spec::{Listen, RestartPolicy, RestartSpec, StopSpec};
use model::{AppId, InstanceId};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

pub fn id(app: &str) -> AppId {
    AppId { stack: "s".parse().unwrap(), app: app.parse().unwrap() }
}

pub fn an_app() -> AppDesired {
    AppDesired {
        spec: 1,
        instances: 1,
        asleep: false,
        needs: Vec::new(),
        needs_how: Default::default(),
        listen: Listen::Socket,
        keep_outdated: false,
        in_place: false,
        restart: RestartSpec {
            policy: RestartPolicy::Always,
            delay: SECOND,
            max_delay: 60 * SECOND,
            min_uptime: 10 * SECOND,
            max_restarts: 10,
        },
        stop: StopSpec { signal: 15, timeout: 10 * SECOND, drain: 30 * SECOND },
        start_period: 60 * SECOND,
        build: Build::Done,
    }
}

#[derive(Default)]
pub struct House {
    pub desired: Desired,
    pub observed: Observed,
    pub now: Moment,
}

impl House {
    pub fn want(&mut self, app: &str, change: impl FnOnce(&mut AppDesired)) {
        change(self.desired.apps.entry(id(app)).or_insert_with(an_app));
    }

    pub fn needs(&mut self, app: &str, needs: &[&str]) {
        self.want(app, |app| app.needs = needs.iter().map(|need| need.parse().unwrap()).collect());
    }

    pub fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, self.now)
    }

    /// Executes plans until there is nothing to do; gives all their steps.
    pub fn settle(&mut self) -> Vec<Step> {
        let mut all = Vec::new();
        loop {
            let steps = self.plan().steps;
            if steps.is_empty() {
                return all;
            }
            assert!(all.len() < 1000, "no end: {steps:?}");
            for step in steps {
                self.observed.apply(step.event(), self.now);
                all.push(step);
            }
        }
    }

    /// As [`House::settle`], as text, with when the next plan is due.
    pub fn told(&mut self) -> String {
        let steps = self.settle();
        Plan { steps, next: self.plan().next }.to_string()
    }

    /// The latest run of a slot.
    pub fn instance(&self, app: &str, slot: u32) -> &Instance {
        let app = id(app);
        let mut instances = self.observed.instances.values();
        instances.rfind(|instance| instance.id.app == app && instance.id.slot == slot).expect("no such slot")
    }

    fn of(&self, app: &str, slot: u32) -> InstanceId {
        self.instance(app, slot).id.clone()
    }

    pub fn ready(&mut self, app: &str, slot: u32) {
        let instance = self.of(app, slot);
        self.observed.apply(Event::Ready { instance }, self.now);
    }

    pub fn unhealthy(&mut self, app: &str, slot: u32) {
        let instance = self.of(app, slot);
        self.observed.apply(Event::Unhealthy { instance }, self.now);
    }

    pub fn worn(&mut self, app: &str, slot: u32) {
        let instance = self.of(app, slot);
        self.observed.apply(Event::Worn { instance, why: "200 requests".into() }, self.now);
    }

    pub fn drained(&mut self, app: &str, slot: u32) {
        let instance = self.of(app, slot);
        self.observed.apply(Event::Drained { instance }, self.now);
    }

    pub fn ended(&mut self, app: &str, slot: u32, end: End, uptime: Duration) {
        let instance = self.of(app, slot);
        self.observed.apply(Event::Ended { instance, end, uptime }, self.now);
    }

    /// Puts up the app with all its instances ready.
    pub fn up(&mut self, app: &str, instances: u32) {
        self.want(app, |app| app.instances = instances);
        self.settle();
        for slot in 1..=instances {
            self.ready(app, slot);
        }
        self.settle();
    }

    /// Lets a draining instance drain and end.
    pub fn goes(&mut self, app: &str, slot: u32) {
        self.drained(app, slot);
        self.settle();
        self.ended(app, slot, End::Stopped, 100 * SECOND);
    }

    pub fn phases(&self, app: &str) -> String {
        let app = id(app);
        let phases = self.observed.of(&app).map(|instance| {
            let phase = format!("{:?}", instance.phase);
            let phase = phase.split_whitespace().next().unwrap_or_default().to_lowercase();
            format!("{}={phase}/{}", instance.id.slot, instance.spec)
        });
        phases.collect::<Vec<_>>().join(" ")
    }
}
