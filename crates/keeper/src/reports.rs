//! What happened to instances is folded into what is observed, and noted in the history; a candidate whose instance failed is given up.

use crate::keeper::{Keeper, LAST_LINES, epoch_ms, report_failure};
use crate::stack::Stack;
use model::observed::{End, Event, Moment, Observed, Phase};
use model::{InstanceId, StackName};
use std::time::Duration;
use supervisor::{Report, What};

impl Keeper {
    /// Folds what happened to an instance.
    pub(crate) fn instance(&mut self, Report { id, what }: Report) {
        let now = self.now();
        match what {
            What::Running { pid, address, started_ms } => {
                if let Some(facts) = self.facts.get_mut(&id) {
                    (facts.pid, facts.address, facts.started_ms) = (Some(pid), address, Some(started_ms));
                }
                self.observed.apply(Event::Running { instance: id.clone() }, now);
                self.finish_journal(&id);
            }
            What::Located(address) => {
                if let Some(facts) = self.facts.get_mut(&id) {
                    facts.address = Some(address);
                }
            }
            What::NotAsked(why) => {
                tracing::warn!(instance = %id, why, "its health command cannot be run");
                if let Some(facts) = self.facts.get_mut(&id) {
                    facts.not_asked = Some(why);
                }
            }
            What::Ready => {
                let unasked = self.facts.get(&id).and_then(|facts| facts.not_asked.as_ref());
                let why = unasked
                    .map(|why| format!("it takes connections; its health command cannot be run: {why}"));
                let why = why.as_deref().unwrap_or("its health check succeeded");
                if self.enter(&id, "ready", why, Event::Ready { instance: id.clone() })
                    && let Some(facts) = self.facts.get_mut(&id)
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
        self.networks.ended(&id, &self.home.names(&id));
        self.engine.ended(&id);
        let end = self.wear.verdict(&id, end);
        self.observed.apply(Event::Ended { instance: id.clone(), end, uptime }, now);
        // What is observed knows better whether a stop was asked for or was the verdict on a late start.
        let Some(instance) = self.observed.instances.get(&id) else { return };
        let Phase::Ended { end, .. } = &instance.phase else { return };
        let end = end.clone();
        match &instance.worn {
            Some(why) if end == End::Stopped => self.note(&id, "recycled", &format!("{end}: {why}")),
            _ => self.note(&id, "ended", &end.to_string()),
        }
        let Some(facts) = self.facts.get(&id).filter(|facts| !facts.was_ready) else { return };
        let fails = |stack: &Stack| stack.fails_candidate(&id, facts.fingerprint, &end);
        if end != End::Stopped && self.stacks.get(&id.app.stack).is_some_and(fails) {
            self.give_up(&id, &end);
        }
    }

    /// Gives the candidate up because of how this instance of it ended.
    pub(crate) fn give_up(&mut self, id: &InstanceId, end: &End) {
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
