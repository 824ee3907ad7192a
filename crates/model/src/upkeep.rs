//! What keeps an app's instances in good health and number: recycling, limits, scaling; and commands by the clock.

use crate::spec::AppSpec;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When an instance in good health is replaced. Its successor is ready before it is drained, unless there is no room for both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecycleSpec {
    /// After so many requests.
    pub requests: Option<u64>,
    /// And up to so many more, drawn anew for each instance, so that they do not all go at once. Of `age` the same share.
    pub jitter: u64,
    /// Once its processes hold more memory than this, in bytes.
    pub memory: Option<u64>,
    /// Once it has been running for so long.
    pub age: Option<Duration>,
}

impl RecycleSpec {
    /// Whether anything is to be looked at.
    pub fn is_on(&self) -> bool {
        self.requests.is_some() || self.memory.is_some() || self.age.is_some()
    }
}

/// What an instance may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourcesSpec {
    /// Bytes of memory; beyond it, it is ended at once.
    pub memory: Option<u64>,
    /// Thousandths of a core: 1000 is one.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Bytes of memory that are counted for it when a stack starts; none: nothing is.
    pub reserve_memory: Option<u64>,
    /// Thousandths of a core, the same.
    pub reserve_cpus: Option<u32>,
}

/// How many instances there are, where that is not one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleSpec {
    /// Fewest; 0: none runs once nothing was asked of it for `idle`, and the next request starts one.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// Requests in flight for each instance that are aimed at; none: it is not scaled by load.
    pub target: Option<u32>,
    /// Time with less to do after which one goes (to zero: without any request).
    pub idle: Duration,
}

impl ScaleSpec {
    /// How many are started where nothing is known of what will be asked, and when the app is woken.
    pub fn start(&self) -> u32 {
        if self.target.is_some() { self.min.max(1) } else { self.max }
    }
}

/// A command that runs by the clock: an app that nobody asks, started when it is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Five fields of crontab(5), or one of its names (`@daily`), in the host's time zone.
    pub schedule: String,
    /// What is run: as an app with `Listen::Nothing` and `RestartPolicy::Never`.
    pub app: AppSpec,
    /// What becomes of a run that is due while the last one still goes on.
    pub overlap: Overlap,
    /// What becomes of runs that were due while no keeper ran.
    pub missed: Missed,
    /// Longest time of one run; none: no bound.
    pub timeout: Option<Duration>,
}

/// A number of instances that follows the machine: one worker each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// They compute: two for each core, and one more.
    Cpu,
    /// They wait for others: four for each core.
    Io,
    /// Each holds much memory: one for each core, at least two and at most four.
    Memory,
}

impl Preset {
    /// How many instances that is on so many cores.
    pub fn instances(self, cores: u32) -> u32 {
        match self {
            Self::Cpu => cores.saturating_mul(2).saturating_add(1),
            Self::Io => cores.saturating_mul(4),
            Self::Memory => cores.clamp(2, 4),
        }
        .min(MAX_INSTANCES)
    }

    /// How that is worked out, in words.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Cpu => "cores * 2 + 1",
            Self::Io => "cores * 4",
            Self::Memory => "one for each core, from 2 to 4",
        }
    }
}

/// Most instances that an app may have.
pub const MAX_INSTANCES: u32 = 1000;

/// Of two runs at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// The later one is left out, and reported.
    #[default]
    Skip,
    /// The later one begins when the former has ended; one waits at most.
    Wait,
    /// The former one is stopped.
    Replace,
}

/// Of runs that were missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are reported.
    #[default]
    Report,
    /// They are reported, and one run makes up for all of them.
    Run,
}

#[cfg(test)]
mod tests {
    use super::Preset;

    #[test]
    fn presets_follow_the_cores() {
        let of = |preset: Preset| [1, 2, 8, 1 << 30].map(|cores| preset.instances(cores));
        assert_eq!(of(Preset::Cpu), [3, 5, 17, 1000]);
        assert_eq!(of(Preset::Io), [4, 8, 32, 1000]);
        assert_eq!(of(Preset::Memory), [2, 2, 4, 4]);
    }
}
