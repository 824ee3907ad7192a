//! What builds are known by: the hashes of a revision are those read when it was proposed, also in the next keeper.

use crate::error::KeeperError;
use crate::home::Home;
use crate::images::{self, Asked};
use crate::stack::Stack;
use crate::user;
use model::spec::StackSpec;
use model::{AppId, AppName, StackName};
use std::collections::BTreeMap;
use supervisor::build;

/// Reads the inputs of all builds: from now on their hashes stand for them.
///
/// # Errors
/// An input that cannot be read.
pub(crate) fn read_inputs(home: &Home, spec: &mut StackSpec, asked: Asked) -> Result<(), KeeperError> {
    images::expand(spec);
    let names: Vec<AppName> = spec.apps.keys().cloned().collect();
    names.iter().try_for_each(|name| read_inputs_of(home, spec, name, asked))
}

fn read_inputs_of(
    home: &Home,
    spec: &mut StackSpec,
    name: &AppName,
    asked: Asked,
) -> Result<(), KeeperError> {
    let Some((app, build)) = spec.apps.get(name).and_then(|app| Some((app, app.build.as_ref()?))) else {
        return Ok(());
    };
    let (hash, digests) = match &app.container {
        Some(container) => {
            let id = AppId { stack: spec.name.clone(), app: name.clone() };
            (images::hash(home, &id, container, asked)?, Vec::new())
        }
        None => {
            let user = user::of_app(spec, app).ok().flatten().map(|user| user.uid);
            let read = build::hash(app, build, &spec.root, user);
            read.map_err(|error| KeeperError::Input(format!("build of {name}: {error}")))?
        }
    };
    if let Some(build) = spec.apps.get_mut(name).and_then(|app| app.build.as_mut()) {
        (build.hash, build.digests) = (hash, digests);
    }
    Ok(())
}

/// Hashes and digests that are in force: by revision and app.
type InForce = BTreeMap<u64, BTreeMap<AppName, (u64, Vec<u64>)>>;

/// Keeps the hashes of a stack's revisions for the next keeper.
pub(crate) fn remember(home: &Home, stack: &Stack) {
    let of = |spec: &StackSpec| {
        let builds = spec.apps.iter().filter_map(|(name, app)| Some((name, app.build.as_ref()?)));
        builds.map(|(name, build)| (name.clone(), (build.hash, build.digests.clone()))).collect()
    };
    let in_force: InForce = stack.revisions().map(|it| (it.number, of(&it.spec))).collect();
    if in_force.values().all(BTreeMap::is_empty) {
        return;
    }
    let path = home.build_hashes(stack.name.as_str());
    let folder = path.parent().map_or(Ok(()), |folder| sys::folder::make(folder, 0o711, None));
    let text = serde_json::to_vec(&in_force).unwrap_or_default();
    if let Err(error) = folder.and_then(|()| sys::durable::write(&path, &text, 0o600)) {
        tracing::error!(path = %path.display(), %error, "the next keeper will read the inputs of builds anew");
    }
}

/// Forgets them when the stack's revisions are. What was built stays: the next start with the same inputs needs no build.
pub(crate) fn forget(home: &Home, stack: &StackName) {
    let path = home.build_hashes(stack.as_str());
    if let Err(error) = sys::durable::remove(&path) {
        tracing::warn!(path = %path.display(), %error, "hashes of builds cannot be removed");
    }
}

/// Puts the hashes into a revision that were in force when a former keeper recorded it: what somebody wrote into an input since
/// then is not. What was not kept is read.
///
/// # Errors
/// As [`read_inputs`].
pub(crate) fn recall(home: &Home, spec: &mut StackSpec, revision: u64) -> Result<(), KeeperError> {
    images::expand(spec);
    let text = std::fs::read(home.build_hashes(spec.name.as_str())).unwrap_or_default();
    let mut in_force: InForce = serde_json::from_slice(&text).unwrap_or_default();
    let mut kept = in_force.remove(&revision).unwrap_or_default();
    let names: Vec<AppName> = spec.apps.keys().cloned().collect();
    for name in &names {
        match (spec.apps.get_mut(name).and_then(|app| app.build.as_mut()), kept.remove(name)) {
            (Some(build), Some((hash, digests))) => (build.hash, build.digests) = (hash, digests),
            _ => read_inputs_of(home, spec, name, Asked::Known)?,
        }
    }
    Ok(())
}
