//! Changes that somebody asks for: restart, reload, scale, several stacks; under constant load, and gone wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{HOST, Stage, WEB, instances, manifest, pids};
use testkit::http::{Connection, get, try_status};
use testkit::{Output, free_port, is_alive, wait_until};

/// A second app, with a site of its own.
const OTHER: &str = "[[site]]\nhosts = [\"o.localhost\"]\n[[site.route]]\napp = \"other\"\n\
                     [app.other]\nrun = \"python3 -S app.py\"\nenv = { NAME = \"other\" }\n";

/// Everything about a stack that a change which is refused must not touch.
fn untouched(stage: &Stage) -> Value {
    let mut stack = stage.status()["stacks"][0].clone();
    for app in stack["apps"].as_array_mut().unwrap() {
        for instance in app["instances"].as_array_mut().unwrap() {
            for moving in
                ["uptime_ms", "requests", "in_flight", "memory", "rate", "p50_us", "p99_us", "usage"]
            {
                instance[moving] = Value::Null;
            }
        }
    }
    stack
}

// req: PROC-23, DEP-12, DEP-34
#[test]
fn instances_are_restarted_one_after_the_other_without_a_failed_request() {
    let stage = Stage::started(&format!("{WEB}instances = 2\nneeds = [\"other\"]\n{OTHER}"));
    let others = (stage.pids("other"), stage.edge());
    let load = Load::begin(stage.port, "/");
    for _ in 0..2 {
        let before = stage.pids("web");
        let output = stage.run(&["restart", "web"]).expect_code(0);
        let after = stage.pids("web");
        assert!(after.len() == 2 && after.iter().all(|pid| !before.contains(pid)), "{before:?}, {after:?}");
        assert!(before.iter().all(|pid| !is_alive(*pid)), "{}", output.stdout);
        load.more(20);
    }
    load.end();
    assert_eq!((stage.pids("other"), stage.edge()), others, "nobody else is touched");
    // never fewer ready ones than wanted, never more than one beside them
    let (mut ready, mut most) = (0, 0);
    for step in stage.app("web")["history"].as_array().unwrap().iter().skip(4) {
        match step["state"].as_str().unwrap() {
            "ready" => ready += 1,
            "draining" => ready -= 1,
            _ => {}
        }
        most = most.max(ready);
        assert!(ready >= 0, "{step}");
    }
    assert_eq!((ready, most), (0, 1));
}

#[test]
fn a_single_instance_is_restarted_without_a_failed_request() {
    let stage = Stage::started(&format!("{WEB}env = {{ WHERE = \"$SOCKET\" }}\n"));
    let load = Load::begin(stage.port, "/");
    let before = stage.pids("web");
    stage.run(&["restart", "web"]).expect_code(0);
    load.more(20);
    load.end();
    assert_ne!(stage.pids("web"), before);
}

#[test]
fn a_reload_touches_only_what_changed() {
    let stage = Stage::started(&format!("{WEB}{OTHER}"));
    let (web, other, edge) = (stage.pids("web"), stage.pids("other"), stage.edge());
    let load = Load::begin(stage.port, "/");
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\" }}\n{OTHER}"));
    let output = stage.run(&["reload"]).expect_code(0);
    assert!(
        output.stdout.contains("app web: env NAME changed") && !output.stdout.contains("other"),
        "{}",
        output.stdout
    );
    load.more(20);
    load.end();
    assert!(stage.get("/").text().starts_with("second "));
    assert!(stage.pids("web") != web && !is_alive(web[0]));
    assert_eq!((stage.pids("other"), stage.edge()), (other, edge));
    assert_eq!(stage.run(&["reload"]).expect_code(0).stdout.trim(), "no change");
}

#[test]
fn a_change_that_does_not_become_healthy_is_dropped_and_nothing_has_happened() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n{OTHER}"));
    let before = untouched(&stage);
    let load = Load::begin(stage.port, "/");
    let fine = OTHER.replace("NAME = \"other\"", "NAME = \"changed\"");
    stage.rewrite(&format!("{WEB}instances = 2\nenv = {{ FAIL = \"7\" }}\n{fine}"));
    let output = stage.run(&["reload"]).expect_code(4);
    for text in ["exited with status 7", "app fails", "revision 1 serves on"] {
        assert!(output.stderr.contains(text), "{text:?} is missing in:\n{}", output.stderr);
    }
    load.more(20);
    load.end();
    stage.wait_for_app("other", "as before", |app| instances(app).len() == 1);
    stage.wait_for_app("web", "as before", |app| instances(app).len() == 2);
    let mut after = untouched(&stage);
    assert_eq!(after["change"]["state"], "dropped");
    after["change"] = before["change"].clone();
    for (now, then) in
        after["apps"].as_array_mut().unwrap().iter_mut().zip(before["apps"].as_array().unwrap())
    {
        now["history"] = then["history"].clone();
    }
    assert_eq!(after, before);
    // and it is not forgotten that this was no success
    stage.rewrite(&format!("{WEB}instances = 2\n{OTHER}"));
    assert_eq!(stage.run(&["reload"]).expect_code(0).stdout.trim(), "no change");
}

#[test]
fn new_routes_need_no_new_process() {
    let stage = Stage::started(&format!("{WEB}{OTHER}"));
    let (web, other) = (stage.pids("web"), stage.pids("other"));
    let load = Load::begin(stage.port, "/");
    let routes = "[[site.route]]\npath = \"/other/*\"\napp = \"other\"\n[[site.route]]\napp = \"web\"\n";
    let changed = manifest(&format!("{WEB}{OTHER}")).replacen("[[site.route]]\napp = \"web\"\n", routes, 1);
    stage.sandbox.write("mainstay.toml", changed);
    stage.run(&["reload"]).expect_code(0);
    assert!(stage.get("/other/x").text().starts_with("other "));
    assert_eq!(stage.answering(), web[0]);
    load.end();
    assert_eq!((stage.pids("web"), stage.pids("other")), (web, other));
}

// req: DEP-34
#[test]
fn a_removed_app_ends_when_its_last_request_has() {
    let stage = Stage::started(&format!("{WEB}{OTHER}"));
    let (web, other) = (stage.pids("web"), stage.pids("other"));
    let mut request = stage.slow("o.localhost", "logs/t/other.1.out.log", "done");
    stage.rewrite(WEB);
    stage.run(&["reload"]).expect_code(0);
    assert_eq!(get(stage.port, "o.localhost", "/").status, 404);
    assert!(is_alive(other[0]), "it still has a request");
    stage.signal("done");
    assert_eq!(request.response().text(), format!("other {}", other[0]));
    wait_until("it is gone", || (!is_alive(other[0])).then_some(()));
    assert_eq!(stage.pids("web"), web);
    assert_eq!(stage.status()["stacks"][0]["apps"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let stage = Stage::started(&format!("{WEB}{OTHER}"));
    let before = untouched(&stage);
    stage.rewrite(&format!("{WEB}instances = 3\nenv = {{ NAME = \"second\" }}\n"));
    let said = stage.run(&["reload", "--dry-run"]).expect_code(0).stdout;
    for text in
        ["app web: env NAME, instances 1 → 3 changed", "app other: removed", "site o.localhost: removed"]
    {
        assert!(said.contains(text), "{text:?} is missing in:\n{said}");
    }
    assert_eq!(untouched(&stage), before);
}

#[test]
fn a_broken_manifest_is_refused_as_a_whole() {
    let stage = Stage::started(WEB);
    let before = untouched(&stage);
    stage.rewrite(&format!("{WEB}instnaces = 2\nneeds = [\"nobody\"]\n[app.new]\nrun = \"./nowhere\"\n"));
    for verb in [&["reload"][..], &["reload", "--dry-run"], &["start"]] {
        let output = stage.run(verb).expect_code(1);
        for text in ["instnaces", "nobody", "nowhere"] {
            assert!(output.stderr.contains(text), "{text:?} is missing in:\n{}", output.stderr);
        }
        assert_eq!(untouched(&stage), before, "{verb:?}");
    }
}

#[test]
fn instances_are_scaled_without_touching_those_that_stay() {
    let stage = Stage::started(WEB);
    let first = stage.pids("web");
    let load = Load::begin(stage.port, "/");
    stage.rewrite(&format!("{WEB}instances = 3\n"));
    stage.run(&["reload"]).expect_code(0);
    let three = stage.pids("web");
    assert!(three.len() == 3 && three.starts_with(&first), "{three:?}");
    load.end();
    // one request on each of them: the least busy one is asked
    let logs = [1, 2, 3].map(|slot| format!("logs/t/web.{slot}.out.log"));
    let waiting = || logs.iter().filter(|log| stage.home_file(log).contains("waits")).count();
    let requests = [1, 2, 3].map(|count| {
        let mut request = Connection::open(("127.0.0.1", stage.port));
        request.send(format!("GET /wait/done HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        wait_until("another one is busy", || (waiting() == count).then_some(()));
        request
    });
    let load = Load::begin(stage.port, "/");
    stage.rewrite(WEB);
    let reload = stage.sandbox.start(stage.arguments(&["reload"]));
    stage.wait_for_app("web", "draining", |app| {
        instances(app).iter().filter(|it| it["state"] == "draining").count() == 2
    });
    stage.signal("done");
    for mut request in requests {
        assert_eq!(request.response().status, 200, "a request was cut");
    }
    reload.wait().expect_code(0);
    assert_eq!(pids(&stage.wait_ready("web")), first);
    load.more(20);
    load.end();
}

#[test]
fn a_change_that_is_changed_takes_its_half_prepared_instances_away() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    let load = Load::begin(stage.port, "/");
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\", START_GATE = \"never\" }}\n"));
    let second = stage.sandbox.start(stage.arguments(&["reload"]));
    let prepared = stage.wait_for_app("web", "preparing", |app| pids(app).len() == 2);
    let prepared = *pids(&prepared).iter().find(|pid| **pid != old).unwrap();
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"third\", START_GATE = \"go\" }}\n"));
    let third = stage.sandbox.start(stage.arguments(&["reload"]));
    wait_until("the second one's instance is gone", || (!is_alive(prepared)).then_some(()));
    assert_eq!(stage.status()["stacks"][0]["change"]["state"], "preparing");
    assert_eq!(stage.answering(), old);
    stage.signal("go");
    third.wait().expect_code(0);
    drop(second.wait());
    assert!(stage.get("/").text().starts_with("third "));
    load.end();
}

/// A second stack beside the first one's folder, with this host.
fn second_stack(stage: &Stage, host: &str) -> impl Fn(&[&str]) -> Output {
    let text = format!(
        "stack = \"u\"\n[[site]]\nhosts = [\"{host}\"]\n[[site.route]]\napp = \"web\"\n{WEB}env = {{ NAME = \"second\" }}\n"
    );
    stage.sandbox.write("../second/mainstay.toml", text);
    stage.sandbox.write("../second/app.py", include_str!("stage/app.py"));
    move |arguments| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--file", "../second"]).collect();
        stage.run(&all)
    }
}

#[test]
fn one_keeper_runs_several_stacks() {
    let stage = Stage::started(WEB);
    let first = stage.pids("web");
    let load = Load::begin(stage.port, "/");
    let http = format!("127.0.0.1:{}", stage.port);

    let second = second_stack(&stage, HOST);
    let before = stage.status()["stacks"].as_array().unwrap().len();
    let output = second(&["start", "--http", &http]).expect_code(1);
    assert!(output.stderr.contains("t.localhost is already a site of the stack t"), "{}", output.stderr);
    assert_eq!(stage.status()["stacks"].as_array().unwrap().len(), before, "a refused stack stays");

    let second = second_stack(&stage, "u.localhost");
    second(&["start", "--http", &http]).expect_code(0);
    assert!(get(stage.port, "u.localhost", "/").text().starts_with("second "));
    assert_eq!(stage.answering(), first[0]);
    let output = stage.run(&["status"]).expect_code(0).stdout;
    assert!(output.contains("http://u.localhost") && output.contains("http://t.localhost"), "{output}");

    // both survive their keeper, and each goes alone
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    assert!(get(stage.port, "u.localhost", "/").text().starts_with("second "));
    second(&["stop"]).expect_code(0);
    assert_eq!(get(stage.port, "u.localhost", "/").status, 404);
    load.more(20);
    load.end();
    assert_eq!(stage.pids("web"), first);
}

#[test]
fn other_addresses_are_a_change_like_any_other() {
    let stage = Stage::started(WEB);
    let (web, other) = (stage.pids("web"), free_port());
    let http = format!("127.0.0.1:{other}");
    let output = stage.run(&["start", "--http", &http]).expect_code(0);
    assert!(output.stdout.contains(&http.replace("127.0.0.1", HOST)), "{}", output.stdout);
    assert_eq!(get(other, HOST, "/").status, 200);
    wait_until("the former address is left", || try_status(stage.port, HOST, "/").is_none().then_some(()));
    assert_eq!(stage.pids("web"), web);

    // an address that is taken is refused, and nothing is touched
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = stage.run(&["start", "--http", &taken.local_addr().unwrap().to_string()]).expect_code(1);
    assert!(output.stderr.contains(&format!("pid {}", std::process::id())), "{}", output.stderr);
    stage.run(&["reload"]).expect_code(0);
    assert_eq!((get(other, HOST, "/").status, stage.pids("web")), (200, web));
}

#[test]
fn a_stack_that_is_stopping_can_be_started_again() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    let mut request = stage.slow(HOST, "logs/t/web.1.out.log", "done");
    let stop = stage.sandbox.start(stage.arguments(&["stop"]));
    stage.wait_for_app("web", "draining", |app| instances(app).iter().any(|it| it["state"] == "draining"));
    let start = stage.starting();
    stage.wait_for_app("web", "started again", |app| app["ready"] == 1);
    let new = stage.answering();
    assert_ne!(new, old);
    stage.signal("done");
    assert_eq!(request.response().text(), format!("app {old}"));
    let output = start.wait().expect_code(0);
    assert!(!output.stdout.contains("no change"), "{}", output.stdout);
    drop(stop);
    wait_until("the former one is gone", || (!is_alive(old)).then_some(()));
    // the wish outlives the keeper
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    assert_eq!(pids(&stage.wait_ready("web")), [new]);
}
