//! How healthy an app is: found out, acted on, answered for and remembered.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use stage::load::Load;
use stage::{QUICK, Stage, WEB, history, pids, restarts};
use std::time::{Duration, Instant};
use testkit::{free_port, wait_until};

const LISTENING: &str = "health = { path = \"/health\", interval = \"50ms\", retries = 2 }\n";

// req: LB-10
#[test]
fn the_unhealthy_leave_the_rotation_and_come_back() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n{LISTENING}"));
    let both = stage.pids("web");
    let load = Load::begin(stage.port, "/");
    stage.signal(&format!("sick.{}", both[0]));
    let web = stage.wait_for_app("web", "half sick", |app| app["ready"] == 1);
    assert!(web["reason"].as_str().unwrap().contains("health checks of web.1 fail"), "{web}");
    load.more(20);
    assert!((0..10).all(|_| stage.answering() == both[1]), "the sick one is asked");
    stage.unsignal(&format!("sick.{}", both[0]));
    stage.wait_ready("web");
    wait_until("both answer", || (stage.answering() == both[0]).then_some(()));
    load.end();

    stage.signal("sick");
    stage.wait_for_app("web", "sick", |app| app["state"] == "unhealthy");
    let begun = Instant::now();
    assert_eq!(stage.get("/").status, 503);
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    stage.unsignal("sick");
    stage.wait_ready("web");
    assert_eq!((stage.get("/").status, stage.pids("web")), (200, both));
}

// req: OBS-16
#[test]
fn changes_of_state_are_kept_with_time_and_reason() {
    let stage = Stage::started(&format!("{WEB}{LISTENING}{QUICK}"));
    stage.signal("sick");
    stage.wait_for_app("web", "sick", |app| app["state"] == "unhealthy");
    stage.unsignal("sick");
    stage.kill(pids(&stage.wait_ready("web"))[0]);
    stage.wait_for_app("web", "back", |app| restarts(app) == 1 && app["ready"] == 1);
    // the history outlives the keeper
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    let web = stage.wait_ready("web");
    let states: Vec<String> = history(&web).iter().map(|(state, _)| state.clone()).collect();
    assert_eq!(states, ["starting", "ready", "unhealthy", "ready", "ended", "starting", "ready"]);
    let reasons = history(&web);
    assert!(reasons[2].1.contains("/health") && reasons[2].1.contains("500"), "{reasons:?}");
    assert!(reasons[4].1.contains("signal 9"), "{reasons:?}");
    let times: Vec<&str> =
        web["history"].as_array().unwrap().iter().map(|it| it["at"].as_str().unwrap()).collect();
    assert!(
        times.is_sorted() && times.iter().all(|time| time.starts_with("20") && time.ends_with('Z')),
        "{times:?}"
    );
}

// req: EDGE-13
#[test]
fn nobody_who_answers_is_502_and_the_log_says_why() {
    let closed = free_port();
    // Nobody waits for it to come back.
    let web = "hold = 0\nhealth = { interval = \"1h\" }\nrestart = { delay = \"1h\", max_delay = \"1h\" }\n";
    let stage = Stage::new(&format!("{WEB}{web}"));
    let site =
        format!("[[site]]\nhosts = [\"p.localhost\"]\n[[site.route]]\nproxy = \"127.0.0.1:{closed}\"\n");
    stage.sandbox.write("mainstay.toml", stage::manifest(&(site + WEB + web)));
    stage.sandbox.start_daemon(stage.port);
    let logged = |path: &str| {
        wait_until("it is logged", || {
            stage.access_log().into_iter().find(|line| line["path"] == path && line["status"] == 502)
        })
    };
    let asked = |host: &str, path: &str| {
        let begun = Instant::now();
        assert_eq!(testkit::http::get(stage.port, host, path).status, 502);
        assert!(begun.elapsed() < Duration::from_secs(5), "later than the connect timeout");
        logged(path)
    };
    let line = asked("p.localhost", "/nobody");
    assert!(line["upstream"].as_str().unwrap().contains(&closed.to_string()), "{line}");
    assert!(line["error"].as_str().unwrap().contains("refused"), "{line}");

    stage.get("/deaf");
    // idle connections to it, one for each core, may live for a second
    wait_until("it hears nothing", || (stage.get("/to-the-deaf").status == 502).then_some(()));
    let line = logged("/to-the-deaf");
    assert!(line["upstream"].as_str().unwrap().starts_with("t/web"), "{line}");
    assert!(line["error"].as_str().unwrap().contains("connect"), "{line}");

    stage.run(&["restart", "web"]).expect_code(0);
    let line = asked(stage::HOST, "/exit/1");
    assert!(line["upstream"].as_str().unwrap().starts_with("t/web") && line["error"].is_string(), "{line}");
    stage.wait_for_app("web", "crashed", |app| app["ready"] == 0);
    let line = asked(stage::HOST, "/to-the-crashed");
    assert!(line["error"].is_string(), "{line}");
    stage.run(&["stop", "web"]).expect_code(0);
    let line = asked(stage::HOST, "/to-the-stopped");
    assert!(line["error"].is_string(), "{line}");
}

#[test]
fn a_command_says_how_healthy_an_app_is() {
    let health = "health = { command = [\"sh\", \"-c\", \"echo looking $NAME; test -e well\"], interval = \"50ms\", retries = 1, start_period = \"300ms\" }\n";
    let stage = Stage::new(&format!("{WEB}env = {{ NAME = \"named\" }}\n{health}{QUICK}"));
    let output = stage.starting().wait().expect_code(4);
    let reason = "within 300ms: sh: exit status: 1: looking named";
    assert!(output.stderr.contains(reason), "{reason:?} is missing in:\n{}", output.stderr);
    stage.signal("well");
    let pid = pids(&stage.wait_ready("web"))[0];
    stage.unsignal("well");
    stage.wait_for_app("web", "unhealthy", |app| app["state"] == "unhealthy");
    assert_eq!(stage.get("/").status, 503);
    stage.signal("well");
    assert_eq!(pids(&stage.wait_ready("web")), [pid]);
    assert_eq!(stage.answering(), pid);
}

#[test]
fn a_slow_start_is_waited_for_within_its_start_period() {
    let stage = Stage::new(&format!(
        "{WEB}hold = 0\nenv = {{ START_GATE = \"go\" }}\nhealth = {{ path = \"/health\", interval = \"20ms\", retries = 1, start_period = \"30s\" }}\n"
    ));
    let starting = stage.starting();
    wait_until("it begins", || stage.home_file("logs/t/web.1.out.log").contains("begins").then_some(()));
    // many more failed tries than `retries`
    std::thread::sleep(Duration::from_millis(400));
    let answer = stage.get("/");
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    stage.signal("go");
    starting.wait().expect_code(0);
    assert_eq!(restarts(&stage.app("web")), 0);
}
