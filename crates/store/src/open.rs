//! Opening: durability settings, migrations, and the refusal of what cannot be read.

use crate::StoreError;
use std::path::Path;

/// The state store. Can be shared between threads; each method takes its turn.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens the database, makes it if it is missing (mode 0600), brings it to this version's shape.
    ///
    /// # Errors
    /// A newer version's database, a damaged one, or no access; the message names file and next step.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        unimplemented!()
    }
}
