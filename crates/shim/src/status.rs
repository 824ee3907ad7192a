//! The status file: how things stand, durable, also for a keeper that comes when the shim is gone.

use crate::instance::Instance;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::shim::ShimStatus;

/// Pause before a write that failed (a full disk, say) is tried again.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct StatusFile {
    instance: String,
    path: PathBuf,
    /// The file is behind; try again then.
    retry_at: Option<Instant>,
}

impl StatusFile {
    pub(crate) fn new(instance: String, path: PathBuf) -> Self {
        StatusFile { instance, path, retry_at: None }
    }

    pub(crate) fn current(&self, instance: &Instance) -> ShimStatus {
        ShimStatus {
            instance: self.instance.clone(),
            shim: std::process::id(),
            state: instance.state().clone(),
            started_ms: instance.started_ms(),
            born: instance.born(),
            stopping: instance.is_stopping(),
        }
    }

    pub(crate) fn write(&mut self, instance: &Instance) {
        let done = wire::encode(&self.current(instance))
            .is_ok_and(|bytes| sys::durable::write(&self.path, &bytes, 0o600).is_ok());
        self.retry_at = if done { None } else { Some(Instant::now() + RETRY) };
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(crate) fn retry(&mut self, instance: &Instance) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.write(instance);
        }
    }

    pub(crate) fn remove(&self) {
        let _ = sys::durable::remove(&self.path); // the keeper was told all of it
    }
}
