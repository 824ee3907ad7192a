//! What stacks reserve, against what there is (HOST-10): a stack whose reservations find no room is refused before anything of it starts,
//! unless its administrator said that he knows.
//!
//! Reservations are counted for the most instances that an app may have, native or in containers; nobody is held to them. At a boot nobody
//! is refused: what ran, runs.

use crate::api::ReservedStatus;
use crate::confinement::processors;
use crate::error::KeeperError;
use crate::keeper::Keeper;
use model::end::Bytes;
use model::spec::StackSpec;
use std::fmt::Write;

/// Of one app.
struct Reserved {
    label: String,
    instances: u64,
    /// Thousandths, of one instance.
    cpus: u64,
    /// Bytes, of one instance.
    memory: u64,
}

/// What this host has for all: processors that this process may use, and memory, also that of the control groups around it.
fn capacity() -> (u64, u64) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let memory = sys::host::look().memory.total;
    (cores * 1000, sys::cgroup::Host::look().memory_limit().map_or(memory, |limit| limit.min(memory)))
}

fn reserved(spec: &StackSpec) -> Vec<Reserved> {
    let of = spec.apps.iter().filter_map(|(name, app)| {
        let own = &app.resources;
        if own.reserve_cpus.is_none() && own.reserve_memory.is_none() {
            return None;
        }
        Some(Reserved {
            label: format!("{}/{name}", spec.name),
            instances: u64::from(app.scale.as_ref().map_or(app.instances, |range| range.max)),
            cpus: own.reserve_cpus.map_or(0, u64::from),
            memory: own.reserve_memory.unwrap_or(0),
        })
    });
    of.collect()
}

fn sum(all: &[Reserved]) -> (u64, u64) {
    all.iter().fold((0, 0), |(cpus, memory), one| {
        let times = |each: u64| one.instances.saturating_mul(each);
        (cpus.saturating_add(times(one.cpus)), memory.saturating_add(times(one.memory)))
    })
}

/// Whether all of it fits; the error has a line for each app.
fn fits(all: &[Reserved], capacity: (u64, u64)) -> Result<(), String> {
    let (cpus, memory) = sum(all);
    if cpus <= capacity.0 && memory <= capacity.1 {
        return Ok(());
    }
    let mut lines = String::new();
    for one in all {
        let each = format!("{} processors and {}", processors(one.cpus), Bytes(one.memory));
        let _ = writeln!(lines, "{}: {} × {each}", one.label, one.instances); // a String takes everything
    }
    let all = format!("{} processors and {}", processors(cpus), Bytes(memory));
    let _ = writeln!(
        lines,
        "all together: {all}, of {} processors and {}",
        processors(capacity.0),
        Bytes(capacity.1)
    );
    Err(lines)
}

impl Keeper {
    /// Refuses a stack that reserves more than is left by the others.
    pub(crate) fn admit(&self, spec: &StackSpec, overcommit: bool) -> Result<(), KeeperError> {
        let own = reserved(spec);
        if own.is_empty() || overcommit || self.home.overcommit(&spec.name).exists() {
            return Ok(());
        }
        let others = self.stacks.values().filter(|stack| stack.name != spec.name && !stack.removing);
        let others =
            others.filter_map(|stack| stack.active.as_ref()).flat_map(|active| reserved(&active.spec));
        let all: Vec<Reserved> = others.chain(own).collect();
        fits(&all, capacity())
            .map_err(|services| KeeperError::Overcommitted { stack: spec.name.to_string(), services })
    }

    /// Its administrator knows: also at the next reload.
    pub(crate) fn keep_overcommit(&self, stack: &model::StackName) {
        let path = self.home.overcommit(stack);
        let made = path.parent().map_or(Ok(()), |folder| sys::folder::make(folder, 0o700, None));
        let kept = made.and_then(|()| sys::durable::write(&path, b"", 0o600));
        if let Err(error) = kept {
            tracing::warn!(%error, %stack, "--overcommit cannot be remembered: the next reload needs it again");
        }
    }

    /// What all stacks reserve; none: nothing.
    pub(crate) fn reserved(&self) -> Option<ReservedStatus> {
        let active =
            self.stacks.values().filter(|stack| !stack.removing).filter_map(|stack| stack.active.as_ref());
        let all: Vec<Reserved> = active.flat_map(|active| reserved(&active.spec)).collect();
        if all.is_empty() {
            return None;
        }
        let ((cpus, memory), (cores, bytes)) = (sum(&all), capacity());
        Some(ReservedStatus { cpus: (cpus, cores), memory: (memory, bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn of(label: &str, instances: u64, cpus: u64, memory: u64) -> Reserved {
        Reserved { label: label.into(), instances, cpus, memory }
    }

    #[test]
    fn more_than_there_is_is_refused_with_a_line_each() {
        // The sizes of HOST-09 and HOST-11: what fits the small host fits the large one without a change.
        let stack = [
            of("praxifi/edge", 1, 250, GB / 4),
            of("praxifi/frontend", 2, 500, GB / 2),
            of("praxifi/engine", 1, 1000, 2 * GB),
            of("praxifi/cache", 1, 100, GB / 5),
        ];
        let (cpus, memory) = sum(&stack);
        assert!(cpus <= 3500 && memory <= 6 * GB, "{cpus} {memory}");
        assert_eq!(fits(&stack, (4000, 8 * GB)), Ok(()));
        assert_eq!(fits(&stack, (8000, 16 * GB)), Ok(()));
        let told = fits(&stack, (2000, 8 * GB)).unwrap_err();
        assert!(told.contains("praxifi/frontend: 2 × 0.5 processors and 500 MB"), "{told}");
        assert!(
            told.contains("all together: 2.35 processors and 3.5 GB, of 2 processors and 8 GB"),
            "{told}"
        );
        assert!(fits(&[of("a/b", 1, 0, 9 * GB)], (4000, 8 * GB)).is_err());
    }
}
