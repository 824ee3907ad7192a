//! A keeper's beginning: folders, lock, store; then what a former keeper left behind is found again.
//!
//! ```text
//! lock ─▶ store ─▶ stacks as committed ─▶ edge (found or started) ─▶ shims adopted ─▶ control API ─▶ the loop
//! ```
//! Adopted instances go on from where the former keeper saw them, and have a moment to say so if they ended meanwhile: the edge
//! that serves is never told that nobody is there.

use crate::bans::Bans;
use crate::beside::{self, Said};
use crate::builds::{self, Builds};
use crate::certificates::{self, Certificates};
use crate::change;
use crate::edge_host::{self, Recipe};
use crate::engine_host::EngineHost;
use crate::error::KeeperError;
use crate::handed::Handed;
use crate::herald::Herald;
use crate::home::Home;
use crate::keeper::{Facts, Inbox, Keeper, report_failure};
use crate::load::Load;
use crate::networks::Networks;
use crate::programs::Attempt;
use crate::recycle::Wear;
use crate::schedule::Schedule;
use crate::servers::Servers;
use crate::sockets::Sockets;
use crate::stack::{Revision, Stack};
use crate::{Options, Shutdown, control, hand_over, secrets, services, user};
use certs::ticket::Tickets;
use model::InstanceId;
use model::observed::{Event, Observed, Phase};
use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Store, Wanted};
use supervisor::meta::Meta;
use supervisor::{Adoption, Supervisor, What};
use sys::lock::FileLock;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

/// Reports, events and calls that may wait for the loop; senders wait when it is full.
const QUEUE: usize = 256;
/// Time for the answer that an upgrade has begun to go out.
const LAST_ANSWER: Duration = Duration::from_millis(50);
/// Longest time that adopted instances have to say how they stand before the first snapshot is made.
const ANSWER: Duration = Duration::from_secs(3);

/// Runs a keeper from its beginning to its end.
pub(crate) async fn run(
    options: Options,
    shutdown: watch::Receiver<Shutdown>,
) -> Result<Option<Attempt>, KeeperError> {
    let home = Home::open(&options.home)
        .map_err(KeeperError::at(format!("cannot use {}", options.home.display())))?;
    folders(&home)?;
    let lock = FileLock::try_acquire(&home.lock()).map_err(KeeperError::at("cannot lock the home"))?;
    let Some(_lock) = lock else {
        return Err(KeeperError::Locked {
            holder: sys::lock::holder(&home.lock()),
            home: home.path().to_owned(),
        });
    };
    if options.trial.is_none() {
        hand_over::recover(&home)?;
    }
    let store = Store::open(&home.database())?;
    // Both ends live here: the write end closes when this process ends, however it does.
    let (lifetime, _alive) = lifetime(options.foreground)?;
    let (mut keeper, mut inbox) = assemble(options, home, store, lifetime, shutdown)?;
    if !keeper.options.foreground {
        keeper.herald = Herald::from_environment();
    }
    keeper.restore()?;
    keeper.check_trial_stacks()?;
    if let Some(request) = keeper.options.stack.clone() {
        keeper.end_former_edge().await;
        keeper.only(&request.manifest);
        keeper.put(request).await?;
        keeper.commit_proposed(|_| true); // nothing of a former `up` runs: there is nothing to protect
        keeper.bind_all()?;
    }
    if !keeper.options.foreground {
        keeper.recall_slots();
    }
    keeper.prepare_log_folders();
    keeper.find_engine();
    keeper.adopt(&mut inbox).await?;
    sys::cgroup::Host::look().sweep(&keeper.home.groups());
    beside::settle_names(&keeper.home);
    keeper.find_edge().await?;
    keeper.find_beside();
    // First revisions that the former keeper had only proposed. The edge's sockets are known by now: binding them before would
    // have met the living edge.
    keeper.commit_proposed(|stack| stack.active.is_none());
    keeper.look_up();
    keeper.wait_for_look_ups(&mut inbox).await;
    let socket = keeper.home.control_socket();
    let listener = sys::unix_socket::bind(&socket, 0o600)
        .map_err(KeeperError::at(format!("cannot listen on {}", socket.display())))?;
    listener.set_nonblocking(true)?;
    let (calls, received) = mpsc::channel(QUEUE);
    inbox.calls = received;
    let api = keeper.tasks.spawn(control::serve(
        tokio::net::UnixListener::from_std(listener)?,
        calls,
        keeper.home.clone(),
    ));
    let next = keeper.run(inbox).await;
    if next.is_some() {
        tokio::time::sleep(LAST_ANSWER).await;
    }
    api.abort();
    Ok(next)
}

/// Makes the home's folders.
///
/// # Errors
/// They cannot be made, or are somebody else's.
pub(crate) fn folders(home: &Home) -> Result<(), KeeperError> {
    let open = [
        home.path().to_owned(),
        home.logs(),
        home.run().to_owned(),
        home.run().join("app"),
        home.run().join("data"),
        home.path().join("data"),
        home.path().join("state"),
        home.builds(),
    ];
    let closed = [home.instances(), home.run().join("shim")];
    let all = open.iter().map(|path| (path, 0o711)).chain(closed.iter().map(|path| (path, 0o700)));
    for (path, mode) in all {
        sys::folder::make(path, mode, None)
            .map_err(KeeperError::at(format!("cannot make {}", path.display())))?;
    }
    // Who can put another folder in their place could have root write, or a client speak, where he likes.
    let run_of_all = home.run().parent().map(std::path::Path::to_owned);
    for folder in
        [Some(home.path().to_owned()), run_of_all, Some(home.run().to_owned())].into_iter().flatten()
    {
        sys::folder::check_own(&folder)
            .map_err(KeeperError::at(format!("cannot keep files in {}", folder.display())))?;
    }
    Ok(())
}

type Lifetime = (Option<Arc<OwnedFd>>, Option<OwnedFd>);

fn lifetime(foreground: bool) -> Result<Lifetime, KeeperError> {
    if !foreground {
        return Ok((None, None));
    }
    let (read, write) = sys::pipe::lifetime()?;
    Ok((Some(Arc::new(read)), Some(write)))
}

fn assemble(
    options: Options,
    home: Home,
    store: Store,
    lifetime: Option<Arc<OwnedFd>>,
    shutdown: watch::Receiver<Shutdown>,
) -> Result<(Keeper, Inbox), KeeperError> {
    let (report, reports) = mpsc::channel(QUEUE);
    let (edge_events, edge) = mpsc::channel(QUEUE);
    let (found_events, found) = mpsc::channel(QUEUE);
    let (verdicts, servers) = mpsc::channel(QUEUE);
    let (built, builds) = mpsc::channel(QUEUE);
    let (look, looks) = mpsc::channel(1);
    let (_, calls) = mpsc::channel(1);
    let exe = options.exe.clone();
    let recipe = Recipe { exe, home: home.clone(), user: user::of_edge(), lifetime: lifetime.clone() };
    let runs = store.runs()?;
    let sticky_key = secrets::sticky_key(&home).map_err(KeeperError::at("the key of cookies"))?;
    let handed = Handed::new(&options.handed);
    let (bans, tasks) = (Bans::load(&store)?, TaskTracker::new());
    let (told, heard) = mpsc::channel(certificates::QUEUE);
    let certificates = Certificates::new(home.certs(), told, tasks.clone());
    let networks = Networks::new(&home);
    let keeper = Keeper {
        engine: EngineHost::new(&home),
        options,
        home,
        store,
        born: Instant::now(),
        stacks: BTreeMap::new(),
        observed: Observed { runs, ..Observed::default() },
        facts: HashMap::new(),
        kept_slots: BTreeMap::new(),
        supervisor: Supervisor::new(report),
        recipe,
        lifetime,
        networks,
        edge: None,
        beside: None,
        said_drained: Said::new(),
        drain: beside::usual_drain(),
        ask_coming: false,
        edge_is_new: false,
        edge_generation: 0,
        edge_events,
        sockets: Sockets::with(handed),
        herald: Herald::default(),
        unserved: BTreeMap::new(),
        found: BTreeMap::new(),
        found_events,
        certificates,
        tickets: Tickets::default(),
        sticky_key,
        bans,
        servers: Servers::new(verdicts, tasks.clone()),
        builds: Builds::new(built),
        metrics_waiting: Vec::new(),
        published: None,
        sent: None,
        listeners_due: false,
        stats: wire::edge::Stats::default(),
        wear: Wear::new(look),
        load: Load::default(),
        schedule: Schedule::default(),
        sampler: Arc::default(),
        beats: 0,
        waiting: Vec::new(),
        ending: None,
        hand_over: None,
        trial_told: false,
        tasks,
    };
    Ok((keeper, Inbox { reports, edge, calls, found, servers, builds, looks, certificates: heard, shutdown }))
}

impl Keeper {
    /// The stacks as they were committed. A candidate that was being prepared when the former keeper died is
    /// prepared again; entries of its journal are closed: what is really there is looked at instead.
    fn restore(&mut self) -> Result<(), KeeperError> {
        for entry in self.store.unfinished()? {
            tracing::info!(stack = %entry.stack, step = entry.step, "was under way when the former keeper ended");
            self.store.finish(entry.id)?;
        }
        for record in self.store.stacks()? {
            let Some(head) = record.candidate.as_ref().or(record.active.as_ref()) else { continue };
            // Nobody but this keeper's own kind wrote it; what cannot be read asks for nothing.
            let compose = change::asked(&head.content.asked);
            let mut stack = Stack::new(record.name.clone(), head.content.manifest.clone(), compose);
            (stack.restarts, stack.stopped, stack.scaled) = (record.restarts, record.stopped, record.scaled);
            stack.removing = record.wanted == Wanted::Stopped;
            let load = |revision: store::Revision| {
                let mut loaded = change::load_again(&revision.content, &self.home)?;
                builds::recall(&self.home, Arc::make_mut(&mut loaded.spec), revision.number)?;
                let store::NewRevision { http, https, .. } = revision.content;
                Ok::<_, KeeperError>(loaded.revision(revision.number, http, https))
            };
            match record.active.map(load).transpose() {
                Ok(active) => stack.active = active,
                Err(error) => stack.broken = Some(format!("{error}\n{}", error.failure().diagnostics)),
            }
            match record.candidate.map(load).transpose() {
                Ok(Some(candidate)) => drop(stack.prepare(candidate)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(stack = %record.name, %error, "the change under way is dropped");
                    // It may have written its own words for a server before it failed.
                    stack.active.iter().for_each(|active| services::keep(&active.spec, &self.home));
                }
            }
            self.builds.sweep_later(&record.name);
            self.stacks.insert(record.name.clone(), stack);
        }
        Ok(())
    }

    /// Commits the candidates of these stacks without waiting for their instances.
    fn commit_proposed(&mut self, of: impl Fn(&Stack) -> bool) {
        let proposed = self.stacks.values().filter(|stack| stack.candidate.is_some() && of(stack));
        let names: Vec<_> = proposed.map(|stack| stack.name.clone()).collect();
        names.iter().for_each(|name| self.commit(name));
    }

    /// `up` runs one stack: others that this home knows from earlier are forgotten.
    fn only(&mut self, manifest: &std::path::Path) {
        for stack in self.stacks.values_mut() {
            stack.removing |= stack.manifest != manifest;
        }
    }

    /// `up` shares nothing with a former one: what that left behind is on its way out, and holds its addresses until it is gone.
    async fn end_former_edge(&self) {
        let recipe = self.recipe.clone();
        let _ = tokio::task::spawn_blocking(move || edge_host::end_former(&recipe)).await;
    }

    /// `up` that cannot listen where its stack wants to does not begin, whether or not anything else changed.
    fn bind_all(&mut self) -> Result<(), KeeperError> {
        let stacks = self.stacks.values().filter(|stack| !stack.removing);
        let wanted: Vec<_> =
            stacks.flat_map(Stack::revisions).flat_map(Revision::addresses).copied().collect();
        wanted.into_iter().try_for_each(|address| self.sockets.bind(address).map(drop))
    }

    /// Finds the instances of a former keeper by what it kept of them.
    async fn adopt(&mut self, inbox: &mut Inbox) -> Result<(), KeeperError> {
        let metas =
            Meta::load_all(&self.home.instances()).map_err(KeeperError::at("cannot read the instances"))?;
        let broken =
            |meta: &Meta| self.stacks.get(&meta.id.app.stack).is_some_and(|stack| stack.broken.is_some());
        let (left, mine): (Vec<Meta>, Vec<Meta>) = metas.into_iter().partition(broken);
        for meta in left {
            self.networks.adopted(&meta.id, &meta.addresses);
            self.engine.lives(&meta.id);
            tracing::warn!(instance = %meta.id, "left alone: the manifest of its stack cannot be loaded");
        }
        let mut silent: Vec<_> = mine.iter().map(|meta| meta.id.clone()).collect();
        mine.into_iter().for_each(|meta| self.adopt_one(meta));
        let until = tokio::time::Instant::now() + ANSWER;
        while !silent.is_empty() {
            let Ok(Some(report)) = tokio::time::timeout_at(until, inbox.reports.recv()).await else { break };
            if !self.options.foreground || matches!(report.what, What::Ended { .. }) {
                silent.retain(|id| *id != report.id);
            }
            self.instance(report);
        }
        if !self.options.foreground {
            self.recall_numbers();
        }
        self.recall_runs();
        self.check_trial_instances(&silent)
    }

    /// An edge that serves is not told that foreign servers are nowhere, because nobody has looked yet.
    async fn wait_for_look_ups(&mut self, inbox: &mut Inbox) {
        let until = tokio::time::Instant::now() + ANSWER;
        let known = |keeper: &Self| {
            let mut active = keeper.stacks.values().filter_map(|stack| stack.active.as_ref());
            active.all(|revision| crate::publish::is_looked_up(revision, &keeper.found))
        };
        while !known(self) {
            let Ok(Some(found)) = tokio::time::timeout_at(until, inbox.found.recv()).await else { return };
            self.looked_up(found);
        }
    }

    fn adopt_one(&mut self, meta: Meta) {
        self.networks.adopted(&meta.id, &meta.addresses);
        let (id, now) = (meta.id.clone(), self.now());
        let phase = self.last_seen(&id);
        let was_ready = !matches!(phase, Phase::Starting { .. });
        let (pid, started_ms, journal) = (None, None, None);
        let (fingerprint, address) = (meta.fingerprint, meta.address.clone());
        let facts = Facts { fingerprint, pid, address, started_ms, was_ready, not_asked: None, journal };
        self.facts.insert(id.clone(), facts);
        let (instance, spec) = (id.clone(), fingerprint);
        self.observed.apply(Event::Adopted { instance, spec, phase: phase.clone() }, now);
        report_failure("recording a run number", self.store.use_run(&id));
        let found = self.stacks.get(&id.app.stack).and_then(|stack| stack.find(&id.app.app, fingerprint));
        let is_service = found.is_some_and(|(revision, _)| revision.is_service(&id.app.app));
        let user = found.and_then(|(revision, spec)| user::of_app(&revision.spec, spec).ok().flatten());
        let spec = found.map(|(_, spec)| Arc::new(spec.clone()));
        let edge_group = self.recipe.user.as_ref().map(|user| user.gid);
        let contained = spec.as_ref().is_some_and(|spec| spec.container.is_some());
        if contained {
            self.engine.lives(&id);
        }
        let mainstay = (is_service || contained).then(|| self.options.exe.clone());
        let places = self.places(&id, spec.as_deref(), is_service);
        self.supervisor.adopt(Adoption { meta, places, spec, user, edge_group, mainstay, contained, phase });
    }

    /// Where the former keeper saw an instance last: the history's last word on its slot, which is written before anything
    /// follows from it. Instances of a former `up` were told to stop when it ended, however it did.
    fn last_seen(&self, id: &InstanceId) -> Phase {
        let (since, drained, never_ready) = (self.now(), false, false);
        if self.options.foreground {
            return Phase::Stopping { since, never_ready };
        }
        let state = self.store.last_state(&id.app, &id.label()).unwrap_or_else(|error| {
            tracing::error!(%error, "reading the history failed");
            None
        });
        match state.as_deref() {
            Some("ready") => Phase::Ready { since },
            Some("unhealthy") => Phase::Unhealthy { since },
            Some("draining") => Phase::Draining { since, drained },
            Some("stopping") => Phase::Stopping { since, never_ready },
            _ => Phase::Starting { since },
        }
    }

    /// The first edge is waited for: without one there is nothing to report readiness of.
    async fn find_edge(&mut self) -> Result<(), KeeperError> {
        let (recipe, generation) = (self.recipe.clone(), self.edge_generation);
        let found = tokio::task::spawn_blocking(move || edge_host::ensure(&recipe, generation)).await;
        let connected = found.map_err(|error| KeeperError::Io(std::io::Error::other(error)))??;
        self.edge_connected(connected);
        Ok(())
    }
}
