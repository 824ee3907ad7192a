//! Offences by client, within a window.
//!
//! The window is cut into [`PARTS`]; a count is forgotten with its part, so an offence counts for the whole window at least
//! 7/8 of it, and never longer. Bounded: a full shard forgets whom it has not heard of for longest.

use super::ClientKey;
use model::site::BanRule;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

const PARTS: usize = 8;
const SHARDS: usize = 16;
/// Clients in one shard: 64,000 in all, some 8 MB.
const MOST: usize = 4096;

/// What a client may be banned for, when it does it again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// A name and password, or another proof of identity, that was wrong.
    Authentication,
    /// A request beyond a limit of rate.
    Rate,
    /// A request that breaks the protocol.
    Malformed,
}

impl Offence {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Authentication, Self::Rate, Self::Malformed];

    /// As a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Rate => "rate",
            Self::Malformed => "malformed",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Authentication => "failed authentication",
            Self::Rate => "a request beyond its rate",
            Self::Malformed => "a malformed request",
        }
    }
}

#[derive(Debug, Default)]
struct Offender {
    counts: [u32; PARTS],
    /// Number of the newest part, counted from the edge's start.
    part: u64,
}

impl Offender {
    fn count(&mut self, part: u64) -> u32 {
        let passed = part.saturating_sub(self.part).min(PARTS as u64);
        for back in 0..passed {
            if let Some(count) = self.counts.get_mut(((part - back) % PARTS as u64) as usize) {
                *count = 0;
            }
        }
        self.part = self.part.max(part);
        if let Some(count) = self.counts.get_mut((part % PARTS as u64) as usize) {
            *count = count.saturating_add(1);
        }
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Everybody who offended lately.
#[derive(Debug, Default)]
pub struct Offenders {
    shards: [Mutex<HashMap<ClientKey, Offender>>; SHARDS],
    hasher: RandomState,
}

impl Offenders {
    /// One more offence; true when it is the one that bans. The count begins anew then.
    pub fn count(&self, client: ClientKey, rule: &BanRule, now_ms: u64) -> bool {
        let part = now_ms / (u64::from(rule.within_s.max(1)) * 1000 / PARTS as u64);
        let shard = self.hasher.hash_one(client) as usize % SHARDS;
        let Some(shard) = self.shards.get(shard) else { return false };
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&client) {
            make_room(&mut known, part);
        }
        let bans = known.entry(client).or_default().count(part) >= rule.offences.max(1);
        if bans {
            known.remove(&client);
        }
        bans
    }
}

/// Forgets those whose window has passed, else the older half: the cost is spread over as many newcomers.
fn make_room(known: &mut HashMap<ClientKey, Offender>, part: u64) {
    known.retain(|_, offender| offender.part + PARTS as u64 > part);
    if known.len() < MOST {
        return;
    }
    let mut parts: Vec<u64> = known.values().map(|offender| offender.part).collect();
    let middle = parts.len() / 2;
    let median = *parts.select_nth_unstable(middle).1;
    let mut left = middle;
    known.retain(|_, offender| {
        let goes = offender.part <= median && left > 0;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BanRule = BanRule { offences: 3, within_s: 8, ban_s: 1 };

    #[test]
    fn only_offences_within_the_window_count_together() {
        let offenders = Offenders::default();
        let client = ClientKey(1);
        assert!(!offenders.count(client, &RULE, 0));
        assert!(!offenders.count(client, &RULE, 4_000));
        assert!(!offenders.count(client, &RULE, 8_000), "the first is forgotten");
        assert!(offenders.count(client, &RULE, 8_500));
        assert!(!offenders.count(client, &RULE, 8_600), "the count begins anew");
        assert!(!offenders.count(client, &RULE, 90_000));
        assert!(!offenders.count(client, &RULE, 90_000));
        assert!(offenders.count(client, &RULE, 90_001));
    }

    #[test]
    fn however_many_offend_the_table_stays_bounded() {
        let offenders = Offenders::default();
        for n in 0..(SHARDS * MOST * 2) as u64 {
            offenders.count(ClientKey(n), &RULE, 0);
        }
        let kept: usize = offenders.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= SHARDS * MOST, "{kept}");
        assert!(kept >= SHARDS * MOST / 2, "{kept}");
    }
}
