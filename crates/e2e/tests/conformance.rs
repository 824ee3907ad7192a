//! Public tools against the real binary: what of `bench/conformance` is quick and needs nothing but Debian's packages.
#![allow(clippy::expect_used)] // also the helpers of tests may

use std::process::Command;

/// Runs a script of `bench/conformance`; it must end with 0. Only somebody who may not install its tool goes without.
#[track_caller]
fn holds(script: &str, arguments: &[&str], tool: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()) {
        assert!(!sys::user::is_root(), "{tool} is missing: `scripts/setup test` installs it");
        eprintln!("skipped: {tool} is missing, see `scripts/setup test`");
        return;
    }
    let folder = testkit::checkout().join("bench/conformance");
    let mut command = Command::new("python3");
    command.arg(folder.join(script)).args(arguments).env("BENCH_MAINSTAY", testkit::binary());
    let output = command.output().expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_request_of_h2load_and_nghttp_fails() {
    holds("tools", &["--requests", "400"], "h2load");
}
