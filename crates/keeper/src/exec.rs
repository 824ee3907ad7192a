//! Where a command of an administrator's is to run: beside an instance, as whom that runs, with what it sees. The command itself is none of the
//! keeper's business: whoever asked runs it.

use crate::api::{ExecPlace, ExecRequest};
use crate::error::KeeperError;
use crate::keeper::Keeper;
use crate::user;
use model::AppName;
use model::observed::Instance;
use supervisor::launch;
use wire::container::RunnerSpec;

impl Keeper {
    /// The surroundings of the instance that is meant.
    pub(crate) fn exec(
        &self,
        stack: &str,
        app: &str,
        request: ExecRequest,
    ) -> Result<ExecPlace, KeeperError> {
        let unknown = || KeeperError::Unknown(format!("app or service {app} in the stack {stack}"));
        let name: AppName = app.parse().map_err(|_| unknown())?;
        let found = self.stack(stack)?;
        let id = found.app_id(&name);
        let asked = |instance: &&Instance| {
            instance.phase.is_alive() && request.slot.is_none_or(|slot| slot == instance.id.slot)
        };
        let order = |instance: &&Instance| (!instance.phase.is_ready(), instance.id.slot, instance.id.run);
        let mine = self.observed.of(&id).filter(asked).min_by_key(order);
        let running = mine.and_then(|instance| {
            let facts = self.facts.get(&instance.id)?;
            Some((&instance.id, facts.pid?, facts, found.find(&name, facts.fingerprint)?))
        });
        let Some((instance, pid, facts, (revision, spec))) = running else {
            let which = request.slot.map_or_else(|| app.to_owned(), |slot| format!("{app}.{slot}"));
            return Err(KeeperError::Conflict(format!("no instance of {which} runs")));
        };
        let places = self.places(instance, Some(spec), revision.is_service(&name));
        let user = user::of_app(&revision.spec, spec).map_err(KeeperError::Conflict)?;
        let folder = places.app_socket.parent().map(RunnerSpec::file);
        let container = folder.filter(|_| spec.container.is_some());
        let env = match container {
            Some(_) => Vec::new(),
            None => launch::environment(
                spec,
                &places.state,
                places.build.as_deref(),
                user.as_ref(),
                facts.address.as_ref(),
            ),
        };
        tracing::info!(%instance, "a command of an administrator's is run beside it");
        let credentials =
            |user: sys::user::User| (user.uid, user.gid, sys::user::groups(&user.name, user.gid));
        Ok(ExecPlace {
            label: instance.label(),
            pid,
            group: instance.short(),
            user: user.map(credentials),
            dir: spec.dir.clone(),
            env,
            container,
        })
    }
}
