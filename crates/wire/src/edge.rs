//! Keeper ↔ edge, over a unix stream socket on which the *edge* listens: so a restarted keeper finds the edge, not the
//! other way round. One keeper at a time; a new connection replaces the former.
//!
//! ```text
//! keeper                                edge
//!   ── connect ──────────────────────────▶
//!   ◀─ Hello { version, pid, revision, listeners, retiring } + one descriptor for each listener it holds
//!   ── Listen { listeners } + descriptors ▶   (what it holds and is not named, it closes)
//!   ── Certificates { revision } + mem. file▶ only when one of them has changed
//!   ── Snapshot { revision } + memory file▶   decoded away from the request threads
//!   ◀─ Applied { revision }
//!   ◀─ Drained { instance, revision }         each time the last claim on a draining instance ends
//!   ── Retire { deadline_ms } ────────────▶   another edge has taken over: stop accepting, drain without a hurry, exit 0
//!   ── Shutdown { deadline_ms } ──────────▶   stop accepting, drain, exit 0
//! ```
//! While an edge retires it goes on taking snapshots: its requests, retries and streams need them, and `Drained` is said of
//! what they hold. Listeners it takes no more.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A listening socket. Several with the same address are the accept queues of one address (`SO_REUSEPORT`),
/// one for each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Listener {
    /// Where it is bound (the port that was given, if 0 was asked for).
    pub address: SocketAddr,
    /// Which of the address's accept queues.
    pub queue: u32,
    /// Datagrams (UDP), not connections. There is one queue for them.
    #[serde(default)]
    pub datagrams: bool,
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToEdge {
    /// Serve on exactly these; their descriptors come with the frame, in this order.
    Listen {
        /// In the order of the descriptors.
        listeners: Vec<Listener>,
    },
    /// Certificates of the snapshots that name this revision ([`crate::snapshot::Snapshot::certificates_of`]), in place of all former ones;
    /// one descriptor comes with the frame: a sealed memory file that holds a list of [`crate::snapshot::Certificate`]. Ten thousand of them
    /// are some 30 MB, which a mere change of health must not carry. Only for an edge that says that it takes them.
    Certificates {
        /// Of the snapshot that comes next.
        revision: u64,
    },
    /// Serve from this; one descriptor comes with the frame: a sealed memory file that holds a
    /// [`crate::snapshot::Snapshot`].
    Snapshot {
        /// Its revision.
        revision: u64,
    },
    /// Say what you see.
    Stats,
    /// Say it as Prometheus has it; one descriptor of a memory file comes with the answer.
    Metrics,
    /// Another edge accepts on the same sockets: stop accepting, exit when the last connection has ended. A connection that waits
    /// for its next request is kept until that came, and closed behind its answer: so no client sees its request cut. The
    /// first deadline stands; only [`ToEdge::Shutdown`] shortens it.
    Retire {
        /// Milliseconds until what still runs is cut.
        deadline_ms: u64,
    },
    /// Stop accepting, close what waits, let what runs end, exit.
    Shutdown {
        /// Milliseconds until what still runs is cut.
        deadline_ms: u64,
    },
}

/// What the edge says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FromEdge {
    /// First, on each connection. The descriptors of `listeners` come with the frame, in this order.
    Hello {
        /// [`crate::VERSION`].
        version: u32,
        /// Its process id.
        pid: u32,
        /// Revision of the snapshot it serves from; 0 for none.
        revision: u64,
        /// What it holds.
        listeners: Vec<Listener>,
        /// Since it was told to retire.
        #[serde(default)]
        retiring: Option<Retiring>,
        /// It takes [`ToEdge::Certificates`].
        #[serde(default)]
        certificates_apart: bool,
    },
    /// It serves from this revision now, on every core.
    Applied {
        /// That revision.
        revision: u64,
    },
    /// It could not use this revision and serves from the former one.
    Rejected {
        /// The refused revision.
        revision: u64,
        /// Why.
        reason: String,
    },
    /// No claim on this draining instance is left, and none can be made from this revision on.
    Drained {
        /// [`crate::snapshot::Endpoint::instance`].
        instance: String,
        /// The revision in which it drains.
        revision: u64,
    },
    /// Answer to [`ToEdge::Stats`].
    Stats(Stats),
    /// Answer to [`ToEdge::Metrics`]: a sealed memory file in the text format of Prometheus comes with the frame.
    Metrics,
    /// A request waits for an app of which none runs ([`crate::snapshot::UpstreamState::Asleep`]).
    Wanted {
        /// [`crate::snapshot::Upstream::id`].
        upstream: String,
    },
    /// A handshake asked for a name that there is no certificate for, and [`crate::snapshot::Snapshot::on_demand`] is set. Said once for
    /// each name in ten seconds.
    Unknown {
        /// The name, lower case.
        name: String,
    },
    /// An address was banned for repeated offence. The keeper remembers it and names it in the next snapshots.
    Banned(crate::snapshot::Ban),
}

/// How far an edge's retirement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// Milliseconds since it began.
    pub for_ms: u64,
    /// Milliseconds until what still runs is cut.
    pub left_ms: u64,
}

/// What the edge sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Client connections open now.
    pub connections: u64,
    /// Exchanges under way now.
    pub in_flight: u64,
    /// Exchanges ended since start.
    pub requests: u64,
    /// Access-log lines that were lost because the disk was too slow.
    pub log_lost: u64,
    /// By instance: [`crate::snapshot::Endpoint::instance`].
    pub instances: Vec<InstanceStats>,
    /// By upstream: [`crate::snapshot::Upstream::id`].
    #[serde(default)]
    pub upstreams: Vec<UpstreamStats>,
}

/// What the edge sees of one upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpstreamStats {
    /// [`crate::snapshot::Upstream::id`].
    pub upstream: String,
    /// Requests that wait for an instance now.
    pub waiting: u64,
    /// Requests that came, answered or not, since it was first seen.
    pub requests: u64,
    /// Requests that had to wait.
    pub held: u64,
    /// Requests that were refused because too many waited, or too long.
    pub overflowed: u64,
    /// Requests sent again.
    pub retried: u64,
}

/// What the edge sees of one instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceStats {
    /// [`crate::snapshot::Endpoint::instance`].
    pub instance: String,
    /// Claims held now.
    pub in_flight: u64,
    /// Requests sent to it since it was first seen.
    pub requests: u64,
    /// Requests that failed there: refused, reset, timed out.
    pub failures: u64,
    /// Its circuit is open: after failures in a row it gets nothing but a trial.
    #[serde(default)]
    pub left_alone: bool,
    /// Answers for each second of the last minute.
    #[serde(default)]
    pub rate: f64,
    /// Half of its answers of the last minute took no longer than this, in microseconds; 0: none was given.
    #[serde(default)]
    pub p50_us: u64,
    /// 99 of 100.
    #[serde(default)]
    pub p99_us: u64,
}

impl InstanceStats {
    /// Adds what somebody else (another edge, another upstream) sees of the same instance. Of how long answers took the worse stays.
    pub fn add(&mut self, other: &Self) {
        self.in_flight += other.in_flight;
        self.requests += other.requests;
        self.failures += other.failures;
        self.left_alone |= other.left_alone;
        self.rate += other.rate;
        self.p50_us = self.p50_us.max(other.p50_us);
        self.p99_us = self.p99_us.max(other.p99_us);
    }
}
