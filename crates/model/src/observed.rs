//! What the keeper knows of each instance, folded from events of the supervisor and the edge.
//!
//! ```text
//!            start              ready
//!  (nothing) ─────▶ Starting ─────────▶ Ready ◀──▶ Unhealthy
//!                    │    │  drain       │ drain       │ drain
//!    not ready: stop │    └──────────────┼─────────────┘
//!                    │                   ▼
//!                    │                Draining
//!                    │                   │ stop
//!                    └─────────────▶ Stopping              from each of them, when its process is gone: Ended
//! ```
//!
//! An event that does not fit (an instance that is not known, a phase that is over) changes nothing: events may come twice, late,
//! or about a former run. A run number is never used again, so a late event cannot hit a later run.

pub use crate::end::End;
use crate::{AppId, InstanceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A moment on the keeper's clock, as the time since an origin of the keeper's choice. Simulated in tests.
pub type Moment = Duration;

/// What is known. Built anew from [`Event::Adopted`] when a keeper starts; `runs` must be filled from the store first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Instances that are there or whose end was not taken note of yet.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// What is remembered of each slot between two runs.
    pub slots: BTreeMap<SlotId, SlotRecord>,
    /// Last run number given out, by app.
    pub runs: BTreeMap<AppId, u64>,
}

/// A slot of an app.
pub type SlotId = (AppId, u32);

/// What is remembered of a slot between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// Specification of the run that ended; another one starts with a clean record.
    pub spec: u64,
    /// Unstable ends (before `min_uptime`, or never ready) in a row.
    pub unstable: u32,
    /// Starts after the first, those after a recycling apart.
    pub restarts: u32,
    /// Runs that were recycled.
    pub recycled: u32,
    /// Why the last run was recycled, if it was: then it was no crash, and no restart follows from it.
    pub worn: Option<String>,
    /// When the last run ended.
    pub ended: Moment,
    /// How it ended.
    pub end: End,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A start was asked for. Ignored if the run number is not greater than every former one of the app.
    Started {
        /// The new run.
        instance: InstanceId,
        /// Its specification.
        spec: u64,
    },
    /// An instance of a former keeper was found alive (or its end was found written down: then in phase `Ended`).
    Adopted {
        /// The run.
        instance: InstanceId,
        /// The specification it was started with.
        spec: u64,
        /// Where it stands. `Starting` when it is not known whether it is ready: the supervisor then says.
        phase: Phase,
    },
    /// Its program was executed.
    Running {
        /// The instance.
        instance: InstanceId,
    },
    /// It takes requests: for the first time, or its checks succeed again.
    Ready {
        /// The instance.
        instance: InstanceId,
    },
    /// Its checks fail.
    Unhealthy {
        /// The instance.
        instance: InstanceId,
    },
    /// It is in good health, and is to be replaced all the same: by what it has done, holds, or its age. Said once is enough; what it was first
    /// said for stays.
    Worn {
        /// The instance.
        instance: InstanceId,
        /// For people: `200 requests`.
        why: String,
    },
    /// It was taken out of rotation.
    Draining {
        /// The instance.
        instance: InstanceId,
    },
    /// No claim on it is left and none can be made.
    Drained {
        /// The instance.
        instance: InstanceId,
    },
    /// It was told to stop (again).
    Stopping {
        /// The instance.
        instance: InstanceId,
    },
    /// Its process is gone, and all its children.
    Ended {
        /// The instance.
        instance: InstanceId,
        /// How it ended.
        end: End,
        /// How long it had lived; zero if it never did.
        uptime: Duration,
    },
    /// Its end was taken note of.
    Forgotten {
        /// The instance.
        instance: InstanceId,
        /// As in [`crate::plan::Step::Forget`].
        unstable: bool,
    },
    /// An administrator asked for a new try (start, restart, reload): records of crashes of this app no longer count.
    Cleared {
        /// The app.
        app: AppId,
    },
}

/// One instance as it is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Which run of which instance.
    pub id: InstanceId,
    /// [`crate::plan::AppDesired::spec`] of the specification that it was started with.
    pub spec: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Why it is to be replaced though it is in good health. Not kept by anybody: what wore it out is seen again.
    #[serde(skip)]
    pub worn: Option<String>,
    /// Its program was executed. Not kept by anybody: the supervisor says it of one that was adopted too.
    #[serde(skip)]
    pub runs: bool,
}

impl Instance {
    /// It serves, and another one is to take its place.
    pub fn is_to_be_recycled(&self) -> bool {
        self.worn.is_some() && self.phase.is_ready()
    }
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Phase {
    /// Asked to start; not ready yet.
    Starting {
        /// When that was.
        since: Moment,
    },
    /// Takes requests.
    Ready {
        /// When it became ready.
        since: Moment,
    },
    /// Runs, but its health checks fail: takes no requests.
    Unhealthy {
        /// When that was found out.
        since: Moment,
    },
    /// Takes no new requests; those in flight may end.
    Draining {
        /// When that began.
        since: Moment,
        /// The edge has said that no claim is left.
        drained: bool,
    },
    /// Was told to stop; its process is not gone yet.
    Stopping {
        /// When that was (the last time).
        since: Moment,
        /// Because it did not become ready in time: however it ends then, that is why.
        never_ready: bool,
    },
    /// Its process is gone.
    Ended {
        /// When that was.
        at: Moment,
        /// How long it had lived.
        uptime: Duration,
        /// How it ended.
        end: End,
    },
}

impl Phase {
    /// It takes requests.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }

    /// Its process is there, or may be.
    pub fn is_alive(&self) -> bool {
        !matches!(self, Self::Ended { .. })
    }

    /// It is there to stay: neither gone nor on its way out.
    pub fn is_staying(&self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Ready { .. } | Self::Unhealthy { .. })
    }
}

/// Where an instance takes requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix stream socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Observed {
    /// Instances of this app, whatever their phase, by slot and run.
    pub fn of<'a>(&'a self, app: &'a AppId) -> impl Iterator<Item = &'a Instance> {
        self.instances.values().filter(move |instance| instance.id.app == *app)
    }

    /// What is remembered of a slot.
    pub fn slot(&self, app: &AppId, slot: u32) -> Option<&SlotRecord> {
        self.slots.get(&(app.clone(), slot))
    }

    /// Folds in one event. What does not fit is ignored.
    pub fn apply(&mut self, event: Event, now: Moment) {
        match event {
            Event::Started { instance, spec } => self.started(instance, spec, now),
            Event::Adopted { instance, spec, phase } => self.adopted(instance, spec, phase),
            Event::Ended { instance, end, uptime } => self.change(&instance, |phase| {
                let end = match (phase, end) {
                    (Phase::Stopping { never_ready: true, .. }, End::Stopped) => {
                        End::NotReady("not in time".to_owned())
                    }
                    (_, end) => end,
                };
                Some(Phase::Ended { at: now, uptime, end })
            }),
            Event::Running { instance } => {
                let instance = self.instances.get_mut(&instance);
                instance.into_iter().for_each(|instance| instance.runs = true);
            }
            Event::Ready { instance } => self.change(&instance, |phase| match phase {
                Phase::Starting { .. } | Phase::Unhealthy { .. } => Some(Phase::Ready { since: now }),
                _ => None,
            }),
            Event::Unhealthy { instance } => self.change(&instance, |phase| match phase {
                Phase::Ready { .. } => Some(Phase::Unhealthy { since: now }),
                _ => None,
            }),
            Event::Worn { instance, why } => {
                let instance = self.instances.get_mut(&instance);
                if let Some(instance) = instance.filter(|instance| instance.phase.is_staying()) {
                    instance.worn.get_or_insert(why);
                }
            }
            Event::Draining { instance } => self.change(&instance, |phase| {
                phase.is_staying().then_some(Phase::Draining { since: now, drained: false })
            }),
            Event::Drained { instance } => self.change(&instance, |phase| match phase {
                Phase::Draining { since, .. } => Some(Phase::Draining { since: *since, drained: true }),
                _ => None,
            }),
            Event::Stopping { instance } => self.change(&instance, |phase| {
                let late =
                    matches!(phase, Phase::Starting { .. } | Phase::Stopping { never_ready: true, .. });
                Some(Phase::Stopping { since: now, never_ready: late })
            }),
            Event::Forgotten { instance, unstable } => self.forgotten(&instance, unstable),
            Event::Cleared { app } => self.slots.retain(|(of, _), _| *of != app),
        }
    }

    /// Gives a living instance its next phase, if there is one.
    fn change(&mut self, id: &InstanceId, next: impl FnOnce(&Phase) -> Option<Phase>) {
        let instance = self.instances.get_mut(id).filter(|instance| instance.phase.is_alive());
        let phases = instance.and_then(|instance| next(&instance.phase).map(|phase| (instance, phase)));
        if let Some((instance, phase)) = phases {
            instance.phase = phase;
        }
    }

    fn started(&mut self, id: InstanceId, spec: u64, now: Moment) {
        let last = self.runs.entry(id.app.clone()).or_default();
        if id.run <= *last {
            return;
        }
        *last = id.run;
        let record = self.slots.get_mut(&(id.app.clone(), id.slot));
        if let Some(record) = record.filter(|record| record.spec == spec && record.worn.is_none()) {
            record.restarts = record.restarts.saturating_add(1);
        }
        let phase = Phase::Starting { since: now };
        self.instances.insert(id.clone(), Instance { id, spec, phase, worn: None, runs: false });
    }

    fn adopted(&mut self, id: InstanceId, spec: u64, phase: Phase) {
        let last = self.runs.entry(id.app.clone()).or_default();
        *last = (*last).max(id.run);
        self.instances.entry(id.clone()).or_insert(Instance { id, spec, phase, worn: None, runs: false });
    }

    fn forgotten(&mut self, id: &InstanceId, unstable: bool) {
        let Some(Instance { spec, phase: Phase::Ended { at, end, .. }, worn, .. }) =
            self.instances.get(id).cloned()
        else {
            return;
        };
        self.instances.remove(id);
        let slot = (id.app.clone(), id.slot);
        let before = self.slots.get(&slot).filter(|record| record.spec == spec);
        let (in_a_row, restarts, recycled) =
            before.map_or((0, 0, 0), |record| (record.unstable, record.restarts, record.recycled));
        let unstable = if unstable { in_a_row.saturating_add(1) } else { 0 };
        let worn = worn.filter(|_| end == End::Stopped);
        let recycled = recycled.saturating_add(u32::from(worn.is_some()));
        self.slots.insert(slot, SlotRecord { spec, unstable, restarts, recycled, worn, ended: at, end });
    }
}
