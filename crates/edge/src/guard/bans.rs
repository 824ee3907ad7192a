//! Bans: who is refused, until when.
//!
//! ```text
//!   worker: offence ──▶ proposed ──event──▶ control thread: own ban, enforced, said to the keeper (`FromEdge::Banned`)
//!   keeper: stores it, names it in its next snapshot ──▶ from then on the snapshot rules
//! ```
//! *Who rules.* A ban of the edge's own holds until a snapshot names it (the same network). From then on it is the
//! keeper's: a snapshot that names it no more has lifted it, one that names it with another end has changed it. A ban that was
//! not yet named stays its own, and is said again to each new keeper. A ban named with an end in the past is lifted too.
//!
//! Looking is free of locks: the control thread replaces the whole table.

use super::offences::Offence;
use super::{ClientKey, Guard};
use crate::wake::Wake;
use arc_swap::ArcSwap;
use ipnet::IpNet;
use model::site::BanRule;
use prefix_trie::joint::JointPrefixMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wire::snapshot::Ban;

/// Bans of the edge's own that a keeper has not named yet, and proposals that wait for the control thread. A keeper takes them at once; without
/// one, who comes later is not banned by himself.
const MOST_OWN: usize = 16_384;

#[derive(Default)]
struct Table {
    /// Single clients, with their end.
    clients: HashMap<ClientKey, u64>,
    /// Other networks.
    nets: JointPrefixMap<IpNet, u64>,
}

impl Table {
    fn holds(&self, address: IpAddr, now_ms: u64) -> bool {
        let client = self.clients.get(&ClientKey::of(address));
        client.is_some_and(|until| *until > now_ms)
            || self.nets.cover(&address.to_canonical().into()).any(|(_, until)| *until > now_ms)
    }
}

/// What workers see of it.
pub struct Bans {
    table: ArcSwap<Table>,
    /// Entries in the table.
    count: AtomicUsize,
    proposed: Mutex<Vec<Ban>>,
    wake: Arc<Wake>,
}

impl Bans {
    pub(super) fn new(wake: Arc<Wake>) -> Self {
        Self { table: ArcSwap::default(), count: AtomicUsize::new(0), proposed: Mutex::default(), wake }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn hold(&self, address: IpAddr, now_ms: impl FnOnce() -> u64) -> bool {
        self.len() > 0 && self.table.load().holds(address, now_ms())
    }

    pub(super) fn propose(&self, client: ClientKey, rule: &BanRule, offence: Offence, now_ms: u64) {
        let (offences, within) = (rule.offences, rule.within_s);
        let ban = Ban {
            net: client.net(),
            until_ms: now_ms.saturating_add(u64::from(rule.ban_s) * 1000),
            reason: format!("{offences} offences within {within} s, the last one: {}", offence.words()),
        };
        let mut proposed = self.proposed.lock().unwrap_or_else(PoisonError::into_inner);
        if proposed.len() < MOST_OWN {
            proposed.push(ban);
        }
        drop(proposed);
        self.wake.signal();
    }

    fn enforce<'a>(&self, bans: impl Iterator<Item = &'a Ban>) {
        let mut table = Table::default();
        for ban in bans {
            let client = ClientKey::of(ban.net.addr());
            if client.net() == ban.net {
                table.clients.insert(client, ban.until_ms);
            } else {
                table.nets.insert(ban.net, ban.until_ms);
            }
        }
        self.count.store(table.clients.len() + table.nets.len(), Ordering::Relaxed);
        self.table.store(Arc::new(table));
    }
}

/// The control thread's book.
#[derive(Debug, Default)]
pub struct Ledger {
    own: HashMap<IpNet, Ban>,
    named: Vec<Ban>,
}

impl Ledger {
    /// Bans whom workers proposed since; the new ones, for the keeper.
    pub fn take_fresh(&mut self, guard: &Guard) -> Vec<Ban> {
        let mut proposed = guard.bans.proposed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = std::mem::take(&mut *proposed);
        drop(proposed);
        if fresh.is_empty() {
            return fresh;
        }
        let now_ms = super::wall_ms();
        self.own.retain(|_, ban| ban.until_ms > now_ms);
        fresh.truncate(MOST_OWN.saturating_sub(self.own.len()));
        for ban in &fresh {
            tracing::warn!(net = %ban.net, until_ms = ban.until_ms, reason = %ban.reason, "banned");
            self.own.insert(ban.net, ban.clone());
        }
        self.enforce(guard);
        fresh
    }

    /// What no keeper has named yet.
    pub fn own(&self) -> Vec<Ban> {
        self.own.values().cloned().collect()
    }

    /// Takes a snapshot's bans; own ones among them are the keeper's from now on.
    pub fn apply(&mut self, named: &[Ban], guard: &Guard) {
        if named.is_empty() && self.named.is_empty() {
            return;
        }
        named.iter().for_each(|ban| drop(self.own.remove(&ban.net)));
        self.named = named.to_vec();
        self.enforce(guard);
    }

    fn enforce(&self, guard: &Guard) {
        let now_ms = super::wall_ms();
        // The same client banned again after the keeper named him: the later word counts.
        guard.bans.enforce(self.named.iter().chain(self.own.values()).filter(|ban| ban.until_ms > now_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(net: &str, until_ms: u64) -> Ban {
        Ban { net: net.parse().unwrap(), until_ms, reason: "test".to_owned() }
    }

    fn banned(guard: &Guard, address: &str) -> bool {
        guard.is_banned(address.parse().unwrap())
    }

    #[test]
    fn networks_of_any_size_are_banned_until_their_end() {
        let guard = Guard::new(Wake::new().unwrap());
        let mut ledger = Ledger::default();
        let bans = [
            ban("192.0.2.0/24", u64::MAX),
            ban("192.0.2.7/32", 1),
            ban("2001:db8::/32", u64::MAX),
            ban("2001:db9::1/128", u64::MAX),
            ban("203.0.113.9/32", u64::MAX),
        ];
        ledger.apply(&bans, &guard);
        for address in
            ["192.0.2.7", "192.0.2.8", "::ffff:192.0.2.8", "2001:db8:1::1", "2001:db9::1", "203.0.113.9"]
        {
            assert!(banned(&guard, address), "{address}");
        }
        for address in ["192.0.3.1", "2001:db9::2", "203.0.113.8", "127.0.0.1"] {
            assert!(!banned(&guard, address), "{address}");
        }
        ledger.apply(&[], &guard);
        assert_eq!(guard.banned(), 0);
    }

    #[test]
    fn an_own_ban_holds_until_the_keeper_named_it_and_then_the_keeper_rules() {
        let guard = Guard::new(Wake::new().unwrap());
        let mut ledger = Ledger::default();
        let rule = BanRule { offences: 1, within_s: 60, ban_s: 600 };
        guard.bans.propose(
            ClientKey::of("192.0.2.1".parse().unwrap()),
            &rule,
            Offence::Rate,
            super::super::wall_ms(),
        );
        let fresh = ledger.take_fresh(&guard);
        assert!(banned(&guard, "192.0.2.1"));
        ledger.apply(&[ban("192.0.2.9/32", u64::MAX)], &guard);
        assert!(banned(&guard, "192.0.2.1"), "a snapshot made before the keeper knew");
        assert_eq!(ledger.own(), fresh, "said again to a new keeper");
        ledger.apply(&fresh, &guard);
        assert!(banned(&guard, "192.0.2.1"));
        assert!(ledger.own().is_empty());
        ledger.apply(&[], &guard);
        assert!(!banned(&guard, "192.0.2.1"), "lifted");
    }
}
