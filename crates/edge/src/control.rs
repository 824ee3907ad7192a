//! The control thread: speaks with the keeper (`wire::edge`), hands listeners and tables to the workers, reports drained
//! instances. Plain and blocking; it never runs a request.
//!
//! It waits on four things at once: the socket on which a keeper may connect (a new one replaces the former), the keeper's
//! messages, the workers' event ([`crate::wake`]), and the lifetime pipe. When the keeper goes
//! away nothing else changes: the edge serves on from the table it has.
//!
//! Tables that were replaced are kept until no worker holds them, so that their memory is freed here and not on a request
//! thread.

mod leaving;
mod listeners;

use crate::access_log::AccessLog;
use crate::bounds::Bounds;
use crate::compile::Compiler;
use crate::connection::Deadlines;
use crate::files::Files;
use crate::guard::{Guard, Ledger};
use crate::hold::lines::{TICK, all_stats};
use crate::metrics::{Metrics, WorkerStats};
use crate::table::Table;
use crate::tls::Unknown;
use crate::wake::Wake;
use crate::worker::{self, Shared, WorkerHandle};
use arc_swap::ArcSwap;
use leaving::Leaving;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use sys::frame::FrameSocket;
use sys::memfile;
use wire::edge::{FromEdge, Listener, Stats, ToEdge};
use wire::snapshot::{Certificate, Snapshot};

/// Largest snapshot taken, in bytes.
const MAX_SNAPSHOT: usize = 256 << 20;
/// Longest time a keeper may take over the rest of a message, or to take ours.
const KEEPER: Duration = Duration::from_secs(5);
/// How far the control thread stands back behind the workers, which are there before.
const NICENESS: i32 = 10;
/// What may end by itself after the keeper that owned this edge has gone.
const ORPHANED: Duration = Duration::from_secs(5);

/// Everything the control thread holds.
pub struct Control {
    socket: UnixListener,
    lifetime: Option<OwnedFd>,
    keeper: Option<FrameSocket>,
    workers: Vec<WorkerHandle>,
    listeners: BTreeMap<Listener, OwnedFd>,
    compiler: Compiler,
    wake: Arc<Wake>,
    table: Arc<ArcSwap<Table>>,
    retired: Vec<Arc<Table>>,
    log: AccessLog,
    guard: Arc<Guard>,
    metrics: Arc<Metrics>,
    bans: Ledger,
    unknown: Arc<Unknown>,
    /// Told to retire or to end.
    leaving: Option<Leaving>,
}

/// What woke the control thread.
struct Woken {
    connect: bool,
    wake: bool,
    lifetime: bool,
    keeper: bool,
}

impl Control {
    /// Starts the workers and serves nothing yet.
    pub fn start(
        socket: UnixListener,
        lifetime: Option<OwnedFd>,
        workers: usize,
        bounds: Bounds,
        deadlines: Deadlines,
        log: AccessLog,
    ) -> io::Result<Self> {
        let wake = Wake::new()?;
        let table = Arc::new(ArcSwap::from_pointee(Table::default()));
        let guard = Arc::new(Guard::new(Arc::clone(&wake)));
        let metrics = Arc::new(Metrics {
            workers: (0..workers).map(|_| Arc::<WorkerStats>::default()).collect(),
            sites: Arc::default(),
            table: Arc::clone(&table),
            log: log.clone(),
            guard: Arc::clone(&guard),
        });
        let unknown = Arc::new(Unknown::new(Arc::clone(&wake)));
        let compiler = Compiler::new(Arc::clone(&wake), Arc::clone(&metrics.sites));
        let shared = Shared {
            table: Arc::clone(&table),
            log: log.clone(),
            guard: Arc::clone(&guard),
            metrics: Arc::clone(&metrics),
            files: Arc::new(Files::start()?),
            unknown: Arc::clone(&unknown),
            bounds,
            deadlines,
        };
        let workers =
            (0..workers).map(|index| worker::start(index, shared.clone())).collect::<io::Result<_>>()?;
        Ok(Self {
            socket,
            lifetime,
            keeper: None,
            workers,
            listeners: BTreeMap::new(),
            compiler,
            wake,
            table,
            retired: Vec::new(),
            log,
            guard,
            metrics,
            bans: Ledger::default(),
            unknown,
            leaving: None,
        })
    }

    /// Until it was told to end, and all workers have.
    pub fn run(mut self) -> io::Result<()> {
        // Of this thread only: where a large snapshot is decoded on a busy core, requests come first.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "the control thread keeps its priority");
        }
        while !(self.leaving.is_some() && self.workers.iter().all(|worker| worker.thread.is_finished())) {
            let woken = self.wait()?;
            if woken.wake {
                self.wake.clear();
            }
            self.report_drained();
            self.ban();
            self.say_wanted();
            self.say_unknown();
            if woken.keeper {
                self.hear();
            }
            if woken.connect {
                self.connect();
            }
            if woken.lifetime {
                self.lifetime = None;
                tracing::info!("the keeper that owned this edge has gone");
                self.leave(ORPHANED, true);
            }
            self.retired.retain(|table| Arc::strong_count(table) > 1);
            self.guard.sweep();
            self.compiler.sweep(Instant::now());
        }
        self.report_drained();
        Ok(())
    }

    fn wait(&self) -> io::Result<Woken> {
        let polled = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds = vec![polled(self.socket.as_fd()), polled(self.wake.as_fd())];
        let lifetime = self.lifetime.as_ref().map(|fd| fds.push(polled(fd.as_fd())));
        let keeper = self.keeper.as_ref().map(|keeper| fds.push(polled(keeper.as_fd())));
        let pause = |nanos, secs| Timespec { tv_sec: secs, tv_nsec: nanos };
        let timeout = match (self.leaving, self.retired.is_empty()) {
            // A worker does not say that it has ended.
            (Some(leaving), _) => Some(pause(if leaving.at_once { 20_000_000 } else { 100_000_000 }, 0)),
            _ if self.compiler.lines.are_waiting() => Some(pause(TICK.subsec_nanos().into(), 0)),
            (None, false) => Some(pause(0, 1)),
            (None, true) if self.guard.has_traces() => Some(pause(0, 1)),
            (None, true) if self.compiler.counts_rates() => Some(pause(0, 10)),
            (None, true) => None,
        };
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = || ready.next().unwrap_or(false);
        Ok(Woken {
            connect: next(),
            wake: next(),
            lifetime: lifetime.is_some() && next(),
            keeper: keeper.is_some() && next(),
        })
    }

    fn connect(&mut self) {
        let Ok((stream, _)) = self.socket.accept() else { return };
        let keeper = FrameSocket::from(stream);
        let set = keeper.set_read_timeout(Some(KEEPER)).and_then(|()| keeper.set_write_timeout(Some(KEEPER)));
        if let Err(error) = set {
            tracing::warn!(%error, "a keeper could not be greeted");
            return;
        }
        self.keeper = Some(keeper);
        let hello = FromEdge::Hello {
            version: wire::VERSION,
            pid: std::process::id(),
            revision: self.table.load().revision,
            listeners: self.listeners.keys().copied().collect(),
            retiring: self.retiring(),
            certificates_apart: true,
        };
        self.say(&hello);
        self.compiler.report_again();
        self.report_drained();
        self.compiler.lines.tell_again();
        self.unknown.tell_again();
        self.say_unknown();
        self.bans.own().into_iter().for_each(|ban| self.say(&FromEdge::Banned(ban)));
    }

    fn say(&mut self, message: &FromEdge) {
        self.say_with(message, None);
    }

    /// With this file beside the message.
    fn say_with(&mut self, message: &FromEdge, file: Option<&OwnedFd>) {
        let Some(keeper) = &self.keeper else { return };
        let fds: Vec<_> = match message {
            FromEdge::Hello { .. } => self.listeners.values().map(AsFd::as_fd).collect(),
            _ => file.map(AsFd::as_fd).into_iter().collect(),
        };
        let sent =
            wire::encode(message).map_err(io::Error::other).and_then(|bytes| keeper.send(&bytes, &fds));
        if let Err(error) = sent {
            tracing::info!(%error, "the keeper has gone");
            self.keeper = None;
        }
    }

    fn hear(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let (bytes, fds) = match keeper.recv() {
            Ok(Some(frame)) => frame,
            Ok(None) => return self.keeper = None,
            Err(error) => {
                tracing::info!(%error, "the keeper has gone");
                return self.keeper = None;
            }
        };
        match wire::decode(&bytes) {
            Ok(ToEdge::Listen { .. }) if self.leaving.is_some() => {} // they are another edge's by now
            Ok(ToEdge::Listen { listeners }) => self.listen(&listeners, fds),
            Ok(ToEdge::Certificates { revision }) => self.take_certificates(revision, fds),
            Ok(ToEdge::Snapshot { revision }) => self.take_snapshot(revision, fds),
            Ok(ToEdge::Stats) => {
                let stats = self.stats();
                self.say(&FromEdge::Stats(stats));
            }
            Ok(ToEdge::Metrics) => self.show_metrics(),
            Ok(ToEdge::Retire { deadline_ms }) => self.leave(Duration::from_millis(deadline_ms), false),
            Ok(ToEdge::Shutdown { deadline_ms }) => self.leave(Duration::from_millis(deadline_ms), true),
            Err(error) => {
                tracing::error!(%error, "the keeper said what is not understood");
                self.keeper = None;
            }
        }
    }

    fn show_metrics(&mut self) {
        match memfile::create("metrics", self.metrics.render().as_bytes()) {
            Ok(file) => self.say_with(&FromEdge::Metrics, Some(&file)),
            Err(error) => {
                // Without its answer the keeper would wait: it hears the end instead.
                tracing::error!(%error, "the metrics cannot be handed over");
                self.keeper = None;
            }
        }
    }

    /// Where they cannot be read, the snapshot that names them is refused.
    fn take_certificates(&mut self, revision: u64, fds: Vec<OwnedFd>) {
        match read_file::<Vec<Certificate>>(fds) {
            Ok(given) => self.compiler.take_certificates(revision, &given),
            Err(reason) => tracing::error!(revision, %reason, "certificates were not understood"),
        }
    }

    fn take_snapshot(&mut self, revision: u64, fds: Vec<OwnedFd>) {
        let answer = match self.publish(revision, fds) {
            Ok(()) => FromEdge::Applied { revision },
            Err(reason) => {
                tracing::error!(revision, %reason, "a snapshot was refused");
                FromEdge::Rejected { revision, reason }
            }
        };
        self.say(&answer);
        self.report_drained();
    }

    /// The table is published before anything drains, so that whoever loses a claim finds the new one.
    fn publish(&mut self, revision: u64, fds: Vec<OwnedFd>) -> Result<(), String> {
        let snapshot: Snapshot = read_file(fds)?;
        if snapshot.revision != revision {
            return Err(format!("the file holds revision {}", snapshot.revision));
        }
        if revision < self.table.load().revision {
            return Err(format!("revision {} is served already", self.table.load().revision));
        }
        let lanes = self.log.set_places(&snapshot.logs);
        telemetry::log::redact(&self.log.strictest());
        let table = Arc::new(self.compiler.table(&snapshot, &lanes).map_err(|error| error.to_string())?);
        let moved = !table.leads_as(&self.table.load());
        self.log.set_format(snapshot.edge.access_log);
        self.guard.apply(&snapshot);
        self.bans.apply(&snapshot.bans, &self.guard);
        // Before the table: who joins a line by it finds the upstream there.
        self.compiler.lines.renew(&table);
        self.retired.push(self.table.swap(Arc::clone(&table)));
        self.unknown.renew();
        self.compiler.drain(&snapshot);
        self.compiler.lines.settle(&table, moved);
        Ok(())
    }

    fn report_drained(&mut self) {
        if self.keeper.is_none() {
            return; // kept for the next one, who is told all of it
        }
        for (instance, revision) in self.compiler.newly_drained() {
            self.say(&FromEdge::Drained { instance, revision });
        }
    }

    /// Says which apps are to be woken up; without a keeper, that is kept for the next one.
    fn say_wanted(&mut self) {
        while self.keeper.is_some()
            && let Some(upstream) = self.compiler.lines.wanted(&self.table.load())
        {
            self.say(&FromEdge::Wanted { upstream });
        }
    }

    /// Says which names certificates are wanted for.
    fn say_unknown(&mut self) {
        while self.keeper.is_some()
            && let Some(name) = self.unknown.take()
        {
            self.say(&FromEdge::Unknown { name });
        }
    }

    /// Bans whom the workers found offending, and tells the keeper.
    fn ban(&mut self) {
        for ban in self.bans.take_fresh(&self.guard) {
            self.say(&FromEdge::Banned(ban));
        }
    }

    fn stats(&self) -> Stats {
        let (instances, upstreams) = (self.compiler.stats(), all_stats(&self.table.load()));
        let mut stats = Stats { log_lost: self.log.lost(), instances, upstreams, ..Stats::default() };
        self.metrics.workers.iter().for_each(|worker| worker.add_to(&mut stats));
        stats
    }
}

/// What a message's one memory file holds.
fn read_file<T: DeserializeOwned>(fds: Vec<OwnedFd>) -> Result<T, String> {
    let [file] =
        <[OwnedFd; 1]>::try_from(fds).map_err(|fds| format!("{} descriptors, not one", fds.len()))?;
    let bytes = memfile::read(&file, MAX_SNAPSHOT).map_err(|error| error.to_string())?;
    wire::decode(&bytes).map_err(|error| error.to_string())
}
