//! The life of a project: scaled, killed, reloaded, adopted, down and up again.

use crate::ground::{Ground, LONG};
use std::time::{Duration, Instant};
use testkit::http::get;
use testkit::wait_within;

// req: CONT-06, CONT-26
#[test]
fn a_project_lives_through_all_of_it() {
    let Some(mut ground) = Ground::new() else { return };
    let shape = ground.shape("life", include_str!("shapes/life.yaml"));
    shape.start();
    shape.sh("echo kept > /data/it");

    shape.run(&["scale", "web=2"]).expect_code(0);
    wait_within(LONG, "two instances", || (shape.app("web")["ready"] == 2).then_some(()));
    let (web, other) = (shape.pids("web"), shape.pids("other"));

    // One instance dies under load: nothing is lost.
    let port = shape.ports[0];
    let asking =
        std::thread::spawn(move || (0..200).filter(|_| get(port, "localhost", "/").status != 200).count());
    testkit::signal(u32::try_from(web[0]).unwrap(), "KILL");
    wait_within(LONG, "a new one", || {
        let now = shape.pids("web");
        (shape.app("web")["ready"] == 2 && now.len() == 2 && !now.contains(&web[0])).then_some(())
    });
    assert_eq!(asking.join().unwrap(), 0, "requests were lost");
    assert!(shape.pids("web").contains(&web[1]));

    // A change of one service replaces that one alone.
    let web = shape.pids("web");
    let file = include_str!("shapes/life.yaml").replace("STAGE: one", "STAGE: two");
    ground.write(&shape, "docker-compose.yml", &format!("name: {}\n{file}", shape.project));
    shape.run(&["reload"]).expect_code(0);
    assert_eq!(shape.sh("echo $STAGE; cat /data/it"), "two\nkept");
    assert_eq!(shape.pids("other"), other);
    assert!(shape.pids("web").iter().all(|pid| !web.contains(pid)));

    // One service is stopped and started.
    let web = shape.pids("web");
    shape.run(&["stop", "other"]).expect_code(0);
    assert_eq!((shape.app("other")["state"].clone(), shape.pids("web")), ("stopped".into(), web.clone()));
    shape.run(&["start", "other"]).expect_code(0);
    let other = shape.pids("other");

    // The keeper dies, and finds its containers again.
    let status = shape.run(&["status", "--json"]).json();
    let keeper = u32::try_from(status["keeper"]["pid"].as_u64().unwrap()).unwrap();
    testkit::signal(keeper, "KILL");
    wait_within(LONG, "it is dead", || (!testkit::is_alive(keeper)).then_some(()));
    assert_eq!(shape.get("/"), "hello\n");
    shape.start();
    assert_eq!((shape.pids("web"), shape.pids("other")), (web, other));

    // Down, and up again.
    shape.stop();
    shape.start();
    assert_eq!(shape.sh("echo $STAGE; cat /data/it"), "two\nkept");
    ground.end();
}

// req: CONT-13, QUIRK-38
#[test]
fn a_check_by_curl_needs_no_curl_counts_nothing_in_the_start_period_and_five_failures_after_it() {
    let Some(mut ground) = Ground::new() else { return };
    let shape = ground.shape("patient", include_str!("shapes/patient.yaml"));
    shape.start();
    let web = shape.app("web");
    let states = |app: &serde_json::Value| -> Vec<String> {
        let all = app["history"].as_array().unwrap().iter();
        all.map(|it| it["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(states(&web), ["starting", "ready"], "failures at first do not count: {web:#}");

    // Three failures are none, once it is well again.
    let state = || shape.app("web")["state"].as_str().unwrap().to_owned();
    shape.sh("mv /srv/index.html /srv/away; sleep 3; mv /srv/away /srv/index.html; sleep 3");
    assert_eq!(state(), "ready");
    let begun = Instant::now();
    shape.sh("rm /srv/index.html");
    wait_within(LONG, "it is unhealthy", || (state() == "unhealthy").then_some(()));
    assert!(begun.elapsed() > Duration::from_secs(4), "before five failures: {:?}", begun.elapsed());
    let web = shape.app("web");
    assert_eq!(states(&web), ["starting", "ready", "unhealthy"], "{web:#}");
    let pid = shape.pids("web");
    shape.run(&["exec", "web", "--", "sh", "-c", "echo well > /srv/index.html"]).expect_code(0);
    wait_within(LONG, "it is well again", || (state() == "ready").then_some(()));
    assert_eq!(shape.pids("web"), pid, "it was left as it is");
    ground.end();
}

#[test]
fn an_image_that_is_not_there_is_said_with_what_to_do() {
    let Some(mut ground) = Ground::new() else { return };
    let shape = ground.shape(
        "missing",
        "services: { web: { image: 'localhost/e2e/not-there:1', ports: ['127.0.0.1:${PORT}:80'] } }\n",
    );
    let output = shape.run(&["up", "--http", "127.0.0.1:0"]);
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(output.stderr.contains("localhost/e2e/not-there:1"), "{}", output.stderr);
    assert!(output.stderr.contains("podman load -i FILE"), "{}", output.stderr);
    ground.sandbox.processes().iter().for_each(|pid| testkit::signal(*pid, "KILL"));
}
