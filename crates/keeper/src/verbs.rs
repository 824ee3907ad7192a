//! What is asked about apps and services that stay as they are written: start, stop, restart. No revision comes of it; the plan
//! sees how many instances are wanted, or another count of restarts.

use crate::api::Accepted;
use crate::change;
use crate::control::Verb;
use crate::error::KeeperError;
use crate::keeper::{Keeper, report_failure};
use crate::stack::Stack;
use crate::tasks;
use model::{AppName, StackName};
use std::sync::Arc;

impl Keeper {
    /// One app or service is started, stopped or restarted.
    pub(crate) fn app_verb(&mut self, stack: &str, app: &str, verb: Verb) -> Result<Accepted, KeeperError> {
        let unknown = || KeeperError::Unknown(format!("app or service {app} in the stack {stack}"));
        let name: AppName = app.parse().map_err(|_| unknown())?;
        let found = self.stack(stack)?;
        if !found.knows(&name) {
            return Err(unknown());
        }
        if tasks::is_task(found, &name) {
            let why = format!("{app} is a task: it runs when it is due, and by mainstay task run {app}");
            return Err(KeeperError::Wrong(why));
        }
        check_at_rest(found)?;
        let (stack_name, was_stopped) = (found.name.clone(), found.stopped.contains(&name));
        let revision = found.active.as_ref();
        let kind = found.kind_of(&name);
        let revision = revision.map_or(0, |active| active.number);
        let change = match verb {
            Verb::Start if !was_stopped => None,
            Verb::Stop if was_stopped => None,
            Verb::Start => Some("started"),
            Verb::Stop => Some("stopped"),
            Verb::Restart => Some("restarted"),
        };
        if change.is_some() {
            self.set_stopped(&stack_name, &name, verb == Verb::Stop);
        }
        match verb {
            Verb::Restart => self.count_restart(&stack_name, &name)?,
            Verb::Start => self.clear_failure(&stack_name, &name),
            Verb::Stop => {}
        }
        let changes = change.map(|what| format!("{kind} {app}: {what}")).into_iter().collect();
        Ok(Accepted { stack: stack_name.to_string(), revision, changes })
    }

    /// All apps and services at once: the plan has each wait for what it needs. What an administrator stopped stays so.
    pub(crate) fn restart_all(&mut self, stack: &str) -> Result<Accepted, KeeperError> {
        let found = self.stack(stack)?;
        check_at_rest(found)?;
        let name = found.name.clone();
        let Some(active) = &found.active else {
            return Err(KeeperError::Conflict(format!("{stack} has nothing to restart yet")));
        };
        let (revision, spec) = (active.number, Arc::clone(&active.spec));
        let runs = |app: &&AppName| !found.stopped.contains(*app) && !spec.tasks.contains_key(*app);
        let apps: Vec<AppName> = spec.apps.keys().filter(runs).cloned().collect();
        apps.iter().try_for_each(|app| self.count_restart(&name, app))?;
        let changes = apps.iter().map(|app| format!("{} {app}: restarted", change::kind(&spec, app)));
        Ok(Accepted { stack: name.to_string(), revision, changes: changes.collect() })
    }

    pub(crate) fn count_restart(&mut self, stack: &StackName, app: &AppName) -> Result<(), KeeperError> {
        let count = self.store.count_restart(stack, app)?;
        if let Some(stack) = self.stacks.get_mut(stack) {
            stack.restarts.insert(app.clone(), count);
        }
        self.clear_failure(stack, app);
        Ok(())
    }

    pub(crate) fn set_stopped(&mut self, stack: &StackName, app: &AppName, stopped: bool) {
        report_failure("recording a stop", self.store.set_app_stopped(stack, app, stopped));
        if let Some(stack) = self.stacks.get_mut(stack) {
            if stopped {
                stack.stopped.insert(app.clone())
            } else {
                stack.stopped.remove(app)
            };
        }
    }
}

/// While a change is under way nobody else changes what is desired.
pub(crate) fn check_at_rest(stack: &Stack) -> Result<(), KeeperError> {
    if stack.candidate.is_none() {
        return Ok(());
    }
    let name = &stack.name;
    Err(KeeperError::Conflict(format!("a change of {name} is under way; try again when it is done")))
}
