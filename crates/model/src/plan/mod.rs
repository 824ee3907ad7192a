//! `plan(desired, observed, now)`: the one decision maker of the change flow. Reload, boot, crash, scale and stop
//! all come through here. Pure: the same three values give the same plan, so that a plan can be printed
//! before it is executed and driven in tests by a simulated clock.
//!
//! The flow of a caller (the keeper):
//!
//! ```text
//!   event of supervisor or edge ─▶ Observed::apply ─▶ plan ─▶ execute each step, apply Step::event
//!                                        ▲                      │ until a plan has no step
//!                                        └── Plan::next is due ◀┘
//! ```
//!
//! The flow of one plan: forget what ended (its slot's record is in force within the same plan), then app by app:
//! what is on its way out (`retire`), what is to be taken out and what is to be started (`app`, on the instances as `fleet` sorts
//! them), in the order of needs (`order`), not before those are there (`needs`), not before the back-off is over (`backoff`) nor what they start from is built ([`Build`]).
//!
//! A *worn* instance ([`Event::Worn`]) is in good health and is replaced all the same: as an outdated one is, except that it goes only for a
//! successor that is ready, so that it serves on where none becomes so. A change under way keeps it: it is replaced with the rest then.
//!
//! Invariants (held by the simulation in `tests/plan/simulation.rs`): no step of ours takes the ready instances of an app
//! below what is wanted while enough are ready (in place: more than one below it); no run number is used twice; no slot has two living instances; nothing that may hold
//! requests is stopped before it is drained or its deadline passed; once nothing happens any more, a bounded time later
//! what is observed is what is desired, or the slots that are missing are failed.

mod app;
mod backoff;
mod fleet;
mod needs;
mod order;
mod retire;
mod state;
mod text;

pub use crate::observed::{Event, Observed, SlotId, SlotRecord};
pub use backoff::SlotState;
pub use needs::needs_ready;
pub use state::{AppState, Serving, app_state, serving, slot_state, what_is_wrong};

use crate::network::NeedCondition;
use crate::observed::{Moment, Phase};
use crate::spec::{Listen, RestartSpec, StopSpec};
use crate::{AppId, AppName, InstanceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is wanted of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDesired {
    /// Stands for the specification, and for how often a restart was asked for: an instance with another one is outdated.
    pub spec: u64,
    /// How many instances; 0 when the app is to be stopped.
    pub instances: u32,
    /// There are 0 until somebody asks for the app.
    pub asleep: bool,
    /// Apps of the same stack that must be there before an instance of this app is started.
    pub needs: Vec<AppName>,
    /// What is waited for, of those of `needs` that need not be healthy.
    pub needs_how: BTreeMap<AppName, NeedCondition>,
    /// A fixed port cannot be held by an old and a new instance at once: the old one ends first.
    pub listen: Listen,
    /// Prepare a full set of new instances and leave the outdated ones alone (a change that is not committed yet);
    /// otherwise outdated ones are replaced one after the other, never below `instances` ready ones.
    pub keep_outdated: bool,
    /// There is no room for one more instance beside those that there are: one that is worn is stopped before its successor is
    /// started, one after the other.
    pub in_place: bool,
    /// When an ended instance is started again.
    pub restart: RestartSpec,
    /// How an instance is drained and stopped.
    pub stop: StopSpec,
    /// Longest time from start to ready.
    pub start_period: Duration,
    /// How that stands which its instances start from: until it is done none is started; those that run serve on.
    pub build: Build,
}

/// How an app's build stands, as far as the plan has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Build {
    /// It is there, or the app has none.
    #[default]
    Done,
    /// It is to be made, or being made; the text says how far it is.
    UnderWay(String),
    /// It could not be made, and is not tried again before an administrator asks for it; the text says why.
    Failed(String),
}

/// What is wanted. An app that is to be removed stays in it with `instances = 0` until its last instance is forgotten: so
/// its `needs` (for the order) and its `stop` are known. An app with living instances that is not in it at all is stopped
/// too, with default deadlines; what it needs is not known then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// By app.
    pub apps: BTreeMap<AppId, AppDesired>,
}

/// One thing to do. Each is idempotent: executed twice, it does no more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// Start this run; its `Instance` is `Starting` from then on.
    Start {
        /// The run to start.
        instance: InstanceId,
        /// With this specification.
        spec: u64,
    },
    /// Take it out of rotation; it is `Draining` from then on. Whoever executes it applies [`Event::Drained`] when no
    /// claim is left; at once if the edge never knew the instance (an app that does not listen).
    Drain {
        /// The instance.
        instance: InstanceId,
    },
    /// Tell it to stop; it is `Stopping` from then on.
    Stop {
        /// The instance.
        instance: InstanceId,
        /// Why, for people.
        why: String,
    },
    /// Note its end in its slot's record and drop it.
    Forget {
        /// The instance.
        instance: InstanceId,
        /// It ended too early, or was never ready: one more unstable end in a row.
        unstable: bool,
    },
}

impl Step {
    /// The instance it is about.
    pub fn instance(&self) -> &InstanceId {
        match self {
            Self::Start { instance, .. }
            | Self::Drain { instance }
            | Self::Stop { instance, .. }
            | Self::Forget { instance, .. } => instance,
        }
    }

    /// What to apply to the [`Observed`] when it is executed.
    pub fn event(&self) -> Event {
        match self.clone() {
            Self::Start { instance, spec } => Event::Started { instance, spec },
            Self::Drain { instance } => Event::Draining { instance },
            Self::Stop { instance, .. } => Event::Stopping { instance },
            Self::Forget { instance, unstable } => Event::Forgotten { instance, unstable },
        }
    }
}

/// What to do now, and when to look again if nothing happens before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Steps, in order.
    pub steps: Vec<Step>,
    /// When a plan made of the same values would say something else. Always later than the `now` of the plan.
    pub next: Option<Moment>,
}

impl Plan {
    /// Look again at `moment`, unless it is earlier already.
    fn look_again(&mut self, moment: Moment) {
        self.next = Some(self.next.map_or(moment, |next| next.min(moment)));
    }
}

/// What to do so that what is observed becomes what is desired.
pub fn plan(desired: &Desired, observed: &Observed, now: Moment) -> Plan {
    let mut plan = Plan::default();
    let mut view = observed.clone();
    for step in forget_ended(desired, observed) {
        view.apply(step.event(), now);
        plan.steps.push(step);
    }
    for id in order::apps(desired, &view) {
        let before = plan.steps.len();
        match desired.apps.get(&id) {
            Some(app) if app.instances > 0 => app::plan(&mut plan, &id, app, desired, &view, now),
            app => retire::plan(&mut plan, &id, app, desired, &view, now),
        }
        // What was just taken out is there no longer for those that need it.
        for step in plan.steps.iter().skip(before) {
            view.apply(step.event(), now);
        }
    }
    plan
}

/// Every ended instance is forgotten at once; what matters of it is in its slot's record then.
fn forget_ended(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let ended = observed.instances.values().filter_map(|instance| match &instance.phase {
        Phase::Ended { uptime, end, .. } => {
            let restart = desired.apps.get(&instance.id.app).map(|app| &app.restart);
            let unstable = restart.is_some_and(|restart| backoff::is_unstable(restart, *uptime, end));
            Some(Step::Forget { instance: instance.id.clone(), unstable })
        }
        _ => None,
    });
    ended.collect()
}
