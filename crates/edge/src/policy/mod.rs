//! What applies to a route beside its handler, compiled with the snapshot; one file for each policy.
//!
//! [`request`] decides before the handler (it may answer in its place) and changes the request's head; [`response`] changes the
//! head of every answer, whoever made it, and may compress its body. Both are looked at in a fixed order
//! ([`model::policy`]); what is not set costs nothing.
//!
//! Both write heads line by line ([`lines`]) and hold to paths ([`paths`]) in one way.
//!
//! Policies of equal specifications are one object ([`Policies`]), within a snapshot and from one to the next.

pub mod lines;
mod paths;
pub mod request;
pub mod response;

use model::policy::PolicySpec;
use request::{RequestPolicy, Zones};
use response::ResponsePolicy;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The policies of one route. Routes with equal ones share it.
#[derive(Debug, Default)]
pub struct Policy {
    /// On the way in.
    pub request: RequestPolicy,
    /// On the way out.
    pub response: ResponsePolicy,
}

impl Policy {
    /// Compiled.
    pub fn new(spec: &PolicySpec, zones: &mut Zones) -> Self {
        Self { request: RequestPolicy::new(spec, zones), response: ResponsePolicy::new(spec) }
    }
}

/// All policies in use, and the zones their limits count in. Control thread only.
#[derive(Debug, Default)]
pub struct Policies {
    /// By specification, as JSON: it has no order and no hash of its own.
    known: HashMap<Vec<u8>, Weak<Policy>>,
    /// Counts that outlive snapshots.
    pub zones: Zones,
}

impl Policies {
    /// The policy of this specification: the one that is in use already, if there is one.
    pub fn get(&mut self, spec: &PolicySpec) -> Arc<Policy> {
        // A specification always has a text; without one its policy would be its own.
        let mut key = serde_json::to_vec(spec).unwrap_or_default();
        // Pages are read when a policy is made: with another content it is another policy.
        let maintenance = spec.maintenance.iter().filter_map(|maintenance| maintenance.page.as_ref());
        for page in maintenance.chain(spec.error_pages.iter().map(|error_page| &error_page.page)) {
            if let Ok(meta) = std::fs::metadata(page) {
                key.extend_from_slice(format!("{:?}{}", meta.modified().ok(), meta.len()).as_bytes());
            }
        }
        if let Some(known) = self.known.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let made = Arc::new(Policy::new(spec, &mut self.zones));
        if !key.is_empty() {
            self.known.insert(key, Arc::downgrade(&made));
        }
        made
    }

    /// Forgets what no table uses any more.
    pub fn sweep(&mut self) {
        self.known.retain(|_, policy| policy.strong_count() > 0);
        self.zones.sweep();
    }
}
