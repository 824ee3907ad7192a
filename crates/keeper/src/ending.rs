//! How a keeper ends: alone, with all it runs, or at once.

use crate::Shutdown;
use crate::keeper::{Keeper, report_failure};
use std::time::Duration;
use wire::edge::ToEdge;

/// `up`: time that requests under way have to end after Ctrl-C. Longer than a `drain` of three seconds: so an app that ends its
/// event streams on SIGTERM ends them cleanly, before the edge cuts them.
const UP_DRAIN: Duration = Duration::from_secs(5);

/// How the keeper is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Alone: apps and edge run on.
    Alone,
    /// After everything was drained and stopped in order.
    Orderly,
    /// After everything was killed.
    Now,
}

impl Keeper {
    /// What the owner of this keeper wants: a daemon leaves everything running, `up` leaves nothing.
    pub(crate) fn shut_down(&mut self, wanted: Shutdown) {
        report_failure("recording bans", self.store_bans());
        match (wanted, self.options.foreground) {
            (Shutdown::No, _) => {}
            (_, false) => self.end(Ending::Alone),
            (Shutdown::Orderly, true) => self.end(Ending::Orderly),
            (Shutdown::Now, true) => self.end(Ending::Now),
        }
    }

    /// Begins to end, or ends harder. The edge stops accepting first; instances are stopped when it has nothing left of theirs.
    pub(crate) fn end(&mut self, ending: Ending) {
        let first = self.ending.is_none();
        self.ending = self.ending.max(Some(ending));
        self.certificates.pause();
        if first && ending >= Ending::Orderly {
            let deadline_ms = u64::try_from(UP_DRAIN.as_millis()).unwrap_or(u64::MAX);
            self.tell_edge(&ToEdge::Shutdown { deadline_ms });
            self.stacks.values_mut().for_each(|stack| stack.removing = true);
        }
        if ending == Ending::Now {
            self.tell_edge(&ToEdge::Shutdown { deadline_ms: 0 });
            self.supervisor.kill_all();
        }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        match self.ending {
            None => false,
            Some(Ending::Alone) => self.builds.is_idle(),
            Some(_) => {
                self.builds.is_idle()
                    && self.supervisor.is_empty()
                    && self.edge.is_none()
                    && self.beside.is_none()
            }
        }
    }

    /// Removes what nobody listens on any more.
    pub(crate) fn remove_sockets(&self) {
        let home = &self.home;
        let _ = std::fs::remove_file(home.control_socket());
        if self.ending == Some(Ending::Alone) {
            return;
        }
        for file in [home.edge_socket(), home.edge_coming_socket(), home.edge_leaving_socket(), home.slots()]
        {
            let _ = std::fs::remove_file(file);
        }
        let data = home.run().join("data");
        let services = std::fs::read_dir(&data).into_iter().flatten().flatten().map(|entry| entry.path());
        let shared = [home.run().join("shim"), home.run().join("app"), data, home.run().to_owned()];
        for folder in services.chain(shared) {
            let _ = std::fs::remove_dir(folder); // stays if an app left something of its own there
        }
    }
}
