//! What happens to the simulated host: orders of its administrator, and what processes do by themselves.

use crate::world::{App, Happening, Order, Process, START_PERIOD, World};
use model::InstanceId;
use model::observed::{End, Event, Phase};
use model::spec::{Listen, RestartPolicy, RestartSpec};

impl World {
    pub fn pick(&self, app: usize, pick: usize) -> Option<InstanceId> {
        let app = &self.apps[app % self.apps.len()].id;
        let living = self.processes.iter().filter(|(id, process)| id.app == *app && process.ended.is_none());
        let living: Vec<&InstanceId> = living.map(|(id, _)| id).collect();
        living.get(pick % living.len().max(1)).map(|id| (*id).clone())
    }

    pub fn order(&mut self, order: Order) {
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
            Order::Wear { app, pick } => {
                let Some(id) = self.pick(app, pick) else { return };
                if let Some(process) = self.processes.get_mut(&id) {
                    process.worn = true;
                }
                self.looks_at_wear(&id);
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
            Order::Tight { app, is_tight } => self.apps[app % count].wanted.in_place = is_tight,
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
            // A fixed port has one holder, and work is done once.
            Order::Scale { app, instances }
                if !matches!(self.apps[app % count].wanted.listen, Listen::Port(_) | Listen::Nothing) =>
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

    /// The shim's word that the program was executed.
    pub fn runs(&mut self, instance: InstanceId) {
        if self.keeper_is_up && self.processes.contains_key(&instance) {
            self.observed.apply(Event::Running { instance }, self.now);
        }
    }

    /// The supervisor's health check of one instance.
    pub fn probe(&mut self, id: &InstanceId) {
        let Some(process) = self.processes.get_mut(id) else { return };
        if !self.keeper_is_up || !process.up || process.told_to_stop || process.ended.is_some() {
            return;
        }
        let instance = id.clone();
        let event = if process.sick { Event::Unhealthy { instance } } else { Event::Ready { instance } };
        process.was_ready |= !process.sick;
        self.observed.apply(event, self.now);
    }

    /// The keeper's look at how much an instance has done.
    pub fn looks_at_wear(&mut self, id: &InstanceId) {
        if self.keeper_is_up && self.processes.get(id).is_some_and(|process| process.worn) {
            let (instance, why) = (id.clone(), "200 requests".to_owned());
            self.observed.apply(Event::Worn { instance, why }, self.now);
        }
    }

    pub fn verdict(&mut self, id: &InstanceId) {
        let phase = self.observed.instances.get(id).map(|instance| &instance.phase);
        let Some(Phase::Starting { since }) = phase else { return };
        if self.keeper_is_up && self.now >= *since + START_PERIOD {
            self.tell_to_stop(id, End::NotReady("refused".into()));
        }
    }

    pub fn dies(&mut self, id: &InstanceId, end: End) {
        let Some(process) = self.processes.get_mut(id).filter(|process| process.ended.is_none()) else {
            return;
        };
        process.ended = Some((end, self.now - process.born));
        self.claims.remove(id);
        let takes = self.millis(50);
        self.later(takes, Happening::EndReported(id.clone()));
    }

    pub fn end_reported(&mut self, id: &InstanceId) {
        if !self.keeper_is_up {
            return;
        }
        let Some(Process { spec, was_ready, ended: Some((end, uptime)), .. }) = self.processes.remove(id)
        else {
            return;
        };
        let of = |app: &&mut App| app.id == id.app && app.candidate == Some(spec);
        let fails = |app: &App| !was_ready && end != End::Stopped && !did_its_work(&app.wanted.restart, &end);
        if let Some(app) = self.apps.iter_mut().find(of).filter(|app| fails(app)) {
            app.candidate = None;
        }
        self.observed.apply(Event::Ended { instance: id.clone(), end, uptime }, self.now);
    }
}

pub fn did_its_work(restart: &RestartSpec, end: &End) -> bool {
    restart.policy != RestartPolicy::Always && *end == End::Exited(0)
}
