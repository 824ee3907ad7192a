//! What processes and the host use, measured when somebody asks, away from the loop: looking costs milliseconds.
//!
//! Use of processors is the difference of two looks. So a cheap one is taken every few seconds and kept ([`Sampler::keep`]), and who
//! asks is told of the time since. An instance that no kept look knows (the keeper has just begun, and found it running) is looked
//! at a second time, a moment later.

use crate::api::{Detail, HostStatus, InstanceStatus, ProcessStatus, SpaceStatus, Status, UsageStatus};
use crate::keeper::Keeper;
use model::InstanceId;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use sys::host::{Host, Space};
use sys::usage::{Process, Usage};

/// Beats between two looks that are kept.
const EVERY: u32 = 5;
/// Kept looks: the one before the last, if the last was taken just now.
const KEPT: usize = 2;
/// Shortest time that a difference is made over: clock ticks are 10 ms long.
const SHORTEST: Duration = Duration::from_secs(1);
/// The moment until the second look.
const MOMENT: Duration = Duration::from_millis(150);
/// While no look was kept: of what is younger the figure is of all its life.
const YOUNG: Duration = Duration::from_secs(10);

/// Time on processors of a tree, and of each of its processes by pid.
#[derive(Debug, Clone, Default)]
struct Seen {
    cpu: Duration,
    memory: u64,
    processes: BTreeMap<u32, Duration>,
}

impl From<&Usage> for Seen {
    fn from(usage: &Usage) -> Self {
        let processes = usage.processes.iter().map(|process| (process.pid, process.cpu)).collect();
        Self { cpu: usage.cpu, memory: usage.memory, processes }
    }
}

impl From<&Process> for Seen {
    fn from(process: &Process) -> Self {
        let (cpu, memory) = (process.cpu, process.memory);
        Self { cpu, memory, processes: BTreeMap::from([(process.pid, cpu)]) }
    }
}

/// One look, by pid of the main process.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    trees: BTreeMap<u32, Seen>,
    host: (Duration, Duration),
}

impl Look {
    /// The cheap one: at instances, and at processes of our own, which are alone whatever they started.
    fn take(instances: &[u32], own: &[u32]) -> Self {
        let at = Instant::now();
        let trees = sys::usage::memory(instances).iter().map(|(pid, usage)| (*pid, usage.into())).collect();
        let mut look = Self { at, trees, host: times(&sys::host::look()) };
        let own = own.iter().filter_map(|pid| Some((*pid, (&sys::usage::process(*pid)?).into())));
        look.trees.extend(own);
        look
    }
}

fn times(host: &Host) -> (Duration, Duration) {
    (host.busy, host.total)
}

/// The last looks.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<VecDeque<Arc<Look>>>);

impl Sampler {
    /// Looks and keeps what it saw. Blocks.
    fn keep(&self, instances: &[u32], own: &[u32]) {
        let look = Arc::new(Look::take(instances, own));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(look);
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// The latest look that a difference can be made to.
    fn before(&self, now: Instant) -> Option<Arc<Look>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|look| now.saturating_duration_since(look.at) >= SHORTEST).cloned()
    }

    /// Time on processors and memory of this process's tree, as last seen.
    pub(crate) fn last(&self, pid: u32) -> Option<(Duration, u64)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.back()?.trees.get(&pid).map(|seen| (seen.cpu, seen.memory))
    }

    /// Adds to a status what is used; `mains` as [`Keeper::mains`] gives them. Blocks, for milliseconds.
    pub(crate) fn fill(&self, status: &mut Status, detail: Detail, mains: &BTreeMap<u32, u32>) {
        if detail == Detail::None {
            return;
        }
        let now = Instant::now();
        let before = self.before(now);
        let passed = before.as_ref().map(|look| now.saturating_duration_since(look.at));
        let of_before = |pid: u32| Some((before.as_ref()?.trees.get(&pid)?.clone(), passed?));
        let uptimes: BTreeMap<u32, Duration> = instances(status).filter_map(|it| uptime(it, mains)).collect();
        let roots: Vec<u32> = uptimes.keys().copied().collect();
        let mut usages = sys::usage::instances(&roots);
        // What began after the kept look has used all its time since.
        let young = passed.unwrap_or(YOUNG);
        let is_new = |pid: &u32| uptimes.get(pid).is_some_and(|uptime| *uptime <= young);
        let (known, unknown): (Vec<u32>, Vec<u32>) =
            roots.iter().partition(|pid| of_before(**pid).is_some() || is_new(pid));
        let first = usages.iter().filter(|(pid, _)| unknown.contains(pid));
        let first: BTreeMap<u32, Seen> = first.map(|(pid, usage)| (*pid, usage.into())).collect();
        if !first.is_empty() {
            std::thread::sleep(MOMENT);
            usages = sys::usage::instances(&known);
            usages.extend(sys::usage::instances(&unknown));
        }
        let later = now.elapsed();
        for instance in instances(status) {
            let Some((pid, uptime)) = uptime(instance, mains) else { continue };
            let Some(usage) = usages.get(&pid) else { continue };
            let at_first = || first.get(&pid).map(|seen| (seen.clone(), later));
            let (seen, passed) =
                of_before(pid).or_else(at_first).unwrap_or_else(|| (Seen::default(), uptime));
            let shown = show(pid, usage, &seen, passed, detail == Detail::Exact);
            instance.memory = Some(shown.sum.memory);
            instance.usage = Some(shown);
        }
        let own = |pid: u32| {
            let process = sys::usage::process(pid)?;
            let (seen, passed) = of_before(pid).unwrap_or_default();
            Some(show_process(&process, &seen, passed))
        };
        status.keeper.usage = own(status.keeper.pid);
        if let Some(edge) = &mut status.edge {
            edge.usage = own(edge.pid);
            edge.beside.iter_mut().for_each(|it| it.usage = own(it.pid));
        }
        status.host = Some(show_host(&status.keeper.home, before.as_ref().map(|look| look.host)));
    }
}

/// All of them that there are in a status.
fn instances(status: &mut Status) -> impl Iterator<Item = &mut InstanceStatus> {
    let apps = status.stacks.iter_mut().flat_map(|stack| &mut stack.apps);
    apps.flat_map(|app| &mut app.instances)
}

/// Its main process and for how long that has been there.
fn uptime(instance: &InstanceStatus, mains: &BTreeMap<u32, u32>) -> Option<(u32, Duration)> {
    let pid = instance.pid?;
    let main = mains.get(&pid).copied().unwrap_or(pid);
    Some((main, Duration::from_millis(instance.uptime_ms.unwrap_or(0))))
}

/// A tree as it is shown, the main process first.
fn show(root: u32, usage: &Usage, before: &Seen, passed: Duration, exact: bool) -> UsageStatus {
    let mut processes: Vec<ProcessStatus> =
        usage.processes.iter().map(|process| show_process(process, before, passed)).collect();
    let mut memory = usage.memory;
    if exact && !usage.of_group {
        for process in &mut processes {
            process.memory = sys::proc::memory(process.pid).map_or(0, |exact| exact.min(process.memory));
        }
        memory = processes.iter().map(|process| process.memory).sum();
    }
    processes.sort_by_key(|process| (process.pid != root, process.pid));
    let own: Duration = usage.processes.iter().map(|process| since(process, before)).sum();
    // Where one has gone that nobody waited for, its time is gone with it.
    let cpu = usage.cpu.checked_sub(before.cpu).unwrap_or(own);
    let name = processes.first().map(|process| process.name.clone()).unwrap_or_default();
    UsageStatus {
        sum: ProcessStatus {
            pid: root,
            name,
            cpu_percent: percent(cpu, passed),
            cpu_ms: millis(usage.cpu),
            memory,
            threads: usage.threads,
            files: usage.files,
            read_bytes: usage.read_bytes,
            write_bytes: usage.write_bytes,
        },
        files_limit: sys::usage::files_limit(root),
        of_group: usage.of_group,
        processes,
    }
}

fn show_process(process: &Process, before: &Seen, passed: Duration) -> ProcessStatus {
    ProcessStatus {
        pid: process.pid,
        name: process.name.clone(),
        cpu_percent: percent(since(process, before), passed),
        cpu_ms: millis(process.cpu),
        memory: process.memory,
        threads: process.threads,
        files: process.files,
        read_bytes: process.read_bytes,
        write_bytes: process.write_bytes,
    }
}

/// Time of a process since then: all of it, if it was not there or its id was another's.
fn since(process: &Process, before: &Seen) -> Duration {
    let then = before.processes.get(&process.pid).copied().unwrap_or_default();
    process.cpu.checked_sub(then).unwrap_or(process.cpu)
}

fn show_host(home: &Path, before: Option<(Duration, Duration)>) -> HostStatus {
    let host = sys::host::look();
    let (busy, total) = before.unwrap_or_default();
    let passed = host.total.saturating_sub(total);
    let space = |space: Space| SpaceStatus { total: space.total, used: space.used };
    HostStatus {
        cores: host.cores,
        cpu_percent: percent(host.busy.saturating_sub(busy), passed),
        busy_ms: millis(host.busy),
        total_ms: millis(host.total),
        load: host.load,
        memory: space(host.memory),
        swap: space(host.swap),
        disk: space(sys::host::space(home).unwrap_or_default()),
        read_bytes: host.read_bytes,
        write_bytes: host.write_bytes,
        tcp_sockets: host.tcp_sockets,
    }
}

/// To a tenth; none where no time has passed.
fn percent(worked: Duration, passed: Duration) -> Option<f64> {
    let share = worked.as_secs_f64() / passed.as_secs_f64();
    share.is_finite().then(|| (share * 1000.0).round() / 10.0)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Keeper {
    /// The process whose tree is what an instance uses: of one in a container the main process inside, once its runner has named it.
    pub(crate) fn main_pid(&self, id: &InstanceId) -> Option<u32> {
        let pid = self.facts.get(id)?.pid?;
        Some(self.inside(id).unwrap_or(pid))
    }

    /// Main processes inside of containers, by the pids of their runners.
    pub(crate) fn mains(&self) -> BTreeMap<u32, u32> {
        let alive = self.observed.instances.values().filter(|instance| instance.phase.is_alive());
        let of = |id: &InstanceId| Some((self.facts.get(id)?.pid?, self.inside(id)?));
        alive.filter_map(|instance| of(&instance.id)).collect()
    }

    fn inside(&self, id: &InstanceId) -> Option<u32> {
        self.spec_in_force(id)?.container.as_ref()?;
        let confined = wire::container::confined(self.home.app_socket(id).parent()?)?;
        sys::proc::lives(confined.pid, confined.born).then_some(confined.pid)
    }

    /// Every few beats a look is kept, away from the loop.
    pub(crate) fn look_at_usage(&mut self) {
        self.beats = self.beats.wrapping_add(1);
        if self.beats % EVERY != 1 {
            return;
        }
        let alive = self.observed.instances.values().filter(|instance| instance.phase.is_alive());
        let pids: Vec<u32> = alive.filter_map(|instance| self.main_pid(&instance.id)).collect();
        let own: Vec<u32> = self.edge.iter().map(|edge| edge.pid).chain([std::process::id()]).collect();
        let sampler = Arc::clone(&self.sampler);
        self.tasks.spawn_blocking(move || sampler.keep(&pids, &own));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, cpu_ms: u64) -> Process {
        let (cpu, name) = (Duration::from_millis(cpu_ms), "app".to_owned());
        let (files, read_bytes, write_bytes) = (Some(3), None, None);
        Process { pid, name, memory: 10, cpu, threads: 1, files, read_bytes, write_bytes }
    }

    fn usage(cpu_ms: u64, processes: Vec<Process>) -> Usage {
        Usage { cpu: Duration::from_millis(cpu_ms), memory: 20, processes, ..Usage::default() }
    }

    #[test]
    fn use_of_processors_is_the_difference_of_two_looks() {
        let before = Seen::from(&usage(1000, vec![process(7, 600), process(8, 400)]));
        // 8 has gone and was waited for, 5 is new; its time counts from its start
        let now = usage(3000, vec![process(5, 300), process(7, 1600)]);
        let shown = show(7, &now, &before, Duration::from_secs(2), false);
        assert_eq!((shown.sum.pid, shown.sum.cpu_percent, shown.sum.cpu_ms), (7, Some(100.0), 3000));
        let percents: Vec<_> = shown.processes.iter().map(|it| (it.pid, it.cpu_percent)).collect();
        assert_eq!(percents, [(7, Some(50.0)), (5, Some(15.0))], "the main process first");
    }

    #[test]
    fn a_process_that_took_its_time_with_it_makes_no_figure_below_zero() {
        let before = Seen::from(&usage(9000, vec![process(7, 600), process(8, 8400)]));
        let shown = show(7, &usage(700, vec![process(7, 700)]), &before, Duration::from_secs(1), false);
        assert_eq!(shown.sum.cpu_percent, Some(10.0));
        assert_eq!(percent(Duration::ZERO, Duration::ZERO), None);
    }
}
