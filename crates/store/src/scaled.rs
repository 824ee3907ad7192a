//! Numbers of instances that an administrator asked for.

use crate::value::{number, parsed, unsigned};
use crate::{Store, StoreError};
use model::{AppName, StackName};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// So many instances were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaled {
    /// How many.
    pub instances: u32,
    /// What the manifest said of it then: once it says something else, that holds again.
    pub manifest: String,
}

impl Store {
    /// Notes or (none) forgets what was asked for, all of it or nothing. An error if there is no such stack.
    pub fn set_scaled(
        &self,
        stack: &StackName,
        asked: &BTreeMap<AppName, Option<Scaled>>,
    ) -> Result<(), StoreError> {
        const SET: &str = "INSERT INTO scaled (stack, app, instances, manifest) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (stack, app) DO UPDATE SET instances = excluded.instances, manifest = excluded.manifest";
        const FORGET: &str = "DELETE FROM scaled WHERE stack = ?1 AND app = ?2";
        self.write(|database| {
            for (app, scaled) in asked {
                let (stack, app) = (stack.as_str(), app.as_str());
                match scaled {
                    Some(Scaled { instances, manifest }) => {
                        database.execute(SET, params![stack, app, number((*instances).into()), manifest])?
                    }
                    None => database.execute(FORGET, params![stack, app])?,
                };
            }
            Ok(())
        })
    }
}

/// What was asked of a stack's apps.
pub(crate) fn of(database: &Connection, stack: &StackName) -> rusqlite::Result<BTreeMap<AppName, Scaled>> {
    let mut rows = database.prepare_cached("SELECT app, instances, manifest FROM scaled WHERE stack = ?1")?;
    let rows = rows.query_map([stack.as_str()], |row| {
        let instances = u32::try_from(unsigned(row, 1)?).unwrap_or(u32::MAX);
        Ok((parsed(row, 0)?, Scaled { instances, manifest: row.get(2)? }))
    })?;
    rows.collect()
}
