//! How many instances an app has, where that follows what is asked of it.

use crate::keeper::Keeper;

/// What was asked of apps whose number of instances follows it.
#[derive(Debug, Default)]
pub(crate) struct Load {}

impl Keeper {
    /// Whether the number of instances of any app follows what is asked of it.
    pub(crate) fn follows_load(&self) -> bool {
        false
    }

    /// Looks at how much there is to do.
    pub(crate) fn look_at_load(&mut self) {}

    /// A request waits for the app of this upstream, of which none runs.
    pub(crate) fn wake(&mut self, _upstream: &str) {}
}
