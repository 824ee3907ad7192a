//! A signal for the main process of an app's instances, which stay what they are: `HUP` for a Gunicorn that loads its application anew.

use crate::api::{Accepted, SignalRequest};
use crate::error::KeeperError;
use crate::keeper::Keeper;
use model::{AppName, InstanceId};

impl Keeper {
    /// Sends it to every instance that lives, or to the one in the slot that is named.
    pub(crate) fn signal(
        &mut self,
        stack: &str,
        app: &str,
        request: &SignalRequest,
    ) -> Result<Accepted, KeeperError> {
        let unknown = || KeeperError::Unknown(format!("app or service {app} in the stack {stack}"));
        let name: AppName = app.parse().map_err(|_| unknown())?;
        let found = self.stack(stack)?;
        let active = found.active.as_ref().ok_or_else(unknown)?;
        let spec = active.spec.apps.get(&name).ok_or_else(unknown)?;
        let number = match &request.signal {
            Some(text) => sys::signal::number(text)
                .ok_or_else(|| KeeperError::Wrong(format!("{text:?} is no signal; write HUP or USR1")))?,
            None => spec.reload_signal.ok_or_else(|| {
                let how = format!(
                    "name one: mainstay signal {app} HUP, or write `reload = \"HUP\"` below [app.{app}]"
                );
                KeeperError::Wrong(format!("{app} has no signal to reload with; {how}"))
            })?,
        };
        let (revision, id) = (active.number, found.app_id(&name));
        let asked = |instance: &InstanceId| request.slot.is_none_or(|slot| slot == instance.slot);
        let mine =
            self.observed.of(&id).filter(|instance| instance.phase.is_staying() && asked(&instance.id));
        let mut mine: Vec<&InstanceId> = mine.map(|instance| &instance.id).collect();
        mine.sort_by_key(|instance| (instance.slot, instance.run));
        if mine.is_empty() {
            let which = request.slot.map_or_else(|| app.to_owned(), |slot| format!("{app}.{slot}"));
            return Err(KeeperError::Conflict(format!("no instance of {which} runs")));
        }
        let signal = sys::signal::name(number);
        let mut changes = Vec::new();
        for instance in mine {
            let pid = self.facts.get(instance).and_then(|facts| facts.pid);
            let Some(pid) = pid.filter(|_| self.supervisor.signal(instance, number)) else {
                return Err(KeeperError::Conflict(format!(
                    "{} takes no signal now; try again",
                    instance.label()
                )));
            };
            tracing::info!(%instance, signal, pid, "asked for by an administrator");
            changes.push(format!("{}: {signal} to process {pid}", instance.label()));
        }
        Ok(Accepted { stack: stack.to_owned(), revision, changes })
    }
}
