//! One instance's life, from its start (or its adoption: [`crate::adopt`]) to its end.
//!
//! ```text
//! launch ─▶ Starting ─ probe ok ─▶ Ready ◀─ probe ok ─ Unhealthy
//!               │                    └── retries failures ──▲
//!               │ start period over        (probes go on)
//!               ▼
//!           told to stop ─▶ the shim says Ended ─▶ report, release the shim, clean up
//! ```
//! Every way out of here reports exactly one `Ended`.

use crate::end::{SIGKILL, end_of, end_orphan};
use crate::launch::{self, Access, Launched};
use crate::link::Link;
use crate::meta;
use crate::probe::{Main, Target};
use crate::{Command, Order, Places, Report, What, contained, port};
use model::InstanceId;
use model::observed::{Address, End, Phase};
use model::spec::{HealthSpec, Listen, Probe};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::shim::{FromShim, ShimState, ShimStatus, ToShim};

/// First pause between two tries while starting; grows to [`SLOWEST`] so that a fast app is ready at once and a slow
/// one is not pestered.
const QUICKEST: Duration = Duration::from_millis(10);
const SLOWEST: Duration = Duration::from_millis(500);
/// The same of a command inside a container, which costs the engine a process or two.
const INSIDE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// How long the first such command waits for somebody to listen: one that comes too early costs the engine the same, and the app more time.
const KNOCK: Duration = Duration::from_millis(500);

type Tried = Result<Option<String>, String>;
type Attempt = Pin<Box<dyn Future<Output = Tried> + Send>>;

/// An instance and everything that is known of it.
pub(crate) struct Life {
    id: InstanceId,
    places: Places,
    reports: mpsc::Sender<Report>,
    link: Link,
    target: Target,
    listen: Listen,
    access: Option<Access>,
    /// Of one in a container: where its runner leaves word.
    folder: Option<PathBuf>,
    stage: Stage,
    /// Where a former keeper saw it last; none: this one started it.
    last_seen: Option<Phase>,
    /// Main process; 0 until the shim has named it.
    pid: u32,
    /// Start time of `pid` in the kernel's ticks, as its parent saw it (an adopted one's main process may be gone, and its pid
    /// somebody else's, while others of it live): guards against a pid that was given to somebody else.
    born: Option<u64>,
    /// Why it is being stopped, when that is our own verdict.
    not_ready: Option<String>,
    last_failure: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The shim has not said yet that the program runs.
    Launching,
    Starting {
        until: Instant,
        pause: Duration,
    },
    Ready {
        failures: u32,
    },
    Unhealthy,
    Stopping,
}

/// Starts an instance and stays with it.
pub(crate) async fn start(order: Order, commands: mpsc::Receiver<Command>, reports: mpsc::Sender<Report>) {
    let launched = match launch::launch(&order).await {
        Ok(launched) => launched,
        Err(reason) => {
            meta::clean(&order.places);
            return ended(&reports, &order.id, End::NotStarted(reason), Duration::ZERO).await;
        }
    };
    let Launched { link, address, env, shim } = launched;
    let command = launch::surroundings(&order.spec, env, order.user.as_ref());
    let health = launch::health(&order.spec.health, order.mainstay.as_deref());
    let own_network = order.network.is_some();
    let (command, knock) = (Some(command), Duration::ZERO);
    let target = Target { health, address, command, own_network, inside: None, contained: false, knock };
    let access = Access::of(order.user.as_ref(), order.edge_group);
    let life = Life::new(order.id, order.places, reports, link, target, order.spec.listen, access);
    let life = if order.runner.is_some() { life.contained() } else { life };
    life.run(commands).await;
    // The shim was released or is gone: waiting for it leaves no zombie.
    let _ = tokio::task::spawn_blocking(move || sys::process::wait(shim)).await;
}

pub(crate) async fn ended(reports: &mpsc::Sender<Report>, id: &InstanceId, end: End, uptime: Duration) {
    let _ = reports.send(Report { id: id.clone(), what: What::Ended { end, uptime } }).await;
}

impl Life {
    pub(crate) fn new(
        id: InstanceId,
        places: Places,
        reports: mpsc::Sender<Report>,
        link: Link,
        target: Target,
        listen: Listen,
        access: Option<Access>,
    ) -> Self {
        let (not_ready, last_failure) = (None, String::new());
        let stage = Stage::Launching;
        Self {
            id,
            places,
            reports,
            link,
            target,
            listen,
            access,
            folder: None,
            stage,
            last_seen: None,
            pid: 0,
            born: None,
            not_ready,
            last_failure,
        }
    }

    /// Of an adopted one: where the former keeper saw it last.
    pub(crate) fn last_seen(mut self, phase: Phase) -> Self {
        self.last_seen = Some(phase);
        self
    }

    /// Of one whose process is the runner of a container.
    pub(crate) fn contained(mut self) -> Self {
        self.folder = self.places.app_socket.parent().map(PathBuf::from);
        (self.target.contained, self.target.knock) = (true, KNOCK);
        self
    }

    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut attempt: Option<Attempt> = None;
        let mut next = Instant::now();
        loop {
            let probing =
                matches!(self.stage, Stage::Starting { .. } | Stage::Ready { .. } | Stage::Unhealthy);
            tokio::select! {
                said = self.link.receive() => {
                    let over = match said {
                        Some(FromShim::Status(status)) => self.status(status).await,
                        Some(FromShim::Refused { reason }) => { tracing::warn!(instance = %self.id, reason, "refused by its shim"); false }
                        None => { self.lost().await; true }
                    };
                    if over { return; }
                    next = Instant::now();
                }
                command = commands.recv() => match command {
                    Some(Command::Signal(signal)) => self.signal(signal).await,
                    Some(command) => { attempt = None; self.stop(command).await; }
                    // The keeper ends and leaves its apps running.
                    None => return,
                },
                result = pending(&mut attempt), if attempt.is_some() => {
                    attempt = None;
                    next = Instant::now() + self.judge(result).await;
                }
                () = tokio::time::sleep_until(next), if probing && attempt.is_none() => {
                    attempt = Some(match self.locate().await {
                        true => Box::pin(self.target.clone().attempt()),
                        false => Box::pin(async { Err("its container does not run yet".to_owned()) }),
                    });
                }
            }
        }
    }

    /// Takes note of what the shim says. True: it is over.
    async fn status(&mut self, status: ShimStatus) -> bool {
        match status.state {
            ShimState::Running { pid } => {
                if self.pid == 0 {
                    self.born = Some(status.born).filter(|born| *born > 0);
                    self.running(pid, status.started_ms).await;
                }
                if status.stopping && self.stage != Stage::Stopping {
                    self.stage = Stage::Stopping;
                    self.report(What::Stopping).await;
                }
                false
            }
            ShimState::NotStarted { ref reason } => {
                let end = End::NotStarted(reason.clone());
                self.finish(end, Duration::ZERO).await;
                true
            }
            ref state @ ShimState::Ended { ended_ms, .. } => {
                let uptime = Duration::from_millis(ended_ms.saturating_sub(status.started_ms));
                let end = self.not_ready.take().map_or_else(|| end_of(state), End::NotReady);
                self.finish(end, uptime).await;
                true
            }
        }
    }

    /// The program runs. An adopted instance goes on from where it was: one that was ready stays so until its checks
    /// fail, one that was told to stop is told again (the former keeper may have died before its shim heard it).
    async fn running(&mut self, pid: u32, started_ms: u64) {
        self.pid = pid;
        self.target.inside = self.target.own_network.then_some(Main { pid, born: self.born });
        self.locate().await;
        let address = self.target.address.clone();
        self.report(What::Running { pid, address, started_ms }).await;
        if self.stage != Stage::Launching {
            return;
        }
        match self.last_seen {
            None | Some(Phase::Starting { .. }) => {
                let until = Instant::now() + self.target.health.start_period;
                self.stage = Stage::Starting { until, pause: self.pace().0 };
            }
            Some(Phase::Ready { .. } | Phase::Draining { .. }) => self.stage = Stage::Ready { failures: 0 },
            Some(Phase::Unhealthy { .. }) => self.stage = Stage::Unhealthy,
            Some(Phase::Stopping { .. } | Phase::Ended { .. }) => self.stop(Command::Stop).await,
        }
    }

    /// First and longest pause between two tries while starting.
    fn pace(&self) -> (Duration, Duration) {
        match self.target.health.probe {
            Probe::Command(_) if self.folder.is_some() => INSIDE,
            _ => (QUICKEST, SLOWEST),
        }
    }

    /// Whether it is known where it takes requests, if it does. Of a container its runner says so.
    async fn locate(&mut self) -> bool {
        let Some(folder) = self.folder.as_ref().filter(|_| self.target.address.is_none()) else {
            return true;
        };
        if self.listen == Listen::Nothing {
            return true;
        }
        let Some(address) = contained::address(folder) else {
            // Of one without, it is only asked whether it runs.
            return wire::container::takes_none(folder);
        };
        self.target.address = Some(address.clone());
        self.report(What::Located(address)).await;
        true
    }

    /// Takes note of a try's result and says when to try again.
    async fn judge(&mut self, tried: Tried) -> Duration {
        if self.target.address.is_some() {
            self.target.knock = Duration::ZERO;
        }
        let HealthSpec { interval, retries, .. } = self.target.health;
        let result = match tried {
            Ok(None) => Ok(()),
            Ok(Some(why)) => {
                if self.last_failure != why {
                    self.last_failure.clone_from(&why);
                    self.report(What::NotAsked(why)).await;
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        };
        let result = match (result, self.stage) {
            (Ok(()), Stage::Starting { .. }) => self.verify().await,
            (result, _) => result,
        };
        match (result, self.stage) {
            (Ok(()), Stage::Starting { .. } | Stage::Unhealthy) => {
                self.stage = Stage::Ready { failures: 0 };
                self.report(What::Ready).await;
                interval
            }
            (Ok(()), _) => {
                if let Stage::Ready { failures } = &mut self.stage {
                    *failures = 0;
                }
                interval
            }
            (Err(failure), Stage::Starting { until, pause }) => {
                self.last_failure = failure;
                if Instant::now() >= until {
                    self.give_up().await;
                }
                self.stage = match self.stage {
                    Stage::Starting { until, .. } => {
                        Stage::Starting { until, pause: (pause * 3 / 2).min(self.pace().1) }
                    }
                    stage => stage,
                };
                pause
            }
            (Err(failure), Stage::Ready { failures }) if failures + 1 >= retries => {
                self.stage = Stage::Unhealthy;
                self.report(What::Unhealthy(failure)).await;
                interval
            }
            (Err(_), Stage::Ready { failures }) => {
                self.stage = Stage::Ready { failures: failures + 1 };
                interval
            }
            (Err(_), _) => interval,
        }
    }

    /// Before the first request: is it really this instance that answers there, and may the edge connect?
    async fn verify(&self) -> Result<(), String> {
        if let (Some(access), Some(Address::Unix(path))) = (self.access, &self.target.address) {
            access.open(path)?;
        }
        let (Some(Address::Tcp(address)), main) = (self.target.address.clone(), self.pid) else {
            return Ok(());
        };
        // Nobody else has the address.
        if self.target.own_network
            || self.folder.is_some()
            || !matches!(self.listen, Listen::AnyPort | Listen::Port(_))
        {
            return Ok(());
        }
        let stranger = tokio::task::spawn_blocking(move || port::stranger(address, main)).await;
        stranger.ok().flatten().map_or(Ok(()), Err)
    }

    /// Its start period is over.
    async fn give_up(&mut self) {
        let (waited, main) = (self.target.health.start_period, self.pid);
        let elsewhere = match self.target.address {
            Some(Address::Tcp(address)) if self.folder.is_none() => {
                tokio::task::spawn_blocking(move || port::elsewhere(address, main)).await
            }
            _ => Ok(None),
        };
        let why = elsewhere.ok().flatten().unwrap_or_else(|| self.last_failure.clone());
        self.not_ready = Some(format!("within {waited:?}: {why}"));
        self.stop(Command::Stop).await;
    }

    async fn stop(&mut self, command: Command) {
        self.stage = Stage::Stopping;
        let deadline_ms = (command == Command::Kill).then_some(0);
        if let Err(error) = self.link.send(&ToShim::Stop { deadline_ms }).await {
            tracing::warn!(instance = %self.id, %error, "its shim cannot be told to stop");
        }
    }

    async fn signal(&mut self, signal: i32) {
        if let Err(error) = self.link.send(&ToShim::Signal { signal }).await {
            tracing::warn!(instance = %self.id, %error, "its shim cannot be told to send a signal");
        }
    }

    /// The shim is gone without a word: somebody killed it. What it was the parent of must not run on unseen.
    async fn lost(&mut self) {
        end_orphan(self.pid, self.born).await;
        meta::clean(&self.places);
        ended(&self.reports, &self.id, End::Signaled(SIGKILL), Duration::ZERO).await;
    }

    /// Reports first, releases the shim second: a keeper that dies in between finds the shim and its word again.
    async fn finish(&mut self, end: End, uptime: Duration) {
        let end = self.folder.as_ref().map_or(end.clone(), |folder| contained::end(folder, end));
        ended(&self.reports, &self.id, end, uptime).await;
        if self.link.send(&ToShim::Release).await.is_ok() {
            while self.link.receive().await.is_some() {}
        }
        meta::clean(&self.places);
    }

    async fn report(&self, what: What) {
        let _ = self.reports.send(Report { id: self.id.clone(), what }).await;
    }
}

/// The result of the try under way.
async fn pending(attempt: &mut Option<Attempt>) -> Tried {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}
