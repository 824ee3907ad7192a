//! What a container uses, as the engine sees it.

use crate::engine;
use bollard::query_parameters::StatsOptionsBuilder;
use futures_util::StreamExt;
use std::path::Path;
use std::time::Duration;
use wire::container::RunnerSpec;

/// What was seen at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Time on processors since it began.
    pub cpu: Duration,
    /// Bytes of memory.
    pub memory: u64,
    /// Most of it; none: there is no limit that is known.
    pub memory_limit: Option<u64>,
    /// Bytes received over all its networks since it began.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Number of processes and threads.
    pub processes: Option<u64>,
}

/// Looks once; `file` is what the container's runner was told.
///
/// # Errors
/// For people: the engine is silent or says no.
pub fn look(file: &Path) -> Result<Seen, String> {
    let spec = std::fs::read(file).map_err(|error| error.to_string())?;
    let spec: RunnerSpec = wire::decode(&spec).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let docker = engine::connect(&spec.engine).await.map_err(|error| engine::words(&error))?;
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let first = docker.stats(&spec.name, Some(options)).next().await;
        let stats = first.ok_or("the engine says nothing")?.map_err(|error| engine::words(&error))?;
        let memory = stats.memory_stats.unwrap_or_default();
        let networks = stats.networks.unwrap_or_default();
        let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).unwrap_or(0);
        Ok(Seen {
            cpu: Duration::from_nanos(cpu),
            memory: memory.usage.unwrap_or(0),
            memory_limit: memory.limit.filter(|limit| (1..1 << 50).contains(limit)),
            received: networks.values().filter_map(|network| network.rx_bytes).sum(),
            sent: networks.values().filter_map(|network| network.tx_bytes).sum(),
            processes: stats.pids_stats.and_then(|pids| pids.current),
        })
    })
}
