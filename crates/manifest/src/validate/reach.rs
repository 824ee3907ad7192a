//! Folders and files that the edge or an app has to reach, and what to say where it cannot.

use super::Context;
use crate::disk::Unreachable;
use crate::place::Place;
use std::path::{Path, PathBuf};

/// What to do about something that the edge cannot reach.
pub const MOVE: &str = "move the stack, to /srv for example";

/// Says why a folder cannot be used, and by whom.
pub fn unreachable_folder(
    context: &mut Context<'_>,
    place: Place<'_>,
    what: &str,
    folder: &Path,
    who: &str,
    why: &Unreachable,
    elsewhere: &str,
) {
    let (code, message, label, help) = match why {
        Unreachable::Missing(path) => {
            ("folder::missing", format!("{what} does not exist"), format!("no `{}`", path.display()), None)
        }
        Unreachable::NotAFolder(path) => (
            "folder::missing",
            format!("{what} is not a folder"),
            format!("`{}` is a file", path.display()),
            None,
        ),
        Unreachable::Denied(path) => (
            "folder::unreachable",
            format!("{what} cannot be reached by {who}"),
            format!("`{}` may not be entered or read", path.display()),
            Some(way_in(folder, path, elsewhere)),
        ),
    };
    let found = context.report.error(code, message);
    found.at(place.span(), label).help_if(help);
}

/// How a user gets into a folder that is closed at `closed`. Nobody should open a home for that.
fn way_in(folder: &Path, closed: &Path, elsewhere: &str) -> String {
    let home = closed == Path::new("/root") || closed.parent() == Some(Path::new("/home"));
    match (home, closed == folder) {
        (true, _) => elsewhere.to_owned(),
        (false, true) => format!("{elsewhere}, or let others in: chmod o+rx {}", closed.display()),
        (false, false) => format!("{elsewhere}, or let others pass: chmod o+x {}", closed.display()),
    }
}

/// A page that the edge reads: a file, relative to the manifest.
pub fn page(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<PathBuf> {
    let path = context.path(place, text?)?;
    file(context, place, &path, "this page");
    Some(path)
}

/// Says why the edge cannot read a file, if it cannot.
pub fn file(context: &mut Context<'_>, place: Place<'_>, path: &Path, what: &str) {
    let edge = context.disk.edge_user();
    let Some(why) = context.disk.unreadable(path, edge.as_ref()) else { return };
    let (code, message, label) = match &why {
        Unreachable::Missing(path) => {
            ("file::missing", format!("{what} does not exist"), format!("no `{}`", path.display()))
        }
        Unreachable::NotAFolder(path) => {
            ("file::missing", format!("{what} is not a file"), format!("`{}`", path.display()))
        }
        Unreachable::Denied(path) => {
            let who = edge.map_or_else(String::new, |who| who.name);
            let label = format!("`{}` may not be entered or read", path.display());
            ("file::unreadable", format!("{what} cannot be read by {who}"), label)
        }
    };
    context.report.error(code, message).at(place.span(), label);
}
