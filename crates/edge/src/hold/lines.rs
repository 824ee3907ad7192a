//! What lasts of all upstreams, their lines above all, as the control thread sees it: kept from one snapshot to the next by the
//! upstream's id.

use super::line::{Bell, Counts, Line};
use crate::table::Table;
use crate::upstream::{Lasting, Upstream};
use crate::wake::Wake;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::edge::UpstreamStats;
use wire::snapshot::UpstreamState;

/// Time between two looks at the lines while somebody waits.
pub const TICK: Duration = Duration::from_millis(100);

/// Time without anybody waiting after which the looks end: where places become free all the time, the bell must not ring for each.
const QUIET: Duration = Duration::from_secs(1);

/// All lines.
pub struct Lines {
    bell: Arc<Bell>,
    lasting: HashMap<String, Arc<Lasting>>,
    /// Upstreams of which the keeper was told that they are wanted, since they fell asleep.
    told: HashSet<String>,
    /// When somebody was last seen waiting, since the bell rang.
    busy: Option<Instant>,
}

impl Lines {
    /// None yet; `wake` is signalled when the first request waits.
    pub fn new(wake: &Arc<Wake>) -> Self {
        Self { bell: Bell::new(Arc::clone(wake)), lasting: HashMap::new(), told: HashSet::new(), busy: None }
    }

    /// Whether the upstream of this id was there before.
    pub fn know(&self, id: &str) -> bool {
        self.lasting.contains_key(id)
    }

    /// What lasts of the upstream of this id.
    pub fn of(&mut self, id: &str) -> Arc<Lasting> {
        let made = || Arc::new(Lasting::new(Line::new(&self.bell)));
        Arc::clone(self.lasting.entry(id.to_owned()).or_insert_with(made))
    }

    /// A table is about to be published: who waits gets what it has. `moved`: routes may lead elsewhere.
    pub fn renew(&mut self, table: &Table) {
        for upstream in &table.upstreams {
            upstream.lasting.line.renew(upstream);
            if upstream.state != UpstreamState::Asleep {
                self.told.remove(&*upstream.id);
            }
        }
    }

    /// It was published: who waits for what will not come looks where his route leads now; so do all where routes may have changed.
    pub fn settle(&mut self, table: &Table, moved: bool) {
        let states: HashMap<&str, UpstreamState> =
            table.upstreams.iter().map(|upstream| (&*upstream.id, upstream.state)).collect();
        self.told.retain(|id| states.contains_key(id.as_str()));
        self.lasting.retain(|id, lasting| {
            let state = states.get(id.as_str());
            match state {
                None | Some(UpstreamState::Unhealthy | UpstreamState::Down) => lasting.line.close(),
                Some(_) if moved => lasting.line.look_anew(),
                Some(_) => {}
            }
            state.is_some()
        });
    }

    /// Whether [`Lines::tick`] has to be called every [`TICK`].
    pub fn are_waiting(&self) -> bool {
        self.bell.is_rung()
    }

    /// Looks whether time has changed something for those who wait.
    pub fn tick(&mut self, now: Instant) {
        if !self.bell.is_rung() {
            return;
        }
        self.lasting.values().for_each(|lasting| lasting.line.tick(now));
        // Looked at after it was silenced: who joins from here on either is seen or rings again.
        let quiet = now.saturating_duration_since(*self.busy.get_or_insert(now)) >= QUIET;
        if quiet {
            self.bell.silence();
        }
        if self.lasting.values().any(|lasting| !lasting.line.is_empty()) {
            self.busy = Some(now);
            self.bell.keep();
        } else if quiet {
            self.busy = None;
        }
    }

    /// The next upstream that sleeps and for which a request came; each once until it has woken up.
    pub fn wanted(&mut self, table: &Table) -> Option<String> {
        let mut asleep = table.upstreams.iter().filter(|upstream| upstream.state == UpstreamState::Asleep);
        let wanted = asleep.find(|it| it.lasting.line.take_wanted() && self.told.insert(it.id.to_string()));
        wanted.map(|upstream| upstream.id.to_string())
    }

    /// A new keeper has heard none of it.
    pub fn tell_again(&mut self) {
        for id in self.told.drain() {
            if let Some(lasting) = self.lasting.get(&id) {
                lasting.line.want();
            }
        }
    }
}

/// What became of the requests of each upstream, by their ids.
pub fn all_stats(table: &Table) -> Vec<UpstreamStats> {
    let mut all: Vec<UpstreamStats> = table.upstreams.iter().map(|upstream| stats_of(upstream)).collect();
    all.sort_unstable_by(|one, other| one.upstream.cmp(&other.upstream));
    all
}

/// What became of an upstream's requests.
pub fn stats_of(upstream: &Upstream) -> UpstreamStats {
    let line = &upstream.lasting.line;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Counts { held, overflowed, retried, unsent } = &line.counts;
    UpstreamStats {
        upstream: upstream.id.to_string(),
        waiting: u64::from(line.waiting()),
        requests: upstream.lasting.requests() + count(unsent),
        held: count(held),
        overflowed: count(overflowed),
        retried: count(retried),
    }
}
