//! The front door as a user has it: manifests as they would be written, the real binary, real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

mod balance;
mod hardening;
mod limits;
mod observed;
mod policies;
mod site;

use testkit::FrontDoor;
use testkit::http::Response;

/// `GET` of a path of this host, with these header lines.
fn ask(door: &FrontDoor, host: &str, path: &str, lines: &str) -> Response {
    door.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

/// Values of all fields of this name.
fn all<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    response.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}
