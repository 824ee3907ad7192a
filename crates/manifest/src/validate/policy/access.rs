//! Who may ask for what: maintenance, addresses, methods, file types.

use crate::file::{MaintenanceFile, MaintenanceTable, OneOrMany};
use crate::place::Place;
use crate::validate::{self, Context, items, reach};
use crate::web;
use ipnet::IpNet;
use model::policy::MaintenanceSpec;
use std::time::Duration;

/// `maintenance`.
pub fn maintenance(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&MaintenanceFile>,
) -> Option<Option<MaintenanceSpec>> {
    let table = match file? {
        MaintenanceFile::Switch(false) => return Some(None),
        MaintenanceFile::Switch(true) => MaintenanceTable::default(),
        MaintenanceFile::Table(table) => table.clone(),
    };
    let default = Duration::from_secs(600);
    Some(Some(MaintenanceSpec {
        page: reach::page(context, place.key("page"), table.page.as_deref()),
        retry_after: context.seconds(place.key("retry_after"), table.retry_after.as_ref(), default, true),
        allow: validate::networks(context, place.key("allow"), table.allow.as_ref()),
    }))
}

/// `allow` and `deny`.
pub fn networks(context: &mut Context<'_>, place: Place<'_>, file: Option<&OneOrMany>) -> Option<Vec<IpNet>> {
    file.map(|file| validate::networks(context, place, Some(file)))
}

/// `methods`. Who may `GET` may ask for the head alone (RFC 9110 section 9.1 wants both).
pub fn methods(context: &mut Context<'_>, place: Place<'_>, file: Option<&OneOrMany>) -> Option<Vec<String>> {
    let mut methods: Vec<String> = Vec::new();
    for (place, text) in items(place, Some(file?)) {
        if let Err(wrong) = web::method(text) {
            context.wrong("method::bad", format!("{text:?} is not a method"), place, wrong);
        }
        for method in [text].into_iter().chain((text == "GET").then_some("HEAD")) {
            if !methods.iter().any(|known| known == method) {
                methods.push(method.to_owned());
            }
        }
    }
    Some(methods)
}

/// `file_types`.
pub fn file_types(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&OneOrMany>,
) -> Option<Vec<String>> {
    let mut types = Vec::new();
    for (place, text) in items(place, Some(file?)) {
        let plain = text.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        if plain.is_empty() || plain.contains(['/', '.', '*']) || plain.contains(char::is_whitespace) {
            let found = context.report.error("file_type::bad", format!("{text:?} is no file name extension"));
            found.at(place.span(), "what stands behind the last dot of a name").help("write `png`, `jpg`");
        } else if !types.contains(&plain) {
            types.push(plain);
        }
    }
    Some(types)
}
