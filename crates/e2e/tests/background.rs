//! `mainstay start`: neither the keeper's death nor the edge's fails the other's work, whatever is going on.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use stage::load::Load;
use stage::{QUICK, Stage, WEB, instances, number, parent, pids, restarts};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testkit::http::{Connection, try_status};
use testkit::{is_alive, wait_until};

/// Connects all the time; gives how often nobody listened.
fn connecting(port: u16, stop: Arc<AtomicBool>) -> JoinHandle<u32> {
    std::thread::spawn(move || {
        let mut refused = 0;
        while !stop.load(Ordering::Relaxed) {
            let result = TcpStream::connect(("127.0.0.1", port));
            refused += u32::from(result.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
            std::thread::sleep(Duration::from_millis(1));
        }
        refused
    })
}

/// Kills the edge and gives the time until requests are answered again.
fn kill_edge(stage: &Stage) -> Duration {
    let edge = stage.edge();
    let begun = Instant::now();
    stage.kill(edge);
    wait_until("an edge answers", || try_status(stage.port, stage::HOST, "/"));
    let took = begun.elapsed();
    wait_until("there is another edge", || {
        stage.status()["edge"]["pid"].as_u64().filter(|pid| *pid != u64::from(edge))
    });
    took
}

// req: PROC-25
#[test]
fn the_keepers_death_leaves_all_serving_and_the_next_one_takes_over() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n"));
    let before = stage.status();
    let apps = stage.pids("web");
    let shims: Vec<u32> = apps.iter().map(|pid| parent(*pid)).collect();
    let load = Load::begin(stage.port, "/");
    stage.kill_keeper();
    load.more(100);
    for verb in ["status", "stop"] {
        let said = stage.run(&[verb]).expect_code(3).stderr;
        for text in ["no keeper in", "serves on, 2 app instances run on", "next: mainstay start"] {
            assert!(said.contains(text), "{verb}: {said}");
        }
    }

    let output = stage.sandbox.start_daemon(stage.port);
    assert!(output.stdout.contains("took over 2 running instances"), "{}", output.stdout);
    load.more(100);
    load.end();
    let after = stage.status();
    assert_ne!(before["keeper"]["pid"], after["keeper"]["pid"]);
    assert_eq!(before["edge"]["pid"], after["edge"]["pid"]);
    assert_eq!(before["edge"]["listen"], after["edge"]["listen"]);
    let web = stage.wait_ready("web");
    assert_eq!(pids(&web), apps);
    assert_eq!(apps.iter().map(|pid| parent(*pid)).collect::<Vec<_>>(), shims);
    for (old, new) in instances(&before["stacks"][0]["apps"][0]).iter().zip(instances(&web)) {
        for key in ["label", "run", "address", "restarts"] {
            assert_eq!(old[key], new[key], "{key}");
        }
        assert!(
            new["requests"].as_u64() >= old["requests"].as_u64()
                && new["uptime_ms"].as_u64() > old["uptime_ms"].as_u64()
        );
    }
}

#[test]
fn a_dead_edge_is_back_within_a_second_on_sockets_that_never_refuse() {
    let stage = Stage::started(WEB);
    let apps = stage.pids("web");
    let stop = Arc::<AtomicBool>::default();
    let connecting = connecting(stage.port, Arc::clone(&stop));
    // a busy machine may be late once, not three times
    let fastest = (0..3).map(|_| kill_edge(&stage)).min().unwrap();
    stop.store(true, Ordering::Relaxed);
    assert_eq!(connecting.join().unwrap(), 0, "connections were refused");
    assert!(fastest < Duration::from_secs(1), "took {fastest:?}");
    assert_eq!(stage.pids("web"), apps);
    assert_eq!(stage.answering(), apps[0]);
}

#[test]
fn a_start_under_way_survives_keeper_and_edge() {
    let stage = Stage::new(&format!("{WEB}hold = 0\nenv = {{ START_GATE = \"go\" }}\n"));
    let starting = stage.starting();
    let web = wait_until("it is starting", || stage.find_app("web").filter(|web| !pids(web).is_empty()));
    let pid = pids(&web)[0];
    assert_eq!(web["state"], "starting");
    stage.kill(stage.edge());
    assert_eq!(stage.get("/").status, 503, "nobody is ready, but an edge answers");
    stage.kill_keeper();
    assert_eq!(starting.wait().code, Some(3), "it lost its keeper");

    let again = stage.starting();
    wait_until("a keeper answers", || (stage.run(&["status"]).code == Some(0)).then_some(()));
    assert_eq!(stage.app("web")["state"], "starting");
    stage.signal("go");
    again.wait().expect_code(0);
    assert_eq!((stage.answering(), stage.app("web")["ready"].clone()), (pid, 1.into()));
}

#[test]
fn a_drain_under_way_survives_the_keeper() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    let mut slow = stage.slow(stage::HOST, "logs/t/web.1.out.log", "done");
    let restart = stage.sandbox.start(stage.arguments(&["restart", "web"]));
    let is_draining = |app: &serde_json::Value| {
        instances(app).iter().any(|it| it["state"] == "draining")
            && instances(app).iter().any(|it| it["state"] == "ready")
    };
    stage.wait_for_app("web", "draining", is_draining);
    stage.kill_keeper();
    assert_eq!(restart.wait().code, Some(3));

    stage.sandbox.start_daemon(stage.port);
    stage.wait_for_app("web", "draining again", is_draining);
    let new = stage.answering();
    assert!(new != old && is_alive(old), "{new} serves, {old} drains");
    stage.signal("done");
    assert_eq!(slow.response().text(), format!("app {old}"), "the request under way was cut");
    wait_until("the old one is gone", || (!is_alive(old)).then_some(()));
    assert_eq!(pids(&stage.wait_ready("web")), [new]);
}

#[test]
fn a_drain_under_way_survives_the_edge() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    let _slow = stage.slow(stage::HOST, "logs/t/web.1.out.log", "done");
    let restart = stage.sandbox.start(stage.arguments(&["restart", "web"]));
    stage.wait_for_app("web", "draining", |app| instances(app).iter().any(|it| it["state"] == "draining"));
    stage.kill(stage.edge());
    // the request went with the edge: the next one has no claim left
    restart.wait().expect_code(0);
    assert!(!is_alive(old));
    assert_eq!(pids(&stage.wait_ready("web")), [stage.answering()]);
}

#[test]
fn a_crash_loop_survives_keeper_and_edge_and_stops_nobody_else() {
    let apps = format!("{WEB}\n[app.loop]\nrun = \"sh -c 'sleep 0.05; exit 3'\"\nlisten = false\n{QUICK}");
    let stage = Stage::new(&apps);
    let starting = stage.starting();
    drop(starting.wait());
    stage.wait_for_app("loop", "crashing", |app| restarts(app) >= 3);
    let web = stage.pids("web");
    let load = Load::begin(stage.port, "/");
    stage.kill_keeper();
    load.more(50);
    drop(stage.starting().wait());
    stage.wait_for_app("loop", "crashing again", |app| restarts(app) >= 3);
    load.end();
    kill_edge(&stage);
    let seen = restarts(&stage.app("loop"));
    stage.wait_for_app("loop", "crashing on", |app| restarts(app) > seen + 2 || restarts(app) < seen);
    assert_eq!(stage.pids("web"), web);
    assert_eq!(stage.answering(), web[0]);
}

#[test]
fn a_reload_under_way_is_finished_by_the_next_keeper() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\", START_GATE = \"go\" }}\n"));
    let reload = stage.sandbox.start(stage.arguments(&["reload"]));
    let new = stage.wait_for_app("web", "preparing", |app| pids(app).len() == 2);
    let new = *pids(&new).iter().find(|pid| **pid != old).unwrap();
    let load = Load::begin(stage.port, "/");
    stage.kill_keeper();
    assert_eq!(reload.wait().code, Some(3));

    let keeper = stage.sandbox.start(stage.arguments(&["keeper"]));
    wait_until("a keeper answers", || (stage.run(&["status"]).code == Some(0)).then_some(()));
    let change = || stage.status()["stacks"][0]["change"]["state"].clone();
    assert_eq!((change(), stage.answering()), ("preparing".into(), old));
    stage.signal("go");
    wait_until("it is committed", || (change() == "committed").then_some(()));
    let web = stage.wait_for_app("web", "replaced", |app| pids(app) == [new]);
    load.end();
    assert!(stage.get("/").text().starts_with("second "), "{web}");
    assert!(!is_alive(old));
    stage.run(&["stop"]).expect_code(0);
    keeper.wait().expect_code(0);
}

#[test]
fn a_reload_under_way_whose_instance_fails_is_dropped_by_the_next_keeper() {
    let stage = Stage::started(WEB);
    let old = stage.pids("web")[0];
    stage.rewrite(&format!("{WEB}env = {{ FAIL = \"7\", START_GATE = \"go\" }}\n"));
    let reload = stage.sandbox.start(stage.arguments(&["reload"]));
    stage.wait_for_app("web", "preparing", |app| pids(app).len() == 2);
    stage.kill_keeper();
    assert_eq!(reload.wait().code, Some(3));
    let keeper = stage.sandbox.start(stage.arguments(&["keeper"]));
    wait_until("a keeper answers", || (stage.run(&["status"]).code == Some(0)).then_some(()));
    let load = Load::begin(stage.port, "/");
    stage.signal("go");
    let change = wait_until("it is dropped", || {
        let change = stage.status()["stacks"][0]["change"].clone();
        (change["state"] == "dropped").then_some(change)
    });
    assert!(change["reason"].as_str().unwrap().contains("status 7"), "{change}");
    stage.wait_for_app("web", "as it was", |app| pids(app) == [old]);
    load.end();
    stage.run(&["stop"]).expect_code(0);
    keeper.wait().expect_code(0);
}

// req: PROC-25
#[test]
fn what_ended_without_a_keeper_is_started_by_the_next_one() {
    let stage = Stage::started(&format!("{WEB}instances = 2\n{QUICK}"));
    let before = stage.pids("web");
    stage.kill_keeper();
    stage.kill(before[0]);
    // the other one serves on, and the edge sends all to it
    for _ in 0..10 {
        assert_eq!(stage.answering(), before[1]);
    }
    stage.sandbox.start_daemon(stage.port);
    let web = stage.wait_ready("web");
    assert!(
        pids(&web).len() == 2 && pids(&web).contains(&before[1]) && !pids(&web).contains(&before[0]),
        "{web}"
    );
    let history = web["history"].as_array().unwrap();
    let ended = history.iter().find(|it| it["state"] == "ended").unwrap();
    assert!(ended["reason"].as_str().unwrap().contains("signal 9"), "{ended}");
}

#[test]
fn a_dead_shim_takes_its_app_along_and_both_come_back() {
    let stage = Stage::started(&format!("{WEB}{QUICK}"));
    let old = stage.pids("web")[0];
    stage.kill(parent(old));
    wait_until("its app has ended", || (!is_alive(old)).then_some(()));
    let web = stage.wait_for_app("web", "back", |app| app["ready"] == 1 && pids(app) != [old]);
    assert_eq!(stage.answering(), pids(&web)[0]);
}

#[test]
fn a_shim_that_died_without_a_keeper_leaves_no_app_behind() {
    let stage = Stage::started(&format!("{WEB}{QUICK}"));
    let old = stage.pids("web")[0];
    stage.kill_keeper();
    stage.kill(parent(old));
    assert!(is_alive(old));
    stage.sandbox.start_daemon(stage.port);
    wait_until("its app has ended", || (!is_alive(old)).then_some(()));
    let web = stage.wait_ready("web");
    assert_eq!(stage.answering(), pids(&web)[0]);
}

#[test]
fn starting_twice_is_no_change_and_stopping_leaves_nothing() {
    let stage = Stage::started(&format!("{WEB}env = {{ LISTEN_ON = \"$SOCKET\" }}\n"));
    let before = stage.status();
    let output = stage.sandbox.start_daemon(stage.port);
    assert!(output.stdout.contains("no change"), "{}", output.stdout);
    let after = stage.status();
    for what in ["keeper", "edge"] {
        assert_eq!(before[what]["pid"], after[what]["pid"]);
    }
    assert_eq!(
        before["stacks"][0]["apps"][0]["instances"][0]["run"],
        after["stacks"][0]["apps"][0]["instances"][0]["run"]
    );

    let run = stage.run_folder();
    assert!(!sockets(&run).is_empty(), "{}", run.display());
    stage.run(&["stop"]).expect_code(0);
    stage.sandbox.wait_until_empty();
    assert_eq!(sockets(&run), Vec::<String>::new());
    assert_eq!(try_status(stage.port, stage::HOST, "/"), None);
    let left: Vec<_> = std::fs::read_dir(stage.sandbox.home().join("instances")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(stage.run(&["stop"]).expect_code(0).stdout.trim(), "no change");
}

/// Everything below a folder that is no folder.
fn sockets(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(sockets(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_keeper_told_to_end_leaves_all_running() {
    let stage = Stage::started(WEB);
    let (apps, edge, keeper) = (stage.pids("web"), stage.edge(), stage.keeper());
    let load = Load::begin(stage.port, "/");
    testkit::signal(keeper, "TERM");
    wait_until("it has ended", || (!is_alive(keeper)).then_some(()));
    load.more(20);
    stage.sandbox.start_daemon(stage.port);
    assert_eq!((stage.pids("web"), number(&stage.status()["edge"]["pid"])), (apps, edge));
    load.end();
}

#[test]
fn what_served_goes_on_serving_while_the_next_keeper_looks_at_it() {
    let health = "health = { path = \"/health\", interval = \"1h\", timeout = \"1h\" }\n";
    let stage = Stage::started(&format!("{WEB}{health}"));
    let (pids, load) = (stage.pids("web"), Load::begin(stage.port, "/"));
    stage.kill_keeper();
    // a check that takes its time says nothing about what was ready
    stage.signal("hang");
    stage.sandbox.start_daemon(stage.port);
    assert_eq!(stage.app("web")["state"], "ready");
    load.more(50);
    load.end();
    assert_eq!(stage.pids("web"), pids);
    stage.unsignal("hang");
}

#[test]
fn what_was_told_to_stop_is_not_served_by_the_next_keeper() {
    let stage =
        Stage::started(&format!("{WEB}env = {{ STUBBORN = \"1\" }}\nstop = {{ timeout = \"3s\" }}\n"));
    let old = stage.pids("web")[0];
    let restart = stage.sandbox.start(stage.arguments(&["restart", "web"]));
    let is_stopping = |app: &serde_json::Value| instances(app).iter().any(|it| it["state"] == "stopping");
    stage.wait_for_app("web", "stopping", is_stopping);
    stage.kill_keeper();
    drop(restart.wait());
    let load = Load::begin(stage.port, "/");
    stage.sandbox.start_daemon(stage.port);
    assert!(is_alive(old) && is_stopping(&stage.app("web")), "{:#}", stage.app("web"));
    assert!((0..20).all(|_| stage.answering() != old));
    wait_until("it is gone", || (!is_alive(old)).then_some(()));
    load.end();
    assert_eq!(pids(&stage.wait_ready("web")), [stage.answering()]);
}

#[test]
fn up_again_right_after_it_was_killed() {
    let stage = Stage::new(&format!("{WEB}env = {{ STUBBORN = \"1\" }}\nstop = {{ timeout = \"500ms\" }}\n"));
    let mut former = 0;
    for _ in 0..3 {
        let up = stage.sandbox.up(stage.port);
        let pid = stage.answering();
        assert_ne!(pid, former);
        assert!(former == 0 || !is_alive(former), "the former one's app is there still");
        former = pid;
        // an event stream holds the edge for a while
        let mut slow = Connection::open(("127.0.0.1", stage.port));
        slow.send("GET /wait/never HTTP/1.1\r\nHost: t.localhost\r\n\r\n");
        up.signal("KILL");
        assert_eq!(up.wait().code, None);
    }
    let up = stage.sandbox.up(stage.port);
    assert_eq!(stage.app("web")["instances"][0]["label"], "web.1");
    up.signal("INT");
    up.wait().expect_code(0);
}

/// Once, nothing of it was kept: what had crashed looked as if it never had, and a program that had done its work did it again.
#[test]
fn what_is_known_of_restarts_outlives_the_keeper() {
    let once = "[app.once]\nrun = \"python3 -S once.py\"\nlisten = false\nrestart = \"never\"\n";
    let stage = Stage::new(&format!("{WEB}{QUICK}{once}"));
    stage.sandbox.write("once.py", "print('did its work', flush=True)");
    stage.sandbox.start_daemon(stage.port);
    stage.wait_for_app("once", "done", |app| app["state"] == "done");
    stage.kill(stage.pids("web")[0]);
    stage.wait_for_app("web", "restarted", |app| restarts(app) == 1 && app["state"] == "ready");
    let before = stage.app("web");
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    let after = stage.wait_ready("web");
    assert_eq!((restarts(&after), pids(&after)), (1, pids(&before)), "{after}");
    assert_eq!(instances(&after)[0]["last_end"], instances(&before)[0]["last_end"]);
    stage.wait_for_app("once", "done as before", |app| app["state"] == "done");
    let said = stage.home_file("logs/t/once.1.out.log");
    assert_eq!(said.matches("did its work").count(), 1, "{said}");
}
