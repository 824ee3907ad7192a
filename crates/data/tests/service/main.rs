//! The real server, through what the keeper and the shims call. Where its packages are missing nothing is tried, and the test says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;
mod provisioning;
mod refusals;
mod serving;

/// This test program is the program that tests start as the database's user (`fixture::Service::verb`): what it is told to do stands in the
/// environment. Run by itself it does nothing.
#[test]
fn as_program() {
    use std::path::Path;
    let Ok(told) = std::env::var(fixture::VERB) else { return };
    let (verb, description) = told.split_once(' ').unwrap();
    let failure = match verb {
        "run" => data::run(Path::new(description)).map(drop).err(),
        "health" => data::health(Path::new(description)).err(),
        _ => data::client(Path::new(description), verb == "administrator", &fixture::arguments())
            .map(drop)
            .err(),
    };
    match failure {
        None => std::process::exit(0),
        Some(error) => {
            eprintln!("failure: {error}\nnext: {}", error.next().unwrap_or_default());
            std::process::exit(1);
        }
    }
}
