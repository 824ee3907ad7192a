//! Commands by the clock: which are due, which were missed.

use crate::keeper::Keeper;

/// When tasks are due.
#[derive(Debug, Default)]
pub(crate) struct Schedule {}

impl Keeper {
    /// Looks at what is due.
    pub(crate) fn look_at_tasks(&mut self) {}
}
