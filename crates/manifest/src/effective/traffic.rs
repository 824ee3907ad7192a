//! How requests meet instances.

use super::{duration, inline_table, text};
use model::traffic::TrafficSpec;
use toml_edit::Value;

/// Keys and values, for an app's table and for one of `proxy`.
pub fn entries(traffic: &TrafficSpec) -> impl Iterator<Item = (&'static str, Value)> {
    let concurrency = traffic.concurrency.map(|most| ("concurrency", i64::from(most).into()));
    let cookie = |name: &str| inline_table([("cookie", text(name).into())]).into();
    let sticky = traffic.sticky.as_ref().map(|sticky| ("sticky", cookie(&sticky.cookie)));
    let circuit: Value = match traffic.circuit.failures {
        0 => false.into(),
        failures => inline_table([
            ("failures", i64::from(failures).into()),
            ("open", duration(traffic.circuit.open).into()),
        ])
        .into(),
    };
    concurrency.into_iter().chain(sticky).chain([
        ("slow_start", duration(traffic.slow_start).into()),
        ("circuit", circuit),
        ("retries", i64::from(traffic.retries).into()),
    ])
}
