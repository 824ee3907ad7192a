//! What instances may use and are kept from, as `status` and `check` tell it; and what finds no room.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{QUICK, Stage, WEB, instances, manifest, pids};
use sys::cgroup::{Controller, Host};
use sys::sandbox::{Able, Seen};
use testkit::Sandbox;

/// Limits and confinement can be had here.
fn is_able() -> bool {
    let host = Host::look();
    let groups = [Controller::Memory, Controller::Cpu, Controller::Pids].map(|one| host.can(one).err());
    let why = groups.into_iter().flatten().chain(Able::look().mounts.err()).next();
    let why = why.or_else(|| (!sys::user::is_root()).then(|| "not root".to_owned()));
    why.inspect(|why| eprintln!("skipped: {why}")).is_none()
}

/// What holds of a key, and by whom.
fn held(app: &Value, key: &str) -> Option<(String, String)> {
    let lines = instances(app).first()?["enforced"].as_array()?.clone();
    let line = lines.into_iter().find(|line| line["key"] == key)?;
    Some((line["holds"].as_str()?.to_owned(), line["by"].as_str()?.to_owned()))
}

const CONFINED: &str = "user = \"nobody\"\ngroup = \"daemon\"\nread_only = true\ntmpfs = [\"/mnt:noexec,size=1m\"]\n\
    cap_add = [\"NET_BIND_SERVICE\"]\ncap_drop = [\"ALL\"]\n";

#[test]
fn status_says_what_the_kernel_holds_an_instance_to() {
    if !is_able() {
        return;
    }
    let apps = |limits: &str| format!("{WEB}{QUICK}{CONFINED}resources = {{ {limits} }}\n");
    let stage = Stage::new(&apps("memory = \"200MB\", cpus = 1.5, pids = 50"));
    let check = stage.sandbox.run(["check"]).expect_code(0);
    assert!(!check.stderr.contains("cannot be held"), "{}", check.stderr);
    stage.sandbox.start_daemon(stage.port);
    let web = stage.wait_for_app("web", "ready", |app| app["ready"] == 1);
    let of = |web: &Value, key: &str| held(web, key).unwrap_or_else(|| panic!("{key}: {web:#}"));
    assert!(of(&web, "resources.memory").0.starts_with("199999488 bytes"), "{web:#}");
    assert!(of(&web, "resources.cpus").0.starts_with("150 ms"), "{web:#}");
    assert!(of(&web, "resources.pids").0.starts_with("50, "), "{web:#}");
    assert!(of(&web, "resources.pids").1.starts_with("control group, version "), "{web:#}");
    for key in ["user", "new_privileges", "read_only", "tmpfs", "cap_add", "cap_drop", "sandbox"] {
        of(&web, key);
    }
    let pid = pids(&web)[0];
    let seen = Seen::look(pid).unwrap();
    assert_eq!((seen.ids.0, Seen::names(seen.effective)), (65534, vec!["NET_BIND_SERVICE".to_owned()]));
    assert!(seen.read_only && seen.no_new_privileges && seen.seccomp && seen.bounding == seen.effective);
    let text = stage.run(&["status", "web"]).expect_code(0).stdout;
    assert!(text.contains("mount namespace") && !text.contains("NOT ENFORCED"), "{text}");

    // Limits change under a running instance.
    stage.rewrite(&apps("memory = \"300MB\", cpus = 0.5, pids = 40"));
    stage.run(&["reload"]).expect_code(0);
    let web = stage.wait_for_app("web", "held to the new limits", |app| {
        held(app, "resources.memory").is_some_and(|(holds, _)| holds.starts_with("299999232 bytes"))
            && held(app, "resources.cpus").is_some_and(|(holds, _)| holds.starts_with("50 ms"))
    });
    assert_eq!(pids(&web)[0], pid, "it was not restarted");
    stage.run(&["stop"]).expect_code(0);
    let left = Host::look().group_of(std::process::id(), "none");
    assert!(left.folders().is_empty());
}

#[test]
fn a_limit_that_comes_later_is_said_to_be_missing_until_the_next_start() {
    if !is_able() {
        return;
    }
    let stage = Stage::started(&format!("{WEB}{QUICK}"));
    stage.rewrite(&format!("{WEB}{QUICK}resources = {{ pids = 40, memory = \"300MB\" }}\n"));
    stage.run(&["reload"]).expect_code(0);
    let web = stage.wait_for_app("web", "looked at", |app| held(app, "resources.memory").is_some());
    assert_eq!(held(&web, "resources.memory").unwrap().1, "the keeper");
    assert_eq!(held(&web, "resources.pids"), None);
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.contains("resources.pids 40 is not enforced") && text.contains("next start"), "{text}");
    stage.run(&["restart", "web"]).expect_code(0);
    stage.wait_for_app("web", "held to it", |app| {
        held(app, "resources.pids").is_some()
            && held(app, "resources.memory").is_some_and(|(_, by)| by != "the keeper")
    });
    assert!(!stage.run(&["status"]).expect_code(0).stdout.contains("not enforced"));
}

// req: HOST-10
#[test]
fn a_stack_that_reserves_more_than_there_is_is_refused_unless_that_is_wanted() {
    let reserve = |cpus: &str| {
        format!(
            "{WEB}instances = 2\nresources = {{ reserve = {{ cpus = {cpus}, memory = \"64MB\" }} }}\n\
             [app.worker]\nrun = \"sleep 1000\"\nlisten = false\nresources = {{ reserve = {{ memory = \"32MB\" }} }}\n"
        )
    };
    let stage = Stage::new(&reserve("1500"));
    let address = format!("127.0.0.1:{}", stage.port);
    let refused = stage.run(&["start", "--http", &address]).expect_code(1);
    for told in [
        "--overcommit",
        "t/web: 2 × 1500 processors and 64 MB",
        "t/worker: 1 × 0 processors and 32 MB",
        "all together: 3000 processors",
    ] {
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    stage.run(&["start", "--http", &address, "--overcommit"]).expect_code(0);
    let status = stage.sandbox.status();
    assert_eq!(status["reserved"]["cpus"][0], 3_000_000);
    assert_eq!(status["reserved"]["memory"][0], 160_000_000);
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.contains("reserved  3000 of") && text.contains("more than there is"), "{text}");
    // It is remembered.
    stage.rewrite(&reserve("1400"));
    stage.run(&["reload"]).expect_code(0);
    stage.rewrite(&reserve("0.01"));
    stage.run(&["reload"]).expect_code(0);
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.contains("reserved  0.02 of") && text.contains("left: "), "{text}");
}

#[test]
fn check_names_what_is_wrong_with_confinement_and_what_this_host_cannot() {
    let apps = format!("{WEB}cap_add = [\"NOT_THERE\"]\n");
    let sandbox = Sandbox::with_manifest(&manifest(&apps));
    let found = sandbox.run(["check"]).expect_code(1);
    assert!(found.stderr.contains("capability::unknown"), "{}", found.stderr);
}
