//! Connections by client: how many are open, and how fast new ones come.
//!
//! Open ones are counted in shards; a client without a connection has no entry, so the table is bounded by the connections
//! themselves. New ones are counted by `governor` (GCRA), whose forgotten keys the control thread sweeps each second.

use super::ClientKey;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// Shards: workers seldom meet in one.
const SHARDS: usize = 32;
/// As many new connections at once as in so many seconds.
const BURST_SECONDS: u32 = 10;

/// Counts new connections.
pub type Limiter = Arc<DefaultKeyedRateLimiter<ClientKey>>;

/// `rate` a second, ten times as many at once; 0: no limit.
pub fn limiter(rate: u32) -> Option<Limiter> {
    let rate = NonZeroU32::new(rate)?;
    let burst = NonZeroU32::new(rate.get().saturating_mul(BURST_SECONDS))?;
    Some(Arc::new(RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))))
}

/// Open connections by client.
#[derive(Debug, Default)]
pub struct Clients {
    shards: [Mutex<HashMap<ClientKey, u32>>; SHARDS],
    hasher: RandomState,
}

impl Clients {
    fn with<T>(
        &self,
        client: ClientKey,
        use_it: impl FnOnce(&mut HashMap<ClientKey, u32>) -> T,
    ) -> Option<T> {
        let shard = self.hasher.hash_one(client) as usize % SHARDS;
        // A count is right whoever panicked while he held the shard.
        self.shards.get(shard).map(|shard| use_it(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Clients that are connected.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// A connection's place in the count; dropping it gives it back.
#[derive(Debug)]
pub struct Ticket {
    counted: Option<(Arc<Clients>, ClientKey)>,
}

impl Ticket {
    /// Of one that is not counted.
    pub fn free() -> Self {
        Self { counted: None }
    }

    /// One more of this client, if it has fewer than `most`; 0: no limit.
    pub fn take(clients: &Arc<Clients>, client: ClientKey, most: u32) -> Option<Self> {
        if most == 0 {
            return Some(Self::free());
        }
        let fits = clients.with(client, |open| {
            let count = open.entry(client).or_default();
            let fits = *count < most;
            *count += u32::from(fits);
            fits
        });
        fits.unwrap_or(true).then(|| Self { counted: Some((Arc::clone(clients), client)) })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some((clients, client)) = self.counted.take() else { return };
        clients.with(client, |open| {
            if let Some(count) = open.get_mut(&client) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.remove(&client);
                }
            }
        });
    }
}
