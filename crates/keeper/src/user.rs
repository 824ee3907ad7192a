//! Who runs as whom (the rule in `ARCHITECTURE.md`). All of it is about a keeper started as root; any other runs
//! everything as itself.

use model::spec::{AppSpec, EDGE_ID, StackSpec};
use sys::user::User;

/// The system user of the edge, if root created it.
const EDGE: &str = "mainstay";
/// Whom apps run as that have no other user.
const APPS: &str = "nobody";

/// Whom the edge runs as; none: as the keeper. It holds the private keys, so that nobody else runs as this user.
pub(crate) fn of_edge() -> Option<User> {
    if !sys::user::is_root() {
        return None;
    }
    let nameless = || User {
        name: EDGE_ID.to_string(),
        uid: EDGE_ID,
        gid: EDGE_ID,
        home: "/nonexistent".into(),
        shell: "/usr/sbin/nologin".into(),
    };
    Some(sys::user::lookup(EDGE).unwrap_or_else(nameless))
}

/// Whom an app runs as; none: as the keeper.
///
/// # Errors
/// For people: the user that is not there, or the right that is missing.
pub(crate) fn of_app(stack: &StackSpec, app: &AppSpec) -> Result<Option<User>, String> {
    // The runner of a container speaks to the engine, as the keeper would. Inside, its user is the image's.
    if app.container.is_some() {
        return Ok(None);
    }
    if let Some(name) = &app.user {
        let user = sys::user::lookup(name).ok_or_else(|| format!("there is no user {name} on this host"))?;
        if user.uid == sys::user::uid() {
            return Ok(None);
        }
        if !sys::user::is_root() {
            return Err(format!(
                "only root can run an app as {name}: start Mainstay as root or leave `user` out"
            ));
        }
        if is_edge(user.uid) {
            return Err(format!(
                "{name} is the user of the edge, which holds the private keys: name another one"
            ));
        }
        return Ok(Some(user));
    }
    if !sys::user::is_root() {
        return Ok(None);
    }
    let owner = sys::user::owner(&stack.root).ok().map(|(uid, _)| uid);
    let owner = owner.filter(|uid| *uid != 0 && !is_edge(*uid)).and_then(sys::user::by_uid);
    let user = owner.or_else(|| sys::user::lookup(APPS));
    user.map(Some).ok_or_else(|| format!("there is no user {APPS} on this host: give the app a `user`"))
}

/// Whom a data service runs as; none: as the keeper, which is not root then.
///
/// # Errors
/// For people: the user that is not there, or must not be it.
pub(crate) fn of_service(name: &str) -> Result<Option<User>, String> {
    if !sys::user::is_root() {
        return Ok(None);
    }
    let user = sys::user::lookup(name).ok_or_else(|| {
        format!(
            "there is no user {name} on this host: adduser --system --group --no-create-home --home /nonexistent {name}, or name another one with `run_as`"
        )
    })?;
    if user.uid == 0 || is_edge(user.uid) {
        return Err(format!(
            "a data service does not run as {name}: name a system user of its own with `run_as`"
        ));
    }
    Ok(Some(user))
}

fn is_edge(uid: u32) -> bool {
    of_edge().is_some_and(|edge| edge.uid == uid)
}
