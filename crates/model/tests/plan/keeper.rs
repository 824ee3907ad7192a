//! The simulated keeper: it plans, executes, commits, publishes, dies and comes back.

use crate::fate::did_its_work;
use crate::invariants;
use crate::world::{Happening, Process, START_PERIOD, STOP_TIMEOUT, World};
use model::InstanceId;
use model::observed::{End, Event, Observed, Phase};
use model::plan::{Step, plan};
use model::spec::Listen;
use std::collections::BTreeMap;
use std::time::Duration;

impl World {
    /// The keeper: plan and execute until there is nothing to do, commit what is prepared, publish.
    pub fn react(&mut self) {
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

    pub fn execute(&mut self, step: Step) {
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

    pub fn start(&mut self, instance: InstanceId, spec: u64) {
        self.used.insert((instance.app.clone(), instance.run));
        let app = self.apps.iter().find(|app| app.id == instance.app).unwrap();
        let behaviour = app.behaviours[&spec];
        if let Some(after) = behaviour.ready_after {
            self.later(after, Happening::Up(instance.clone()));
        }
        if let Some(after) = behaviour.lives {
            self.later(after, Happening::Dies(instance.clone(), End::Exited(behaviour.status)));
        }
        let takes = self.millis(300);
        self.later(takes, Happening::Runs(instance.clone()));
        self.later(START_PERIOD, Happening::Verdict(instance.clone()));
        let process = Process {
            spec,
            born: self.now,
            up: false,
            was_ready: false,
            sick: false,
            worn: false,
            told_to_stop: false,
            ended: None,
        };
        self.processes.insert(instance, process);
    }

    pub fn tell_to_stop(&mut self, id: &InstanceId, end: End) {
        let takes = self.millis(STOP_TIMEOUT.as_millis() as u64);
        if let Some(process) = self.processes.get_mut(id) {
            process.told_to_stop = true;
            self.later(takes, Happening::Dies(id.clone(), end));
        }
    }

    /// Puts candidates whose instances are all ready in force. True if there was one.
    pub fn commit(&mut self) -> bool {
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
            let done = self.observed.slots.iter().filter(|((id, _), record)| {
                *id == app.id && record.spec == spec && did_its_work(&app.wanted.restart, &record.end)
            });
            let ready = of(&|instance| instance.spec == spec && instance.phase.is_ready());
            if in_place || ready + done.count() >= wanted {
                app.wanted.spec = spec;
                app.candidate = None;
                any = true;
            }
        }
        any
    }

    pub fn publish(&mut self) {
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

    /// A new keeper: it knows the run numbers and how the slots' last runs ended, finds the processes, and asks how they are.
    pub fn keeper_is_back(&mut self) {
        self.keeper_is_up = true;
        self.published = None;
        let Observed { runs, mut slots, .. } = std::mem::take(&mut self.observed);
        slots.values_mut().for_each(|record| record.ended = Duration::ZERO);
        self.observed = Observed { runs, slots, ..Observed::default() };
        let known: Vec<(InstanceId, u64)> =
            self.processes.iter().map(|(id, process)| (id.clone(), process.spec)).collect();
        for (instance, spec) in known {
            let phase = Phase::Starting { since: self.now };
            self.observed.apply(Event::Adopted { instance: instance.clone(), spec, phase }, self.now);
            self.runs(instance.clone());
            self.probe(&instance);
            self.looks_at_wear(&instance);
            if self.processes.get(&instance).is_some_and(|process| process.ended.is_some()) {
                self.later(Duration::ZERO, Happening::EndReported(instance));
            } else {
                self.later(START_PERIOD, Happening::Verdict(instance));
            }
        }
    }
}
