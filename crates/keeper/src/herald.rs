//! What the service manager (systemd) that started this keeper is told, as sd_notify(3) has it, and what it asks for: a reload.
//!
//! ```text
//! Starting ─ the edge serves from the first snapshot ─▶ Ready ◀─ all changes are through ─ Reloading
//!                                                         └──────────── SIGHUP ────────────▶──┘
//! any ─ ending ─▶ Stopping
//! ```
//! `WATCHDOG=1` is said by the loop itself, each time half of the manager's patience is over: a loop that is stuck says nothing, and is
//! ended and started again. A manager that does not listen holds nobody up.

use crate::api::ReloadRequest;
use crate::keeper::Keeper;
use model::StackName;
use model::observed::Moment;
use std::time::Duration;
use sys::service_manager::{self, Notifier};

/// What is known of the manager, and what it was told.
#[derive(Default)]
pub(crate) struct Herald {
    /// None: there is none, or it does not want to know.
    notifier: Option<Notifier>,
    /// Half of its patience; none: it does not watch.
    every: Option<Duration>,
    /// When it is to hear the next sign of life.
    next: Moment,
    told: Told,
    status: String,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

impl Herald {
    /// Of the manager that started this process.
    pub(crate) fn from_environment() -> Self {
        let notifier = Notifier::from_environment().unwrap_or_else(|error| {
            tracing::warn!(%error, "the service manager is told nothing");
            None
        });
        Self { notifier, every: service_manager::watchdog().map(|patience| patience / 2), ..Self::default() }
    }

    /// Whether a service manager started this keeper.
    pub(crate) fn has_manager(&self) -> bool {
        self.notifier.is_some()
    }

    /// True: it was said. What could not be said now is said again when the loop comes round.
    fn say(&self, lines: &str) -> bool {
        let Some(notifier) = &self.notifier else { return true };
        let said = notifier.say(lines);
        if let Err(error) = &said {
            tracing::debug!(%error, lines, "the service manager does not listen");
        }
        said.is_ok()
    }

    fn tell(&mut self, told: Told, lines: &str) {
        if self.told != told && self.say(lines) {
            self.told = told;
        }
    }
}

impl Keeper {
    /// Says what has changed, and that the loop goes round. Gives the moment at which to be here again.
    pub(crate) fn tell_manager(&mut self) -> Option<Moment> {
        self.herald.notifier.as_ref()?;
        let now = self.now();
        let serves = self.edge.as_ref().is_some_and(|edge| edge.unanswered.is_none());
        let at_rest = serves && self.stacks.values().all(|stack| stack.candidate.is_none());
        match self.herald.told {
            // It goes on under the same process id.
            _ if self.hand_over.is_some() => {}
            _ if self.ending.is_some() => self.herald.tell(Told::Stopping, "STOPPING=1"),
            Told::Starting if serves => {
                let lines = format!("READY=1\nMAINPID={}", std::process::id());
                self.herald.tell(Told::Ready, &lines);
            }
            Told::Reloading if at_rest => self.herald.tell(Told::Ready, "READY=1"),
            Told::Starting | Told::Ready | Told::Reloading | Told::Stopping => {}
        }
        let status = self.in_a_line();
        if status != self.herald.status && self.herald.say(&format!("STATUS={status}")) {
            self.herald.status = status;
        }
        let every = self.herald.every?;
        if now >= self.herald.next && self.herald.say("WATCHDOG=1") {
            self.herald.next = now + every;
        }
        Some(self.herald.next.max(now + Duration::from_millis(10))) // not at once: it may have no room now
    }

    fn in_a_line(&self) -> String {
        let stacks = self.stacks.values().filter(|stack| !stack.removing).count();
        let alive = self.observed.instances.values().filter(|instance| instance.phase.is_alive());
        let (alive, ready) = alive.fold((0, 0), |(alive, ready), instance| {
            (alive + 1, ready + usize::from(instance.phase.is_ready()))
        });
        let s = if stacks == 1 { "" } else { "s" };
        format!("{stacks} stack{s}, {ready} of {alive} instances ready")
    }

    /// Reads all manifests again. One with errors is left as it is; the log says which, and why.
    pub(crate) async fn reload_all(&mut self) {
        let time = service_manager::monotonic_usec();
        self.herald.tell(Told::Reloading, &format!("RELOADING=1\nMONOTONIC_USEC={time}"));
        let names = self.stacks.values().filter(|stack| !stack.removing).map(|stack| stack.name.clone());
        let names: Vec<StackName> = names.collect();
        for name in names {
            match self.reload(name.as_str(), ReloadRequest::default()).await {
                Ok(accepted) => tracing::info!(stack = %name, changes = ?accepted.changes, "reloaded"),
                Err(error) => {
                    let diagnostics = error.failure().diagnostics;
                    tracing::error!(stack = %name, %error, diagnostics, "not reloaded: all stays as it is");
                }
            }
        }
    }
}
