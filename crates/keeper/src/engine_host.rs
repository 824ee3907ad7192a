//! The container engine: found when the first container is to run, and kept reachable as long as one does.
//!
//! ```text
//! an instance in a container is to start ─▶ engine found ─▶ it listens already
//!                                              └ the program podman: its service, a child of the keeper's ─ dies ─▶ started again, by the beat
//! an instance ended, a stack is gone, a keeper begins ─▶ swept: what killed runners left behind
//! ```
//! The service is no part of any container: it may come and go. It ends by itself when nobody has spoken to it for [`IDLE`]; `up` ends it.
//! It is a child of the keeper, never of a shim: shims end what is below them.

use crate::home::Home;
use crate::keeper::Keeper;
use containers::engine::{self, Found};
use containers::sweep::Living;
use model::InstanceId;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use sys::process::Spawn;
use wire::container::{LABEL_INSTANCE, RunnerSpec};

/// Seconds without a connection after which the service ends by itself.
const IDLE: u32 = 60;
/// Time between two starts of the service.
const AGAIN: Duration = Duration::from_secs(2);
/// Pause after a sweep that failed.
const SWEEP_AGAIN: Duration = Duration::from_secs(10);
/// Time for a service to end before it is killed, and for the last sweep.
const END: Duration = Duration::from_secs(10);
/// Size of the service's diagnostics in bytes at which they begin anew.
const LOG: u64 = 1 << 20;
/// SIGTERM and SIGKILL.
const SIGNALS: (i32, i32) = (15, 9);

/// Instances in containers that live, and stacks.
#[derive(Debug, Default)]
struct Alive {
    instances: BTreeSet<InstanceId>,
    stacks: BTreeSet<String>,
    /// Something may be left to sweep.
    due: bool,
    /// Somebody is at it.
    sweeping: bool,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Alive>>);

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut Alive) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Living for Shared {
    fn instance(&self, id: &str) -> bool {
        self.with(|alive| alive.instances.iter().any(|instance| instance.to_string() == id))
    }

    fn stack(&self, name: &str) -> bool {
        self.with(|alive| {
            alive.stacks.contains(name) || alive.instances.iter().any(|id| id.app.stack.as_str() == name)
        })
    }
}

/// The engine, as the keeper knows it.
#[derive(Debug)]
pub(crate) struct EngineHost {
    home: Home,
    engine: Option<String>,
    /// Podman's program, where it has no service of its own.
    podman: Option<PathBuf>,
    child: Option<u32>,
    started: Option<Instant>,
    alive: Shared,
}

impl EngineHost {
    pub(crate) fn new(home: &Home) -> Self {
        let (engine, podman, child, started) = (None, None, None, None);
        Self { home: home.clone(), engine, podman, child, started, alive: Shared::default() }
    }

    /// Where the engine listens, or will in a moment.
    ///
    /// # Errors
    /// For people: there is none, and how to get one.
    pub(crate) fn reach(&mut self) -> Result<String, String> {
        if let Some(engine) = &self.engine {
            let engine = engine.clone();
            self.tend();
            return Ok(engine);
        }
        let engine = match engine::find(|name| std::env::var(name).ok()).map_err(|error| error.to_string())? {
            Found::Listens(engine) => engine,
            Found::Podman(program) => {
                self.podman = Some(program);
                format!("unix://{}", self.home.engine_socket().display())
            }
        };
        // The next keeper knows by it that there is something to look after.
        let noted = sys::durable::write(&self.home.engine(), engine.as_bytes(), 0o600);
        noted.map_err(|error| format!("cannot write {}: {error}", self.home.engine().display()))?;
        self.engine = Some(engine.clone());
        self.tend();
        Ok(engine)
    }

    /// An instance in a container is about to start, or was found.
    pub(crate) fn lives(&mut self, id: &InstanceId) {
        self.alive.with(|alive| alive.instances.insert(id.clone()));
    }

    /// An instance ended.
    pub(crate) fn ended(&mut self, id: &InstanceId) {
        self.alive.with(|alive| alive.due |= alive.instances.remove(id));
    }

    /// Stacks are gone, or a keeper begins: look after what is left of them.
    pub(crate) fn sweep_later(&mut self) {
        let is_there = self.engine.is_some();
        self.alive.with(|alive| alive.due |= is_there);
    }

    /// Starts the service where it is needed and not there.
    fn tend(&mut self) {
        let Some(program) = self.podman.clone() else { return };
        if self.child.is_some_and(|child| matches!(sys::process::try_wait(child), Ok(None))) {
            return;
        }
        self.child = None;
        let early = self.started.is_some_and(|started| started.elapsed() < AGAIN);
        if early || engine::answers(&self.home.engine_socket()) {
            return;
        }
        self.started = Some(Instant::now());
        match serve(&program, &self.home, &self.home.engine_socket()) {
            Ok(child) => self.child = Some(child),
            Err(error) => tracing::error!(%error, "the container engine cannot be started"),
        }
    }

    fn is_needed(&self) -> bool {
        self.alive.with(|alive| alive.due || !alive.instances.is_empty())
    }

    /// `up` ends: nothing of it stays but volumes.
    pub(crate) async fn close(&mut self) {
        let Some(engine) = self.engine.take() else { return };
        self.tend();
        let nobody = Shared::default();
        let home = self.home.path().display().to_string();
        let swept = async {
            let _ = engine::connect_patiently(&engine).await;
            containers::sweep::sweep(&engine, &home, &nobody).await
        };
        match tokio::time::timeout(END, swept).await {
            Ok(Ok(_)) => {
                forget(&self.home, &nobody);
                let _ = std::fs::remove_file(self.home.engine());
            }
            Ok(Err(error)) => tracing::warn!(error, "networks of containers are left to the next keeper"),
            Err(_) => {
                tracing::warn!("networks of containers are left to the next keeper: the engine is silent")
            }
        }
        if let Some(child) = self.child {
            let ended = tokio::task::spawn_blocking(move || end(child)).await;
            drop(ended);
            let _ = std::fs::remove_file(self.home.engine_socket());
        }
    }
}

/// Starts Podman's service at this socket.
pub(crate) fn serve(program: &Path, home: &Home, socket: &Path) -> Result<u32, String> {
    let log = sys::folder::append_to_log(&home.logs().join("engine.log"), 0o640, LOG);
    let log = log.map_err(|error| format!("cannot write engine.log: {error}"))?;
    let mut spawn = Spawn::new(program);
    let at = format!("unix://{}", socket.display());
    spawn.args = ["system", "service", "--time", &IDLE.to_string(), &at].map(Into::into).to_vec();
    spawn.env = std::env::vars_os().collect();
    if let Some(text) = engine::configuration() {
        let file = home.path().join("containers.conf");
        let written = sys::durable::write(&file, text.as_bytes(), 0o644);
        written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        spawn.env.push(("CONTAINERS_CONF".into(), file.into()));
        spawn.env.push(("BUILDAH_ISOLATION".into(), "chroot".into()));
    }
    spawn.stderr = Some(log.into());
    // What a killed one left; nobody accepts there.
    let _ = std::fs::remove_file(socket);
    spawn.spawn().map_err(|error| error.to_string())
}

/// A sweep was through: removes what was noted of containers whose runners had been killed.
fn forget(home: &Home, living: &Shared) {
    let folders = std::fs::read_dir(home.run().join("app")).into_iter().flatten().flatten();
    for folder in folders.map(|entry| entry.path()) {
        let spec = std::fs::read(RunnerSpec::file(&folder)).ok();
        let spec = spec.and_then(|bytes| wire::decode::<RunnerSpec>(&bytes).ok());
        let id = spec.and_then(|spec| spec.labels.get(LABEL_INSTANCE).cloned());
        if id.is_some_and(|id| !living.instance(&id)) {
            wire::container::clean(&folder);
            let _ = std::fs::remove_dir(&folder);
        }
    }
}

/// Ends it.
pub(crate) fn end(child: u32) {
    let _ = sys::process::signal(child, SIGNALS.0);
    let until = Instant::now() + END;
    while matches!(sys::process::try_wait(child), Ok(None)) {
        if Instant::now() >= until {
            let _ = sys::process::signal(child, SIGNALS.1);
            let _ = sys::process::wait(child);
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Keeper {
    /// A former keeper had containers: the engine is looked for before anybody wants one.
    pub(crate) fn find_engine(&mut self) {
        if self.home.engine().exists() {
            match self.engine.reach() {
                Ok(_) => self.engine.sweep_later(),
                Err(error) => tracing::warn!(error, "containers of a former keeper cannot be looked after"),
            }
        }
    }

    /// Once a second: the service is kept, and what is due swept.
    pub(crate) fn look_at_engine(&mut self) {
        if !self.engine.is_needed() {
            return;
        }
        self.engine.tend();
        let Some(engine) = self.engine.engine.clone() else { return };
        let stacks: BTreeSet<String> = self.stacks.keys().map(ToString::to_string).collect();
        let begins = self.engine.alive.with(|alive| {
            let begins = alive.due && !alive.sweeping;
            if begins {
                (alive.due, alive.sweeping, alive.stacks) = (false, true, stacks);
            }
            begins
        });
        if !begins {
            return;
        }
        let (alive, home) = (self.engine.alive.clone(), self.home.clone());
        self.tasks.spawn(async move {
            match containers::sweep::sweep(&engine, &home.path().display().to_string(), &alive).await {
                Ok(removed) => {
                    forget(&home, &alive);
                    if !removed.is_empty() {
                        tracing::info!(?removed, "what was left of containers is gone");
                    }
                }
                Err(error) => {
                    tracing::warn!(error, "what is left of containers cannot be removed now");
                    alive.with(|alive| alive.due = true);
                    tokio::time::sleep(SWEEP_AGAIN).await;
                }
            }
            alive.with(|alive| alive.sweeping = false);
        });
    }
}
