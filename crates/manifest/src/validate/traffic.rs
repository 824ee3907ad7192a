//! `concurrency`, `sticky`, `slow_start`, `circuit` and `retries`, of apps and of servers elsewhere.

use super::{Context, missing};
use crate::file::{CircuitFile, CircuitTable, DurationText, StickyFile};
use crate::place::Place;
use crate::web;
use model::traffic::{CircuitSpec, StickySpec, TrafficSpec};
use std::time::Duration;

/// The keys as they are written.
pub struct Keys<'a> {
    /// `concurrency`.
    pub concurrency: Option<i64>,
    /// `sticky`.
    pub sticky: Option<&'a StickyFile>,
    /// `slow_start`.
    pub slow_start: Option<&'a DurationText>,
    /// `circuit`.
    pub circuit: Option<&'a CircuitFile>,
    /// `retries`.
    pub retries: Option<i64>,
}

/// What they mean; `place` is where they stand. Where requests wait is said elsewhere.
pub fn traffic(context: &mut Context<'_>, place: Place<'_>, keys: &Keys<'_>) -> TrafficSpec {
    let usual = TrafficSpec::default();
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    TrafficSpec {
        hold: usual.hold,
        concurrency: number(keys.concurrency),
        sticky: keys.sticky.and_then(|file| sticky(context, place.key("sticky"), file)),
        slow_start: context.duration(place.key("slow_start"), keys.slow_start, Duration::ZERO, true),
        circuit: circuit(context, place.key("circuit"), keys.circuit),
        retries: number(keys.retries).unwrap_or(usual.retries),
    }
}

fn sticky(context: &mut Context<'_>, place: Place<'_>, file: &StickyFile) -> Option<StickySpec> {
    missing(context, place, "cookie", "`sticky`", "write `sticky = { cookie = \"instance\" }`");
    let cookie = file.cookie.as_deref()?;
    if !web::is_token(cookie) {
        let found = context.report.error("sticky::cookie", format!("{cookie:?} cannot name a cookie"));
        found.at(place.key("cookie").span(), "letters, digits and `-`, `_`, `.`");
    }
    Some(StickySpec { cookie: cookie.to_owned() })
}

fn circuit(context: &mut Context<'_>, place: Place<'_>, file: Option<&CircuitFile>) -> CircuitSpec {
    let usual = CircuitSpec::default();
    let table = match file {
        None | Some(CircuitFile::Switch(true)) => &CircuitTable::default(),
        Some(CircuitFile::Switch(false)) => return CircuitSpec { failures: 0, ..usual },
        Some(CircuitFile::Table(table)) => table,
    };
    let failures = table.failures.and_then(|failures| u32::try_from(failures).ok());
    CircuitSpec {
        failures: failures.unwrap_or(usual.failures),
        open: context.duration(place.key("open"), table.open.as_ref(), usual.open, false),
    }
}
