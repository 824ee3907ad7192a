//! What a person has to see to, because Mainstay tries it no more (PROC-21). Derived from what is observed: an alert ends with its cause.

use crate::api;
use crate::keeper::Keeper;
use crate::tasks;
use model::AppId;
use model::plan::{Desired, what_is_wrong};
use std::time::SystemTime;

impl Keeper {
    /// One for each certificate that nobody gives, and one for each app that has places whose runs failed too often. A task's failure is told by its own runs.
    pub(crate) fn alerts(&self, desired: &Desired) -> Vec<api::Alert> {
        let apps = desired.apps.keys().filter(|app| !self.is_task(app));
        let apps = apps.filter_map(|app| self.alert(app, desired));
        apps.chain(self.certificates.alerts(SystemTime::now())).collect()
    }

    /// Places of each app that are not started again, so that an alert that is over is told from an app that is gone.
    pub(crate) fn failed_places(&self) -> impl Iterator<Item = (AppId, usize)> {
        let desired = self.desired();
        let apps: Vec<AppId> = desired.apps.keys().filter(|app| !self.is_task(app)).cloned().collect();
        apps.into_iter().map(move |app| {
            let failed = self.failed_slots(&app, &desired).len();
            (app, failed)
        })
    }

    fn is_task(&self, app: &AppId) -> bool {
        self.stacks.get(&app.stack).is_some_and(|stack| tasks::is_task(stack, &app.app))
    }

    fn alert(&self, app: &AppId, desired: &Desired) -> Option<api::Alert> {
        let failed: Vec<String> = self.failed_slots(app, desired).into_iter().map(|it| it.label).collect();
        if failed.is_empty() {
            return None;
        }
        let history = self.transitions(app);
        let last = history.into_iter().rfind(|change| change.state == "failed");
        let name = &app.app;
        Some(api::Alert {
            stack: app.stack.to_string(),
            app: name.to_string(),
            instances: failed,
            since: last.map(|change| change.at),
            text: what_is_wrong(desired, &self.observed, app).unwrap_or_default(),
            next: format!(
                "mainstay logs {name} shows what it said; put that right, then mainstay restart {name}"
            ),
        })
    }
}
