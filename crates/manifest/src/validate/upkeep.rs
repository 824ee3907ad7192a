//! `[logs]` and `[cleanup]`: where output goes, and what is not the stack's any more.

use super::{Context, items, run};
use crate::file::{CleanupFile, OneOrMany, StackLogsFile};
use crate::place::Place;
use crate::values::{Wrong, wrong};
use crate::web;
use model::spec::{CleanupSpec, HandlerSpec, SiteSpec, StackLogs};
use std::path::Path;

/// `[logs]`.
pub fn logs(context: &mut Context<'_>, place: Place<'_>, file: &StackLogsFile) -> StackLogs {
    let text = file.dir.as_deref().filter(|text| !text.is_empty());
    let dir = text.and_then(|text| context.path(place.key("dir"), text));
    if let Some(path) = dir.as_ref().filter(|path| context.disk.is_real() && path.exists() && !path.is_dir())
    {
        let found = context.report.error("logs::dir", "the folder of logs is not a folder");
        found.at(place.key("dir").span(), format!("`{}` is a file", path.display()));
    }
    StackLogs { dir, redact: file.redact.as_ref().map_or_else(model::redact::default, run::redact) }
}

/// Logs in a folder that is served are read by everybody.
pub fn served(context: &mut Context<'_>, place: Place<'_>, dir: Option<&Path>, sites: &[SiteSpec]) {
    let Some(dir) = dir else { return };
    let handlers = sites.iter().flat_map(|site| &site.routes).map(|route| &route.handler);
    let mut root = handlers.filter_map(|handler| match handler {
        HandlerSpec::Static(files) => Some(&files.root).filter(|root| dir.starts_with(root)),
        _ => None,
    });
    if let Some(root) = root.next() {
        let found = context.report.warning("logs::served", "the folder of logs lies in one that is served");
        found.at(place.span(), format!("below the static files of `{}`", root.display()));
        found.help("put it elsewhere: `dir = \"/var/log/shop\"`");
    }
}

/// `[cleanup]`.
pub fn cleanup(context: &mut Context<'_>, place: Place<'_>, file: &CleanupFile) -> CleanupSpec {
    CleanupSpec {
        obsolete: names(context, place.key("obsolete"), file.obsolete.as_ref()),
        keep: names(context, place.key("keep"), file.keep.as_ref()),
    }
}

fn names(context: &mut Context<'_>, place: Place<'_>, list: Option<&OneOrMany>) -> Vec<String> {
    let mut names = Vec::new();
    for (place, text) in items(place, list) {
        match name(text) {
            Ok(()) => names.push(text.to_owned()),
            Err(wrong) => {
                context.wrong("cleanup::name", format!("{text:?} names nothing to clean up"), place, wrong);
            }
        }
    }
    names
}

/// A name or a pattern below the manifest's folder.
fn name(text: &str) -> Result<(), Wrong> {
    let help = Some("name files and folders below the manifest's: `old.js`, `vue-project/`, `*.md`");
    if text.starts_with('/') {
        return wrong("an absolute path", help);
    }
    for part in text.strip_suffix('/').unwrap_or(text).split('/') {
        match part {
            "" => return wrong("a name is empty", help),
            ".." => return wrong("leads out of the manifest's folder", help),
            "." => return wrong("`.` is no name", help),
            _ => {}
        }
    }
    if text.contains('\0') {
        return wrong("NUL in here", help);
    }
    web::glob(text)
}
