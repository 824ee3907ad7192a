//! Files that were asked for lately: one for all workers, because what is prepared once should serve every core.
//!
//! Sixteen shards, each behind a lock that is held for one look into a map. Bounded by memory and by open descriptors, both
//! counted for as long as an asset lives (also when it has left the map and is still being sent). At the bound the shards let go,
//! one after the other, what nobody wanted since they were last looked through (second-chance paging).

use super::asset::Asset;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of memory for files, of the whole edge.
pub const MEMORY: usize = 64 << 20;
/// Files kept open, of the whole edge.
pub const DESCRIPTORS: usize = 256;

const SHARDS: usize = 16;

/// What all assets hold.
#[derive(Debug, Default)]
struct Used {
    memory: AtomicUsize,
    descriptors: AtomicUsize,
}

/// An asset's part of it.
#[derive(Debug, Default)]
pub struct Charge {
    used: std::sync::OnceLock<Arc<Used>>,
    memory: AtomicUsize,
    descriptors: AtomicUsize,
}

impl Charge {
    fn set(&self, used: &Arc<Used>, memory: usize, descriptors: usize) {
        let used = self.used.get_or_init(|| Arc::clone(used));
        change(&used.memory, self.memory.swap(memory, Ordering::Relaxed), memory);
        change(&used.descriptors, self.descriptors.swap(descriptors, Ordering::Relaxed), descriptors);
    }
}

fn change(sum: &AtomicUsize, from: usize, to: usize) {
    sum.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(used) = self.used.get() {
            change(&used.memory, *self.memory.get_mut(), 0);
            change(&used.descriptors, *self.descriptors.get_mut(), 0);
        }
    }
}

/// The key is a hash already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Default)]
struct Shard {
    /// By hash; two paths of one hash push each other out.
    assets: HashMap<u64, Arc<Asset>, BuildHasherDefault<Same>>,
    /// The clock: each key of `assets` once.
    order: VecDeque<u64>,
}

/// The cache.
pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// Random, so that nobody outside can make paths meet.
    hash: RandomState,
    used: Arc<Used>,
    memory: usize,
    descriptors: usize,
}

impl Cache {
    /// An empty one within these bounds.
    pub fn new(memory: usize, descriptors: usize) -> Self {
        Self {
            shards: Default::default(),
            hash: RandomState::new(),
            used: Arc::default(),
            memory,
            descriptors,
        }
    }

    fn key(&self, root: u64, path: &str) -> u64 {
        self.hash.hash_one((root, path))
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // The map uses the lowest and highest bits.
        let place = usize::try_from(key >> 32).unwrap_or(0) % SHARDS;
        // Always in range; a panic while it was locked cannot have left it half changed in a way that matters.
        let shard = self.shards.get(place).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept for a path.
    pub fn get(&self, root: u64, path: &str) -> Option<Arc<Asset>> {
        let key = self.key(root, path);
        let found = self.shard(key).assets.get(&key).map(Arc::clone)?;
        (found.root == root && *found.path == *path).then(|| {
            found.touch();
            found
        })
    }

    /// Keeps an asset, in place of what was kept for its path.
    pub fn insert(&self, asset: &Arc<Asset>) {
        self.charge(asset);
        let key = self.key(asset.root, &asset.path);
        let mut shard = self.shard(key);
        if shard.assets.insert(key, Arc::clone(asset)).is_none() {
            shard.order.push_back(key);
        }
        drop(shard);
        self.shrink(key);
    }

    /// Counts it anew: it has got another body.
    pub fn recharge(&self, asset: &Asset) {
        self.charge(asset);
        self.shrink(self.key(asset.root, &asset.path));
    }

    fn charge(&self, asset: &Asset) {
        asset.charge.set(&self.used, asset.memory(), asset.descriptors());
    }

    /// There is nothing at this path any more.
    pub fn remove(&self, root: u64, path: &str) {
        let key = self.key(root, path);
        let mut shard = self.shard(key);
        if shard.assets.remove(&key).is_some() {
            shard.order.retain(|&kept| kept != key);
        }
    }

    fn is_over(&self) -> bool {
        self.memory_is_over() || self.used.descriptors.load(Ordering::Relaxed) > self.descriptors
    }

    fn memory_is_over(&self) -> bool {
        self.used.memory.load(Ordering::Relaxed) > self.memory
    }

    /// Lets go until it fits, shard by shard from the one behind `key`'s on: what was just put in is the last to be looked at.
    /// What was used since is spared the first time round.
    fn shrink(&self, key: u64) {
        for next in 1..=2 * SHARDS as u64 {
            if !self.is_over() {
                return;
            }
            self.turn(key.wrapping_add(next << 32));
        }
    }

    /// Turns one shard's clock once round, at most.
    fn turn(&self, key: u64) {
        let mut shard = self.shard(key);
        for _ in 0..shard.order.len() {
            if !self.is_over() {
                return;
            }
            let Some(key) = shard.order.pop_front() else { return };
            let Some(asset) = shard.assets.get(&key) else { continue };
            let helps = self.memory_is_over() || asset.descriptors() > 0;
            if !helps || asset.was_used() {
                shard.order.push_back(key);
            } else {
                shard.assets.remove(&key);
            }
        }
    }

    #[cfg(test)]
    fn memory(&self) -> usize {
        self.used.memory.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("used", &self.used).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lookup::tests::asset;
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_wanted_stays() {
        let cache = Cache::new(1 << 20, 8);
        for n in 0..1000 {
            cache.insert(&asset(1, &format!("cold{n}"), 4096));
            if n == 0 {
                cache.insert(&asset(1, "hot", 4096));
            }
            assert!(cache.get(1, "hot").is_some(), "after {n}");
            assert!(cache.memory() <= 1 << 20);
        }
        assert!(cache.get(1, "cold999").is_some() && cache.get(1, "cold1").is_none());
        assert!(cache.get(2, "hot").is_none(), "another root's");
        cache.remove(1, "hot");
        assert!(cache.get(1, "hot").is_none());
    }

    #[test]
    fn descriptors_are_bounded_and_cost_no_small_file_its_place() {
        let cache = Cache::new(1 << 30, 8);
        cache.insert(&asset(1, "small", 10));
        for n in 0..100 {
            cache.insert(&asset(1, &format!("large{n}"), 100_000));
        }
        assert!(cache.used.descriptors.load(Ordering::Relaxed) <= 8);
        assert!(cache.get(1, "small").is_some());
        let held = cache.get(1, "large99").unwrap();
        cache.remove(1, "large99");
        let before = cache.memory();
        drop(held);
        assert!(cache.memory() < before, "what is being sent still counts");
    }

    #[test]
    fn a_new_version_takes_the_place_of_the_old() {
        let cache = Cache::new(1 << 20, 8);
        for _ in 0..100 {
            cache.insert(&asset(1, "a", 100));
        }
        assert_eq!(cache.shards.iter().map(|shard| shard.lock().unwrap().order.len()).sum::<usize>(), 1);
        let one = cache.memory();
        cache.insert(&asset(1, "a", 100));
        assert_eq!(cache.memory(), one);
    }
}
