//! Who runs as whom (the rule in `ARCHITECTURE.md`). All of it is about a keeper started as root; any other runs
//! everything as itself.

use model::spec::{AppSpec, StackSpec};
use sys::user::User;

/// The system user of Mainstay itself, and what takes its place where it was not created yet.
const OWN: [&str; 2] = ["mainstay", "nobody"];

/// Whom the edge runs as; none: as the keeper.
pub(crate) fn of_edge() -> Option<User> {
    if !sys::user::is_root() {
        return None;
    }
    OWN.iter().find_map(|name| sys::user::lookup(name))
}

/// Whom an app runs as; none: as the keeper.
///
/// # Errors
/// For people: the user that is not there, or the right that is missing.
pub(crate) fn of_app(stack: &StackSpec, app: &AppSpec) -> Result<Option<User>, String> {
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
        return Ok(Some(user));
    }
    if !sys::user::is_root() {
        return Ok(None);
    }
    let owner = sys::user::owner(&stack.root).ok().map(|(uid, _)| uid).filter(|uid| *uid != 0);
    Ok(owner.and_then(sys::user::by_uid).or_else(of_edge))
}
