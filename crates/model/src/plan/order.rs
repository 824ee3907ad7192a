//! The order of needs: who is looked at, and who has to be gone before whom. (Who has to be there before whom is
//! [`super::needs`].)

use super::Desired;
use crate::AppId;
use crate::observed::Observed;
use std::collections::BTreeSet;

/// Every app of which something is desired or observed; each after those that it needs, so that it does not rely on what the
/// same plan takes out.
pub(super) fn apps(desired: &Desired, view: &Observed) -> Vec<AppId> {
    let observed = view.instances.keys().map(|id| id.app.clone());
    let apps: BTreeSet<AppId> = desired.apps.keys().cloned().chain(observed).collect();
    let mut apps: Vec<AppId> = apps.into_iter().collect();
    // Whoever needs another one needs all that this one needs, and this one: so it has more needs.
    apps.sort_by_cached_key(|id| needed_by(id, desired).len());
    apps
}

/// Whether an app that needs this one, directly or through others, is to stop too and still has living instances. One
/// that is to stay does not count: stopping what it needs is its administrator's will. In a circle (which
/// a valid manifest does not have) nobody waits for anybody.
pub(super) fn has_living_dependents(id: &AppId, desired: &Desired, view: &Observed) -> bool {
    let own = needed_by(id, desired);
    desired.apps.iter().any(|(other, app)| {
        app.instances == 0
            && other.stack == id.stack
            && view.of(other).any(|instance| instance.phase.is_alive())
            && !own.contains(other)
            && needed_by(other, desired).contains(id)
    })
}

/// Everything that this app needs, directly or through others.
fn needed_by(id: &AppId, desired: &Desired) -> BTreeSet<AppId> {
    let mut found = BTreeSet::new();
    let mut to_see = vec![id.clone()];
    while let Some(app) = to_see.pop() {
        let needs = desired.apps.get(&app).map(|app| app.needs.as_slice()).unwrap_or_default();
        for need in needs {
            let need = AppId { stack: app.stack.clone(), app: need.clone() };
            if found.insert(need.clone()) {
                to_see.push(need);
            }
        }
    }
    found
}
