//! Which instances in good health are due to be replaced: by requests, memory, age.

use crate::keeper::Keeper;

/// What was drawn and seen of instances that are recycled.
#[derive(Debug, Default)]
pub(crate) struct Wear {}

impl Keeper {
    /// Whether any app is recycled by its number of requests.
    pub(crate) fn wears_by_requests(&self) -> bool {
        false
    }

    /// Looks at what wears out.
    pub(crate) fn look_at_wear(&mut self) {}
}
