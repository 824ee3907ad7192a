//! One group: its limits, its figures, its members, its end.

use super::{Controller, Limits};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Length of time over which the kernel divides processors, in microseconds: its own default.
const PERIOD: u64 = 100_000;
/// Tries to remove a folder whose last member is just ending, and the pause between two.
const TRIES: (u32, Duration) = (20, Duration::from_millis(5));

/// The folders that one group has: one for each controller in version 1, one alone in version 2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    /// The group with these folders.
    pub fn of(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Its folders.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Version of control groups that sees to this controller here: 1 or 2; none: nobody does.
    pub fn version(&self, controller: Controller) -> Option<u8> {
        let [second, first] = match controller {
            Controller::Memory => ["memory.max", "memory.limit_in_bytes"],
            Controller::Cpu => ["cpu.max", "cpu.cfs_quota_us"],
            // The file has one name in both versions; only the second says how many events there were in this one.
            Controller::Pids => {
                let folder = self.find("pids.max")?;
                let is_second = folder.with_file_name("cgroup.controllers").exists();
                return Some(if is_second { 2 } else { 1 });
            }
        };
        self.find(second).map(|_| 2).or_else(|| self.find(first).map(|_| 1))
    }

    /// Writes limits; what is none is lifted. What the group has no controller for is left out: [`Self::read`] tells.
    ///
    /// # Errors
    /// When the kernel refuses one, for example less memory than is held now (version 1). The others are written all the same.
    pub fn set(&self, limits: &Limits) -> io::Result<()> {
        let memory = self.set_memory(limits.memory);
        let cpus = self.set_cpus(limits.cpus);
        let pids = limits.pids.map_or_else(|| "max".to_owned(), |pids| pids.to_string());
        let pids = self.write("pids.max", &pids);
        memory.and(cpus).and(pids)
    }

    fn set_memory(&self, limit: Option<u64>) -> io::Result<()> {
        if self.find("memory.max").is_some() {
            self.write("memory.swap.max", limit.map_or("max", |_| "0"))?;
            // One that is over takes the others of its instance with it: half an instance is none.
            self.write("memory.oom.group", if limit.is_some() { "1" } else { "0" })?;
            return self
                .write("memory.max", &limit.map_or_else(|| "max".to_owned(), |bytes| bytes.to_string()));
        }
        let text = limit.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
        // Memory with swap is never less than memory: which comes first depends on where they were.
        let (alone, with_swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
        if self.write(alone, &text).is_err() {
            self.write(with_swap, &text)?;
            return self.write(alone, &text);
        }
        self.write(with_swap, &text)
    }

    fn set_cpus(&self, limit: Option<u32>) -> io::Result<()> {
        let quota = limit.map(|thousandths| u64::from(thousandths) * PERIOD / 1000);
        let second = quota.map_or_else(|| format!("max {PERIOD}"), |quota| format!("{quota} {PERIOD}"));
        self.write("cpu.max", &second)?;
        let first = quota.map_or_else(|| "-1".to_owned(), |quota| quota.to_string());
        self.write("cpu.cfs_quota_us", &first)
    }

    /// Writes limits where the kernel has others. True: it had.
    ///
    /// # Errors
    /// As in [`Self::set`].
    pub fn adjust(&self, limits: &Limits) -> io::Result<bool> {
        let has = |controller| self.version(controller).is_some();
        let wanted = Limits {
            memory: limits.memory.filter(|_| has(Controller::Memory)),
            cpus: limits.cpus.filter(|_| has(Controller::Cpu)),
            pids: limits.pids.filter(|_| has(Controller::Pids)),
        };
        let differs = self.read() != wanted.as_kept();
        if differs {
            self.set(&wanted)?;
        }
        Ok(differs)
    }

    /// The limits that the kernel has.
    pub fn read(&self) -> Limits {
        let number = |file: &str| self.text(file)?.trim().parse::<u64>().ok();
        // Version 1 says `no limit` as the largest number of whole pages.
        let first = number("memory.limit_in_bytes").filter(|bytes| *bytes < (1 << 62));
        let cpu_max = || {
            let text = self.text("cpu.max")?;
            let (quota, period) = text.trim().split_once(' ')?;
            Some((quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?))
        };
        let cfs = || Some((number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?));
        let cpus = cpu_max().or_else(cfs).and_then(|(quota, period)| (quota * 1000).checked_div(period));
        Limits {
            memory: number("memory.max").or(first),
            cpus: cpus.and_then(|cpus| u32::try_from(cpus).ok()),
            pids: number("pids.max").and_then(|pids| u32::try_from(pids).ok()),
        }
    }

    /// How often the kernel ended a member for want of memory.
    pub fn oom_kills(&self) -> u64 {
        ["memory.events", "memory.oom_control"].iter().filter_map(|file| oom_kills(&self.text(file)?)).sum()
    }

    /// Most bytes that its members held at once.
    pub fn peak(&self) -> Option<u64> {
        let files = ["memory.peak", "memory.max_usage_in_bytes"];
        files.iter().find_map(|file| self.text(file)?.trim().parse().ok())
    }

    /// Periods in which its members were held back by the limit of processors.
    pub fn throttled(&self) -> u64 {
        let texts = self.folders.iter().filter_map(|folder| fs::read_to_string(folder.join("cpu.stat")).ok());
        let counts = texts.filter_map(|text| {
            text.lines().find_map(|line| line.strip_prefix("nr_throttled "))?.trim().parse::<u64>().ok()
        });
        counts.max().unwrap_or(0)
    }

    /// Whether it is still there.
    pub fn exists(&self) -> bool {
        self.folders.iter().any(|folder| folder.exists())
    }

    /// Time that its members spent on processors.
    pub fn cpu_time(&self) -> Option<Duration> {
        let first = || Some(Duration::from_nanos(self.text("cpuacct.usage")?.trim().parse().ok()?));
        let text = self.text("cpu.stat").unwrap_or_default();
        let second = text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse().ok());
        second.map(Duration::from_micros).or_else(first)
    }

    /// How many processes and threads it has.
    pub fn pids(&self) -> Option<u64> {
        self.text("pids.current")?.trim().parse().ok()
    }

    /// A descriptor for each folder: who writes `0` there becomes a member.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |folder: &PathBuf| -> io::Result<OwnedFd> {
            Ok(OpenOptions::new().write(true).open(folder.join("cgroup.procs"))?.into())
        };
        self.folders.iter().map(open).collect()
    }

    /// Removes it, and the folder around it if that was the last one. A member that is still there keeps it.
    pub fn remove(&self) {
        for folder in &self.folders {
            for _ in 0..TRIES.0 {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == ErrorKind::ResourceBusy => std::thread::sleep(TRIES.1),
                    _ => break,
                }
            }
            let _ = folder.parent().map(fs::remove_dir); // not empty: others are in it
        }
    }

    fn find(&self, file: &str) -> Option<PathBuf> {
        self.folders.iter().map(|folder| folder.join(file)).find(|path| path.exists())
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.find(file)?).ok()
    }

    /// Into the file, if there is one.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        self.find(file).map_or(Ok(()), |path| write(&path, text))
    }
}

/// One write: the kernel takes each as one order.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let open = || -> io::Result<File> { OpenOptions::new().write(true).open(path) };
    open().and_then(|mut file| file.write_all(text.as_bytes())).map_err(named)
}

/// Of the text of `memory.events` or `memory.oom_control`.
fn oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}
