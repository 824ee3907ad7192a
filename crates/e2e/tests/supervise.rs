//! What the supervisor promises, seen from outside: crashes, health, history, restarts under load, the limits of trying.
#![allow(clippy::unwrap_used)] // helpers of tests too

use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use testkit::http::{get, try_status};
use testkit::{Sandbox, free_port, signal, wait_until};

/// Answers with its pid; `/health` with what the file `health` says.
const WEB_PY: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        status = 200
        if self.path == "/health" and os.path.exists("unhealthy"):
            status = 500
        body = str(os.getpid()).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn manifest(more: &str) -> String {
    format!(
        "stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\n[[site.route]]\napp = \"web\"\n\
         [app.web]\nrun = \"python3 -u web.py\"\n{more}"
    )
}

fn sandbox(more: &str) -> Sandbox {
    let sandbox = Sandbox::with_manifest(&manifest(more));
    sandbox.write("web.py", WEB_PY);
    sandbox
}

fn app(sandbox: &Sandbox) -> Value {
    sandbox.status()["stacks"][0]["apps"][0].clone()
}

/// Sends requests one after the other until told to stop; gives how many were not answered with 200.
fn load(port: u16, stop: &AtomicBool) -> (usize, usize) {
    let (mut sent, mut failed) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        sent += 1;
        failed += usize::from(try_status(port, "t.localhost", "/") != Some(200));
    }
    (sent, failed)
}

/// What `load` counts while `act` is done.
fn under_load(port: u16, act: impl FnOnce()) -> (usize, usize) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4).map(|_| scope.spawn(|| load(port, &stop))).collect();
        act();
        stop.store(true, Ordering::Relaxed);
        let counts = loads.into_iter().map(|load| load.join().unwrap());
        counts.fold((0, 0), |total, one| (total.0 + one.0, total.1 + one.1))
    })
}

// req: PROC-18
#[test]
fn a_killed_instance_comes_back_and_the_other_serves_meanwhile() {
    let sandbox = sandbox("instances = 2\nrestart = { delay = \"100ms\" }\n");
    let port = free_port();
    let up = sandbox.up(port);
    let (sent, failed) = under_load(port, || {
        let pid = app(&sandbox)["instances"][0]["pid"].as_u64().unwrap();
        signal(u32::try_from(pid).unwrap(), "KILL");
        wait_until("two instances are ready again", || {
            let app = app(&sandbox);
            let pids = app["instances"].as_array()?.iter().map(|instance| instance["pid"].as_u64());
            (app["ready"] == 2 && pids.flatten().all(|now| now != pid)).then_some(())
        });
    });
    assert_eq!(failed, 0, "of {sent} requests");
    up.signal("INT");
    up.wait().expect_code(0);
}

#[test]
fn a_restart_under_load_fails_no_request() {
    let sandbox = sandbox("instances = 2\n");
    let port = free_port();
    let up = sandbox.up(port);
    let (sent, failed) = under_load(port, || drop(sandbox.run(["restart", "web"]).expect_code(0)));
    assert!(sent > 0);
    assert_eq!(failed, 0, "of {sent} requests");
    up.signal("INT");
    up.wait().expect_code(0);
}

// req: OBS-16
#[test]
fn changes_of_health_are_kept_with_times_and_reasons() {
    let sandbox = sandbox("health = { path = \"/health\", interval = \"100ms\", retries = 2 }\n");
    let port = free_port();
    let up = sandbox.up(port);
    let mark = sandbox.write("unhealthy", "");
    wait_until("it is unhealthy", || (app(&sandbox)["state"] == "unhealthy").then_some(()));
    // all are unhealthy: an answer at once
    let begun = Instant::now();
    assert_eq!(get(port, "t.localhost", "/").status, 503);
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
    let text = sandbox.run(["status"]).expect_code(0).stdout;
    assert!(text.contains("500"), "the reason is missing:\n{text}");
    std::fs::remove_file(mark).unwrap();
    wait_until("it is ready again", || (app(&sandbox)["state"] == "ready").then_some(()));
    assert_eq!(get(port, "t.localhost", "/").status, 200);

    let history = app(&sandbox)["history"].as_array().unwrap().clone();
    let states: Vec<&str> = history.iter().map(|change| change["state"].as_str().unwrap()).collect();
    assert!(states.ends_with(&["ready", "unhealthy", "ready"]), "{states:?}");
    let unhealthy = &history[history.len() - 2];
    assert!(unhealthy["reason"].as_str().unwrap().contains("500"), "{unhealthy}");
    let times: Vec<&str> = history.iter().map(|change| change["at"].as_str().unwrap()).collect();
    assert!(
        times.is_sorted() && times.iter().all(|time| time.starts_with("20") && time.ends_with('Z')),
        "{times:?}"
    );
    up.signal("INT");
    up.wait().expect_code(0);
}

#[test]
fn after_max_restarts_an_app_is_failed_and_not_tried_again() {
    let sandbox = sandbox("restart = { delay = \"20ms\", max_delay = \"50ms\", max_restarts = 3 }\n");
    let port = free_port();
    let up = sandbox.up(port);
    sandbox.write("web.py", "print('out of paper', flush=True)\nraise SystemExit(9)\n");
    let pid = get(port, "t.localhost", "/").text().parse().unwrap();
    signal(pid, "KILL");
    wait_until("it is failed", || (app(&sandbox)["state"] == "failed").then_some(()));
    assert_eq!(get(port, "t.localhost", "/").status, 502);
    let reason = app(&sandbox)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("status 9") && reason.contains("out of paper"), "{reason}");
    let starts =
        || app(&sandbox)["history"].as_array().unwrap().iter().filter(|it| it["state"] == "starting").count();
    let before = starts();
    // put right and asked for, it starts again
    sandbox.write("web.py", WEB_PY);
    sandbox.run(["restart", "web"]).expect_code(0);
    assert_eq!(starts(), before + 1);
    assert_eq!(get(port, "t.localhost", "/").status, 200);
    up.signal("INT");
    up.wait().expect_code(0);
}
