//! Health of servers that Mainstay does not run, tried as instances are. A server is in rotation until a try says otherwise: its
//! first one at once, later ones when as many in a row as allowed have failed. One that succeeds brings it back.

use model::observed::Address;
use model::spec::HealthSpec;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// A server as it is tried: where, and how (as text: what is equal is tried once).
pub(crate) type Key = (String, String);

/// What a try changed.
#[derive(Debug)]
pub(crate) struct Verdict {
    key: Key,
    /// Why it is out of rotation; none: it is in.
    problem: Option<String>,
}

struct Watched {
    problem: Option<String>,
    task: AbortHandle,
}

/// All that are tried.
pub(crate) struct Servers {
    watched: BTreeMap<Key, Watched>,
    verdicts: mpsc::Sender<Verdict>,
    tasks: TaskTracker,
}

pub(crate) fn key(address: &Address, health: &HealthSpec) -> Key {
    (address.to_string(), serde_json::to_string(health).unwrap_or_default())
}

impl Servers {
    pub(crate) fn new(verdicts: mpsc::Sender<Verdict>, tasks: TaskTracker) -> Self {
        Self { watched: BTreeMap::new(), verdicts, tasks }
    }

    /// Tries exactly these from now on. Cheap when nothing changed.
    pub(crate) fn keep(&mut self, wanted: BTreeMap<Key, (Address, HealthSpec)>) {
        self.watched.retain(|key, watched| {
            let stays = wanted.contains_key(key);
            if !stays {
                watched.task.abort();
            }
            stays
        });
        for (key, (address, health)) in wanted {
            let (verdicts, tasks) = (&self.verdicts, &self.tasks);
            self.watched.entry(key.clone()).or_insert_with(|| {
                let task = tasks.spawn(watch(key, address, health, verdicts.clone())).abort_handle();
                Watched { problem: None, task }
            });
        }
    }

    /// Folds what a try changed.
    pub(crate) fn fold(&mut self, Verdict { key, problem }: Verdict) {
        let Some(watched) = self.watched.get_mut(&key) else { return };
        let server = &key.0;
        match &problem {
            Some(problem) => tracing::warn!(server, problem, "this server is out of rotation"),
            None => tracing::info!(server, "this server is in rotation again"),
        }
        watched.problem = problem;
    }

    /// Why a server is out of rotation, if it is.
    pub(crate) fn problem(&self, key: &Key) -> Option<&str> {
        self.watched.get(key)?.problem.as_deref()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.watched.values().for_each(|watched| watched.task.abort());
    }
}

async fn watch(key: Key, address: Address, health: HealthSpec, verdicts: mpsc::Sender<Verdict>) {
    let (mut failures, mut out, mut first) = (0, false, true);
    loop {
        let problem = supervisor::probe(&health, &address).await.err();
        failures = if problem.is_some() { failures + 1 } else { 0 };
        let is_out = failures > 0 && (first || out || failures >= health.retries);
        if is_out != out {
            let verdict = Verdict { key: key.clone(), problem };
            if verdicts.send(verdict).await.is_err() {
                return;
            }
        }
        (out, first) = (is_out, false);
        tokio::time::sleep(health.interval).await;
    }
}

#[cfg(test)]
#[path = "servers_tests.rs"]
mod tests;
