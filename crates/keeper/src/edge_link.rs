//! The loop's side of the edge: what it tells is folded in, listeners and snapshots are sent.

use crate::beside::Role;
use crate::edge_host::{Connected, EdgeEvent};
use crate::keeper::{Edge, Keeper};
use crate::log_folder;
use crate::stack::Revision;
use model::InstanceId;
use model::network::Protocol;
use model::observed::{Event, Phase};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use wire::edge::{FromEdge, Stats, ToEdge};

/// Pause before an edge that could not be started is tried again.
const EDGE_PAUSE: Duration = Duration::from_secs(1);

impl Keeper {
    /// Folds what the edge's side tells.
    pub(crate) fn edge_event(&mut self, event: EdgeEvent) {
        match event {
            EdgeEvent::Connected(connected) => self.edge_connected(connected),
            EdgeEvent::Said(generation, message, descriptors) => {
                self.edge_said(generation, message, descriptors)
            }
            EdgeEvent::Coming(connected) => self.coming_connected(connected),
            EdgeEvent::ComingFailed(reason) => self.coming_failed(&reason),
            EdgeEvent::Late => self.answer_status(),
            EdgeEvent::LateMetrics => self.answer_metrics(""),
            EdgeEvent::Lost(generation) => {
                if self.edge.as_ref().is_some_and(|edge| edge.generation == generation) {
                    self.edge = None;
                    if self.ending.is_none() {
                        tracing::warn!("the edge is gone; another one is started");
                        self.start_edge(Duration::ZERO);
                    }
                    self.fold_drained();
                } else if self.beside.as_ref().is_some_and(|beside| beside.edge.generation == generation) {
                    self.beside_lost();
                }
                if self.ending.is_some() && self.edge.is_none() && self.beside.is_none() {
                    self.all_drained();
                }
            }
            EdgeEvent::Failed(reason) => {
                tracing::error!(reason, "the edge could not be started; trying again");
                self.start_edge(EDGE_PAUSE);
            }
        }
    }

    pub(crate) fn edge_connected(&mut self, mut connected: Connected) {
        let listeners = std::mem::take(&mut connected.listeners);
        self.edge_is_new |= connected.child.is_some();
        if self.sockets.addresses().is_empty() {
            self.sockets.take_over(listeners);
        }
        let Some(edge) = self.edge_of(connected) else { return self.start_edge(EDGE_PAUSE) };
        self.edge = Some(edge);
        self.published = None;
        self.send_listeners();
    }

    /// Begins to hear what an edge says; none: that cannot be.
    pub(crate) fn edge_of(&self, connected: Connected) -> Option<Edge> {
        let Connected { socket, generation, pid, revision, child, takes_certificates, .. } = connected;
        if let Some(child) = child {
            // Reaped in a thread of its own: the keeper learns of its end through the connection.
            // Without a thread for it a zombie is left, no more.
            let reap = std::thread::Builder::new().name("edge-reaper".into());
            if let Err(error) = reap.spawn(move || sys::process::wait(child)) {
                tracing::warn!(%error, "the edge will not be reaped");
            }
        }
        let events = self.edge_events.clone();
        let read =
            socket.try_clone().and_then(|reader| crate::edge_host::listen_to(reader, generation, events));
        if let Err(error) = read {
            tracing::error!(%error, "the edge's connection cannot be read; trying again");
            return None;
        }
        let unanswered = Some(0);
        Some(Edge { socket, generation, pid, revision, unanswered, takes_certificates, certificates: None })
    }

    fn edge_said(&mut self, generation: u64, message: FromEdge, descriptors: Vec<OwnedFd>) {
        match message {
            FromEdge::Applied { revision } => {
                if let Some(edge) = self.edge_of_generation(generation) {
                    edge.revision = revision;
                    edge.answered(revision);
                }
            }
            FromEdge::Rejected { revision, reason } => {
                tracing::error!(
                    revision,
                    reason,
                    "the edge refused a snapshot and serves from the former one"
                );
                if let Some(edge) = self.edge_of_generation(generation) {
                    edge.answered(revision);
                    // Whatever it lacks: the next snapshot comes with all of it.
                    edge.certificates = None;
                }
            }
            FromEdge::Drained { instance, .. } => self.drained(generation, instance),
            FromEdge::Metrics => self.edge_metrics(&descriptors),
            FromEdge::Banned(ban) => self.banned(ban),
            FromEdge::Stats(stats) => self.edge_figures(generation, stats),
            FromEdge::Wanted { upstream } => self.wake(&upstream),
            FromEdge::Unknown { name } => {
                let Self { certificates, stacks, .. } = self;
                certificates.unknown(&name, stacks.values());
            }
            FromEdge::Hello { .. } => {}
        }
    }

    fn edge_of_generation(&mut self, generation: u64) -> Option<&mut Edge> {
        let beside = self.beside.as_mut().map(|beside| &mut beside.edge);
        self.edge.as_mut().into_iter().chain(beside).find(|edge| edge.generation == generation)
    }

    fn edge_figures(&mut self, generation: u64, mut stats: Stats) {
        if let Some(beside) = self.beside.as_mut().filter(|beside| beside.edge.generation == generation) {
            (beside.stats, beside.heard) = (stats, true);
            return;
        }
        self.add_stats_of_beside(&mut stats);
        self.stats = stats;
        // What was sent after it was asked may not be served yet: then it is asked again.
        let is_behind = self.edge.as_ref().is_some_and(|edge| edge.unanswered.is_some());
        if is_behind && !self.waiting.is_empty() {
            self.tell_edge(&ToEdge::Stats);
        } else {
            self.answer_status();
        }
    }

    /// Starts or finds an edge, away from the loop.
    pub(crate) fn start_edge(&mut self, pause: Duration) {
        self.edge_generation += 1;
        let (recipe, generation, events) =
            (self.recipe.clone(), self.edge_generation, self.edge_events.clone());
        self.tasks.spawn(async move {
            tokio::time::sleep(pause).await;
            let ensured =
                tokio::task::spawn_blocking(move || crate::edge_host::ensure(&recipe, generation)).await;
            let event = match ensured {
                Ok(Ok(connected)) => EdgeEvent::Connected(connected),
                Ok(Err(error)) => EdgeEvent::Failed(error.to_string()),
                Err(error) => EdgeEvent::Failed(error.to_string()),
            };
            let _ = events.send(event).await;
        });
    }

    /// Sends one message to the edge, if there is one, and to one beside it what concerns both. The one beside it comes first: its
    /// figures are there when the other's are.
    pub(crate) fn tell_edge(&self, message: &ToEdge) {
        let both = !matches!(message, ToEdge::Metrics);
        self.beside.iter().filter(|_| both).for_each(|beside| beside.edge.tell(message));
        self.edge.iter().for_each(|edge| edge.tell(message));
    }

    /// Listens where the active stacks want, and nowhere else. The edge gets the listeners when the loop has published.
    pub(crate) fn send_listeners(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let stacks = self.stacks.values().filter(|stack| !stack.removing);
        let wanted: Vec<_> =
            stacks.flat_map(|stack| stack.active.iter().flat_map(Revision::addresses)).copied().collect();
        self.unserved.clear();
        for address in &wanted {
            if let Err(error) = self.sockets.bind(*address) {
                tracing::error!(%error, "this address is not served");
                self.unserved.insert(*address, error.to_string());
            }
        }
        let stacks = self.stacks.values().filter(|stack| !stack.removing);
        let datagrams: Vec<_> = stacks
            .flat_map(|stack| stack.active.iter().flat_map(|active| active.forwarded(Protocol::Udp)))
            .copied()
            .collect();
        for address in &datagrams {
            if let Err(error) = self.sockets.bind_datagrams(*address) {
                tracing::error!(%error, "datagrams to this address are not taken");
                self.unserved.insert(*address, error.to_string());
            }
        }
        self.sockets.keep_only(&wanted, &datagrams);
        self.listeners_due = true;
    }

    /// Sends the listeners, if they may have changed. The edge takes messages in order. One that is leaving gets none.
    pub(crate) fn hand_over_listeners(&mut self) {
        if !std::mem::take(&mut self.listeners_due) {
            return;
        }
        let coming = self.beside.as_ref().filter(|beside| beside.role == Role::Coming);
        for edge in self.edge.iter().chain(coming.map(|beside| &beside.edge)) {
            if let Err(error) = self.sockets.send(&edge.socket) {
                tracing::warn!(%error, "the edge did not take its listeners");
            }
        }
    }

    /// Sends each edge a snapshot if it would differ from the last one.
    pub(crate) fn publish(&mut self) {
        if (self.edge.is_none() && self.beside.is_none()) || self.ending.is_some() {
            return;
        }
        let desired = self.desired();
        let Self { stacks, observed, facts, found, certificates, tickets, sticky_key, bans, servers, .. } =
            self;
        let parts = crate::publish::parts(&crate::publish::Sources {
            stacks,
            desired: &desired,
            observed,
            facts,
            found,
            certificates,
            ticket_keys: &tickets.at(Instant::now()),
            sticky_key,
            bans: bans.named(),
            servers,
        });
        if self.published.as_ref().is_some_and(|published| published.is_same(&parts)) {
            return;
        }
        let mut snapshot = parts.whole();
        log_folder::mask_own(&snapshot);
        let stored = self.store.next_snapshot();
        if let Err(error) = &stored {
            tracing::error!(%error, "numbering a snapshot failed");
        }
        let beside = self.beside.as_mut().map(|beside| &mut beside.edge);
        let mut edges: Vec<&mut Edge> = self.edge.as_mut().into_iter().chain(beside).collect();
        let sent = edges.iter().map(|edge| edge.revision.max(edge.unanswered.unwrap_or(0))).max();
        snapshot.revision = following(sent.unwrap_or(0), stored.ok());
        for edge in &mut edges {
            match crate::edge_host::send_snapshot(edge, &mut snapshot, &parts.certificates) {
                Ok(()) => {
                    edge.unanswered = Some(snapshot.revision);
                    self.published = Some(parts.clone());
                    self.sent = Some(snapshot.revision);
                }
                Err(error) => tracing::warn!(%error, "the edge did not take a snapshot"),
            }
        }
    }

    /// Those who wait for the edges to serve what they were sent.
    pub(crate) fn tell_what_is_served(&mut self) {
        let beside = self.beside.as_ref().map(|beside| &beside.edge);
        let served = self.edge.iter().chain(beside).map(|edge| edge.revision).min();
        let sent = self.published.as_ref().and(self.sent);
        self.certificates.edges_serve(sent, served);
    }

    /// The edge ended because everything does: no instance has a claim on it any more.
    fn all_drained(&mut self) {
        let draining: Vec<InstanceId> = self
            .observed
            .instances
            .values()
            .filter(|i| matches!(i.phase, Phase::Draining { .. }))
            .map(|i| i.id.clone())
            .collect();
        let now = self.now();
        draining.into_iter().for_each(|instance| self.observed.apply(Event::Drained { instance }, now));
    }
}

impl Edge {
    /// It has done with this revision what it could.
    fn answered(&mut self, revision: u64) {
        if self.unanswered == Some(revision) {
            self.unanswered = None;
        }
    }

    /// Sends it one message. One that cannot be written to is noticed as lost.
    pub(crate) fn tell(&self, message: &ToEdge) {
        let sent = wire::encode(message).map_err(std::io::Error::other);
        if let Err(error) = sent.and_then(|bytes| self.socket.send(&bytes, &[])) {
            tracing::warn!(%error, "the edge does not take messages");
        }
    }
}

/// Number of the snapshot after `sent`, the latest that the edge has. It takes none that goes back: where the store could not
/// count (a full disk), then or for a while before, the edge's own count goes on.
fn following(sent: u64, stored: Option<u64>) -> u64 {
    stored.unwrap_or(0).max(sent.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::following;

    #[test]
    fn a_disk_that_was_full_leaves_no_edge_that_refuses_all_that_comes() {
        assert_eq!(following(4, Some(5)), 5);
        assert_eq!(following(4, None), 5, "the store cannot count");
        assert_eq!(following(15, Some(5)), 16, "it can again, and is behind");
        assert_eq!(following(3, Some(9)), 9);
    }
}
