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
    /// Notes bans and lifts others, all in one write: they come and go in crowds. One of the same network is replaced; that there
    /// is none to lift is no error.
    pub fn change_bans(&self, held: &[Ban], lifted: &[IpNet]) -> Result<(), StoreError> {
        const HOLD: &str = "INSERT INTO ban (net, until_ms, reason) VALUES (?1, ?2, ?3)
            ON CONFLICT (net) DO UPDATE SET until_ms = excluded.until_ms, reason = excluded.reason";
        self.write(|database| {
            let mut lift = database.prepare_cached("DELETE FROM ban WHERE net = ?1")?;
            for net in lifted {
                lift.execute([net.to_string()])?;
            }
            let mut hold = database.prepare_cached(HOLD)?;
            for ban in held {
                hold.execute(params![ban.net.to_string(), number(ban.until_ms), ban.reason])?;
            }
            Ok(())
        })
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
