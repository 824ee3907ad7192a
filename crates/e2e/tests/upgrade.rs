//! `mainstay upgrade` over the real binary: keeper and edge become another program while requests, streams and apps go on.
//!
//! The other program is the same one with a byte behind its end: `/proc/<pid>/exe` tells the two apart.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::load::Load;
use stage::{HOST, Stage, WEB, number};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{Sandbox, free_port, is_alive, wait_until};

/// A stack whose site leads to `web`, and `/far/*` to this backend.
fn staged(far: &Backend) -> Stage {
    let manifest = format!(
        "stack = \"t\"\n[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/far/*\"\nproxy = \"127.0.0.1:{}\"\n\
         [[site.route]]\napp = \"web\"\n{WEB}instances = 2\n",
        far.port()
    );
    let sandbox = Sandbox::with_manifest(&manifest);
    sandbox.write("app.py", include_str!("stage/app.py"));
    let stage = Stage { sandbox, port: free_port() };
    stage.sandbox.start_daemon(stage.port);
    stage
}

/// A server whose answers last: `/far/events` says a line every few milliseconds until it is told to stop, `/far/socket` gives
/// back what it gets, `/far/slow` sends 4 MiB in pieces, `/far/post` counts.
fn far(stop: &Arc<AtomicBool>) -> Backend {
    let stop = Arc::clone(stop);
    Backend::start(move |request, peer| match request.target() {
        "/far/events" => {
            peer.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )?;
            for number in 0.. {
                let data = format!("data: {number}\n\n");
                peer.send(format!("{:x}\r\n{data}\r\n", data.len()))?;
                if stop.load(Ordering::SeqCst) {
                    return peer.send("0\r\n\r\n");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        }
        "/far/socket" => {
            peer.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            )?;
            while let Ok(byte) = peer.exactly(1) {
                peer.send(byte)?;
            }
            peer.close()
        }
        "/far/slow" => {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n")?;
            for _ in 0..64 {
                peer.send(vec![7; 65536])?;
                std::thread::sleep(Duration::from_millis(40));
            }
            Ok(())
        }
        _ => {
            let body = peer.body(request)?;
            peer.ok(body.len().to_string())
        }
    })
}

/// This program with something behind its end.
fn other(stage: &Stage, name: &str) -> PathBuf {
    let path = stage.sandbox.folder().join(name);
    fs::copy(testkit::binary(), &path).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(name.as_bytes()).unwrap();
    path
}

fn script(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let path = stage.sandbox.folder().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What a process runs; only root may look into processes that closed their memory, so nothing is said without that.
fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

fn edges(stage: &Stage) -> Vec<u32> {
    let is_edge =
        |pid: &u32| sys::proc::cmdline(*pid).is_some_and(|words| words.get(1).is_some_and(|it| it == "edge"));
    stage.sandbox.processes().into_iter().filter(is_edge).collect()
}

#[track_caller]
fn upgrade(stage: &Stage, program: &Path, more: &[&str]) -> testkit::Output {
    let mut arguments = vec!["upgrade", program.to_str().unwrap(), "--json"];
    arguments.extend(more);
    stage.run(&arguments)
}

/// Sends bodies all the time; gives what failed.
fn posting(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(u32, Vec<String>)> {
    std::thread::spawn(move || {
        let (mut done, mut failures) = (0, Vec::new());
        let mut kept = None::<Connection>;
        while !stop.load(Ordering::SeqCst) {
            let mut connection = kept.take().unwrap_or_else(|| Connection::open(("127.0.0.1", port)));
            let body = "x".repeat(20_000);
            connection.send(format!(
                "POST /far/post HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            let answer = connection.response();
            if answer.status == 200 && answer.text() == "20000" {
                done += 1;
            } else {
                failures.push(format!("{} {}", answer.status, answer.text()));
            }
            let closes = answer.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
            kept = Some(connection).filter(|_| !closes);
            std::thread::sleep(Duration::from_millis(3));
        }
        (done, failures)
    })
}

fn ask(stage: &Stage, head: &str) -> Connection {
    let mut connection = Connection::open(("127.0.0.1", stage.port));
    connection.send(format!("{head}\r\nHost: {HOST}\r\n\r\n"));
    connection
}

/// Of the former front door people see who it is, what it still has, and until when.
fn shown_beside(stage: &Stage, former: u32) {
    let text = wait_until("its connections are known", || {
        let text = stage.run(&["status"]).expect_code(0).stdout;
        let line = text.lines().find(|line| line.contains(&format!("pid {former} is leaving since 20")));
        let line = line.unwrap_or_else(|| panic!("{text}")).to_owned();
        (!line.contains(" 0 connections")).then_some(line)
    });
    assert!(text.contains(" in flight, cut at 20") && text.contains("at the latest"), "{text}");
    let top = stage.run(&["top", "--json"]).expect_code(0).json();
    let row = top["rows"].as_array().unwrap().iter().find(|row| row["pid"] == former);
    let row = row.unwrap_or_else(|| panic!("{top:#}"));
    assert_eq!((&row["name"], &row["state"]), (&"mainstay second edge".into(), &"leaving".into()));
    assert!(row["memory"].as_u64() > Some(0) && row["in_flight"].as_u64() > Some(0), "{row:#}");
}

// req: PROC-25, EDGE-22
#[test]
fn under_load_nothing_fails_and_streams_end_by_themselves() {
    let stop = Arc::<AtomicBool>::default();
    let far = far(&stop);
    let stage = staged(&far);
    let (apps, keeper, edge) = (stage.pids("web"), stage.keeper(), stage.edge());
    let load = Load::begin(stage.port, "/");
    let posts = posting(stage.port, Arc::clone(&stop));
    let mut events = ask(&stage, "GET /far/events HTTP/1.1");
    assert_eq!(events.head().status, 200);
    let mut socket = ask(&stage, "GET /far/socket HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket");
    assert_eq!(socket.head().status, 101);
    let mut slow = ask(&stage, "GET /far/slow HTTP/1.1");

    let file = other(&stage, "second");
    let done = upgrade(&stage, &file, &[]).expect_code(0).json();
    assert_eq!(done["changed"], true, "{done}");
    let status = stage.status();
    assert_eq!((number(&status["keeper"]["pid"]), number(&done["keeper"])), (keeper, keeper));
    let new = number(&status["edge"]["pid"]);
    assert!(new != edge && number(&done["former_edge"]) == edge);
    assert_eq!(number(&status["edge"]["beside"]["pid"]), edge, "{:#}", status["edge"]);
    shown_beside(&stage, edge);
    let mut living = edges(&stage);
    living.sort_unstable();
    assert_eq!(living, if edge < new { [edge, new] } else { [new, edge] });
    for pid in [keeper, new] {
        let kept = stage.sandbox.home().join("bin");
        assert!(program(pid).is_none_or(|path| path.starts_with(&kept)), "{:?}", program(pid));
    }
    // two at a time, never three
    let again = upgrade(&stage, &other(&stage, "third"), &[]).expect_code(5).stderr;
    assert!(again.contains(&format!("pid {edge}")) && again.contains("until"), "{again}");

    load.more(100);
    // what began before goes on through the former edge, both ways
    for byte in b"still here" {
        socket.send([*byte]);
        assert_eq!(socket.exactly(1), [*byte]);
    }
    let before = events.chunk().unwrap();
    assert!(events.chunk().unwrap() != before);
    assert_eq!(slow.response().body.len(), 4 << 20);
    load.end();
    stop.store(true, Ordering::SeqCst);
    let (done, failures) = posts.join().unwrap();
    assert!(failures.is_empty() && done > 20, "{done}: {failures:?}");
    while events.chunk().is_some() {}
    drop((socket, events, slow));
    wait_until("the former edge has ended", || (!is_alive(edge)).then_some(()));
    wait_until("status knows", || stage.status()["edge"]["beside"].is_null().then_some(()));
    assert_eq!(stage.pids("web"), apps);
    assert_eq!(edges(&stage), [new]);

    // and back
    let back = stage.run(&["upgrade", "--rollback", "--json"]).expect_code(0).json();
    assert_eq!((back["changed"].clone(), number(&back["keeper"])), (true.into(), keeper));
    assert_eq!(stage.pids("web"), apps);
    assert!(apps.contains(&stage.answering()));
    assert!(program(keeper).is_none_or(|path| !path.to_string_lossy().contains("second")));
}

#[test]
fn at_the_deadline_what_is_left_is_cut() {
    let stop = Arc::<AtomicBool>::default();
    let far = far(&stop);
    let stage = staged(&far);
    let edge = stage.edge();
    let mut events = ask(&stage, "GET /far/events HTTP/1.1");
    assert_eq!(events.head().status, 200);
    let begun = Instant::now();
    upgrade(&stage, &other(&stage, "second"), &["--drain", "3s", "--wait"]).expect_code(0);
    assert!(begun.elapsed() >= Duration::from_secs(3) && !is_alive(edge));
    assert_ne!(stage.edge(), edge);
    stop.store(true, Ordering::SeqCst);
}

#[test]
fn a_program_that_fails_leaves_the_former_one_serving() {
    let stop = Arc::<AtomicBool>::default();
    let far = far(&stop);
    let stage = staged(&far);
    let (apps, keeper, edge) = (stage.pids("web"), stage.keeper(), stage.edge());
    let load = Load::begin(stage.port, "/");
    let described = format!(
        "#!/bin/sh\nif [ \"$1\" = version ]; then exec {} version --json; fi\n",
        testkit::binary().display()
    );
    let refused = [
        ("text", "not a program".to_owned(), "exec format error"),
        ("stranger", "#!/bin/sh\necho '{}'\n".to_owned(), "does not tell its version"),
        ("alien", "#!/bin/sh\necho '{\"version\":\"9\",\"wire\":99}'\n".to_owned(), "protocol 99"),
    ];
    for (name, text, says) in refused {
        let said = upgrade(&stage, &script(&stage, name, &text), &[]).expect_code(2).stderr;
        assert!(said.contains(says), "{name}: {said}");
    }
    let failing = [
        ("exits", format!("{described}exit 7\n"), "exit code 7"),
        ("hangs", format!("{described}exec sleep 1000\n"), "within 2 s"),
        ("killed", format!("{described}kill -9 $$\n"), "SIGKILL"),
    ];
    for (name, text, says) in failing {
        let said = upgrade(&stage, &script(&stage, name, &text), &["--within", "2s"]).expect_code(4).stderr;
        assert!(said.contains(says) && said.contains("the former one goes on"), "{name}: {said}");
        assert_eq!((stage.keeper(), stage.edge(), stage.pids("web")), (keeper, edge, apps.clone()));
        assert_eq!(edges(&stage), [edge]);
    }
    load.end();
    upgrade(&stage, &other(&stage, "good"), &["--drain", "1s", "--wait"]).expect_code(0);
    assert_eq!((stage.keeper(), stage.pids("web")), (keeper, apps));
}

#[test]
fn killed_in_the_middle_it_converges() {
    let stop = Arc::<AtomicBool>::default();
    let far = far(&stop);
    let stage = staged(&far);
    let (apps, keeper) = (stage.pids("web"), stage.keeper());
    let load = Load::begin(stage.port, "/");
    let record = stage.sandbox.home().join("bin/programs.json");
    let file = other(&stage, "second");
    let arguments = ["upgrade", file.to_str().unwrap()];
    let running = stage.sandbox.start(stage.arguments(&arguments));
    wait_until("the trial has begun", || {
        let known: Value = serde_json::from_slice(&fs::read(&record).ok()?).ok()?;
        (known["attempt"]["stage"] == "trial").then_some(())
    });
    stage.kill(keeper);
    drop(running);
    load.more(50);
    stage.sandbox.start_daemon(stage.port);
    wait_until("one edge is left, or one and one that is leaving", || {
        (edges(&stage).len() <= 2).then_some(())
    });
    assert_eq!(stage.wait_ready("web")["ready"], 2);
    assert_eq!(stage.pids("web"), apps);
    let known: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert_eq!(known["attempt"]["stage"], "failed", "{known:#}");
    load.end();
    // nothing keeps the next one from it
    wait_until("only one edge lives", || stage.status()["edge"]["beside"].is_null().then_some(()));
    upgrade(&stage, &file, &["--drain", "1s", "--wait"]).expect_code(0);
    assert_eq!((stage.pids("web"), edges(&stage).len()), (apps, 1));

    // the new edge dies while the former one is leaving: another one of the new program takes its place
    let mut events = ask(&stage, "GET /far/events HTTP/1.1");
    assert_eq!(events.head().status, 200);
    upgrade(&stage, &other(&stage, "third"), &["--drain", "30s"]).expect_code(0);
    let former = number(&stage.status()["edge"]["beside"]["pid"]);
    stage.kill(stage.edge());
    wait_until("another edge answers", || testkit::http::try_status(stage.port, HOST, "/"));
    assert!(events.chunk().is_some() && is_alive(former));
    // the keeper dies meanwhile: the next one knows of both
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    assert_eq!(number(&stage.status()["edge"]["beside"]["pid"]), former);
    // and the former one dies: nobody else minds
    stage.kill(former);
    wait_until("status knows", || stage.status()["edge"]["beside"].is_null().then_some(()));
    assert!(stage.answering() > 0);
}

#[test]
fn a_stack_in_the_foreground_is_not_upgraded() {
    let stage = Stage::new(WEB);
    let up = stage.sandbox.up(stage.port);
    let own = stage.sandbox.stack().join(".mainstay");
    let arguments = ["upgrade".as_ref(), "--home".as_ref(), own.as_os_str()];
    let said = stage.sandbox.run(arguments).expect_code(5).stderr;
    assert!(said.contains("mainstay up"), "{said}");
    up.signal("INT");
    up.wait().expect_code(0);
}

/// A reload touches nothing that did not change: not a process, not a connection.
#[test]
fn twenty_reloads_touch_nothing() {
    let stop = Arc::<AtomicBool>::default();
    let far = far(&stop);
    let stage = staged(&far);
    let before = (stage.keeper(), stage.edge(), stage.pids("web"));
    let mut events = ask(&stage, "GET /far/events HTTP/1.1");
    assert_eq!(events.head().status, 200);
    let mut kept = Connection::open(("127.0.0.1", stage.port));
    let load = Load::begin(stage.port, "/");
    let manifest = fs::read_to_string(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    for round in 0..20 {
        let route =
            format!("[[site.route]]\npath = \"/r{round}\"\nredirect = \"https://example.org/{round}\"\n");
        stage.sandbox.write(
            "mainstay.toml",
            manifest.replacen("[[site.route]]", &format!("{route}[[site.route]]"), 1),
        );
        stage.run(&["reload"]).expect_code(0);
        kept.send(format!("GET /r{round} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        assert_eq!(kept.response().status / 100, 3, "round {round}");
        assert!(events.chunk().is_some());
    }
    load.end();
    assert_eq!((stage.keeper(), stage.edge(), stage.pids("web")), before);
    stop.store(true, Ordering::SeqCst);
    let _ = kept.socket().take(0);
}
