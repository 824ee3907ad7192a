//! What is shown of one instance, and of the past of an app (OBS-16).

use crate::api;
use crate::error::KeeperError;
use crate::keeper::{Facts, Keeper, epoch_ms, report_failure};
use crate::status::HISTORY;
use model::observed::{End, Instance, Phase};
use model::plan::{Desired, SlotState, slot_state};
use model::{AppId, InstanceId};

/// Most changes of state in one answer.
const MOST: u32 = 10_000;
/// Days that the history goes back at most.
const DAYS: u64 = 90;

impl Keeper {
    pub(crate) fn instance_status(
        &self,
        instance: &Instance,
        query: api::StatusQuery,
    ) -> api::InstanceStatus {
        let id = &instance.id;
        let facts = self.facts.get(id);
        let record = self.observed.slot(&id.app, id.slot);
        let name = id.to_string();
        let seen = self.stats.instances.iter().find(|stats| stats.instance == name);
        let seen = seen.cloned().unwrap_or_default();
        let pid = facts.and_then(|facts: &Facts| facts.pid).filter(|_| instance.phase.is_alive());
        let uptime = |started: u64| epoch_ms().saturating_sub(started);
        let logs = || self.app_logs(&id.app, id.slot, facts.map(|facts| facts.fingerprint)).into();
        let measured = |micros: u64| Some(micros).filter(|micros| *micros > 0);
        api::InstanceStatus {
            label: id.label(),
            run: id.run,
            state: phase_word(&instance.phase).to_owned(),
            pid,
            address: facts.and_then(|facts| facts.address.as_ref()).map(ToString::to_string),
            networks: self.networks.addresses(id).collect(),
            uptime_ms: facts.and_then(|facts| facts.started_ms).map(uptime),
            restarts: record.map_or(0, |record| record.restarts),
            recycled: record.map_or(0, |record| record.recycled),
            last_end: record.map(|record| match &record.worn {
                Some(why) => format!("was recycled: {why}"),
                None => record.end.to_string(),
            }),
            ended: record.map(|record| match &record.worn {
                Some(_) => "recycled".to_owned(),
                None => in_short(&record.end),
            }),
            memory: None, // who asks for it measures: `usage`
            requests: seen.requests,
            in_flight: seen.in_flight,
            failures: seen.failures,
            left_alone: seen.left_alone,
            rate: seen.rate,
            p50_us: measured(seen.p50_us),
            p99_us: measured(seen.p99_us),
            usage: None,
            enforced: Vec::new(),
            logs: if query.settings { logs() } else { Vec::new() },
        }
    }

    /// Slots of an app that have no instance, and get none because too many runs failed.
    pub(crate) fn failed_slots(&self, app: &AppId, desired: &Desired) -> Vec<api::InstanceStatus> {
        let slots = self.observed.slots.iter().filter(|((of, _), _)| of == app);
        let is_free = |slot: u32| self.observed.of(app).all(|instance| instance.id.slot != slot);
        let failed = slots.filter(|((_, slot), _)| is_free(*slot) && self.has_failed(app, *slot, desired));
        failed
            .map(|((_, slot), record)| api::InstanceStatus {
                label: format!("{}.{slot}", app.app),
                run: self.observed.runs.get(app).copied().unwrap_or(0),
                state: "failed".to_owned(),
                restarts: record.restarts,
                last_end: Some(record.end.to_string()),
                ended: Some(in_short(&record.end)),
                ..api::InstanceStatus::default()
            })
            .collect()
    }

    fn has_failed(&self, app: &AppId, slot: u32, desired: &Desired) -> bool {
        let wanted = desired.apps.get(app).filter(|app| app.instances > 0);
        wanted.is_some_and(|wanted| {
            slot_state(wanted, &self.observed, app, slot, self.now()) == SlotState::Failed
        })
    }

    /// Once a run is forgotten: where it was the last one that was tried, that is said aloud and written down.
    pub(crate) fn note_failure(&self, id: &InstanceId) {
        if self.has_failed(&id.app, id.slot, &self.desired()) {
            tracing::error!(instance = %id, "alert: it failed too often and is not started again");
            self.note(id, "failed", "too many unstable ends in a row: it is not started again");
        }
    }

    /// What the edge says of an app's requests.
    pub(crate) fn traffic(&self, app: &AppId) -> api::TrafficStatus {
        let name = app.to_string();
        let seen = self.stats.upstreams.iter().find(|stats| stats.upstream == name);
        let seen = seen.cloned().unwrap_or_default();
        api::TrafficStatus {
            waiting: seen.waiting,
            held: seen.held,
            overflowed: seen.overflowed,
            retried: seen.retried,
        }
    }

    /// The latest changes of state of an app, oldest first.
    pub(crate) fn transitions(&self, app: &AppId) -> Vec<api::Transition> {
        let history = self.store.history(app, HISTORY).unwrap_or_default();
        history.into_iter().map(shown).collect()
    }

    /// Once an hour, and at the beginning: drops what nobody asks for any more. Of each app its latest are kept anyway, and no more.
    pub(crate) fn tidy_history(&self) {
        if self.beats % 3600 == 1 {
            let before = epoch_ms().saturating_sub(DAYS * 24 * 3600 * 1000);
            report_failure("tidying the history", self.store.forget_history(before));
        }
    }

    /// Changes of state of all apps, as asked for.
    pub(crate) fn history(&self, query: &api::HistoryQuery) -> Result<Vec<api::HistoryEntry>, KeeperError> {
        let (stack, app) = (query.stack.as_deref(), query.app.as_deref());
        let limit = query.limit.unwrap_or(MOST).min(MOST);
        let found = self.store.history_of(stack, app, query.since_ms, limit)?;
        let entry = |it: store::Transition| api::HistoryEntry {
            stack: it.app.stack.to_string(),
            app: it.app.app.to_string(),
            change: shown(it),
        };
        Ok(found.into_iter().map(entry).collect())
    }
}

fn shown(it: store::Transition) -> api::Transition {
    let at = i64::try_from(it.at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    api::Transition {
        at: at.map(|at| format!("{at:.3}")).unwrap_or_default(),
        instance: it.instance,
        state: it.state,
        reason: it.reason,
    }
}

pub(crate) fn phase_word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Starting { .. } => "starting",
        Phase::Ready { .. } => "ready",
        Phase::Unhealthy { .. } => "unhealthy",
        Phase::Draining { .. } => "draining",
        Phase::Stopping { .. } => "stopping",
        Phase::Ended { .. } => "ended",
    }
}

/// How a run ended, in two words: for a column of a table.
fn in_short(end: &End) -> String {
    match end {
        End::Stopped => "stopped".to_owned(),
        End::Exited(status) => format!("exit {status}"),
        End::Signaled(signal) => format!("signal {signal}"),
        End::OutOfMemory { .. } => "out of memory".to_owned(),
        End::NotStarted(_) => "not started".to_owned(),
        End::NotReady(_) => "not ready".to_owned(),
    }
}
