//! What applies to a route beside its handler, compiled with the snapshot; one file for each policy.
//!
//! [`request`] decides before the handler (it may answer in its place) and changes the request's head; [`response`] changes the
//! head of every answer, whoever made it, and may compress its body. Both are looked at in a fixed order
//! ([`model::policy`]); what is not set costs nothing.

pub mod request;
pub mod response;

use model::policy::PolicySpec;

/// The policies of one route. Routes with equal ones share it.
#[derive(Debug, Default)]
pub struct Policy {
    /// On the way in.
    pub request: request::RequestPolicy,
    /// On the way out.
    pub response: response::ResponsePolicy,
}

impl Policy {
    /// Compiled.
    pub fn new(spec: &PolicySpec) -> Self {
        Self { request: request::RequestPolicy::new(spec), response: response::ResponsePolicy::new(spec) }
    }
}
