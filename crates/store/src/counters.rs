//! Numbers that never go back, not even over a restart or the removal of a stack.

use crate::{Store, StoreError};
use model::{AppId, InstanceId};
use std::collections::BTreeMap;

impl Store {
    /// A number for the next snapshot, greater than all before.
    pub fn next_snapshot(&self) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// Notes that the plan gave out this run number. To be called before the instance is started.
    pub fn use_run(&self, instance: &InstanceId) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// The last run number of each app that ever ran: what `model::observed::Observed::runs` starts with.
    pub fn runs(&self) -> Result<BTreeMap<AppId, u64>, StoreError> {
        unimplemented!()
    }
}
