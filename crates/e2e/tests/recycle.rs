//! Instances in good health that are replaced while clients ask all the time, and those that hold more memory than they may.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{HOST, QUICK, Stage, WEB, history, instances, pids, restarts};
use std::time::{Duration, Instant};
use testkit::free_port;
use testkit::http::Connection;

/// Run numbers of the living instances.
fn runs(app: &Value) -> Vec<u64> {
    instances(app).iter().filter_map(|instance| instance["run"].as_u64()).collect()
}

/// Why instances were recycled.
fn recycled(app: &Value) -> Vec<String> {
    history(app).into_iter().filter(|(state, _)| state == "recycled").map(|(_, reason)| reason).collect()
}

#[test]
fn every_instance_is_replaced_again_and_again_and_no_request_fails() {
    let stage = Stage::started(&format!("{WEB}instances = 2\nrecycle = {{ requests = 50, jitter = 20 }}\n"));
    let load = Load::begin(stage.port, "/");
    let web = stage.wait_for_app("web", "replaced twice each", |app| {
        assert!(app["ready"].as_u64() >= Some(2), "fewer are ready than wanted: {app:#}");
        assert!(instances(app).len() <= 3, "more than one above what is wanted: {app:#}");
        runs(app).iter().all(|run| *run > 6)
    });
    load.end();
    assert!(recycled(&web).iter().all(|why| why.starts_with("was stopped: it took ")), "{web:#}");
    assert_eq!((restarts(&web), recycled(&web).is_empty()), (0, false), "{web:#}");
}

#[test]
fn a_server_that_leaks_is_replaced_in_time_and_no_request_fails() {
    let stage = Stage::started(&format!("{WEB}recycle = {{ memory = \"30MB\" }}\n"));
    let load = Load::begin(stage.port, "/grow/30000");
    let web = stage.wait_for_app("web", "recycled", |app| runs(app).iter().all(|run| *run > 1));
    load.end();
    let why = recycled(&stage.wait_for_app("web", "recycled", |app| !recycled(app).is_empty())).remove(0);
    assert!(why.starts_with("was stopped: it held ") && why.ends_with("(limit 30 MB)"), "{why}");
    assert_eq!(restarts(&web), 0);
}

// req: PROC-19
#[test]
fn an_instance_over_a_gigabyte_is_replaced_within_half_a_minute() {
    let stage = Stage::started(&format!("{WEB}recycle = {{ memory = \"1GB\" }}\n"));
    let before = stage.pids("web");
    assert_eq!(stage.get("/grow/900000000").status, 200);
    assert_eq!(stage.get("/grow/200000000").status, 200);
    let begun = Instant::now();
    stage.wait_for_app("web", "replaced", |app| app["ready"] == 1 && !pids(app).contains(&before[0]));
    assert!(begun.elapsed() < Duration::from_secs(35), "{:?}", begun.elapsed());
}

#[test]
fn over_its_limit_an_instance_is_killed_and_its_end_says_what_it_held() {
    let stage = Stage::started(&format!("{WEB}{QUICK}resources = {{ memory = \"60MB\" }}\n"));
    let before = stage.pids("web");
    // The kernel may end it before it answers: a GET would be sent again, to the next instance.
    let mut client = Connection::open(("127.0.0.1", stage.port));
    client.send(format!("POST /grow/90000000 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"));
    let web = stage.wait_for_app("web", "started again", |app| app["ready"] == 1 && pids(app) != before);
    let end = instances(&web)[0]["last_end"].as_str().unwrap().to_owned();
    assert!(end.starts_with("was ended: out of memory, it held ") && end.ends_with(" of 60 MB"), "{end}");
    assert_eq!(restarts(&web), 1, "it counts as a crash");
    assert!(history(&web).contains(&("ended".to_owned(), end)), "{web:#}");
}

#[test]
fn a_fixed_port_is_handed_over_in_place_while_requests_wait() {
    let port = free_port();
    let stage = Stage::started(&format!("{WEB}port = {port}\nrecycle = {{ requests = 60 }}\n"));
    let load = Load::begin(stage.port, "/");
    let web = stage.wait_for_app("web", "replaced twice", |app| {
        assert!(instances(app).len() <= 1, "two of one port: {app:#}");
        app["ready"] == 1 && runs(app).iter().all(|run| *run > 2)
    });
    load.end();
    assert_eq!(restarts(&web), 0);
}

#[test]
fn a_keeper_that_is_killed_while_it_recycles_leaves_nothing_half_done() {
    let apps = format!("{WEB}recycle = {{ requests = 60 }}\nenv = {{ START_GATE = \"go\" }}\n");
    let stage = Stage::new(&apps);
    stage.signal("go");
    stage.sandbox.start_daemon(stage.port);
    stage.unsignal("go");
    let load = Load::begin(stage.port, "/");
    stage.wait_for_app("web", "being recycled", |app| {
        instances(app).iter().any(|instance| instance["state"] == "starting")
    });
    stage.kill_keeper();
    load.more(20);
    stage.sandbox.start_daemon(stage.port);
    load.more(20);
    stage.signal("go");
    stage.wait_for_app("web", "replaced", |app| {
        app["state"] == "ready" && instances(app).len() == 1 && runs(app).iter().all(|run| *run > 1)
    });
    load.end();
}
