//! An edge's end: told to retire it lets clients come to theirs, told to shut down it closes what waits.

use super::Control;
use crate::worker::{Command, Leave};
use std::time::{Duration, Instant};
use wire::edge::Retiring;

/// On its way out.
#[derive(Clone, Copy)]
pub(super) struct Leaving {
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) at_once: bool,
}

impl Control {
    /// Accepts no more, and ends when the workers have. Told again, it goes harder, never longer.
    pub(super) fn leave(&mut self, within: Duration, at_once: bool) {
        self.listeners.clear();
        let now = Instant::now();
        let mut leaving = Leaving { since: now, until: now + within, at_once };
        if let Some(before) = self.leaving {
            leaving.since = before.since;
            leaving.until = leaving.until.min(before.until);
        }
        self.leaving = Some(leaving);
        for worker in &self.workers {
            let leave = Leave { deadline: leaving.until, at_once };
            // One that has ended needs not be told.
            let _ = worker.commands.blocking_send(Command::Leave(leave));
        }
    }

    pub(super) fn retiring(&self) -> Option<Retiring> {
        let Leaving { since, until, .. } = self.leaving?;
        let now = Instant::now();
        let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Some(Retiring {
            for_ms: ms(now.saturating_duration_since(since)),
            left_ms: ms(until.saturating_duration_since(now)),
        })
    }
}
