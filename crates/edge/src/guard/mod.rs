//! What all clients are held to, whatever they ask for: connections at a time and new connections by client, bans.
//!
//! One [`Guard`] for all workers. The rules come with the snapshot, from the control thread; workers only look.
//!
//! ```text
//!   accept ──▶ connect: banned? too many open? too many new? ──▶ Ticket (its drop ends the count) │ Refused
//!   request ─▶ is_banned: the client behind a trusted peer, or one banned since it connected
//!   offence ─▶ offend: so many in a window ──▶ the control thread bans, and tells the keeper
//! ```
//! A client is an IPv4 address or the /64 of an IPv6 one. Trusted peers are never counted nor banned, and neither is loopback,
//! where tunnels and other proxies come from, unless `limit_loopback` says so.
//!
//! Invariants: every table is bounded or swept; a lock is one shard's, held for one look; nobody's count outlives his connections.

mod bans;
mod clients;
mod offences;

pub use bans::Ledger;
pub use clients::{Clients, Ticket};
pub use offences::Offence;

use crate::wake::Wake;
use arc_swap::ArcSwap;
use bans::Bans;
use clients::Limiter;
use ipnet::IpNet;
use model::site::EdgeSpec;
use offences::Offenders;
use std::io;
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use wire::snapshot::Snapshot;

/// An address as it is counted: IPv4 whole, IPv6 by its /64, which is what one customer gets. The upper half of an IPv6 address, or an
/// IPv4 address in its lower bits: nobody lives in `::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(u64);

impl ClientKey {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => u64::from(v4.to_bits()),
            IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or_default(),
        })
    }

    /// What a ban of this client names.
    fn net(self) -> IpNet {
        match u32::try_from(self.0) {
            Ok(v4) => IpAddr::V4(v4.into()).into(),
            Err(_) => {
                let v6 = Ipv6Addr::from_bits(u128::from(self.0) << 64);
                // 64 is a length that every IPv6 network can have.
                ipnet::Ipv6Net::new(v6, 64).map_or_else(|_| IpAddr::V6(v6).into(), IpNet::V6)
            }
        }
    }
}

/// Why a connection is closed as soon as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The address is banned.
    Banned,
    /// Too many of its connections are open.
    Connections,
    /// Too many came within a short time.
    Connects,
}

impl Refused {
    fn words(self) -> &'static str {
        match self {
            Self::Banned => "the address is banned",
            Self::Connections => "too many connections of this client are open",
            Self::Connects => "too many new connections of this client",
        }
    }
}

struct Rules {
    trusted: Box<[IpNet]>,
    edge: EdgeSpec,
    limiter: Option<Limiter>,
}

impl Rules {
    fn exempts(&self, address: IpAddr) -> bool {
        address.is_loopback() && !self.edge.limit_loopback
            || self.trusted.iter().any(|net| net.contains(&address))
    }
}

/// Connections and requests that were turned away since start; for metrics.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Connections of banned addresses, and requests of theirs.
    pub banned: AtomicU64,
    /// Connections beyond `client_connections`.
    pub connections: AtomicU64,
    /// Connections beyond `client_connects`.
    pub connects: AtomicU64,
    /// Requests refused because the edge had too many under way.
    pub overload: AtomicU64,
    /// Waiting connections closed to make room.
    pub evicted: AtomicU64,
    /// By [`Offence`].
    offences: [AtomicU64; Offence::ALL.len()],
}

impl Refusals {
    /// So many offences of this kind, whether anybody bans for them or not.
    pub fn offences(&self, offence: Offence) -> u64 {
        self.offences.get(offence as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// Shared by all workers.
pub struct Guard {
    rules: ArcSwap<Rules>,
    clients: Arc<Clients>,
    offenders: Offenders,
    bans: Bans,
    origin: Instant,
    /// Second of the last line about refused connections: one a second says enough.
    warned: AtomicU64,
    /// Counts of what was turned away.
    pub refusals: Refusals,
}

impl Guard {
    /// With the default rules; `wake` is signalled when somebody is to be banned.
    pub fn new(wake: Arc<Wake>) -> Self {
        let edge = EdgeSpec::default();
        let limiter = clients::limiter(edge.client_connects);
        Self {
            rules: ArcSwap::from_pointee(Rules { trusted: Box::default(), edge, limiter }),
            clients: Arc::default(),
            offenders: Offenders::default(),
            bans: Bans::new(wake),
            origin: Instant::now(),
            warned: AtomicU64::new(u64::MAX),
            refusals: Refusals::default(),
        }
    }

    /// Takes the snapshot's rules. Counts of connections go on; those of new connections do too, unless the limit changed.
    pub fn apply(&self, snapshot: &Snapshot) {
        let former = self.rules.load();
        let same = former.edge.client_connects == snapshot.edge.client_connects;
        let limiter = former.limiter.clone().filter(|_| same);
        self.rules.store(Arc::new(Rules {
            trusted: snapshot.trusted.clone().into(),
            edge: snapshot.edge.clone(),
            limiter: limiter.or_else(|| clients::limiter(snapshot.edge.client_connects)),
        }));
    }

    /// What a new connection from this address gets: a place, or none.
    pub fn connect(&self, address: IpAddr) -> Result<Ticket, Refused> {
        let address = address.to_canonical();
        let rules = self.rules.load();
        if rules.exempts(address) {
            return Ok(Ticket::free());
        }
        let refused = |why, count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
            Err(why)
        };
        if self.bans.hold(address, wall_ms) {
            return refused(Refused::Banned, &self.refusals.banned);
        }
        let client = ClientKey::of(address);
        if rules.limiter.as_ref().is_some_and(|limiter| limiter.check_key(&client).is_err()) {
            return refused(Refused::Connects, &self.refusals.connects);
        }
        match Ticket::take(&self.clients, client, rules.edge.client_connections) {
            Some(ticket) => Ok(ticket),
            None => refused(Refused::Connections, &self.refusals.connections),
        }
    }

    /// Closes a connection nothing was done for yet. With a reset: whoever floods is told that he is not wanted, and the
    /// kernel keeps nothing of it (no TIME_WAIT).
    pub fn turn_away(&self, stream: io::Result<TcpStream>, peer: IpAddr, refused: Refused) {
        if let Ok(stream) = stream {
            // Fails only for a socket that is gone already.
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
        let second = self.origin.elapsed().as_secs();
        if self.warned.swap(second, Ordering::Relaxed) != second {
            tracing::warn!(client = %peer, reason = refused.words(), "connections are refused");
        }
    }

    /// Whether requests of this client are refused. Where nobody is banned this is one load.
    pub fn is_banned(&self, address: IpAddr) -> bool {
        let banned = self.bans.hold(address, wall_ms) && !self.rules.load().exempts(address);
        if banned {
            self.refusals.banned.fetch_add(1, Ordering::Relaxed);
        }
        banned
    }

    /// Notes an offence; with enough of them in a window the client is banned.
    pub fn offend(&self, address: IpAddr, offence: Offence) {
        if let Some(count) = self.refusals.offences.get(offence as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let rules = self.rules.load();
        let Some(rule) = rules.edge.ban else { return };
        let address = address.to_canonical();
        if rules.exempts(address) {
            return;
        }
        let client = ClientKey::of(address);
        let now_ms = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.offenders.count(client, &rule, now_ms) {
            self.bans.propose(client, &rule, offence, wall_ms());
        }
    }

    /// Whether there is something to sweep.
    pub fn has_traces(&self) -> bool {
        self.rules.load().limiter.as_ref().is_some_and(|limiter| !limiter.is_empty())
    }

    /// Frees what idle clients left in the tables. Control thread, every now and then.
    pub fn sweep(&self) {
        if let Some(limiter) = &self.rules.load().limiter {
            limiter.retain_recent();
        }
    }

    /// Bans in force.
    pub fn banned(&self) -> usize {
        self.bans.len()
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::site::BanRule;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guard(edge: EdgeSpec, trusted: &[&str]) -> Guard {
        let guard = Guard::new(Wake::new().unwrap());
        let trusted = trusted.iter().map(|net| net.parse().unwrap()).collect();
        guard.apply(&Snapshot { edge, trusted, ..Snapshot::default() });
        guard
    }

    #[test]
    fn an_ipv6_customer_is_one_client_and_an_ipv4_address_is_the_same_in_both_spellings() {
        let of = |text| ClientKey::of(address(text));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1").net().to_string(), "2001:db8::/64");
        assert_eq!(of("192.0.2.1").net().to_string(), "192.0.2.1/32");
    }

    #[test]
    fn connections_of_one_client_are_bounded_and_given_back() {
        let guard = guard(EdgeSpec { client_connections: 2, ..EdgeSpec::default() }, &["198.51.100.0/24"]);
        let one = address("192.0.2.1");
        let held = [guard.connect(one).unwrap(), guard.connect(one).unwrap()];
        assert_eq!(guard.connect(one).unwrap_err(), Refused::Connections);
        assert!(guard.connect(address("192.0.2.2")).is_ok(), "another client");
        for free in ["198.51.100.7", "127.0.0.1", "::1"] {
            let held: Vec<_> = (0..5).map(|_| guard.connect(address(free))).collect();
            assert!(held.iter().all(Result::is_ok), "{free}");
        }
        drop(held);
        assert!(guard.connect(one).is_ok());
        assert_eq!(guard.clients.len(), 0, "nobody is connected, nothing is kept");
    }

    #[test]
    fn new_connections_of_one_client_are_bounded_and_loopback_is_where_it_is_asked_for() {
        let edge = EdgeSpec { client_connects: 1, limit_loopback: true, ..EdgeSpec::default() };
        let guard = guard(edge, &[]);
        for _ in 0..10 {
            assert!(guard.connect(address("127.0.0.1")).is_ok());
        }
        assert_eq!(guard.connect(address("127.0.0.1")).unwrap_err(), Refused::Connects);
        assert!(guard.connect(address("127.0.0.2")).is_ok());
    }

    #[test]
    fn repeated_offence_bans_and_the_trusted_never() {
        let rule = BanRule { offences: 3, within_s: 60, ban_s: 600 };
        let guard = guard(EdgeSpec { ban: Some(rule), ..EdgeSpec::default() }, &["198.51.100.7/32"]);
        let mut ledger = Ledger::default();
        for who in ["192.0.2.1", "198.51.100.7", "127.0.0.1"] {
            (0..3).for_each(|_| guard.offend(address(who), Offence::Authentication));
        }
        (0..2).for_each(|_| guard.offend(address("192.0.2.2"), Offence::Rate));
        let banned = ledger.take_fresh(&guard);
        assert_eq!(banned.len(), 1, "{banned:?}");
        assert_eq!(banned[0].net.to_string(), "192.0.2.1/32");
        assert!(banned[0].reason.contains("failed authentication"), "{}", banned[0].reason);
        assert!(guard.is_banned(address("192.0.2.1")) && !guard.is_banned(address("192.0.2.2")));
        assert_eq!(guard.connect(address("192.0.2.1")).unwrap_err(), Refused::Banned);
        assert!(guard.connect(address("192.0.2.2")).is_ok());
    }
}
