//! The verbs that people know from Compose, on apps in containers: `exec` with whatever is piped through it, `ps`, `stats`, `down`.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{HOST, Stage, pids};
use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::time::Duration;
use testkit::tiny::{Belongings, podman};
use testkit::{Sandbox, free_port, tiny};

/// What an engine does in a second takes it many where the machine is busy.
const LONG: Duration = Duration::from_secs(180);

const APPS: &str = r#"[app.web]
image = "IMAGE"
run = ["sh", "-c", "mkdir -p /tmp/www; hostname > /tmp/www/index.html; httpd -p 8080 -h /tmp/www; trap 'exit 0' TERM; while true; do sleep 0.1; done"]
port = 8080
instances = 2
env = { COLOUR = "blue" }
volumes = ["data:/data"]
[app.other]
image = "IMAGE"
run = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
[volume.data]
"#;

/// The stack, started, and what the engine has of it. None: there is no engine.
fn started() -> Option<(Belongings, Stage)> {
    let image = tiny::image()?;
    let port = free_port();
    let name = format!("e2e-verbs-{}-{port}", std::process::id());
    let site = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n");
    let sandbox =
        Sandbox::with_manifest(&format!("stack = \"{name}\"\n{site}{}", APPS.replace("IMAGE", image)));
    let both = (Belongings::of(&name), Stage { sandbox, port });
    both.1.starting().wait_within(LONG).expect_code(0);
    both.1.wait_ready("web");
    Some(both)
}

/// The stack is down; what the engine keeps for a while after that is ended.
fn end(stage: &Stage) {
    tiny::end_engine(&stage.sandbox);
}

/// What `mainstay exec` prints when this is piped into it.
fn piped(stage: &Stage, words: &[&str], input: Vec<u8>) -> Output {
    let home = stage.sandbox.home().display().to_string();
    let mut command = stage.sandbox.command([&["--home", &home, "exec"], words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read everything.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let mut stdout = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Output { stdout, ..output }
}

/// As somebody who types `docker compose`.
fn compose(stage: &Stage, words: &[&str]) {
    let home = stage.sandbox.home().display().to_string();
    stage.sandbox.run([&["--home", &home, "compose"], words].concat()).expect_code(0);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

// req: CONT-25
#[test]
fn a_command_in_a_container_is_as_one_beside_it() {
    let Some((_engine, stage)) = started() else { return };
    let run = |words: &[&str]| piped(&stage, words, Vec::new());
    let bytes: Vec<u8> =
        (0u32..6 << 20).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let output = piped(&stage, &["-T", "web", "--", "cat"], bytes.clone());
    assert!(output.status.success() && output.stdout == bytes, "{} bytes", output.stdout.len());

    let words = ["-T", "-e", "X=y", "-u", "app", "-w", "/data", "web.2", "--"];
    let script = ["sh", "-c", "echo $X $COLOUR $(id -u) $(pwd); tty; echo wrong >&2; exit 7"];
    let output = run(&[&words[..], &script].concat());
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("y blue 1001 /data\nnot a tty".into(), "wrong".into())
    );
    let output = run(&["web", "--", "nosuchcommand"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("nosuchcommand"), "{}", text(&output.stderr));

    stage.run(&["down"]).expect_code(0);
    end(&stage);
}

#[test]
fn a_command_that_did_not_read_all_it_was_sent_still_has_its_own_exit_status() {
    let Some((_engine, stage)) = started() else { return };
    for _ in 0..3 {
        let words = ["web", "--", "sh", "-c", "head -c 3; exit 5"];
        let output = piped(&stage, &words, b"abcdef".repeat(2 << 20));
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(5), "abc".to_owned()));
    }
    stage.run(&["down"]).expect_code(0);
    end(&stage);
}

// req: CONT-27 DEP-12
#[test]
fn containers_are_listed_measured_and_replaced_one_app_at_a_time() {
    let Some((engine, stage)) = started() else { return };
    let listed = stage.run(&["ps"]).expect_code(0).stdout;
    assert_eq!(listed.matches(":8080").count(), 2, "{listed}");
    assert!(listed.contains("other.1") && listed.matches("mainstay-test/tiny").count() == 3, "{listed}");
    let used = stage.run(&["stats", "--no-stream", "--json"]).expect_code(0).stdout;
    let used: Value = serde_json::from_str(&used).unwrap();
    assert_eq!(used.as_array().map(Vec::len), Some(3), "{used}");
    for one in used.as_array().into_iter().flatten() {
        let figure = |name: &str| one[name].as_f64().unwrap_or_default();
        assert!(
            one["cpu_percent"].is_number() && figure("memory") > 0.0 && figure("processes") > 0.0,
            "{one}"
        );
        assert!(one["received"].is_number() && one["sent"].is_number(), "{one}");
    }

    let (web, other) = (pids(&stage.app("web")), pids(&stage.app("other")));
    let load = Load::begin(stage.port, "/");
    compose(&stage, &["up", "-d", "--force-recreate", "--no-deps", "web"]);
    load.more(20);
    load.end();
    assert!(pids(&stage.app("web")).iter().all(|pid| !web.contains(pid)));
    assert_eq!(pids(&stage.app("other")), other);

    // Somebody else's volume, and one of the stack's.
    let foreign = format!("foreign-{}", stage.port);
    podman(&["volume", "create", &foreign]);
    stage.run(&["down"]).expect_code(0);
    assert_eq!(engine.volumes().len(), 1);
    compose(&stage, &["down", "-v"]);
    let is_there = podman(&["volume", "rm", &foreign]).0;
    assert!(engine.volumes().is_empty() && is_there);
    end(&stage);
}
