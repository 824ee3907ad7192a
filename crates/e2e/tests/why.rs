//! `mainstay why`: each cause by real traffic, named with its instance and release.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{HOST, QUICK, Stage, WEB};
use std::fs;
use testkit::http::{Connection, Response, get};
use testkit::wait_until;

/// The site's routes: one with a limit, one that is not waited for long.
const ROUTES: &str = "[[site.route]]\npath = \"/limited\"\napp = \"web\"\nlimit = \"1/h\"\n[[site.route]]\npath = \"/wait/*\"\napp = \"web\"\ntimeout = { read = \"500ms\" }\n";

fn manifest(apps: &str) -> String {
    let rest = "[[site.route]]\npath = \"/*\"\napp = \"web\"\n";
    let logs = "[logs]\nredact = [\"email\", \"token\", \"card\"]\n";
    format!("stack = \"t\"\n{logs}[[site]]\nhosts = [\"{HOST}\"]\n{ROUTES}{rest}{apps}")
}

fn started(apps: &str) -> Stage {
    let stage = Stage::new("");
    stage.sandbox.write("mainstay.toml", manifest(apps));
    stage.sandbox.start_daemon(stage.port);
    stage
}

fn post(stage: &Stage, path: &str) -> Connection {
    let mut connection = Connection::open(("127.0.0.1", stage.port));
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    connection.send(head);
    connection
}

fn id(response: &Response) -> String {
    let id = response.header("X-Request-Id").expect("an id").to_owned();
    assert!(response.status < 400 || response.text().contains(&id), "{}", response.text());
    id
}

/// What `why --json` says, once it is written down and fits.
#[track_caller]
fn why(stage: &Stage, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let mut last = String::new();
    wait_until("it is known", || {
        let output = stage.run(&["why", id, "--json"]);
        let told: Option<Value> = serde_json::from_str(&output.stdout).ok();
        last = output.stdout;
        told.filter(|told| told["found"] != "unknown" && fits(told))
    })
}

/// As [`why`], of this cause, at the app's instance of the first release.
#[track_caller]
fn failed(stage: &Stage, response: &Response, cause: &str, because: &str) -> Value {
    let told =
        why(stage, &id(response), |told| told["because"].as_str().unwrap_or_default().contains(because));
    assert_eq!(told["failure"]["cause"], cause, "{told:#}");
    assert!(told["next"].as_str().is_some_and(|next| !next.is_empty()), "{told:#}");
    told
}

#[track_caller]
fn names_instance(told: &Value) {
    assert!(told["instance"].as_str().unwrap_or_default().starts_with("t/web.1"), "{told:#}");
    assert_eq!(told["release"], 1, "{told:#}");
    assert!(told["release_at"].as_str().is_some_and(|at| at.starts_with("20")), "{told:#}");
}

#[test]
fn an_instance_that_exits_or_is_killed_is_named_with_its_last_words() {
    let stage = started(&format!("{WEB}{QUICK}"));
    let pid = stage.pids("web")[0];
    let answer = post(&stage, "/exit/3").response();
    assert_eq!(answer.status, 502);
    let told = failed(&stage, &answer, "broken_off", "exited with status 3");
    names_instance(&told);
    assert_eq!(told["pid"], pid);
    let output = told["output"].to_string();
    assert!(output.contains("listens") && output.contains("complains"), "{told:#}");
    // Also long after another run has taken its place, and without a keeper.
    stage.wait_ready("web");
    stage.kill_keeper();
    let again = failed(&stage, &answer, "broken_off", "exited with status 3");
    assert_eq!(again["output"], told["output"]);
    let text = stage.run(&["why", &id(&answer)]).expect_code(0).stdout;
    for part in
        ["502: ", "web.1 exited with status 3", "release 1", "mainstay logs web", "complains", "/exit/3"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(text.lines().count() < 40, "{text}");

    stage.sandbox.start_daemon(stage.port);
    stage.wait_ready("web");
    let mut waits = post(&stage, "/wait/never");
    wait_until("it has it", || stage.home_file("logs/t/web.1.out.log").contains("waits").then_some(()));
    stage.kill(stage.pids("web")[0]);
    let answer = waits.response();
    assert_eq!(answer.status, 502);
    names_instance(&failed(&stage, &answer, "broken_off", "signal 9"));
}

#[test]
fn limits_timeouts_and_unknown_names_are_told_apart() {
    let stage = started(WEB);
    let slow = stage.get("/wait/never");
    assert_eq!(slow.status, 504);
    let told = failed(&stage, &slow, "read_timeout", "500 ms");
    names_instance(&told);
    assert_eq!(told["failure"]["route"], "/wait/*");
    assert_eq!(stage.get("/limited").status, 200);
    let limited = stage.get("/limited");
    assert_eq!(limited.status, 429);
    let told = failed(&stage, &limited, "rate_limit", "limit");
    assert_eq!(told["failure"]["upstream"], "t/web");
    let nowhere = get(stage.port, "nobody.localhost", "/");
    assert_eq!(nowhere.status, 404);
    assert_eq!(failed(&stage, &nowhere, "no_site", "")["failure"]["host"], "nobody.localhost");

    let fine = stage.get("/fine");
    let told = why(&stage, &id(&fine), |_| true);
    assert_eq!(
        (told["found"].as_str(), told["answered"]["status"].as_u64()),
        (Some("answered"), Some(200)),
        "{told:#}"
    );
    let output = stage.run(&["why", "not-an-id-of-ours"]).expect_code(2);
    assert!(output.stderr.contains("unknown"), "{}", output.stderr);
    let old = "01890000-0000-7000-8000-000000000000";
    let output = stage.run(&["why", old]).expect_code(2);
    assert!(output.stderr.contains("expired"), "{}", output.stderr);

    let listed: Value =
        serde_json::from_str(&stage.run(&["why", "--json", "--since", "1h"]).expect_code(0).stdout).unwrap();
    let causes: Vec<&str> =
        listed.as_array().unwrap().iter().map(|row| row["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["no_site", "rate_limit", "read_timeout"]);
    let of_app = stage.run(&["why", "--app", "web", "-n", "1"]).expect_code(0).stdout;
    assert!(of_app.contains("rate limit") && !of_app.contains("no site"), "{of_app}");
}

#[test]
fn a_request_that_outlasts_the_drain_is_told_so() {
    let stage = Stage::new("");
    let patient =
        manifest(&format!("{WEB}stop = {{ drain = \"300ms\", timeout = \"5s\" }}\n")).replace("500ms", "60s");
    stage.sandbox.write("mainstay.toml", patient);
    stage.sandbox.start_daemon(stage.port);
    let mut waits = post(&stage, "/wait/never");
    wait_until("it has it", || stage.home_file("logs/t/web.1.out.log").contains("waits").then_some(()));
    let restarting = stage.sandbox.start(stage.arguments(&["restart", "web"]));
    let answer = waits.response();
    restarting.wait().expect_code(0);
    assert_eq!(answer.status, 502);
    let told = failed(&stage, &answer, "drain_overrun", "still had requests after 300ms");
    names_instance(&told);
    assert!(told["next"].as_str().unwrap().contains("drain"), "{told:#}");
}

#[test]
fn too_many_that_wait_are_told_so_with_what_they_waited_for() {
    let stage = Stage::new("");
    let gated =
        format!("{WEB}env = {{ START_GATE = \"go\" }}\nhold = {{ requests = 1, wait = \"60s\" }}\n{QUICK}");
    stage.sandbox.write("mainstay.toml", manifest(&gated));
    stage.signal("go");
    stage.sandbox.start_daemon(stage.port);
    stage.unsignal("go");
    stage.kill(stage.pids("web")[0]);
    let mut waits = post(&stage, "/");
    stage.wait_for_app("web", "waited for", |app| app["traffic"]["waiting"] == 1);
    let refused = post(&stage, "/").response();
    assert_eq!((refused.status, refused.header("Retry-After").is_some()), (503, true));
    names_instance(&failed(&stage, &refused, "hold_full", "signal 9"));
    let text = stage.run(&["why", &id(&refused)]).expect_code(0).stdout;
    assert!(text.contains("too many requests waited for one already") && text.contains("web.1"), "{text}");
    // people see who waits, in each of the views
    let top = stage.run(&["top", "--once"]).expect_code(0).stdout;
    assert!(top.lines().any(|line| line.split_whitespace().eq(["waiting", "t/web", "1"])), "{top}");
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.lines().any(|line| line.split_whitespace().eq(["web", "1", "0", "1", "0"])), "{text}");
    let text = stage.run(&["status", "web"]).expect_code(0).stdout;
    assert!(text.contains("1 wait now, 0 waited before, 1 too many or too long, 0 sent again"), "{text}");
    stage.signal("go");
    assert_eq!(waits.response().status, 200);
    stage.wait_for_app("web", "counted", |app| app["traffic"]["held"] == 1 && app["traffic"]["waiting"] == 0);
}

#[test]
fn failing_health_checks_are_named_with_the_check() {
    let stage =
        started(&format!("{WEB}health = {{ path = \"/health\", interval = \"50ms\", retries = 2 }}\n"));
    stage.signal("sick");
    stage.wait_for_app("web", "sick", |app| app["state"] == "unhealthy");
    let answer = wait_until("it is refused", || Some(stage.get("/")).filter(|answer| answer.status == 503));
    let told = failed(&stage, &answer, "unhealthy", "500");
    names_instance(&told);
}

#[test]
fn an_instance_over_its_memory_is_named_with_the_figure() {
    let stage = Stage::new("");
    let eat = "import os,socket,time\ns=socket.socket()\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind((os.environ['HOST'],int(os.environ['PORT'])))\ns.listen(8)\nprint('hungry',flush=True)\nwhile True:\n c,_=s.accept()\n if c.recv(65536).startswith(b'POST'):\n  print('begins to eat',flush=True)\n  eaten=bytearray(120<<20)\n  time.sleep(60)\n c.close()\n";
    stage.sandbox.write("eat.py", eat);
    let app =
        "[app.web]\nrun = \"python3 -S eat.py\"\nlisten = \"port\"\nresources = { memory = \"60MB\" }\n";
    stage.sandbox.write("mainstay.toml", manifest(&app.replace("listen = \"port\"\n", "")));
    stage.sandbox.start_daemon(stage.port);
    let answer = post(&stage, "/eat").response();
    assert_eq!(answer.status, 502);
    let told = failed(&stage, &answer, "broken_off", "memory");
    names_instance(&told);
    let because = told["because"].as_str().unwrap();
    assert!(because.chars().any(|letter| letter.is_ascii_digit()) && because.contains('B'), "{because}");
    assert!(told["next"].as_str().unwrap().contains("resources"), "{told:#}");
    assert!(told["output"].to_string().contains("begins to eat"), "{told:#}");
}

// req: PRIV-12
#[test]
fn what_is_planted_appears_in_no_log_and_no_answer() {
    let stage = started(&format!("{WEB}{QUICK}"));
    let (mail, card, token) = (
        "bob.planted@example.org",
        "4111111111111111",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlcGxhbnRlZA",
    );
    let path = format!("/exit/x{mail}/{card}?card={card}&mail={mail}&access_token={token}");
    let mut connection = Connection::open(("127.0.0.1", stage.port));
    connection.send(format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nCookie: session={token}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{mail}",
        mail.len()
    ));
    let answer = connection.response();
    assert_eq!(answer.status, 502);
    let told = why(&stage, &id(&answer), |_| true);
    let path = told["failure"]["path"].as_str().unwrap();
    assert!(path.contains("[email]") && path.contains("[card]"), "{told:#}");
    let text = stage.run(&["why", &id(&answer)]).stdout + &stage.run(&["why"]).stdout + &told.to_string();
    let mut texts = vec![("why".to_owned(), text)];
    let mut folders = vec![stage.sandbox.home().join("logs")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push((
                    path.display().to_string(),
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
                ));
            }
        }
    }
    assert!(texts.iter().any(|(name, _)| name.contains("failures")), "no ring");
    for (name, text) in texts {
        for planted in [mail, card, token] {
            assert!(!text.contains(planted), "{planted} is in {name}: {text}");
        }
    }
}
