//! What is there to read for somebody who looks: also without apps, also through a pipe that closes early.

use std::process::Stdio;
use testkit::http::get;
use testkit::{Sandbox, free_port, wait_until};

const PROXY: &str = "[[site]]\nhosts = [\"p.localhost\"]\nroute = [{ proxy = \"127.0.0.1:9\" }]\n";

#[test]
fn a_stack_without_apps_has_an_access_log() {
    let sandbox = Sandbox::with_manifest(PROXY);
    let port = free_port();
    let up = sandbox.up(port);
    assert_eq!(get(port, "p.localhost", "/somewhere").status, 502);
    wait_until("the access log names the request", || {
        sandbox.run(["logs", "edge"]).stdout.contains("502 GET p.localhost/somewhere").then_some(())
    });
    let output = sandbox.run(["logs"]).expect_code(2);
    assert!(
        output.stderr.contains("has no apps") && output.stderr.contains("logs edge"),
        "{}",
        output.stderr
    );
    up.signal("INT");
    up.wait().expect_code(0);
}

/// As in `mainstay status | head -1`.
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let sandbox = Sandbox::with_manifest(PROXY);
    let up = sandbox.up(free_port());
    for arguments in [&["status"][..], &["status", "--json"], &["check", "--effective"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = sandbox.command(arguments);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {}, {said}", output.status);
    }
    up.signal("INT");
    up.wait().expect_code(0);
}
