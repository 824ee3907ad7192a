//! What becomes of an answer's body: pages for errors, compression.

use crate::file::{CompressFile, CompressTable, ErrorPageFile, ErrorPageTable};
use crate::place::Place;
use crate::validate::{Context, files, items, missing, reach};
use crate::web;
use model::policy::{Coding, CompressSpec, ErrorPageSpec};
use std::collections::BTreeMap;

/// Smallest body that is compressed by default: below a packet's size there is nothing to gain.
const MIN: u64 = 1 << 10;

/// What compresses well.
const TYPES: [&str; 22] = [
    "text/html",
    "text/css",
    "text/javascript",
    "text/plain",
    "text/xml",
    "text/csv",
    "text/markdown",
    "text/calendar",
    "text/vtt",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/geo+json",
    "application/problem+json",
    "application/manifest+json",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
    "image/x-icon",
];

/// In order of preference: br packs best, gzip is what every client has.
const CODINGS: [Coding; 3] = [Coding::Br, Coding::Zstd, Coding::Gzip];

/// Where nothing is said.
pub fn compress_default() -> CompressSpec {
    CompressSpec { types: TYPES.map(str::to_owned).to_vec(), min: MIN, codings: CODINGS.to_vec() }
}

/// `compress`.
pub fn compress(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&CompressFile>,
) -> Option<Option<CompressSpec>> {
    let CompressTable { types, min, codings } = match file? {
        CompressFile::Switch(false) => return Some(None),
        CompressFile::Switch(true) => return Some(Some(compress_default())),
        CompressFile::Table(table) => table,
    };
    let mut spec = compress_default();
    if types.is_some() {
        spec.types.clear();
    }
    for (place, text) in items(place.key("types"), types.as_ref()) {
        let lower = text.to_ascii_lowercase();
        if let Err(wrong) = web::media_type(&lower) {
            context.wrong("type::bad", format!("{text:?} is not a media type"), place, wrong);
        } else if lower == "text/event-stream" {
            let found = context.report.error("compress::events", "event streams are never compressed");
            found.at(place.span(), "each event has to arrive at once").help("remove it");
        }
        spec.types.push(lower);
    }
    spec.min = context.size(place.key("min"), min.as_ref(), MIN);
    if let Some(list) = codings {
        spec.codings = files::codings(list);
    }
    if spec.types.is_empty() || spec.codings.is_empty() {
        let found = context.report.error("compress::nothing", "nothing would be compressed");
        found.at(place.span(), "an empty list in here").help("write `compress = false`");
    }
    Some(Some(spec))
}

/// `error_pages`.
pub fn error_pages(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &BTreeMap<String, ErrorPageFile>,
) -> Vec<ErrorPageSpec> {
    let mut pages = Vec::new();
    for (key, file) in file {
        let place = place.key(key);
        let range = statuses(key);
        if range.is_none() {
            let found = context.report.error("status::bad", format!("{key:?} is not a status of an error"));
            found.at(place.name_span(), "from 400 to 599").help("write `404`, `5xx` or `500-503` as the key");
        }
        let (page, replace) = match file {
            ErrorPageFile::Page(page) => (reach::page(context, place, Some(page)), false),
            ErrorPageFile::Table(ErrorPageTable { page, replace }) => {
                missing(context, place, "page", "a table of an error page", "write `page = \"404.html\"`");
                (reach::page(context, place.key("page"), page.as_deref()), replace.unwrap_or(false))
            }
        };
        pages.extend(range.zip(page).map(|((from, to), page)| ErrorPageSpec { from, to, page, replace }));
    }
    pages
}

/// `404`, `5xx`, `500-503`.
fn statuses(key: &str) -> Option<(u16, u16)> {
    let (from, to) = match (key, key.split_once('-')) {
        ("4xx" | "4XX", _) => (400, 499),
        ("5xx" | "5XX", _) => (500, 599),
        (_, Some((from, to))) => (from.parse().ok()?, to.parse().ok()?),
        (_, None) => (key.parse().ok()?, key.parse().ok()?),
    };
    (400 <= from && from <= to && to <= 599).then_some((from, to))
}

/// How the statuses of a page are written.
pub fn format_statuses(page: &ErrorPageSpec) -> String {
    match (page.from, page.to) {
        (400, 499) => "4xx".into(),
        (500, 599) => "5xx".into(),
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    }
}

/// The narrowest first, so that the first that fits is the one that is meant. A route's pages stand in the place of the
/// site's for the same statuses.
pub fn merged(route: &[ErrorPageSpec], site: &[ErrorPageSpec]) -> Vec<ErrorPageSpec> {
    let mut pages = route.to_vec();
    let same = |page: &&ErrorPageSpec| !route.iter().any(|own| (own.from, own.to) == (page.from, page.to));
    pages.extend(site.iter().filter(same).cloned());
    pages.sort_by_key(|page| (page.to - page.from, page.from));
    pages
}
