//! A new program's trial: it is started as keeper beside the old process, which waits, and has to do everything that a keeper
//! does: open the state store, load every stack, find every instance, answer its control API, and have an edge of its own that
//! serves on the same sockets. Then it says so on a pipe. Before that it has changed nothing that the old one cannot go on from.

use crate::error::KeeperError;
use crate::keeper::Keeper;
use crate::programs::Programs;
use model::InstanceId;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// What the new program says of itself, a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// All of it works.
    Proven,
    /// It does not, because of this.
    Failed(String),
}

/// Where the verdict goes.
#[derive(Debug, Clone)]
pub struct Trial(Arc<OwnedFd>);

impl Trial {
    /// The write end of the pipe that the old process reads.
    pub fn new(pipe: OwnedFd) -> Self {
        Self(Arc::new(pipe))
    }

    pub(crate) fn say(&self, verdict: &Verdict) {
        let said = serde_json::to_string(verdict).map_err(std::io::Error::from).and_then(|line| {
            let mut pipe = File::from(self.0.try_clone()?);
            writeln!(pipe, "{line}")
        });
        if let Err(error) = said {
            tracing::error!(%error, "nobody hears how the trial went");
        }
    }
}

impl Keeper {
    /// Every stack that ran before has to be loaded by this program too.
    pub(crate) fn check_trial_stacks(&self) -> Result<(), KeeperError> {
        if self.options.trial.is_none() {
            return Ok(());
        }
        let known = Programs::load(&self.home)?.attempt.map(|attempt| attempt.broken).unwrap_or_default();
        let broken =
            self.stacks.values().filter(|stack| !known.iter().any(|name| *name == stack.name.as_str()));
        let broken: Vec<String> = broken
            .filter_map(|stack| Some(format!("stack {}: {}", stack.name, stack.broken.as_ref()?)))
            .collect();
        if broken.is_empty() { Ok(()) } else { Err(KeeperError::Trial(broken.join("\n"))) }
    }

    /// Every instance has to answer.
    pub(crate) fn check_trial_instances(&self, silent: &[InstanceId]) -> Result<(), KeeperError> {
        if self.options.trial.is_none() || silent.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = silent.iter().map(ToString::to_string).collect();
        Err(KeeperError::Trial(format!("these instances do not answer: {}", names.join(", "))))
    }

    pub(crate) fn trial_proven(&mut self) {
        if let Some(trial) = self.options.trial.as_ref().filter(|_| !self.trial_told) {
            self.trial_told = true;
            trial.say(&Verdict::Proven);
        }
    }

    /// It ends; the old process goes on from here.
    pub(crate) fn trial_failed(&mut self, reason: &str) {
        if let Some(trial) = &self.options.trial {
            trial.say(&Verdict::Failed(reason.to_owned()));
        }
        self.end(crate::ending::Ending::Alone);
    }
}
