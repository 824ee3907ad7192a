//! `plan(desired, observed, now)`: the one decision maker of the change flow. Reload, boot, crash, scale and stop
//! all come through here. Pure: the same three values give the same plan, so that a plan can be printed
//! before it is executed and driven in tests by a simulated clock.

use crate::observed::{End, Instance, Moment};
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
    /// Apps of the same stack that must have a ready instance before one of this app is started.
    pub needs: Vec<AppName>,
    /// A fixed port cannot be held by an old and a new instance at once: the old one ends first.
    pub listen: Listen,
    /// Prepare a full set of new instances and leave the outdated ones alone (a change that is not committed yet);
    /// otherwise outdated ones are replaced one after the other, never below `instances` ready ones.
    pub keep_outdated: bool,
    /// When an ended instance is started again.
    pub restart: RestartSpec,
    /// How an instance is drained and stopped.
    pub stop: StopSpec,
    /// Longest time from start to ready.
    pub start_period: Duration,
}

/// What is wanted. An app that is not in it is stopped, after those that need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// By app.
    pub apps: BTreeMap<AppId, AppDesired>,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Instances that are there or whose end was not taken note of yet.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// What is remembered of each slot between two runs.
    pub slots: Vec<(SlotId, SlotRecord)>,
    /// Last run number given out, by app.
    pub runs: Vec<(AppId, u64)>,
}

/// A slot of an app.
pub type SlotId = (AppId, u32);

/// What is remembered of a slot between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// Specification of the run that ended; another one starts with a clean record.
    pub spec: u64,
    /// Ends before `min_uptime`, in a row.
    pub unstable: u32,
    /// Starts after the first.
    pub restarts: u32,
    /// When the last run ended.
    pub ended: Moment,
    /// How it ended.
    pub end: End,
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
    /// Take it out of rotation; it is `Draining` from then on.
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
    },
}

/// What to do now, and when to look again if nothing happens before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Steps, in order.
    pub steps: Vec<Step>,
    /// When a plan made of the same values would say something else.
    pub next: Option<Moment>,
}
