//! Control groups, versions 2 and 1: one for each instance, below the group of this process, with the kernel's own limits.
//!
//! ```text
//! version 1:  <controller>/<own group>/<base>/<name>      for each controller that has a limit, and cpuacct for the figures
//! version 2:  <own group>/<base>/<name>                   this process moves into <own group>/keeper first: a group with
//!                                                         members hands no controller on
//! ```
//!
//! Everything is plain reads and writes of files (cgroups(7)). [`Host`] finds where groups can be made and says why not; [`Group`] is
//! one of them, whatever its version: which file is there says what it can do. Nothing is moved or made before the first
//! group is asked for.

mod group;
mod host;
mod watch;

pub use group::Group;
pub(crate) use group::write;
pub use host::Host;
pub use watch::OomWatch;

/// What the members of a group may use together; none: what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, swapped ones included.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpus: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

impl Limits {
    /// Nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Which controllers they need.
    pub fn controllers(&self) -> impl Iterator<Item = Controller> {
        let all = [
            (self.memory.is_some(), Controller::Memory),
            (self.cpus.is_some(), Controller::Cpu),
            (self.pids.is_some(), Controller::Pids),
        ];
        all.into_iter().filter_map(|(is_needed, controller)| is_needed.then_some(controller))
    }

    /// As the kernel keeps them: it counts memory in whole pages.
    pub fn as_kept(self) -> Self {
        let page = rustix::param::page_size() as u64;
        Self { memory: self.memory.map(|bytes| bytes / page * page), ..self }
    }
}

/// What a kind of limit is seen to by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Memory.
    Memory,
    /// Time of processors.
    Cpu,
    /// Processes and threads.
    Pids,
}

impl Controller {
    /// The kernel's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }
}

#[cfg(test)]
#[path = "cgroup/tests.rs"]
mod tests;
