//! What is known of an instance around a moment: its changes of state, its release, what it printed.

use super::answer::stamp;
use crate::home::Home;
use model::{AppId, AppName, StackName};
use std::path::PathBuf;
use store::{Store, Transition};
use telemetry::journal::{Source, Stream};

/// Lines that are shown.
pub const LINES: usize = 30;
/// Lines that are looked through for them: what the instance's successor printed since stands behind.
const LOOKED: usize = 20_000;
/// Milliseconds for which clocks and queues may have what belongs together apart.
const SLACK: u64 = 2_000;

/// A run of an instance, as the edge names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its app.
    pub app: AppId,
    /// `app.slot`.
    pub label: String,
}

impl Run {
    /// Of `stack/app.slot#run`; none: a server that Mainstay does not run.
    pub fn parse(instance: &str) -> Option<Self> {
        let (stack, rest) = instance.split_once('/')?;
        let (label, _) = rest.split_once('#')?;
        let (app, slot) = label.rsplit_once('.')?;
        slot.parse::<u32>().ok()?;
        Some(Self { app: app_of(&format!("{stack}/{app}"))?, label: label.to_owned() })
    }
}

/// Of `stack/app`.
pub fn app_of(upstream: &str) -> Option<AppId> {
    let (stack, app) = upstream.split_once('/')?;
    Some(AppId { stack: stack.parse::<StackName>().ok()?, app: app.parse::<AppName>().ok()? })
}

/// What the store remembers of an app.
pub struct Past {
    app: AppId,
    /// Oldest first.
    changes: Vec<Transition>,
    releases: Vec<(u64, u64)>,
}

impl Past {
    /// Of this app; empty where the store cannot be read.
    pub fn of(home: &Home, app: &AppId) -> Self {
        let store = Store::open_to_read(&home.database()).ok();
        let changes = store.as_ref().and_then(|store| store.history(app, store::history::KEPT).ok());
        let releases = store.as_ref().and_then(|store| store.proposed(&app.stack).ok());
        Self {
            app: app.clone(),
            changes: changes.unwrap_or_default(),
            releases: releases.unwrap_or_default(),
        }
    }

    /// Changes of the run that this slot had at that moment, until the next one began.
    pub fn run(&self, label: &str, at_ms: u64) -> Vec<&Transition> {
        let mine: Vec<&Transition> = self.changes.iter().filter(|change| change.instance == label).collect();
        let is_start = |change: &&Transition| change.state == "starting";
        let begun = |change: &&Transition| is_start(change) && change.at_ms <= at_ms;
        let from = mine.iter().rposition(begun).unwrap_or_default();
        let next = mine.iter().skip(from + 1).position(is_start).map_or(mine.len(), |at| from + 1 + at);
        mine.get(from..next).unwrap_or_default().to_vec()
    }

    /// The last change to one of these states up to a moment.
    pub fn last(&self, states: &[&str], at_ms: u64) -> Option<&Transition> {
        let fits = |change: &&Transition| {
            change.at_ms <= at_ms.saturating_add(SLACK) && states.contains(&change.state.as_str())
        };
        self.changes.iter().rev().find(fits)
    }

    /// The release that was the newest at a moment.
    pub fn release(&self, at_ms: u64) -> Option<u64> {
        self.releases.iter().rev().find(|(_, proposed)| *proposed <= at_ms).map(|(number, _)| *number)
    }

    /// When a release was proposed.
    pub fn proposed(&self, release: u64) -> Option<String> {
        self.releases.iter().find(|(number, _)| *number == release).map(|(_, at)| stamp(*at))
    }

    /// The last lines that a slot printed from `since` on up to a moment.
    pub fn output(&self, home: &Home, label: &str, since_ms: u64, until_ms: u64) -> Vec<String> {
        let stack = self.app.stack.as_str();
        let folders = [home.stack_logs(stack), home.log_link(stack)];
        let source = |folder: &PathBuf, name: &str, stream| Source {
            label: String::new(),
            stream,
            path: folder.join(format!("{label}.{name}.log")),
        };
        let sources: Vec<Source> = folders
            .iter()
            .filter(|folder| folder.is_dir())
            .flat_map(|folder| [source(folder, "out", Stream::Out), source(folder, "err", Stream::Err)])
            .collect();
        let records = telemetry::journal::tail(&sources, LOOKED).unwrap_or_default();
        let time = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        // What it says as it dies is read from its pipe a moment later; by then its successor may speak.
        let next = self
            .changes
            .iter()
            .find(|change| change.instance == label && change.state == "starting" && change.at_ms > since_ms);
        let until_ms = next.map_or(u64::MAX, |next| next.at_ms).min(until_ms.saturating_add(SLACK / 4));
        let (since, until) = (time(since_ms), time(until_ms));
        let mine =
            records.into_iter().filter(|record| (since..=until).contains(&record.time.as_millisecond()));
        let mut lines: Vec<String> = mine.map(|record| record.text).collect();
        lines.drain(..lines.len().saturating_sub(LINES));
        lines
    }
}

/// How a run ended, from what the history says of it, if it did around these moments: with the time, and whether it was told to.
pub fn end<'t>(run: &[&'t Transition], from_ms: u64, until_ms: u64) -> Option<&'t Transition> {
    let near = from_ms.saturating_sub(SLACK)..=until_ms.saturating_add(SLACK * 2);
    run.iter().copied().find(|change| is_end(change) && near.contains(&change.at_ms))
}

/// Whether a run was over then: it ended by itself, was stopped, or made room for a fresh one.
pub fn is_end(change: &Transition) -> bool {
    matches!(change.state.as_str(), "ended" | "recycled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(changes: &[(&str, &str, u64)]) -> Past {
        let app = app_of("s/a").unwrap();
        let change = |&(instance, state, at_ms): &(&str, &str, u64)| Transition {
            app: app.clone(),
            instance: instance.into(),
            state: state.into(),
            reason: String::new(),
            at_ms,
        };
        Past {
            app: app.clone(),
            changes: changes.iter().map(change).collect(),
            releases: vec![(1, 10), (4, 5_000)],
        }
    }

    #[test]
    fn names_of_the_edge_are_runs_or_foreign_servers() {
        let run = Run::parse("shop/web-2.11#345").unwrap();
        assert_eq!((run.app.to_string().as_str(), run.label.as_str()), ("shop/web-2", "web-2.11"));
        for foreign in ["127.0.0.1:80", "unix:/a/b.1#2", "shop/web", "shop/web.x#1"] {
            assert_eq!(Run::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_slot_has_one_run_at_a_time() {
        let past = past(&[
            ("a.1", "starting", 0),
            ("a.1", "ready", 100),
            ("a.2", "starting", 150),
            ("a.1", "ended", 10_000),
            ("a.1", "starting", 20_000),
        ]);
        let states = |at| past.run("a.1", at).iter().map(|it| it.state.as_str()).collect::<Vec<_>>();
        assert_eq!(states(9_000), ["starting", "ready", "ended"]);
        assert_eq!(states(21_000), ["starting"]);
        assert_eq!(end(&past.run("a.1", 9_000), 8_500, 9_900).unwrap().at_ms, 10_000);
        assert!(end(&past.run("a.1", 9_000), 40, 50).is_none(), "much later");
        assert_eq!((past.release(20), past.release(6_000), past.release(1)), (Some(1), Some(4), None));
    }
}
