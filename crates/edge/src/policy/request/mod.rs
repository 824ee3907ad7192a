//! Policies on the way in.

use model::policy::PolicySpec;

/// Compiled.
#[derive(Debug, Default)]
pub struct RequestPolicy {}

impl RequestPolicy {
    /// Of a route.
    pub fn new(_spec: &PolicySpec) -> Self {
        Self {}
    }
}
