//! How many instances an app has: as the manifest says, as an administrator asked for, or as it follows what is asked of it
//! ([`crate::load`]).
//!
//! ```text
//! stopped ─▶ 0     a task ─▶ 1 while a run is under way     scaled by hand, of what the manifest still says ─▶ that     a range ─▶ as followed     else ─▶ the manifest's
//! ```
//! A number that was asked for is kept over reloads and restarts of the keeper, until the manifest says another one than it said
//! then: whoever writes a new number into it means that one. An app that sleeps is awake while one runs that needs it: so
//! waking one wakes all that it needs, and no app waits for one that sleeps.

use crate::api::{Accepted, ScaleRequest};
use crate::error::KeeperError;
use crate::keeper::{Keeper, report_failure};
use crate::stack::Stack;
use crate::verbs::check_at_rest;
use model::spec::{AppSpec, Listen, StackSpec};
use model::{AppName, StackName};
use std::collections::{BTreeMap, BTreeSet};
use store::Scaled;

/// Most instances of an app: as in the manifest.
const MOST: u32 = 1000;

impl Stack {
    /// How many instances of an app of `spec`, one of this stack's revisions, there are to be.
    pub(crate) fn number(&self, spec: &StackSpec, name: &AppName, app: &AppSpec) -> u32 {
        let number = self.own_number(spec, name, app);
        let sleeps = number == 0 && app.scale.is_some() && !self.stopped.contains(name);
        if sleeps && self.is_needed(spec, name) { app.instances } else { number }
    }

    /// Whether none of its instances runs because nobody asks for it.
    pub(crate) fn is_asleep(&self, spec: &StackSpec, name: &AppName, app: &AppSpec) -> bool {
        app.scale.is_some() && !self.stopped.contains(name) && self.number(spec, name, app) == 0
    }

    /// The same, whoever needs it.
    fn own_number(&self, spec: &StackSpec, name: &AppName, app: &AppSpec) -> u32 {
        if self.stopped.contains(name) {
            return 0;
        }
        if spec.tasks.contains_key(name) {
            return u32::from(self.is_under_way(name));
        }
        match (self.scaled(name, app), &app.scale) {
            (Some(scaled), _) => scaled,
            (None, Some(range)) => {
                let number = self.following.get(name).copied().unwrap_or(app.instances);
                number.clamp(range.min, range.max)
            }
            (None, None) => app.instances,
        }
    }

    /// What an administrator asked for, if that holds for this specification.
    pub(crate) fn scaled(&self, name: &AppName, app: &AppSpec) -> Option<u32> {
        self.scaled.get(name).filter(|scaled| scaled.manifest == says(app)).map(|scaled| scaled.instances)
    }

    /// Whether one runs that needs it, directly or through others that sleep.
    fn is_needed(&self, spec: &StackSpec, name: &AppName) -> bool {
        let (mut seen, mut to_see) = (BTreeSet::from([name]), vec![name]);
        while let Some(needed) = to_see.pop() {
            for (other, app) in spec.apps.iter().filter(|(_, app)| app.needs.contains(needed)) {
                if self.own_number(spec, other, app) > 0 {
                    return true;
                }
                if !self.stopped.contains(other) && seen.insert(other) {
                    to_see.push(other);
                }
            }
        }
        false
    }
}

/// What the manifest says of an app's number of instances.
pub(crate) fn says(app: &AppSpec) -> String {
    match &app.scale {
        None => app.instances.to_string(),
        Some(range) => format!("{} to {}", range.min, range.max),
    }
}

impl Keeper {
    /// Exactly so many instances of these apps, all of them or none.
    pub(crate) fn scale(&mut self, stack: &str, request: &ScaleRequest) -> Result<Accepted, KeeperError> {
        let found = self.stack(stack)?;
        check_at_rest(found)?;
        let Some(active) = &found.active else {
            return Err(KeeperError::Conflict(format!("{stack} has nothing to scale yet")));
        };
        let (name, revision) = (found.name.clone(), active.number);
        let (mut asked, mut changes) = (BTreeMap::new(), Vec::new());
        for (text, wanted) in &request.apps {
            let (app, spec) = scalable(found, &active.spec, text, *wanted)?;
            let scaled = wanted.map(|instances| Scaled { instances, manifest: says(spec) });
            let was_stopped = found.stopped.contains(&app);
            if was_stopped || found.scaled.get(&app) != scaled.as_ref() {
                let to = wanted
                    .map_or_else(|| format!("{}, as the manifest says", says(spec)), |it| it.to_string());
                changes.push(format!("app {app}: {} → {to}", found.number(&active.spec, &app, spec)));
            }
            asked.insert(app, scaled);
        }
        self.store.set_scaled(&name, &asked)?;
        for (app, scaled) in asked {
            self.set_stopped(&name, &app, false);
            self.clear_failure(&name, &app);
            let Some(stack) = self.stacks.get_mut(&name) else { continue };
            match scaled {
                Some(scaled) => drop(stack.scaled.insert(app, scaled)),
                None => drop(stack.scaled.remove(&app)),
            }
        }
        Ok(Accepted { stack: name.to_string(), revision, changes })
    }

    /// Forgets numbers that were asked for of what the manifest no longer says.
    pub(crate) fn forget_scaled(&mut self, name: &StackName) {
        let Some(stack) = self.stacks.get_mut(name) else { return };
        let Some(active) = &stack.active else { return };
        let holds =
            |app: &AppName| active.spec.apps.get(app).is_some_and(|spec| stack.scaled(app, spec).is_some());
        let gone: BTreeMap<AppName, Option<Scaled>> =
            stack.scaled.keys().filter(|app| !holds(app)).map(|app| (app.clone(), None)).collect();
        if gone.is_empty() {
            return;
        }
        stack.scaled.retain(|app, _| !gone.contains_key(app));
        report_failure("forgetting a number of instances", self.store.set_scaled(name, &gone));
    }
}

/// An app of which there may be so many; none: as many as the manifest says.
fn scalable<'a>(
    stack: &Stack,
    spec: &'a StackSpec,
    text: &str,
    wanted: Option<u32>,
) -> Result<(AppName, &'a AppSpec), KeeperError> {
    let name: Option<AppName> = text.parse().ok();
    let found = name.and_then(|name| spec.apps.get(&name).map(|app| (name, app)));
    let Some((name, app)) = found else {
        return Err(KeeperError::Unknown(format!("app {text} in the stack {}", stack.name)));
    };
    let wrong = |why: String| Err(KeeperError::Wrong(why));
    if spec.services.contains_key(&name) {
        return wrong(format!("{name} is a data service: there is one of it"));
    }
    if spec.tasks.contains_key(&name) {
        return wrong(format!("{name} is a task: one of it runs at a time"));
    }
    match wanted {
        Some(0) => wrong(format!("0 instances of {name}: mainstay stop {name} stops it")),
        Some(number) if number > MOST => {
            wrong(format!("{number} instances of {name}: there may be 1 to {MOST}"))
        }
        Some(number) if number > 1 && matches!(app.listen_beside(), Listen::Port(_)) => wrong(format!(
            "{number} instances of {name} cannot share its fixed port; leave `port` out of the manifest"
        )),
        _ => Ok((name, app)),
    }
}

#[cfg(test)]
#[path = "scale_tests.rs"]
mod tests;
