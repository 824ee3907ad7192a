//! Who is refused for a while: banned by the edge for repeated offence, or by hand. Kept in the store, so that a ban outlives
//! keeper and edge; named in every snapshot until it ends or is lifted.
//!
//! Bans of the edge's own come in crowds when there is an attack: the edge enforces them by itself, and every few seconds they are
//! stored in one write and then named in snapshots ([`Bans::refresh`]), not one by one: who owns many addresses would keep the
//! loop waiting for the disk. Until it is named a ban stays the edge's too, so none is lost with a keeper. What was lifted is named once with an end in the past: so the edge lets go of one
//! that it had not seen named yet.

use crate::api::{BanRequest, BanStatus};
use crate::error::KeeperError;
use crate::keeper::{Keeper, epoch_ms, report_failure};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use store::{Store, StoreError};
use wire::snapshot::Ban;

/// Most bans at a time; beyond it the one that ends first makes room.
const MOST: usize = 16_384;

/// All that hold.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    held: BTreeMap<IpNet, Ban>,
    named: Vec<Ban>,
    /// Held, or held no more, and not yet so in the store.
    unstored: BTreeSet<IpNet>,
}

impl Bans {
    /// Those that a former keeper stored and that have not ended.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        store.end_bans(epoch_ms())?;
        let bans = store.bans()?.into_iter().map(|ban| Ban {
            net: ban.net,
            until_ms: ban.until_ms,
            reason: ban.reason,
        });
        let held = bans.map(|ban| (ban.net, ban)).collect();
        let mut loaded = Self { held, ..Self::default() };
        loaded.refresh(epoch_ms());
        Ok(loaded)
    }

    /// What the next snapshot names.
    pub(crate) fn named(&self) -> &[Ban] {
        &self.named
    }

    /// How many hold.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// From now on snapshots name exactly those that hold. True: some have ended.
    pub(crate) fn refresh(&mut self, now_ms: u64) -> bool {
        let before = self.held.len();
        self.held.retain(|_, ban| ban.until_ms > now_ms);
        self.named = self.held.values().cloned().collect();
        self.held.len() != before
    }

    /// Holds another one. Gives the one that made room for it.
    fn add(&mut self, ban: Ban) -> Option<IpNet> {
        self.unstored.insert(ban.net);
        self.held.insert(ban.net, ban);
        if self.held.len() <= MOST {
            return None;
        }
        let first = self.held.values().min_by_key(|ban| ban.until_ms).map(|ban| ban.net)?;
        self.held.remove(&first);
        self.unstored.insert(first);
        Some(first)
    }

    /// What the store is to hold and to lift.
    fn take_unstored(&mut self) -> (Vec<store::Ban>, Vec<IpNet>) {
        let unstored = std::mem::take(&mut self.unstored);
        let stored =
            |ban: &Ban| store::Ban { net: ban.net, until_ms: ban.until_ms, reason: ban.reason.clone() };
        let held = unstored.iter().filter_map(|net| self.held.get(net)).map(stored).collect();
        (held, unstored.into_iter().filter(|net| !self.held.contains_key(net)).collect())
    }

    /// Lifts those that have to do with `net` (none: all), and names them as ended. Gives them.
    fn lift(&mut self, net: Option<IpNet>) -> Vec<IpNet> {
        let meant = |held: &IpNet| net.is_none_or(|net| held.contains(&net) || net.contains(held));
        let lifted: Vec<IpNet> = self.held.keys().filter(|held| meant(held)).copied().collect();
        lifted.iter().for_each(|net| drop(self.held.remove(net)));
        self.unstored.extend(&lifted);
        self.named = self.held.values().cloned().collect();
        let ended = lifted.iter().map(|net| Ban { net: *net, until_ms: 0, reason: String::new() });
        self.named.extend(ended);
        lifted
    }
}

impl Keeper {
    /// The edge banned somebody.
    pub(crate) fn banned(&mut self, ban: Ban) {
        tracing::warn!(net = %ban.net, reason = ban.reason, "banned for repeated offence");
        self.bans.add(ban);
    }

    pub(crate) fn store_bans(&mut self) -> Result<(), StoreError> {
        let (held, lifted) = self.bans.take_unstored();
        if held.is_empty() && lifted.is_empty() {
            return Ok(());
        }
        self.store.change_bans(&held, &lifted)
    }

    /// Stores new bans, names them in the next snapshot, and forgets those that have ended.
    pub(crate) fn refresh_bans(&mut self) {
        report_failure("recording bans", self.store_bans());
        let now = epoch_ms();
        if self.bans.refresh(now) {
            report_failure("removing ended bans", self.store.end_bans(now));
        }
    }

    /// `GET /v1/bans`.
    pub(crate) fn list_bans(&self) -> Vec<BanStatus> {
        let at = |ms: u64| i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let shown = |ban: &Ban| BanStatus {
            net: ban.net,
            until: at(ban.until_ms).map(|at| format!("{at:.0}")).unwrap_or_default(),
            reason: ban.reason.clone(),
        };
        self.bans.held.values().map(shown).collect()
    }

    /// `POST /v1/bans`.
    pub(crate) fn add_ban(&mut self, request: BanRequest) -> Result<Vec<BanStatus>, KeeperError> {
        let net = request.net.trunc();
        if net.prefix_len() == 0 {
            return Err(KeeperError::Wrong(format!(
                "{net} is everybody: name an address or a smaller network"
            )));
        }
        let until_ms = epoch_ms().saturating_add(request.seconds.saturating_mul(1000));
        tracing::warn!(%net, reason = request.reason, "banned by hand");
        self.bans.add(Ban { net, until_ms, reason: request.reason });
        self.store_bans()?;
        self.refresh_bans();
        Ok(self.list_bans().into_iter().filter(|ban| ban.net == net).collect())
    }

    /// `POST /v1/bans/lift`.
    pub(crate) fn lift_bans(&mut self, net: Option<IpNet>) -> Result<Vec<IpNet>, KeeperError> {
        let lifted = self.bans.lift(net);
        for net in &lifted {
            tracing::info!(%net, "the ban is lifted");
        }
        self.store_bans()?;
        Ok(lifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(net: &str, until_ms: u64) -> Ban {
        Ban { net: net.parse().unwrap(), until_ms, reason: "rates".into() }
    }

    #[test]
    fn a_lifted_ban_is_named_once_as_ended() {
        let mut bans = Bans::default();
        bans.add(ban("198.51.100.7/32", 500));
        bans.add(ban("2001:db8::/64", 900));
        assert!(bans.named().is_empty(), "a crowd is named together");
        assert!(!bans.refresh(100));
        assert_eq!(bans.named().len(), 2);
        let net: IpNet = "2001:db8::7/128".parse().unwrap();
        assert_eq!(bans.lift(Some(net)), ["2001:db8::/64".parse::<IpNet>().unwrap()]);
        assert_eq!(bans.named().iter().map(|ban| ban.until_ms).collect::<Vec<_>>(), [500, 0]);
        bans.refresh(100);
        assert_eq!(bans.named(), [ban("198.51.100.7/32", 500)]);
        assert!(bans.refresh(500) && bans.named().is_empty());
    }

    /// Each was a write of its own, on the keeper's one loop.
    #[test]
    fn a_crowd_of_bans_is_one_write() {
        let mut bans = Bans::default();
        for net in ["198.51.100.0/32", "198.51.100.1/32", "198.51.100.2/32"] {
            bans.add(ban(net, 500));
        }
        bans.lift(Some("198.51.100.1/32".parse().unwrap()));
        let (held, lifted) = bans.take_unstored();
        assert_eq!(
            held.iter().map(|ban| ban.net.to_string()).collect::<Vec<_>>(),
            ["198.51.100.0/32", "198.51.100.2/32"]
        );
        assert_eq!(lifted, ["198.51.100.1/32".parse::<IpNet>().unwrap()]);
        assert_eq!(bans.take_unstored(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn the_one_that_ends_first_makes_room() {
        let mut bans = Bans::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            let net = IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(number)));
            let gone =
                bans.add(Ban { net, until_ms: 1000 - u64::from(number % 1000), reason: String::new() });
            assert_eq!(gone.is_some(), number as usize == MOST);
        }
        assert_eq!(bans.len(), MOST);
    }
}
