//! Changes of state of instances (OBS-16), the last [`KEPT`] of each app.

use crate::{Store, StoreError};
use model::AppId;

/// How many transitions are kept for each app.
pub const KEPT: u32 = 200;

/// An instance changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its app.
    pub app: AppId,
    /// `app.slot`.
    pub instance: String,
    /// The new state.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Store {
    /// Writes it down and drops what is too old.
    pub fn record(&self, transition: &Transition) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// The latest of an app, at most `limit`, oldest first.
    pub fn history(&self, app: &AppId, limit: u32) -> Result<Vec<Transition>, StoreError> {
        unimplemented!()
    }
}
