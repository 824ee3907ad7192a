//! Keys of resumption tickets (RFC 5077, RFC 8446 section 4.6.1). The keeper makes them and hands them to every edge, so that both
//! edges of a hand-over, and an edge that takes a dead one's place, open each other's tickets. They are never written to a disk:
//! after a keeper's restart the first new key makes clients shake hands in full once, which costs them a round trip and nobody an
//! error; a file of keys would cost every past connection its forward secrecy.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::snapshot::TicketKey;

/// Time for which tickets are made with one key.
const ROTATE: Duration = Duration::from_secs(12 * 3600);
/// Keys kept: the current one, and former ones that still open tickets.
const KEPT: usize = 3;

/// The current key and the former ones.
#[derive(Debug, Default)]
pub struct Tickets {
    keys: VecDeque<TicketKey>,
    made: Option<Instant>,
}

impl Tickets {
    /// The keys to use at this time, the current one first; a new one is made when it is time. Where the system gives no random
    /// bytes the former ones stay; with none there is no resumption.
    pub fn at(&mut self, now: Instant) -> Vec<TicketKey> {
        if self.made.is_none_or(|made| now.duration_since(made) >= ROTATE)
            && let Some(key) = random()
        {
            self.keys.push_front(key);
            self.keys.truncate(KEPT);
            self.made = Some(now);
        }
        self.keys.iter().cloned().collect()
    }
}

fn random() -> Option<TicketKey> {
    let mut key = TicketKey { name: [0; 16], secret: [0; 32] };
    aws_lc_rs::rand::fill(&mut key.name).ok()?;
    aws_lc_rs::rand::fill(&mut key.secret).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rotate_and_former_ones_stay_for_a_while() {
        let (mut tickets, begin) = (Tickets::default(), Instant::now());
        let first = tickets.at(begin);
        assert_eq!((first.len(), tickets.at(begin + ROTATE / 2)), (1, first.clone()));
        let second = tickets.at(begin + ROTATE);
        assert_eq!((second.len(), &second[1]), (2, &first[0]));
        assert_ne!(second[0].secret, first[0].secret);
        let last = (2..5).map(|n| tickets.at(begin + ROTATE * n)).last().unwrap();
        assert!(last.len() == KEPT && !last.contains(&first[0]));
        assert!(!format!("{tickets:?}").contains("secret: ["));
    }
}
