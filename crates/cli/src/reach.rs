//! Folders that the user of an app or of the edge cannot reach, found before anything is started. Only root runs things as
//! somebody else, so for anybody else there is nothing to find.
//!
//! Looks at permission bits as `access(2)` would (owner, then group, then others); access control lists are not
//! looked at, so this warns and never refuses.

use manifest::StackSpec;
use model::spec::HandlerSpec;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use sys::user::User;

/// A line for each folder that cannot be reached.
pub fn findings(spec: &StackSpec) -> Vec<String> {
    if !sys::user::is_root() {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for (name, app) in &spec.apps {
        let user = app.user.as_deref().map_or_else(|| user_of(spec), sys::user::lookup);
        if let Some((user, blocked)) = user.and_then(|user| blocked(&app.dir, &user).map(|path| (user, path)))
        {
            found.insert(format!(
                "app {name} runs as {}, who cannot enter {blocked} (on the way to {}): chmod o+x {blocked}, or set `user`",
                user.name,
                app.dir.display()
            ));
        }
    }
    let handlers = spec.sites.iter().flat_map(|site| &site.routes).map(|route| &route.handler);
    for folder in
        handlers.filter_map(|handler| if let HandlerSpec::Static(root) = handler { Some(root) } else { None })
    {
        if let Some((edge, blocked)) =
            own_user().and_then(|edge| blocked(folder, &edge).map(|path| (edge, path)))
        {
            found.insert(format!(
                "the edge runs as {}, who cannot enter {blocked} (on the way to {}): chmod o+x {blocked}",
                edge.name,
                folder.display()
            ));
        }
    }
    found.into_iter().collect()
}

/// Whether the edge's user is kept from this file by a folder on the way to it.
pub fn edge_cannot_enter(file: &Path) -> bool {
    own_user().zip(file.parent()).is_some_and(|(edge, folder)| blocked(folder, &edge).is_some())
}

/// The rule of ARCHITECTURE.md for an app without `user`, started by root.
fn user_of(spec: &StackSpec) -> Option<User> {
    let owner = sys::user::owner(&spec.root).ok().map(|(uid, _)| uid).filter(|uid| *uid != 0);
    owner.and_then(sys::user::by_uid).or_else(own_user)
}

fn own_user() -> Option<User> {
    sys::user::lookup("mainstay").or_else(|| sys::user::lookup("nobody"))
}

/// The first folder on the way to `path`, itself included, that this user cannot enter.
fn blocked(path: &Path, user: &User) -> Option<String> {
    let groups = sys::user::groups(&user.name, user.gid);
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    let enters = |folder: &&Path| match std::fs::metadata(folder) {
        Ok(meta) => may_enter(meta.mode(), (meta.uid(), meta.gid()), user.uid, &groups),
        Err(_) => true, // missing: somebody else's finding
    };
    folders.into_iter().find(|folder| !enters(folder)).map(|folder| folder.display().to_string())
}

fn may_enter(mode: u32, owner: (u32, u32), uid: u32, groups: &[u32]) -> bool {
    let bit = match owner {
        _ if uid == 0 => return true,
        (owner, _) if owner == uid => 0o100,
        (_, group) if groups.contains(&group) => 0o010,
        _ => 0o001,
    };
    mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        assert!(may_enter(0o755, (0, 0), 33, &[33]));
        assert!(!may_enter(0o700, (0, 0), 33, &[33]));
        assert!(!may_enter(0o705, (0, 33), 33, &[33]), "a group without the right is not others");
        assert!(may_enter(0o700, (0, 0), 0, &[]), "root enters everything");
    }
}
