//! How many requests in a time, and at a time.

use crate::file::{ConcurrencyFile, ConcurrencyTable, LimitFile, LimitItem, LimitTable};
use crate::place::Place;
use crate::validate::site::Scope;
use crate::validate::{Context, missing, rate};
use crate::web;
use model::policy::{ConcurrencySpec, KeySpec, RateSpec};

/// `limit`.
pub fn rates(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&LimitFile>,
    scope: &Scope<'_>,
) -> Option<Vec<RateSpec>> {
    let short = |rate: &String| LimitTable { rate: Some(rate.clone()), ..LimitTable::default() };
    let tables = match file? {
        LimitFile::Switch(on) => {
            none(context, place, *on, "limit = \"10/s\"");
            Vec::new()
        }
        LimitFile::Rate(rate) => vec![(place, place, short(rate))],
        LimitFile::Table(table) => vec![(place, place.key("rate"), table.clone())],
        LimitFile::List(list) => list
            .iter()
            .enumerate()
            .map(|(index, item)| match item {
                LimitItem::Rate(rate) => (place.item(index), place.item(index), short(rate)),
                LimitItem::Table(table) => (place.item(index), place.item(index).key("rate"), table.clone()),
            })
            .collect(),
    };
    let mut rates = Vec::new();
    for (index, (place, rate_place, table)) in tables.into_iter().enumerate() {
        if table.rate.is_none() {
            missing(context, place, "rate", "a table of `limit`", "write `rate = \"10/s\"`");
        }
        let Some((count, per_ms)) = table.rate.and_then(|text| rate(context, rate_place, &text)) else {
            continue;
        };
        let burst = table.burst.and_then(|burst| u32::try_from(burst).ok());
        rates.push(RateSpec {
            zone: zone(context, place.key("zone"), table.zone.as_deref(), index, scope),
            count,
            per_ms,
            burst: burst.unwrap_or(count - 1),
            by: key(context, place.key("by"), table.by.as_deref()).unwrap_or(KeySpec::Client),
            status: table.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(429),
        });
    }
    Some(rates)
}

/// `concurrency`.
pub fn concurrency(
    context: &mut Context<'_>,
    place: Place<'_>,
    file: Option<&ConcurrencyFile>,
    scope: &Scope<'_>,
) -> Option<Vec<ConcurrencySpec>> {
    let tables = match file? {
        ConcurrencyFile::Switch(on) => {
            none(context, place, *on, "concurrency = 10");
            Vec::new()
        }
        ConcurrencyFile::Most(most) => {
            vec![(place, ConcurrencyTable { most: Some(*most), ..ConcurrencyTable::default() })]
        }
        ConcurrencyFile::Table(table) => vec![(place, table.clone())],
        ConcurrencyFile::List(list) => {
            list.iter().enumerate().map(|(index, table)| (place.item(index), table.clone())).collect()
        }
    };
    let mut limits = Vec::new();
    for (index, (place, table)) in tables.into_iter().enumerate() {
        if table.most.is_none() {
            missing(context, place, "most", "a table of `concurrency`", "write `most = 10`");
        }
        let Some(most) = table.most.and_then(|most| u32::try_from(most).ok()) else { continue };
        limits.push(ConcurrencySpec {
            zone: zone(context, place.key("zone"), table.zone.as_deref(), index, scope),
            most,
            by: key(context, place.key("by"), table.by.as_deref()).unwrap_or(KeySpec::Route),
            status: table.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(503),
        });
    }
    Some(limits)
}

/// `false` takes away what the site says; `true` says nothing.
fn none(context: &mut Context<'_>, place: Place<'_>, on: bool, example: &str) {
    if on {
        let found = context.report.error("limit::what", "`true` does not say how many");
        found.at(place.span(), "how many?").help(format!("write `{example}`"));
    }
}

/// Counts are kept by stack and zone. Without a name each limit has its own: that of a site for all its routes together.
fn zone(
    context: &mut Context<'_>,
    place: Place<'_>,
    given: Option<&str>,
    index: usize,
    scope: &Scope<'_>,
) -> String {
    let own = || {
        let host = scope.hosts.first().map_or("", String::as_str);
        let count = if index == 0 { String::new() } else { format!("#{}", index + 1) };
        let when = scope.when.map(|when| format!(" {when}")).unwrap_or_default();
        format!("{host}{}{when}{count}", scope.path.unwrap_or_default())
    };
    if let Some(name) = given.filter(|name| name.is_empty() || name.chars().any(char::is_control)) {
        let found = context.report.error("name::bad", format!("{name:?} cannot name a zone"));
        found.at(place.span(), "one word, for example `uploads`");
    }
    format!("{}/{}", scope.stack, given.map_or_else(own, str::to_owned))
}

/// What is counted by.
fn key(context: &mut Context<'_>, place: Place<'_>, text: Option<&str>) -> Option<KeySpec> {
    let text = text?;
    let (kind, name) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "client" if name.is_empty() => return Some(KeySpec::Client),
        "route" if name.is_empty() => return Some(KeySpec::Route),
        "header" if web::is_token(name) => return Some(KeySpec::Header(name.to_owned())),
        "cookie" if web::is_token(name) => return Some(KeySpec::Cookie(name.to_owned())),
        _ => {}
    }
    let found = context.report.error("limit::by", format!("{text:?} is nothing to count by"));
    found.at(place.span(), "`client`, `route`, `header:NAME` or `cookie:NAME`");
    None
}
