//! The second edge: while a new one takes over from the old both live, and never a third.
//!
//! ```text
//! coming   run/edge-new.sock   started by a new program, serves on the same sockets, sends what it sees
//!   │ serves, and its keeper is no trial
//!   ▼
//! the edge run/edge.sock       the former one becomes
//!                                leaving  run/edge-old.sock  accepts no more; gone when its last connection is
//! ```
//! The names are changed by two renames; a keeper that died between them has its successor do the second one
//! ([`settle_names`]). Both edges get every snapshot, both say what has drained, and an instance has drained when each of them
//! said so.

use crate::edge_host::{self, Connected, EdgeEvent};
use crate::home::Home;
use crate::keeper::{Edge, Keeper, epoch_ms};
use crate::programs::{Programs, Stage};
use model::observed::{Event, Phase};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use sys::frame::FrameSocket;
use sys::unix_socket::is_live;
use wire::edge::{Retiring, Stats, ToEdge};

/// Pause before a coming edge that could not be started is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// Time that connections of a leaving edge have, where nobody said how long.
const DRAIN: Duration = Duration::from_secs(600);

/// What the second edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is to take over.
    Coming,
    /// It was taken over from; milliseconds since the Unix epoch.
    Leaving { since_ms: u64, until_ms: u64 },
}

/// The second edge.
pub(crate) struct Beside {
    pub(crate) edge: Edge,
    pub(crate) role: Role,
    /// What it saw last.
    pub(crate) stats: Stats,
    /// It has said so since it got the listeners: it serves.
    pub(crate) heard: bool,
}

/// Which edges, by generation, have said that an instance has drained.
pub(crate) type Said = BTreeMap<String, BTreeSet<u64>>;

/// Gives the living edges the names that they have to have. Blocks for as long as it takes to look.
pub(crate) fn settle_names(home: &Home) {
    let (main, new) = (home.edge_socket(), home.edge_coming_socket());
    // Either the second rename is missing, or the edge died beside one that can serve in its place.
    if !is_live(&main) && is_live(&new) {
        rename(&new, &main);
    }
}

fn rename(from: &Path, to: &Path) {
    if let Err(error) = std::fs::rename(from, to) {
        tracing::error!(%error, from = %from.display(), "an edge's socket keeps its name");
    }
}

impl Keeper {
    /// Finds, or has to begin, what an upgrade left to do. Called once, when the edge is known.
    pub(crate) fn find_beside(&mut self) {
        let programs = Programs::load(&self.home).unwrap_or_else(|error| {
            tracing::error!(%error, "what an upgrade left to do is not known");
            Programs::default()
        });
        let stage = programs.attempt.as_ref().map(|attempt| attempt.stage);
        if let Some(attempt) = &programs.attempt {
            self.drain = Duration::from_millis(attempt.drain_ms);
        }
        let (coming, leaving) = (self.home.edge_coming_socket(), self.home.edge_leaving_socket());
        if is_live(&leaving) {
            self.find_leaving();
            self.upgraded(stage);
        } else if self.options.trial.is_some() {
            self.start_coming(Duration::ZERO);
        } else if stage == Some(Stage::Committed) {
            // Of the new program already, where an edge was found missing: then there is nobody to take over from.
            if self.edge_is_new { self.upgraded(stage) } else { self.start_coming(Duration::ZERO) }
        } else if is_live(&coming) {
            // What it has accepted before its keeper was given up comes to its end.
            rename(&coming, &leaving);
            self.find_leaving();
        }
    }

    /// How long connections of a leaving edge have.
    fn find_leaving(&mut self) {
        self.edge_generation += 1;
        let generation = self.edge_generation;
        let found = FrameSocket::connect(&self.home.edge_leaving_socket());
        match edge_host::greet(found, generation, None) {
            Ok(connected) => self.leaving_connected(connected),
            Err(error) => tracing::error!(%error, "an edge that is leaving cannot be spoken to"),
        }
    }

    fn leaving_connected(&mut self, connected: Connected) {
        let retiring = connected.retiring;
        if let Some(edge) = self.edge_of(connected) {
            self.let_leave(edge, Stats::default(), retiring);
        }
    }

    /// Has an edge retire, unless it does already.
    fn let_leave(&mut self, edge: Edge, stats: Stats, retiring: Option<Retiring>) {
        let now = epoch_ms();
        let drain_ms = u64::try_from(self.drain.as_millis()).unwrap_or(u64::MAX);
        let (since_ms, until_ms) = match retiring {
            Some(Retiring { for_ms, left_ms }) => (now.saturating_sub(for_ms), now.saturating_add(left_ms)),
            None => (now, now.saturating_add(drain_ms)),
        };
        tracing::info!(pid = edge.pid, until_ms, "the former edge takes no new connections any more");
        if retiring.is_none() {
            edge.tell(&ToEdge::Retire { deadline_ms: drain_ms });
        }
        self.beside = Some(Beside { edge, role: Role::Leaving { since_ms, until_ms }, stats, heard: true });
        self.published = None;
    }

    /// Starts the edge that is to take over, or finds it, away from the loop.
    pub(crate) fn start_coming(&mut self, pause: Duration) {
        self.edge_generation += 1;
        let (recipe, generation) = (self.recipe.clone(), self.edge_generation);
        let (events, socket) = (self.edge_events.clone(), self.home.edge_coming_socket());
        self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            let ensured =
                tokio::task::spawn_blocking(move || edge_host::ensure_at(&recipe, &socket, generation)).await;
            let event = match ensured {
                Ok(Ok(connected)) => EdgeEvent::Coming(connected),
                Ok(Err(error)) => EdgeEvent::ComingFailed(error.to_string()),
                Err(error) => EdgeEvent::ComingFailed(error.to_string()),
            };
            let _ = events.send(event).await;
        });
    }

    pub(crate) fn coming_connected(&mut self, connected: Connected) {
        let Some(edge) = self.edge_of(connected) else {
            return self.coming_failed("its connection cannot be read");
        };
        self.beside = Some(Beside { edge, role: Role::Coming, stats: Stats::default(), heard: false });
        self.published = None;
        self.listeners_due = true;
        self.ask_coming = true;
    }

    pub(crate) fn coming_failed(&mut self, reason: &str) {
        if self.options.trial.is_some() {
            return self.trial_failed(&format!("its edge did not begin: {reason}"));
        }
        tracing::error!(reason, "the new edge could not be started; trying again");
        self.start_coming(PAUSE);
    }

    /// The second edge is gone.
    pub(crate) fn beside_lost(&mut self) {
        let Some(Beside { edge, role, .. }) = self.beside.take() else { return };
        match role {
            Role::Leaving { .. } => {
                tracing::info!(pid = edge.pid, "the former edge has ended");
                let _ = std::fs::remove_file(self.home.edge_leaving_socket());
            }
            Role::Coming if self.ending.is_none() => self.coming_failed("it ended at once"),
            Role::Coming => {}
        }
        self.fold_drained();
    }

    /// A coming edge that serves takes over, or is what a trial was to prove. After each round of the loop.
    pub(crate) fn look_at_coming(&mut self) {
        if std::mem::take(&mut self.ask_coming)
            && let Some(beside) = &self.beside
        {
            beside.edge.tell(&ToEdge::Stats); // it takes messages in order: its answer says that it has the listeners
        }
        let serves =
            |beside: &Beside| beside.role == Role::Coming && beside.heard && beside.edge.unanswered.is_none();
        if self.ending.is_some() || !self.beside.as_ref().is_some_and(serves) {
            return;
        }
        if self.options.trial.is_some() {
            self.trial_proven();
        } else {
            self.take_over();
        }
    }

    /// The coming edge becomes the edge.
    fn take_over(&mut self) {
        let Some(Beside { edge, stats, .. }) = self.beside.take() else { return };
        tracing::info!(pid = edge.pid, "the new edge takes over");
        let (main, new, old) =
            (self.home.edge_socket(), self.home.edge_coming_socket(), self.home.edge_leaving_socket());
        if self.edge.is_some() {
            rename(&main, &old);
        }
        rename(&new, &main);
        let former_stats = std::mem::replace(&mut self.stats, stats);
        if let Some(former) = self.edge.replace(edge) {
            self.let_leave(former, former_stats, None);
        }
        self.upgraded(Some(Stage::Committed));
    }

    /// The upgrade is done; written down.
    fn upgraded(&mut self, stage: Option<Stage>) {
        if stage != Some(Stage::Committed) || self.options.trial.is_some() {
            return;
        }
        let done = Programs::load(&self.home).and_then(|mut programs| {
            programs.attempt.iter_mut().for_each(|attempt| attempt.stage = Stage::Done);
            programs.sweep(&self.home);
            programs.save(&self.home)
        });
        if let Err(error) = done {
            tracing::error!(%error, "that the upgrade is done could not be recorded");
        }
    }

    /// An edge has no claim on this instance any more.
    pub(crate) fn drained(&mut self, generation: u64, instance: String) {
        self.said_drained.entry(instance).or_default().insert(generation);
        self.fold_drained();
    }

    /// What all edges have let go of has drained. Only of one that drains is kept what a first edge said: of one that was merely unhealthy
    /// it would count for a drain that comes later, when it has requests again.
    pub(crate) fn fold_drained(&mut self) {
        let edges = [self.edge.as_ref(), self.beside.as_ref().map(|beside| &beside.edge)];
        let living: Vec<u64> = edges.into_iter().flatten().map(|edge| edge.generation).collect();
        let draining = self
            .observed
            .instances
            .values()
            .filter(|instance| matches!(instance.phase, Phase::Draining { .. }));
        let (mut drained, mut kept) = (Vec::new(), Said::new());
        for instance in draining {
            let name = instance.id.to_string();
            let Some(said) = self.said_drained.remove(&name) else { continue };
            if living.iter().all(|edge| said.contains(edge)) {
                drained.push(instance.id.clone());
            } else {
                kept.insert(name, said);
            }
        }
        self.said_drained = kept;
        let now = self.now();
        drained.into_iter().for_each(|instance| self.observed.apply(Event::Drained { instance }, now));
    }

    /// What the edges see of instances and upstreams, together; of connections, what the edge does.
    pub(crate) fn add_stats_of_beside(&self, stats: &mut Stats) {
        let Some(beside) = &self.beside else { return };
        for other in &beside.stats.instances {
            let mut same = stats.instances.iter_mut();
            match same.find(|it| it.instance == other.instance) {
                Some(one) => one.add(other),
                None => stats.instances.push(other.clone()),
            }
        }
        for other in &beside.stats.upstreams {
            let mut same = stats.upstreams.iter_mut();
            match same.find(|it| it.upstream == other.upstream) {
                Some(one) => {
                    one.waiting += other.waiting;
                    one.requests += other.requests;
                    one.held += other.held;
                    one.overflowed += other.overflowed;
                    one.retried += other.retried;
                }
                None => stats.upstreams.push(other.clone()),
            }
        }
    }

    /// For `status`.
    pub(crate) fn beside_status(&self) -> Option<crate::api::SecondEdge> {
        let Beside { edge, role, stats, .. } = self.beside.as_ref()?;
        let (state, since, until) = match role {
            Role::Coming => ("coming", None, None),
            Role::Leaving { since_ms, until_ms } => ("leaving", Some(*since_ms), Some(*until_ms)),
        };
        Some(crate::api::SecondEdge {
            pid: edge.pid,
            state: state.into(),
            since: since.map(rfc_3339),
            until: until.map(rfc_3339),
            connections: stats.connections,
            in_flight: stats.in_flight,
            usage: None,
        })
    }
}

fn rfc_3339(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| format!("{at:.0}")).unwrap_or_default()
}

/// What a leaving edge's connections have at the most, until an upgrade says otherwise.
pub(crate) fn usual_drain() -> Duration {
    DRAIN
}
