//! Steps begun and not finished. A step is written down before it is executed: after a crash the keeper looks at what is
//! here, and executes it again or finds it done (steps are idempotent).

use crate::{Store, StoreError};
use model::StackName;

/// A step that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// For [`Store::finish`].
    pub id: u64,
    /// The stack it belongs to.
    pub stack: StackName,
    /// The revision it leads to.
    pub revision: u64,
    /// The step as JSON; the caller knows its shape.
    pub step: String,
}

impl Store {
    /// Writes down that this step is about to be executed.
    pub fn begin(&self, stack: &StackName, revision: u64, step: &str) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// It was executed (or is no longer wanted).
    pub fn finish(&self, id: u64) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// Begun and not finished, in the order they were begun.
    pub fn unfinished(&self) -> Result<Vec<JournalEntry>, StoreError> {
        unimplemented!()
    }
}
