//! How many instances there are: by hand, by load, none while nobody asks; under constant load, and over a keeper's death.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{HOST, Stage, WEB, instances, manifest};
use std::collections::BTreeSet;
use testkit::http::Connection;
use testkit::{is_alive, wait_until};

/// A second app, with a site of its own.
const OTHER: &str = "[[site]]\nhosts = [\"o.localhost\"]\n[[site.route]]\napp = \"other\"\n\
                     [app.other]\nrun = \"python3 -S app.py\"\nenv = { NAME = \"other\" }\n";

/// Requests that are answered when the signal is given.
fn held(stage: &Stage, gate: &str, count: usize) -> Vec<Connection> {
    let one = |_| {
        let mut connection = Connection::open(("127.0.0.1", stage.port));
        connection.send(format!("GET /wait/{gate} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        connection
    };
    (0..count).map(one).collect()
}

fn states(app: &Value) -> Vec<String> {
    instances(app).iter().map(|it| it["state"].as_str().unwrap().to_owned()).collect()
}

fn ready(app: &Value) -> usize {
    assert!(states(app).iter().all(|state| state == "ready"), "{app:#}");
    instances(app).len()
}

// req: LB-11, LB-12
#[test]
fn three_and_two_in_one_command_and_back_to_one_without_a_failed_request() {
    let stage = Stage::started(&format!("{WEB}{OTHER}"));
    let written = std::fs::read(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    let load = Load::begin(stage.port, "/");
    let said = stage.run(&["scale", "web=3", "other=2"]).expect_code(0).stdout;
    assert!(said.contains("app web: 1 → 3") && said.contains("app other: 1 → 2"), "{said}");
    let (web, other) = (stage.app("web"), stage.app("other"));
    assert_eq!((ready(&web), ready(&other)), (3, 2), "at once when the command has ended");
    assert_eq!(std::fs::read(stage.sandbox.stack().join("mainstay.toml")).unwrap(), written);
    let answered: BTreeSet<u32> = (0..60).map(|_| stage.answering()).collect();
    assert_eq!(answered, stage.pids("web").into_iter().collect(), "all of them are asked");

    // each of the three has requests in flight when two of them go
    let mut waiting = held(&stage, "gate", 9);
    stage.wait_for_app("web", "asked by everybody", |app| {
        let waits = |it: &Value| it["in_flight"].as_u64() >= Some(2);
        instances(app).len() == 3 && instances(app).iter().all(waits)
    });
    let down = stage.sandbox.start(stage.arguments(&["scale", "web=1"]));
    stage.wait_for_app("web", "draining", |app| {
        states(app).iter().filter(|it| *it == "draining").count() == 2
    });
    load.more(50);
    stage.signal("gate");
    for connection in &mut waiting {
        assert_eq!(connection.response().status, 200);
    }
    down.wait().expect_code(0);
    assert_eq!(ready(&stage.app("web")), 1);
    assert_eq!(ready(&stage.app("other")), 2, "nobody asked for another number of it");
    load.more(20);
    load.end();
}

// req: PROC-17
#[test]
fn two_instances_of_one_app_answer_behind_one_port() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n"));
    let answered: BTreeSet<u32> = (0..40).map(|_| stage.answering()).collect();
    assert_eq!((answered.len(), answered), (2, stage.pids("web").into_iter().collect()));
}

#[test]
fn a_number_stays_over_reloads_and_keepers_until_the_manifest_says_another() {
    let stage = Stage::started(WEB);
    stage.run(&["scale", "web=3"]).expect_code(0);
    assert_eq!(stage.run(&["scale", "web=3"]).expect_code(0).stdout.trim(), "no change");
    let pids = stage.pids("web");
    assert_eq!(stage.run(&["reload"]).expect_code(0).stdout.trim(), "no change");
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    let web = stage.wait_ready("web");
    assert_eq!((stage.pids("web"), &web["scale"]["asked"]), (pids, &Value::from(3)));
    let shown = stage.run(&["status"]).expect_code(0).stdout;
    assert!(shown.contains("3, scaled; the manifest says 1"), "{shown}");
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\" }}\n"));
    stage.run(&["reload"]).expect_code(0);
    assert_eq!(ready(&stage.app("web")), 3, "another change keeps it");
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\" }}\ninstances = 2\n"));
    stage.run(&["reload"]).expect_code(0);
    assert_eq!(ready(&stage.wait_for_app("web", "two", |app| instances(app).len() == 2)), 2);
    assert!(stage.app("web")["scale"].is_null(), "who writes a number means that one");
    stage.run(&["scale", "web=1"]).expect_code(0);
    let said = stage.run(&["scale", "web=manifest"]).expect_code(0).stdout;
    assert!(said.contains("1 → 2, as the manifest says"), "{said}");
    assert_eq!(ready(&stage.app("web")), 2);
}

#[test]
fn what_cannot_be_scaled_is_refused_and_nothing_of_the_command_is_done() {
    let fixed = format!("[app.fixed]\nrun = \"python3 -S app.py\"\nport = {}\n", testkit::free_port());
    let stage = Stage::started(&format!("{WEB}{fixed}"));
    let refused = |apps: &[&str], code: i32, why: &str| {
        let arguments: Vec<&str> = ["scale"].iter().chain(apps).copied().collect();
        let said = stage.run(&arguments).expect_code(code).stderr;
        assert!(said.contains(why), "{why:?} is missing in:\n{said}");
    };
    refused(&["web=2", "fixed=2"], 2, "cannot share its fixed port");
    refused(&["web=2", "wbe=2"], 2, "it has: fixed, web");
    refused(&["web=0"], 2, "mainstay stop web stops it");
    refused(&["web=1001"], 2, "1 to 1000");
    refused(&["web=2", "web=3"], 2, "named twice");
    refused(&["web"], 2, "web=3");
    assert_eq!(ready(&stage.app("web")), 1);
    // nobody changes what is wanted while a change is prepared
    stage.rewrite(&format!("{WEB}env = {{ START_GATE = \"go\" }}\n{fixed}"));
    let reload = stage.sandbox.start(stage.arguments(&["reload"]));
    stage.wait_for_app("web", "prepared", |app| instances(app).len() == 2);
    refused(&["web=3"], 5, "a change of t is under way");
    stage.signal("go");
    reload.wait().expect_code(0);
    assert_eq!(ready(&stage.wait_ready("web")), 1);
}

#[test]
fn an_app_that_nobody_asks_sleeps_and_the_next_request_wakes_it() {
    let stage = Stage::started(&format!("{WEB}instances = {{ min = 0, idle = \"1s\" }}\n"));
    let pid = stage.answering();
    let asleep = |app: &Value| app["state"] == "asleep" && instances(app).is_empty();
    stage.wait_for_app("web", "asleep", asleep);
    assert!(!is_alive(pid));
    assert_eq!(stage.status()["stacks"][0]["state"], "ready", "that is no trouble");
    let load = Load::begin(stage.port, "/"); // all that come while it starts are answered
    load.end();
    assert_eq!(ready(&stage.wait_ready("web")), 1);
    // also a keeper that finds it asleep
    stage.wait_for_app("web", "asleep again", asleep);
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    assert!(asleep(&stage.app("web")), "{:#}", stage.app("web"));
    assert_ne!(stage.answering(), pid);
    // a change of what sleeps is proven all the same
    stage.wait_for_app("web", "asleep again", asleep);
    stage.sandbox.write(
        "mainstay.toml",
        manifest(&format!("{WEB}instances = {{ min = 0, idle = \"1s\" }}\nenv = {{ FAIL = \"7\" }}\n")),
    );
    let said = stage.run(&["reload"]).expect_code(4).stderr;
    assert!(said.contains("exited with status 7"), "{said}");
    stage.answering();
}

#[test]
fn instances_come_with_the_load_and_go_when_it_is_over() {
    let stage =
        Stage::started(&format!("{WEB}instances = {{ min = 1, max = 3, target = 2, idle = \"1s\" }}\n"));
    let mut waiting = held(&stage, "gate", 3);
    stage.wait_for_app("web", "two for three requests", |app| instances(app).len() == 2 && app["ready"] == 2);
    waiting.extend(held(&stage, "gate", 20));
    stage.wait_for_app("web", "as many as may be", |app| instances(app).len() == 3 && app["ready"] == 3);
    stage.signal("gate");
    for connection in &mut waiting {
        assert_eq!(connection.response().status, 200);
    }
    let load = Load::begin(stage.port, "/");
    stage.wait_for_app("web", "one again", |app| states(app) == ["ready"]);
    load.end();
    wait_until("its history says why", || {
        let history = stage.app("web")["history"].clone();
        let told = |it: &Value| it["state"] == "scaled" && it["reason"].as_str().unwrap().contains("2 → 1");
        history.as_array().unwrap().iter().any(told).then_some(())
    });
}
