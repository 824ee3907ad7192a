//! The front door as a user has it: manifests as they would be written, the real binary, real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also the helpers of tests may

mod applications;
mod balance;
mod handshakes;
mod hardening;
mod hosting;
mod limits;
mod observed;
mod policies;
mod site;

use testkit::FrontDoor;
use testkit::http::Response;
use testkit::tls::{Client, pair};

/// The lines of a site whose names the local authority may not sign: a pair from files.
const FROM_FILES: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\" }\n";

/// A door for public names, whose certificate is [`FROM_FILES`], and a client that trusts it.
#[track_caller]
fn public(hosts: &[&str], manifest: &str, files: &[(&str, &str)]) -> (FrontDoor, Client) {
    let pair = pair(hosts);
    let mut files = files.to_vec();
    files.extend([("cert.pem", pair.cert.as_str()), ("key.pem", pair.key.as_str())]);
    (FrontDoor::secure(manifest, &files), Client::trusting(&pair.root))
}

/// `GET` of a path of this host, with these header lines.
fn ask(door: &FrontDoor, host: &str, path: &str, lines: &str) -> Response {
    door.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

/// Values of all fields of this name.
fn all<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    response.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}
