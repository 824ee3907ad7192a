//! What a limit counts by.

use super::Asked;
use crate::guard::ClientKey;
use model::policy::KeySpec;
use std::hash::{BuildHasher, RandomState};

/// Compiled.
#[derive(Debug)]
pub enum Key {
    /// The client's address (IPv6: its /64).
    Client,
    /// The value of this header.
    Header(Box<[u8]>),
    /// The value of this cookie.
    Cookie(Box<[u8]>),
    /// All requests together.
    Route,
}

/// The key of all requests together.
pub const ALL: u64 = 0;

impl Key {
    /// Compiled.
    pub fn new(spec: &KeySpec) -> Self {
        match spec {
            KeySpec::Client => Self::Client,
            KeySpec::Header(name) => Self::Header(name.as_bytes().into()),
            KeySpec::Cookie(name) => Self::Cookie(name.as_bytes().into()),
            KeySpec::Route => Self::Route,
        }
    }

    /// Of a request. Whoever does not know `hasher` cannot find two with the same.
    pub fn of(&self, asked: &Asked<'_>, hasher: &RandomState) -> u64 {
        let value = match self {
            Self::Route => return ALL,
            Self::Client => None,
            Self::Header(name) => asked.header(name),
            Self::Cookie(name) => asked.cookie(name),
        };
        match value {
            Some(value) => hasher.hash_one(value),
            None => hasher.hash_one(ClientKey::of(asked.client)),
        }
    }
}
