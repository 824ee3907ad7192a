//! How much a worker takes on, from what the machine has.
//!
//! Connections and requests under way are bounded by descriptors (a request may need one more, to its instance), the bytes of
//! buffers lent by memory. What waits holds no buffer, so the bytes say better than a count what a worker can bear: ten
//! thousand idle WebSockets are little, ten thousand uploads are much.

use crate::{files, pipe};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for connections: of the process, and of each worker (its pipes).
const OTHER_DESCRIPTORS: u64 = 128 + files::DESCRIPTORS as u64;
const WORKER_DESCRIPTORS: u64 = 2 * pipe::MAX_LENT as u64;
/// Memory that is assumed where the system does not say.
const MEMORY: u64 = 1 << 30;

/// What one worker takes on at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Client connections.
    pub connections: usize,
    /// Requests under way; of HTTP/2 there may be many on one connection.
    pub in_flight: u64,
    /// Bytes of buffers lent, beyond which new requests are refused.
    pub buffers: u64,
}

impl Bounds {
    /// For each of so many workers. Raises the limit on open files as far as it goes.
    pub fn of_system(workers: usize) -> Self {
        let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: maximum, maximum };
        let limit = if setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
        let each = limit.unwrap_or(1 << 20).saturating_sub(OTHER_DESCRIPTORS) / workers as u64;
        let each = (each.saturating_sub(WORKER_DESCRIPTORS) / 2).max(16);
        let connections = usize::try_from(each).unwrap_or(usize::MAX);
        // A quarter of the memory: the rest is the applications'.
        Self { connections, in_flight: each, buffers: memory() / 4 / workers as u64 }
    }
}

/// Bytes of memory, as `/proc/meminfo` says (proc(5)).
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kibibytes.map_or(MEMORY, |kibibytes| kibibytes << 10)
}
