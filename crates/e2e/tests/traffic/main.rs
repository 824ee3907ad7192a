//! HTTP traffic through the real binary: clients and backends are raw sockets of the test, what stands between them is
//! `mainstay up` with a manifest as a user writes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

mod bodies;
mod early;
mod events;
mod failures;
mod files;
mod forwarded;
mod log;
mod protocol;
mod reuse;
mod routing;
mod stopped;

use testkit::backend::Backend;

/// The line of a route that leads to this backend.
fn proxy(backend: &Backend) -> String {
    format!("proxy = \"127.0.0.1:{}\"", backend.port())
}

/// The value of a line `name: value` in what [`Backend::echo`] answered; none or several: panics.
#[track_caller]
fn echoed<'a>(text: &'a str, name: &str) -> &'a str {
    let head = text.split("\n\n").next().unwrap_or_default();
    let values: Vec<&str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values.len(), 1, "{name} in:\n{head}");
    values[0]
}
