//! What goes on in a home whose keeper is dead: instances, by the status files of their shims, and the edge, by its command
//! line. Reads only.

use keeper::home::Home;
use std::path::Path;
use wire::shim::{ShimState, ShimStatus};

/// What was found alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Running instances.
    pub instances: usize,
    /// Process id of the edge.
    pub edge: Option<u32>,
}

impl Left {
    /// Looks into a home. Makes no folder.
    pub fn in_home(path: &Path) -> Self {
        let Some(home) = path.is_dir().then(|| Home::open(path).ok()).flatten() else {
            return Self { instances: 0, edge: None };
        };
        let entries = std::fs::read_dir(home.instances()).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".json") && !name.ends_with(".meta.json")
        });
        Self { instances: files.filter(|file| runs(file)).count(), edge: edge_of(&home) }
    }

    /// In words; nothing when nothing is left.
    pub fn words(&self) -> Option<String> {
        let instances = match self.instances {
            0 => None,
            1 => Some("1 app instance runs on".to_owned()),
            number => Some(format!("{number} app instances run on")),
        };
        let edge = self.edge.map(|pid| format!("the edge (pid {pid}) serves on"));
        let parts: Vec<String> = edge.into_iter().chain(instances).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Whether the process that a shim's status file speaks of is alive, and the same.
fn runs(file: &Path) -> bool {
    let status = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<ShimStatus>(&bytes).ok());
    status.is_some_and(|status| match status.state {
        ShimState::Running { pid } => sys::proc::lives(pid, status.born),
        _ => false,
    })
}

fn edge_of(home: &Home) -> Option<u32> {
    let logs = home.edge_logs();
    let ours = |pid: &u32| {
        sys::proc::cmdline(*pid).is_some_and(|words| {
            let mut words = words.iter().skip(1);
            words.next().is_some_and(|verb| verb == "edge") && words.any(|word| Path::new(word) == logs)
        })
    };
    sys::proc::pids().unwrap_or_default().into_iter().find(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // a status file as a shim would leave it
    fn only_living_instances_count() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("instances");
        std::fs::create_dir(&folder).unwrap();
        let pid = std::process::id();
        let born = sys::proc::start_time(pid).unwrap();
        for (name, born) in [("a.json", born), ("b.json", born + 1), ("c.meta.json", born)] {
            let status = ShimStatus {
                instance: "s/a.1".into(),
                shim: 1,
                state: ShimState::Running { pid },
                started_ms: 0,
                born,
                stopping: false,
            };
            std::fs::write(folder.join(name), serde_json::to_vec(&status).unwrap()).unwrap();
        }
        let left = Left::in_home(home.path());
        assert_eq!(left, Left { instances: 1, edge: None });
        assert_eq!(left.words().unwrap(), "1 app instance runs on");
    }
}
