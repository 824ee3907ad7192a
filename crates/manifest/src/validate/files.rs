//! Folders that are served.

use super::reach::{self, MOVE};
use super::{Context, items, missing};
use crate::file::{CodingFile, CodingsFile, OneOrMany, SpaFile, StaticFile, StaticTable};
use crate::place::Place;
use crate::web;
use model::policy::{Coding, PolicySpec};
use model::site::{CacheRule, StaticSpec};
use model::spec::HandlerSpec;
use std::path::{Component, Path};

/// Checks a folder and how it is served.
pub fn folder(context: &mut Context<'_>, place: Place<'_>, file: &StaticFile) -> Option<StaticSpec> {
    let (root_place, table) = match file {
        StaticFile::Root(root) => (place, StaticTable { root: Some(root.clone()), ..StaticTable::default() }),
        StaticFile::Table(table) => {
            missing(context, place, "root", "a table of `static`", "write `root = \"public\"`");
            (place.key("root"), table.clone())
        }
    };
    let root = context.path(root_place, table.root.as_deref()?)?;
    let edge = context.disk.edge_user();
    let reachable = context.disk.unreachable(&root, edge.as_ref());
    if let Some(why) = &reachable {
        let who = edge.map_or_else(String::new, |who| who.name);
        reach::unreachable_folder(context, root_place, "the folder of static files", &root, &who, why, MOVE);
    }
    let index = index(context, place.key("index"), table.index.as_ref());
    let mut below = |place: Place<'_>, name: &str| {
        if within(context, place, name) && reachable.is_none() {
            reach::file(context, place, &root.join(name), "this file");
        }
    };
    let spa = match &table.spa {
        None | Some(SpaFile::Switch(false)) => None,
        Some(SpaFile::Switch(true)) => Some(index.first().cloned().unwrap_or_else(|| "index.html".into())),
        Some(SpaFile::File(name)) => Some(name.trim_start_matches('/').to_owned()),
    };
    if let Some(name) = &spa {
        below(place.key("spa"), name);
    }
    let not_found = table.not_found.as_deref().map(|name| name.trim_start_matches('/').to_owned());
    if let Some(name) = &not_found {
        below(place.key("not_found"), name);
    }
    let mut patterns = |key: &str, list| -> Vec<String> {
        items(place.key(key), list)
            .filter(|(place, text)| pattern(context, *place, text))
            .map(|(_, text)| text.to_owned())
            .collect()
    };
    let deny = patterns("deny", table.deny.as_ref());
    let allow = patterns("allow", table.allow.as_ref());
    let cache = cache(context, place.key("cache"), &table);
    let all = StaticSpec::default().codings;
    Some(StaticSpec {
        root,
        index,
        spa,
        clean_urls: table.clean_urls.unwrap_or(false),
        trailing_slash: table.trailing_slash,
        not_found,
        listing: table.listing.unwrap_or(false),
        deny,
        allow,
        cache,
        codings: match &table.compress {
            None | Some(CodingsFile::Switch(true)) => all,
            Some(CodingsFile::Switch(false)) => Vec::new(),
            Some(CodingsFile::List(list)) => codings(list),
        },
        inert: table.inert.unwrap_or(false),
    })
}

/// Names looked for in each folder.
fn index(context: &mut Context<'_>, place: Place<'_>, list: Option<&OneOrMany>) -> Vec<String> {
    if !place.given() {
        return StaticSpec::default().index;
    }
    for (place, name) in items(place, list) {
        if name.contains('/') {
            let found = context.report.error("static::index", format!("{name:?} is no name of a file"));
            found.at(place.span(), "a name without folders, looked for in each folder");
        }
    }
    items(place, list).map(|(_, name)| name.to_owned()).collect()
}

/// Files are prepared in the codings of the route, unless `static` says its own.
pub fn follow(handler: &mut HandlerSpec, file: Option<&StaticFile>, policy: &PolicySpec) {
    let own = matches!(file, Some(StaticFile::Table(StaticTable { compress: Some(_), .. })));
    if let (HandlerSpec::Static(spec), false) = (handler, own) {
        spec.codings = policy.compress.as_ref().map(|compress| compress.codings.clone()).unwrap_or_default();
    }
}

/// Codings in order, each once.
pub fn codings(list: &[CodingFile]) -> Vec<Coding> {
    let mut codings = Vec::new();
    for file in list {
        let coding = match file {
            CodingFile::Br => Coding::Br,
            CodingFile::Zstd => Coding::Zstd,
            CodingFile::Gzip => Coding::Gzip,
        };
        if !codings.contains(&coding) {
            codings.push(coding);
        }
    }
    codings
}

/// In the manifest's order: the first that matches counts.
fn cache(context: &mut Context<'_>, place: Place<'_>, table: &StaticTable) -> Vec<CacheRule> {
    let mut rules = Vec::new();
    for key in place.keys() {
        let Some(value) = table.cache.get(key) else { continue };
        let place = place.key(key);
        if let Err(wrong) = web::glob(key) {
            let message = format!("{key:?} is no pattern of files");
            context.report.error("pattern::bad", message).at(place.name_span(), wrong.what);
        }
        if let Err(wrong) = web::header_value(value) {
            context.wrong("header::value", "this cannot be a header's value".into(), place, wrong);
        }
        rules.push(CacheRule { pattern: key.to_owned(), value: value.clone() });
    }
    rules
}

/// A pattern of files or paths.
pub fn pattern(context: &mut Context<'_>, place: Place<'_>, text: &str) -> bool {
    web::glob(text)
        .map_err(|wrong| context.wrong("pattern::bad", format!("{text:?} is no pattern"), place, wrong))
        .is_ok()
}

/// A path that stays below the folder.
fn within(context: &mut Context<'_>, place: Place<'_>, name: &str) -> bool {
    let stays =
        !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if !stays {
        let found = context.report.error("path::bad", format!("{name:?} is no file below `root`"));
        found.at(place.span(), "the name of a file, with the folders below `root` that lead to it");
    }
    stays
}
