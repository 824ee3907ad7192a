//! Headers of requests and answers, and those that are sent without a word.
//!
//! The defaults break no ordinary application: each is only sent where the application does not send its own. Framing is
//! left to `X-Frame-Options`: a `frame-ancestors` of ours would win over the `DENY` that an application says there (CSP
//! level 3, section 6.4.2). `object-src` lets an application show its own documents; `X-XSS-Protection: 0` turns off a
//! filter of old browsers that itself opened holes.

use super::Keys;
use crate::file::{HeaderFile, HeaderMode, HeaderTable, HeaderValueFile};
use crate::place::Place;
use crate::validate::files::pattern;
use crate::validate::site::Scope;
use crate::validate::{Context, items, missing};
use crate::web;
use model::policy::{HeaderChange, HeaderSpec};
use model::site::TlsSpec;
use std::collections::BTreeMap;

/// Sent by default, whatever the site.
const SECURITY: [(&str, &str); 5] = [
    ("Content-Security-Policy", "base-uri 'self'; object-src 'self' blob:"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-XSS-Protection", "0"),
];

/// RFC 6797: one year, this host alone.
const HSTS: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000");

/// Security headers of a site. HSTS would be remembered for a local name on every port and by every project.
pub fn defaults(
    context: &mut Context<'_>,
    place: Place<'_>,
    scope: &Scope<'_>,
    tls: &TlsSpec,
    keys: &Keys,
) -> Vec<HeaderSpec> {
    let mut headers: Vec<HeaderSpec> = SECURITY.map(|header| default(header, false)).to_vec();
    if *tls == TlsSpec::Off {
        return headers;
    }
    let hosts = scope.hosts;
    match hosts.iter().find(|host| web::is_local(host)) {
        None => headers.push(default(HSTS, true)),
        Some(name)
            if scope.secure
                && !hosts.iter().all(|host| web::is_local(host))
                && !says(&keys.headers, HSTS.0) =>
        {
            let found = context.report.info("hsts::local", "no HSTS is sent for this site");
            found.at(place.key("hosts").span(), format!("`{name}` is a local name"));
            found.help("put local names into a site of their own, or write the header below `headers`");
        }
        Some(_) => {}
    }
    headers
}

/// The security headers of a site, by name, as [`defaults`] gives them.
pub fn security_names(hosts: &[String], tls: &TlsSpec) -> Vec<&'static str> {
    let mut names: Vec<&str> = SECURITY.iter().map(|(name, _)| *name).collect();
    names.extend((*tls != TlsSpec::Off && !hosts.iter().any(|host| web::is_local(host))).then_some(HSTS.0));
    names
}

/// Files whose name holds a hash of their content, where an application that is built so serves them itself.
pub fn hashed() -> Vec<HeaderSpec> {
    let header = default(("Cache-Control", "public, max-age=31536000, immutable"), false);
    vec![HeaderSpec { paths: vec!["/_next/static/*".into()], ..header }]
}

fn default((name, value): (&str, &str), https_only: bool) -> HeaderSpec {
    HeaderSpec {
        name: name.into(),
        change: HeaderChange::Default(value.into()),
        paths: Vec::new(),
        https_only,
    }
}

/// What a site says for a route. Files that are to be inert have a stricter word of their own about what a browser may make of
/// them; what the site says of its pages does not loosen it.
pub fn of_site(site: &[HeaderSpec], inert: bool) -> Vec<HeaderSpec> {
    let own = |header: &&HeaderSpec| {
        let about = ["Content-Security-Policy", "X-Content-Type-Options"];
        !inert || !about.iter().any(|name| header.name.eq_ignore_ascii_case(name))
    };
    site.iter().filter(own).cloned().collect()
}

fn says(list: &[HeaderSpec], name: &str) -> bool {
    list.iter().any(|own| own.name.eq_ignore_ascii_case(name))
}

/// All that lists say, ordered by name. A name in one list replaces all of that name in those behind it.
pub fn merged<const N: usize>(lists: [&[HeaderSpec]; N]) -> Vec<HeaderSpec> {
    let mut all: Vec<HeaderSpec> = Vec::new();
    for list in lists {
        let new: Vec<_> = list.iter().filter(|header| !says(&all, &header.name)).cloned().collect();
        all.extend(new);
    }
    all.sort_by_key(|header| header.name.to_ascii_lowercase());
    all
}

/// `headers` and `request_headers`.
pub fn table(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: &BTreeMap<String, HeaderFile>,
) -> Vec<HeaderSpec> {
    let mut headers: Vec<HeaderSpec> = Vec::new();
    for (name, file) in file {
        let place = place.key(name);
        if let Err(wrong) = web::header_name(name) {
            let message = format!("{name:?} cannot be changed here");
            context
                .report
                .error("header::name", message)
                .at(place.name_span(), wrong.what)
                .help_if(wrong.help);
        }
        if says(&headers, name) {
            let found = context.report.error("header::twice", format!("header `{name}` is listed twice"));
            found.at(place.name_span(), "capitals do not matter").help("give it a list of tables");
        }
        let short = |value| HeaderTable { value: Some(value), ..HeaderTable::default() };
        let tables = match file {
            HeaderFile::Value(value) => vec![(place, place, short(HeaderValueFile::Value(value.clone())))],
            HeaderFile::Switch(on) => vec![(place, place, short(HeaderValueFile::Switch(*on)))],
            HeaderFile::Table(table) => vec![(place, place.key("value"), table.clone())],
            HeaderFile::List(list) => list
                .iter()
                .enumerate()
                .map(|(index, table)| (place.item(index), place.item(index).key("value"), table.clone()))
                .collect(),
        };
        for (place, value_place, table) in tables {
            if table.value.is_none() {
                missing(
                    context,
                    place,
                    "value",
                    "a table of a header",
                    "write `value = \"…\"`, or `false` to remove it",
                );
            }
            headers.extend(header(context, place, value_place, name, &table));
        }
    }
    headers
}

fn header(
    context: &mut Context<'_>,
    place: Place<'_>,
    value_place: Place<'_>,
    name: &str,
    table: &HeaderTable,
) -> Option<HeaderSpec> {
    let change = match (table.value.as_ref()?, table.mode) {
        (HeaderValueFile::Switch(true), _) => {
            let found = context.report.error("header::value", format!("`true` is no value for `{name}`"));
            found
                .at(value_place.span(), "a text, or `false`")
                .help("write the value, or `false` to remove the header");
            return None;
        }
        (HeaderValueFile::Switch(false), None | Some(HeaderMode::Set)) => HeaderChange::Remove,
        (HeaderValueFile::Switch(false), Some(_)) => {
            let found = context.report.error("header::mode", "a header that is removed has no `mode`");
            found.at(place.key("mode").name_span(), "remove this");
            return None;
        }
        (HeaderValueFile::Value(value), mode) => {
            if let Err(wrong) = web::header_value(value) {
                context.wrong("header::value", format!("not a value for `{name}`"), value_place, wrong);
            }
            match mode {
                Some(HeaderMode::Default) => HeaderChange::Default(value.clone()),
                Some(HeaderMode::Add) => HeaderChange::Add(value.clone()),
                None | Some(HeaderMode::Set) => HeaderChange::Set(value.clone()),
            }
        }
    };
    let mut paths = Vec::new();
    for (place, text) in items(place.key("paths"), table.paths.as_ref()) {
        if !text.starts_with(['/', '*']) {
            let found = context.report.error("pattern::bad", format!("{text:?} is no pattern of paths"));
            found.at(place.span(), "a path begins with `/`").help(format!("write `/{text}` or `**/{text}`"));
        } else if pattern(context, place, text) {
            paths.push(text.to_owned());
        }
    }
    Some(HeaderSpec { name: name.into(), change, paths, https_only: table.https_only.unwrap_or(false) })
}
