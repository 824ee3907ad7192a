//! Counts by key, shared by all workers: in shards, each behind a lock of its own that is held for one look.
//!
//! Keys are keyed hashes already ([`super::key::Key::of`]), so they are not hashed again, and neither the header nor the cookie
//! they stand for is kept.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Workers seldom meet in one.
const SHARDS: usize = 64;

/// One shard's table.
pub type Cells<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// Alone in its cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<V>(Mutex<Cells<V>>);

/// All of them.
#[derive(Debug)]
pub struct Shards<V>(Box<[Shard<V>; SHARDS]>);

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Shard(Mutex::new(Cells::default())))))
    }
}

impl<V> Shards<V> {
    /// The shard of a key. By bits that the table in it does not look at first.
    pub fn of(&self, key: u64) -> MutexGuard<'_, Cells<V>> {
        // Never out of bounds: said so that the compiler knows it too.
        let [first, ..] = &*self.0;
        lock(self.0.get((key >> 40) as usize % SHARDS).unwrap_or(first))
    }

    /// One after the other.
    pub fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Cells<V>>> {
        self.0.iter().map(lock)
    }
}

/// A count is right whoever panicked while he held it.
fn lock<V>(shard: &Shard<V>) -> MutexGuard<'_, Cells<V>> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For keys that are hashes.
#[derive(Debug, Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash << 8 ^ u64::from(byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
