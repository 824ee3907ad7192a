//! Addresses that are refused for a while. They outlive the keeper; what has ended is removed by [`Store::end_bans`].

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use ipnet::IpNet;
use rusqlite::params;

/// An address or network that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Whom.
    pub net: IpNet,
    /// Until then: milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// What for, in words.
    pub reason: String,
}

impl Store {
    /// Notes a ban; one of the same network is replaced.
    pub fn ban(&self, ban: &Ban) -> Result<(), StoreError> {
        const BAN: &str = "INSERT INTO ban (net, until_ms, reason) VALUES (?1, ?2, ?3)
            ON CONFLICT (net) DO UPDATE SET until_ms = excluded.until_ms, reason = excluded.reason";
        let values = params![ban.net.to_string(), number(ban.until_ms), ban.reason];
        self.write(|database| database.execute(BAN, values).map(drop))
    }

    /// Lifts one ban; that there is none is no error.
    pub fn lift_ban(&self, net: IpNet) -> Result<(), StoreError> {
        self.write(|database| database.execute("DELETE FROM ban WHERE net = ?1", [net.to_string()]).map(drop))
    }

    /// Removes those that have ended by `now_ms`.
    pub fn end_bans(&self, now_ms: u64) -> Result<(), StoreError> {
        self.write(|database| {
            database.execute("DELETE FROM ban WHERE until_ms <= ?1", [number(now_ms)]).map(drop)
        })
    }

    /// All of them, by network.
    pub fn bans(&self) -> Result<Vec<Ban>, StoreError> {
        self.read(|database| {
            let mut rows = database.prepare_cached("SELECT net, until_ms, reason FROM ban ORDER BY net")?;
            let rows = rows.query_map([], |row| {
                Ok(Ban { net: parsed(row, 0)?, until_ms: unsigned(row, 1)?, reason: row.get(2)? })
            })?;
            rows.collect()
        })
    }
}
