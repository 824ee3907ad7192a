//! What an instance may use and is kept from, as this host can see to it.

use crate::Order;
use model::upkeep::ResourcesSpec;
use sys::cgroup::{Group, Host, Limits};

/// The limits that a control group can see to.
pub fn limits(resources: &ResourcesSpec) -> Limits {
    let ResourcesSpec { memory, cpus, pids, .. } = *resources;
    Limits { memory, cpus, pids }
}

/// Makes the control group of an instance that has limits; of a container its engine makes one. Where this host cannot, there is none, and
/// `status` says so.
pub(crate) fn group(order: &Order) -> Result<Group, String> {
    let limits = limits(&order.spec.resources);
    if limits.is_empty() || order.spec.container.is_some() {
        return Ok(Group::default());
    }
    Host::make(&order.places.groups, &order.id.short(), &limits)
        .map_err(|error| format!("its control group cannot be made: {error}"))
}
