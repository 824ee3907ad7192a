//! What happens to an instance by itself: it ends, it hangs, it is sick, it cannot start; and what is known of that afterwards.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{QUICK, Stage, WEB, history, instances, pids, restarts};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};
use testkit::{is_alive, wait_until};

/// Runs a command that never listens.
fn worker(name: &str, script: &str) -> String {
    format!("[app.{name}]\nrun = ['sh', '-c', '''{script}''']\nlisten = false\n")
}

// req: PROC-03
#[test]
fn every_end_is_followed_by_a_start_but_a_stop_is_not() {
    // Nothing waits, and nothing is sent to the next one: a request that ends its instance ends one.
    let stage = Stage::new(&format!("{WEB}hold = 0\n{QUICK}{}{QUICK}", worker("loop", "sleep 0.02")));
    drop(stage.starting().wait());
    let mut pid = pids(&stage.wait_ready("web"))[0];
    for (how, end) in [
        ("/exit/0", "exited with status 0"),
        ("/exit/3", "exited with status 3"),
        ("KILL", "was ended by signal 9"),
    ] {
        match how {
            "KILL" => stage.kill(pid),
            path => assert_eq!(stage.get(path).status, 502),
        }
        let web = stage.wait_for_app("web", "started again", |app| app["ready"] == 1 && pids(app) != [pid]);
        assert_eq!(instances(&web)[0]["last_end"], end);
        pid = pids(&web)[0];
    }
    assert_eq!(restarts(&stage.app("web")), 3);

    stage.run(&["stop", "web"]).expect_code(0);
    let (web, other) = (stage.app("web"), restarts(&stage.app("loop")));
    assert_eq!((&web["state"], history(&web).last().unwrap().1.as_str()), (&"stopped".into(), "was stopped"));
    // somebody with the same delays is started several times meanwhile
    stage.wait_for_app("loop", "started again and again", |app| restarts(app) > other + 5);
    assert_eq!(stage.app("web")["state"], "stopped");
    assert_eq!(history(&stage.app("web")).len(), history(&web).len());
}

// req: PROC-07
#[test]
fn what_cannot_be_executed_fails_the_start_with_its_reason() {
    let cases = [
        ("[app.web]\nrun = \"./nowhere\"\n", 1, "`./nowhere` does not exist"),
        ("[app.web]\nrun = \"python3 -S app.py\"\nuser = \"nosuchuser\"\n", 1, "nosuchuser"),
        ("[app.web]\nrun = \"./script\"\n", 4, "could not be started"),
    ];
    for (apps, code, reason) in cases {
        let stage = Stage::new(apps);
        let script = stage.sandbox.write("script", "#!/nowhere/interpreter\n");
        std::fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let output = stage.starting().wait().expect_code(code);
        assert!(output.stderr.contains(reason), "{reason:?} is missing in:\n{}", output.stderr);
        let output = stage.sandbox.run(["up", "--http", "127.0.0.1:0"]).expect_code(code);
        assert!(output.stderr.contains(reason), "{reason:?} is missing in:\n{}", output.stderr);
    }
}

// req: PROC-09
#[test]
fn relative_paths_start_in_the_working_folder() {
    let apps = worker("web", "pwd > logs/access.log; exec sleep 600") + "dir = \"inner\"\n";
    let stage = Stage::new(&apps.replace(
        "listen = false",
        "listen = true\nhealth = { command = [\"test\", \"-s\", \"logs/access.log\"] }",
    ));
    stage.sandbox.write("inner/logs/old.log", "");
    stage.sandbox.start_daemon(stage.port);
    let inner = stage.sandbox.stack().join("inner");
    let wrote = std::fs::read_to_string(inner.join("logs/access.log")).unwrap();
    assert_eq!(wrote.trim(), inner.to_str().unwrap());
}

/// Ignores SIGTERM, and so does a daemon that it leaves behind in a session of its own.
const DAEMON_PY: &str = r#"
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked to stop", flush=True))
if os.fork() == 0:
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    open("daemon", "w").write(str(os.getpid()))
else:
    print("runs", flush=True)
while True:
    time.sleep(1)
"#;

// req: PROC-15
#[test]
fn a_stop_ends_all_processes_at_its_deadline() {
    let stage = Stage::new(&format!(
        "{WEB}[app.old]\nrun = \"python3 -S daemon.py\"\nlisten = false\nstop = {{ timeout = \"400ms\" }}\n"
    ));
    stage.sandbox.write("daemon.py", DAEMON_PY);
    stage.sandbox.start_daemon(stage.port);
    let main = stage.pids("old")[0];
    let daemon: u32 = wait_until("the daemon has said its id", || {
        std::fs::read_to_string(stage.sandbox.stack().join("daemon")).ok()?.parse().ok()
    });
    assert!(is_alive(main) && is_alive(daemon));
    let begun = Instant::now();
    stage.run(&["stop", "old"]).expect_code(0);
    assert!(begun.elapsed() >= Duration::from_millis(400), "no time was given");
    assert!(!is_alive(main) && !is_alive(daemon));
    assert!(stage.home_file("logs/t/old.1.out.log").contains("asked to stop"));
    assert_eq!(stage.answering(), stage.pids("web")[0]);
}

// req: PROC-16
#[test]
fn a_missing_folder_is_named_and_the_apps_own_belongs_to_its_user() {
    let script = "id -u > \\\"$$STATE_DIRECTORY\\\"/who; exec sleep 600";
    let apps = format!(
        "{WEB}[app.job]\nlisten = false\n\
         run = [\"sh\", \"-c\", \"{script}\", \"--log=/var/log/nowhere-at-all/access.log\"]\n"
    );
    let stage = Stage::new(&apps);
    let output = stage.sandbox.start_daemon(stage.port);
    assert!(output.stderr.contains("`/var/log/nowhere-at-all` does not exist"), "{}", output.stderr);
    let folder = stage.sandbox.home().join("state/t/job");
    let who = wait_until("it wrote its user", || {
        std::fs::read_to_string(folder.join("who")).ok().filter(|who| who.ends_with('\n'))
    });
    let owner = std::fs::metadata(stage.sandbox.stack()).unwrap().uid();
    assert_eq!(who.trim(), owner.to_string(), "it runs as the owner of its stack's folder");
    assert_eq!(std::fs::metadata(folder).unwrap().uid(), owner);
}

// req: PROC-18
#[test]
fn a_killed_instance_comes_back_and_no_request_fails() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n{QUICK}"));
    let load = Load::begin(stage.port, "/");
    for _ in 0..3 {
        let before = stage.pids("web");
        stage.kill(before[0]);
        let web = stage
            .wait_for_app("web", "whole again", |app| app["ready"] == 2 && !pids(app).contains(&before[0]));
        assert!(pids(&web).contains(&before[1]), "the other one serves on");
        load.more(20);
    }
    load.end();
}

// req: PROC-20
#[test]
fn who_lived_long_enough_is_started_again_without_end() {
    let limits =
        "restart = { delay = \"10ms\", max_delay = \"10ms\", min_uptime = \"150ms\", max_restarts = 1 }\n";
    let apps = format!(
        "{WEB}{}{limits}{}{limits}",
        worker("steady", "sleep 0.3; exit 1"),
        worker("hasty", "exit 1")
    );
    let stage = Stage::new(&apps);
    assert_eq!(stage.starting().wait().code, Some(4));
    stage.wait_for_app("steady", "started again and again", |app| restarts(app) >= 4);
    assert_ne!(stage.app("steady")["state"], "failed");
    stage.wait_for_app("hasty", "failed", |app| app["state"] == "failed");
}

// req: PROC-21
#[test]
fn after_ten_unstable_restarts_nothing_is_started_until_somebody_asks_and_an_alert_is_raised() {
    let limits = "restart = { delay = \"10ms\", max_delay = \"10ms\", max_restarts = 10 }\n";
    let apps = format!(
        "{WEB}{}{limits}{}{QUICK}",
        worker("bad", "echo begins; test -e database && exec sleep 600; echo no database >&2; exit 7"),
        worker("loop", "sleep 0.02")
    );
    let stage = Stage::new(&apps);
    let output = stage.starting().wait().expect_code(4);
    assert!(output.stderr.contains("exited with status 7"), "{}", output.stderr);
    let begun = || stage.home_file("logs/t/bad.1.out.log").matches("begins").count();
    let bad = stage.wait_for_app("bad", "failed", |app| app["state"] == "failed");
    let reason = bad["reason"].as_str().unwrap();
    assert!(
        reason.contains("bad.1 exited with status 7, the 11th time in a row")
            && reason.contains("no database"),
        "{reason}"
    );
    let status = stage.status();
    assert_eq!((begun(), &status["stacks"][0]["state"]), (11, &"failed".into()));
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.contains("no database"), "the last lines are not shown:\n{text}");

    let alert = &status["alerts"][0];
    assert_eq!(status["alerts"].as_array().unwrap().len(), 1, "{status:#}");
    assert_eq!(
        (&alert["stack"], &alert["app"], &alert["instances"][0]),
        (&"t".into(), &"bad".into(), &"bad.1".into())
    );
    let since = alert["since"].as_str().expect("its time");
    assert_eq!(history(&bad).last().unwrap().0, "failed");
    assert_eq!(bad["history"].as_array().unwrap().last().unwrap()["at"], since);
    for part in [
        &format!("alert since {since}: bad.1 exited with status 7, the 11th time in a row"),
        "next: mainstay logs bad",
        "mainstay restart bad",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    let figure = |app: &str, count: u32| {
        let line = format!("mainstay_app_failed{{stack=\"t\",app=\"{app}\"}} {count}");
        let metrics = stage.run(&["metrics"]).expect_code(0).stdout;
        assert!(metrics.lines().any(|own| own == line), "no {line} in:\n{metrics}");
    };
    figure("bad", 1);
    figure("loop", 0);
    let log = stage.home_file("logs/keeper.log");
    assert_eq!(
        log.lines().filter(|line| line.contains("alert: ") && line.contains("bad.1")).count(),
        1,
        "{log}"
    );

    let other = restarts(&stage.app("loop"));
    stage.wait_for_app("loop", "started again and again", |app| restarts(app) > other + 5);
    assert_eq!(begun(), 11, "it was started again");
    assert_eq!(stage.run(&["restart", "bad"]).code, Some(4));
    stage.wait_for_app("bad", "failed again", |app| app["state"] == "failed" && begun() == 22);
    stage.signal("database");
    stage.run(&["restart", "bad"]).expect_code(0);
    assert_eq!(stage.status()["alerts"].as_array().unwrap().len(), 0, "it is over");
    figure("bad", 0);
    assert_eq!(stage.answering(), stage.pids("web")[0], "nobody else is touched");
}

// req: PROC-22, OBS-03
#[test]
fn output_is_kept_by_instance_and_stream_and_shown_together() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n"));
    for slot in [1, 2] {
        let [out, err] =
            ["out", "err"].map(|stream| stage.home_file(&format!("logs/t/web.{slot}.{stream}.log")));
        assert!(out.contains("app listens") && !out.contains("complains"), "{out}");
        assert!(err.contains("app complains") && !err.contains("listens"), "{err}");
        assert_eq!(out.matches("app begins").count(), 1, "lines of one instance only: {out}");
    }
    let both = stage.run(&["logs", "web"]).expect_code(0).stdout;
    for label in ["web.1", "web.2"] {
        for said in ["listens", "complains"] {
            assert!(
                both.lines().any(|line| line.starts_with(label) && line.contains(said)),
                "{label} {said}:\n{both}"
            );
        }
    }
    let last = stage.run(&["logs", "web.2", "-n", "1", "--no-prefix"]).expect_code(0).stdout;
    assert_eq!(last.lines().count(), 1, "{last}");
    let streams = stage.run(&["logs", "web.1", "--json"]).expect_code(0).stdout;
    let streams: Vec<Value> = streams.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stream_of = |text: &str| {
        streams.iter().find(|it| it["text"].as_str().unwrap().contains(text)).unwrap()["stream"].clone()
    };
    assert_ne!(stream_of("listens"), stream_of("complains"));
}

// req: PROC-24
#[test]
fn needs_come_first_and_go_last() {
    let app = |name: &str, gate: &str, needs: &str| {
        format!(
            "[app.{name}]\nrun = \"python3 -S app.py\"\nneeds = [{needs}]\nenv = {{ NAME = \"{name}\", START_GATE = \"{gate}\" }}\n"
        )
    };
    let stage = Stage::new(
        &(app("db", "db.go", "") + &app("back", "back.go", "\"db\"") + &app("web", "web.go", "\"back\"")),
    );
    let starting = stage.starting();
    let begun = |name: &str| stage.home_file(&format!("logs/t/{name}.1.out.log")).contains("begins");
    for (name, next) in [("db", Some("back")), ("back", Some("web")), ("web", None)] {
        wait_until("it begins", || begun(name).then_some(()));
        assert!(next.is_none_or(|next| !begun(next)), "{next:?} did not wait for {name}");
        if let Some(next) = next {
            assert_eq!(stage.app(next)["state"], "waiting");
        }
        stage.signal(&format!("{name}.go"));
    }
    starting.wait().expect_code(0);
    stage.run(&["stop"]).expect_code(0);
    let logs = stage.run(&["logs", "--no-prefix"]).expect_code(0).stdout;
    let place = |text: &str| logs.find(text).unwrap_or_else(|| panic!("{text} is missing in:\n{logs}"));
    assert!(
        place("web says goodbye") < place("back says goodbye")
            && place("back says goodbye") < place("db says goodbye"),
        "{logs}"
    );
}

// req: PROC-25
#[test]
fn a_crash_stops_nobody_else_not_even_those_that_need_it() {
    let stage =
        Stage::started(&format!("{WEB}needs = [\"base\"]\n{}{QUICK}", worker("base", "exec sleep 600")));
    let (web, base) = (stage.pids("web"), stage.pids("base"));
    let load = Load::begin(stage.port, "/");
    stage.kill(base[0]);
    stage.wait_for_app("base", "back", |app| app["ready"] == 1 && pids(app) != base);
    load.more(20);
    load.end();
    assert_eq!(stage.pids("web"), web);
    assert_eq!(restarts(&stage.app("web")), 0);
}

// req: PROC-26
#[test]
fn an_apps_port_that_is_taken_is_reported_with_its_holder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let stage = Stage::new(&format!("{WEB}port = {port}\n{QUICK}"));
    let output = stage.starting().wait().expect_code(4);
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let holder = format!("port {port} is held by pid {} ({})", std::process::id(), name.trim());
    assert!(output.stderr.contains(&holder), "{holder:?} is missing in:\n{}", output.stderr);
    // and it is tried again
    drop(taken);
    stage.wait_ready("web");
    assert_eq!(stage.answering(), stage.pids("web")[0]);
}
