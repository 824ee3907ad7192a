//! What the host as a whole uses: processors, memory, disks, sockets. Counters that only rise are given as they are; who looks twice has rates.
//!
//! Nothing here fails: what the kernel does not tell is 0.

use procfs::{Current, CurrentSI};
use std::path::Path;
use std::time::Duration;

/// One look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    /// Processors.
    pub cores: u32,
    /// Time that they worked, all of them together, since boot.
    pub busy: Duration,
    /// Time that they worked or waited.
    pub total: Duration,
    /// Average number of tasks that run or wait for a disk: of 1, 5 and 15 minutes.
    pub load: [f32; 3],
    /// Bytes.
    pub memory: Space,
    /// Bytes.
    pub swap: Space,
    /// Bytes read from disks since boot.
    pub read_bytes: u64,
    /// Bytes written to disks since boot.
    pub write_bytes: u64,
    /// TCP sockets in use, listening ones included.
    pub tcp_sockets: u64,
}

/// Bytes of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is not to be had any more. Of memory: not what the kernel gives back when it is asked for.
    pub used: u64,
}

/// Looks at the host.
pub fn look() -> Host {
    let mut host = Host { read_bytes: 0, write_bytes: 0, tcp_sockets: sockets(), ..Host::default() };
    if let Ok(stats) = procfs::KernelStats::current() {
        let cpu = &stats.total;
        let idle = cpu.idle.saturating_add(cpu.iowait.unwrap_or(0));
        // a guest's time is part of `user` already
        let more = [cpu.irq, cpu.softirq, cpu.steal].map(|ticks| ticks.unwrap_or(0)).iter().sum::<u64>();
        let busy = cpu.user + cpu.nice + cpu.system + more;
        host.cores = u32::try_from(stats.cpu_time.len()).unwrap_or(u32::MAX);
        (host.busy, host.total) = (of_ticks(busy), of_ticks(busy.saturating_add(idle)));
    }
    if let Ok(load) = procfs::LoadAverage::current() {
        host.load = [load.one, load.five, load.fifteen];
    }
    if let Ok(memory) = procfs::Meminfo::current() {
        let space = |total: u64, free: u64| Space { total, used: total.saturating_sub(free) };
        host.memory = space(memory.mem_total, memory.mem_available.unwrap_or(memory.mem_free));
        host.swap = space(memory.swap_total, memory.swap_free);
    }
    for disk in procfs::diskstats().unwrap_or_default().iter().filter(|disk| is_disk(&disk.name)) {
        // a sector has 512 bytes here, whatever the disk's own are
        let bytes = |sectors: u64| sectors.saturating_mul(512);
        host.read_bytes = host.read_bytes.saturating_add(bytes(disk.sectors_read));
        host.write_bytes = host.write_bytes.saturating_add(bytes(disk.sectors_written));
    }
    host
}

/// Of the file system that holds this path: what a user without special rights may still write counts as free, as `df` has it.
pub fn space(path: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let used = bytes(found.f_blocks.saturating_sub(found.f_bfree));
    Some(Space { total: used.saturating_add(bytes(found.f_bavail)), used })
}

/// A whole disk: no part of one, and nothing made of others or of memory, which would count twice.
fn is_disk(name: &str) -> bool {
    let virtual_ = ["loop", "ram", "zram", "dm-", "md", "sr"].iter().any(|prefix| name.starts_with(prefix));
    !virtual_ && Path::new("/sys/block").join(name.replace('/', "!")).exists()
}

fn sockets() -> u64 {
    ["sockstat", "sockstat6"].iter().map(|file| in_use(&read(file))).sum()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new("/proc/net").join(file)).unwrap_or_default()
}

/// Of `TCP: inuse 5 orphan 0 …` the 5.
fn in_use(text: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("TCP: ") || line.starts_with("TCP6: "));
    line.and_then(|line| line.split_ascii_whitespace().nth(2)?.parse().ok()).unwrap_or(0)
}

fn of_ticks(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let host = look();
        assert!(host.cores > 0 && host.busy > Duration::ZERO && host.total > host.busy, "{host:?}");
        assert!(host.memory.used > 1 << 20 && host.memory.total > host.memory.used, "{host:?}");
        assert!(host.tcp_sockets > 0, "{host:?}");
        let disk = space(Path::new("/")).unwrap();
        assert!(disk.total >= disk.used && disk.total > 0, "{disk:?}");
        assert_eq!(space(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn sockets_are_counted_in_the_kernels_words() {
        assert_eq!(in_use("sockets: used 9\nTCP: inuse 5 orphan 0 tw 1\n"), 5);
        assert_eq!((in_use("TCP6: inuse 7\n"), in_use(""), in_use("TCP: inuse")), (7, 0, 0));
    }
}
