//! What the views show is what is: status, top, ports, history.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod stage;

use serde_json::Value;
use stage::{HOST, QUICK, Stage, WEB, pids};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::{Running, free_port, wait_until};

/// A WSGI application that takes what its paths say, and answers with the pid of its worker.
const BUSY: &str = r#"
import os, threading, time
kept = []

def burn():
    while True:
        pass

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hold":
        kept.append(bytearray(b"x") * (200 << 20))
        kept.extend(open("/dev/null") for _ in range(50))
    if path == "/burn":
        threading.Thread(target=burn, daemon=True).start()
    if path == "/sleep":
        time.sleep(0.05)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

const GUNICORN: &str = "[app.web]\ndescription = \"Imagineer API Server\"\n\
    run = \"gunicorn --bind unix:$SOCKET --workers 2 busy:app\"\n";

fn gunicorn(more: &str) -> Stage {
    let stage = Stage::new(&format!("{GUNICORN}{more}"));
    stage.sandbox.write("busy.py", BUSY);
    stage.sandbox.start_daemon(stage.port);
    stage
}

/// `status web --json`.
fn detail(stage: &Stage) -> Value {
    stage.run(&["status", "web", "--json"]).expect_code(0).json()[0].take()
}

fn process(app: &Value, pid: u32) -> Value {
    let processes = app["instances"][0]["usage"]["processes"].as_array().expect("processes");
    processes.iter().find(|it| it["pid"] == pid).unwrap_or_else(|| panic!("no {pid} in {app:#}")).clone()
}

/// Milliseconds on processors, from the kernel itself.
fn cpu_ms(pid: u32) -> u64 {
    u64::try_from(sys::usage::process(pid).expect("a process").cpu.as_millis()).unwrap()
}

// req: PROC-28
#[test]
fn what_each_worker_uses_is_what_it_was_told_to_use() {
    let stage = gunicorn("");
    let asked = |path: &str| -> u32 { stage.get(path).text().parse().expect("a pid") };
    let (holder, burner) = (asked("/hold"), asked("/burn"));
    let app = detail(&stage);
    let instance = &app["instances"][0];
    let master = pids(&app)[0];
    assert_eq!(instance["usage"]["processes"].as_array().unwrap().len(), 3, "{instance:#}");
    assert_eq!(
        (&instance["usage"]["pid"], &instance["usage"]["processes"][0]["pid"]),
        (&master.into(), &master.into())
    );
    for pid in [holder, burner] {
        assert!(
            pid != master && process(&app, pid)["name"].as_str().unwrap().contains("gunicorn"),
            "{app:#}"
        );
    }
    // memory and files of the worker that took them, and in the sum of the instance
    for usage in [&process(&app, holder), &instance["usage"]] {
        let memory = usage["memory"].as_u64().unwrap();
        assert!((200 << 20..400 << 20).contains(&memory), "{memory}: {usage:#}");
        assert!((50..500).contains(&usage["files"].as_u64().unwrap()), "{usage:#}");
    }
    assert_eq!(instance["usage"]["files_limit"].as_u64(), sys::usage::files_limit(master));
    assert!(process(&app, master)["memory"].as_u64().unwrap() < 100 << 20, "{app:#}");
    // time on processors: between what the kernel said before and after, twice
    let mut last = 0;
    for _ in 0..2 {
        let before = cpu_ms(burner);
        let shown = process(&detail(&stage), burner)["cpu_ms"].as_u64().unwrap();
        assert!((before..=cpu_ms(burner)).contains(&shown) && shown > last, "{before} {shown} {last}");
        last = shown;
        wait_until("it burned on", || (cpu_ms(burner) >= last + 300).then_some(()));
    }
    // a share of one processor: of two processes of an instance the one that never rests
    let app = wait_until("a share is seen", || {
        let app = detail(&stage);
        (process(&app, burner)["cpu_percent"].as_f64()? > 5.0).then_some(app)
    });
    let share = |usage: &Value| usage["cpu_percent"].as_f64().expect("a share");
    let (busy, all) = (share(&process(&app, burner)), share(&app["instances"][0]["usage"]));
    assert!(busy <= 150.0 && all >= busy - 0.2 && share(&process(&app, master)) < busy / 2.0, "{app:#}");

    let text = stage.run(&["status", "--workers"]).expect_code(0).stdout;
    let lines = |pid: u32| text.lines().filter(move |line| line.contains(&format!(" {pid} "))).count();
    assert_eq!((lines(master), lines(holder)), (2, 1), "{text}");
}

#[test]
fn requests_and_times_to_answer_are_those_that_were_seen() {
    let stage = gunicorn("");
    let mut seen: Vec<Duration> = Vec::new();
    for _ in 0..30 {
        let begun = Instant::now();
        assert_eq!(stage.get("/sleep").status, 200);
        seen.push(begun.elapsed());
    }
    seen.sort_unstable();
    let instance = detail(&stage)["instances"][0].take();
    assert_eq!(
        (&instance["requests"], &instance["in_flight"], &instance["failures"]),
        (&30.into(), &0.into(), &0.into())
    );
    let micros = |figure: &str| instance[figure].as_u64().expect(figure);
    // a bucket of the histogram is up to an eighth wide
    let within = |longest: Duration| u64::try_from(longest.as_micros() * 9 / 8).unwrap();
    assert!((45_000..=within(seen[16])).contains(&micros("p50_us")), "{instance:#}: {seen:?}");
    assert!((micros("p50_us")..=within(seen[29])).contains(&micros("p99_us")), "{instance:#}: {seen:?}");
    assert!(instance["rate"].as_f64().unwrap() > 0.0, "{instance:#}");
}

// req: PROC-14, PROC-29
#[test]
fn settings_and_last_lines_of_a_service_are_in_its_status() {
    let stage =
        gunicorn("restart = { delay = \"3s\", max_restarts = 7 }\nlogs = { max_size = \"5MB\", keep = 3 }\n");
    // Gunicorn is ready before both of its workers are there.
    let text = wait_until("its processes", || {
        let text = stage.run(&["status", "web"]).expect_code(0).stdout;
        text.contains("web.1 processes   3,").then_some(text)
    });
    let log = stage.sandbox.home().join("logs/t/web.1.err.log").display().to_string();
    for word in [
        "t/web  ready  Imagineer API Server",
        "gunicorn --bind unix:$SOCKET --workers 2 busy:app",
        "policy always",
        "delay 3s",
        "max_restarts 7",
        "max_size 5MB",
        "keep 3",
        "web.1 processes   3,",
        "its health check succeeded",
        "Listening at: unix:",
        "open files",
        &log,
    ] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    let short = stage.run(&["status"]).expect_code(0).stdout;
    assert!(short.contains("Imagineer API Server"), "{short}");
    let json = detail(&stage);
    assert_eq!((&json["stack"], &json["settings"]["restart"]["max_restarts"]), (&"t".into(), &7.into()));
    assert!(
        json["last_lines"].as_array().unwrap().len() > 2 && json["settings"].get("env").is_none(),
        "{json:#}"
    );
}

const TWO: &str = "[app.other]\nrun = \"python3 -S app.py\"\nenv = { NAME = \"other\" }\n";

#[test]
fn each_service_is_stopped_started_and_shown_by_itself() {
    let stage = Stage::started(&format!("{WEB}{TWO}"));
    let (web, other) = (stage.pids("web")[0], stage.pids("other")[0]);
    stage.run(&["stop", "web"]).expect_code(0);
    assert_eq!((stage.app("web")["state"].clone(), stage.pids("other")), ("stopped".into(), vec![other]));
    let text = stage.run(&["status"]).expect_code(0).stdout;
    assert!(text.contains("next: mainstay start web"), "{text}");
    // what is stopped stays so with another keeper, what runs is there: no more is `enable`
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    stage.wait_ready("other");
    stage.run(&["stop", "web"]).expect_code(0);
    stage.run(&["start", "web"]).expect_code(0);
    stage.wait_ready("web");
    stage.run(&["restart", "web"]).expect_code(0);
    let now = stage.pids("web")[0];
    assert!(now != web && stage.pids("other") == [other]);
    let text = stage.run(&["status", "web"]).expect_code(0).stdout;
    let row = text.lines().find(|line| line.contains(&now.to_string())).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[1], cells[2]), ("ready", now.to_string().as_str()), "{text}");
    let heads = text.lines().find(|line| line.contains("NAME")).expect("heads");
    assert!(["PID", "UPTIME", "RESTARTS", "MEMORY"].iter().all(|head| heads.contains(head)), "{text}");
    assert!(text.contains("last lines\n") && text.contains("app listens"), "{text}");
    assert_eq!(stage.run(&["status", "no-such-app"]).code, Some(2));
}

#[test]
fn status_tells_a_service_that_is_down_from_one_that_crashed() {
    let failing = "[app.crashed]\nrun = \"sh -c 'echo no database >&2; exit 3'\"\nlisten = false\n\
        restart = { delay = \"10ms\", max_delay = \"10ms\", max_restarts = 2 }\n";
    let stage = Stage::new(&format!("{WEB}{failing}"));
    stage.starting().wait().expect_code(4);
    let crashed = stage.wait_for_app("crashed", "failed", |app| app["state"] == "failed");
    assert_eq!(crashed["instances"][0]["state"], "failed", "{crashed:#}");
    assert_eq!(crashed["instances"][0]["ended"], "exit 3", "{crashed:#}");
    assert_eq!(crashed["history"].as_array().unwrap().last().unwrap()["state"], "failed", "{crashed:#}");
    stage.run(&["stop", "web"]).expect_code(0);
    let text = stage.run(&["status"]).expect_code(0).stdout;
    for part in [
        "web: was stopped by hand",
        "crashed: crashed.1 exited with status 3",
        "and is not started again\n      no database\n",
        "2 (exit 3)",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

// req: OBS-18
#[test]
fn top_shows_the_host_and_each_instance() {
    let stage = gunicorn("");
    let burner: u32 = stage.get("/burn").text().parse().unwrap();
    let master = stage.pids("web")[0];
    let top = stage.run(&["top", "--json"]).expect_code(0).json();
    let host = &top["host"];
    for figure in ["cores", "busy_ms", "tcp_sockets"] {
        assert!(host[figure].as_u64().unwrap() > 0, "{figure}: {host:#}");
    }
    for space in ["memory", "disk"] {
        assert!(
            host[space]["used"].as_u64().unwrap() > 0
                && host[space]["used"].as_u64() <= host[space]["total"].as_u64()
        );
    }
    assert!(
        top["host_cpu_percent"].as_f64().unwrap() > 0.0 && host["load"][0].as_f64().is_some(),
        "{host:#}"
    );
    assert!(
        top["host_read_per_second"].as_f64().is_some() && top["host_write_per_second"].as_f64().is_some()
    );
    let row = |name: &str| {
        let rows = top["rows"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{top:#}")).clone()
    };
    let web = row("t/web.1");
    assert_eq!(web["pid"], master);
    let share = web["cpu_percent"].as_f64().unwrap();
    assert!(share > 1.0 && share < 250.0 && cpu_ms(burner) > 0, "{web:#}");
    for figure in ["read_per_second", "write_per_second", "requests_per_second", "memory", "files"] {
        assert!(web[figure].is_number(), "{figure}: {web:#}");
    }
    assert_eq!(
        (row("mainstay edge")["pid"].clone(), row("mainstay keeper")["pid"].clone()),
        (stage.edge().into(), stage.keeper().into())
    );
    let text = stage.run(&["top", "--once"]).expect_code(0).stdout;
    for word in [
        "cpu ",
        "load",
        "TCP sockets",
        "memory ",
        "disk ",
        "read",
        "NAME",
        "READ/S",
        "P99",
        "t/web.1",
        "mainstay edge",
    ] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

/// Runs a command in a terminal of its own, does one thing to it after its second frame, and says how the terminal was left.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, signal, struct, sys, termios, time
act, args = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(args[0], args)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
before, said, done = termios.tcgetattr(terminal), b"", False
limit = time.time() + 25
while time.time() < limit:
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            break
    if not done and said.count(b"\x1b[H") >= 2:
        done = True
        meanwhile = termios.tcgetattr(terminal) != before
        {"q": lambda: os.write(terminal, b"q"), "ctrl-c": lambda: os.write(terminal, b"\x03"),
         "term": lambda: os.kill(pid, signal.SIGTERM)}[act]()
    if done and termios.tcgetattr(terminal) == before and said.endswith(b"\x1b[?1049l"):
        break
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(status, meanwhile, termios.tcgetattr(terminal) == before, said.startswith(b"\x1b[?1049h\x1b[?25l"),
      said.endswith(b"\x1b[?25h\x1b[?1049l"), b"t/web.1" in said, b"mainstay keeper" in said)
"#;

#[test]
fn a_live_top_leaves_the_terminal_as_it_was_however_it_ends() {
    let stage = Stage::started(WEB);
    let script = stage.sandbox.write("terminal.py", TERMINAL);
    let run = |act: &str| {
        let mut command = Command::new("python3");
        command.arg("-S").arg(&script).arg(act).arg(testkit::binary()).args(stage.arguments(&["top"]));
        command.current_dir(stage.sandbox.stack()).env("TERM", "xterm");
        Running::start(command)
    };
    let all = ["q", "ctrl-c", "term"].map(|act| (act, run(act)));
    for (act, running) in all {
        let output = running.wait().expect_code(0);
        assert_eq!(output.stdout.trim(), "0 True True True True True True", "{act}: {}", output.stderr);
    }
}

// req: OBS-19
#[test]
fn every_listening_port_has_an_owner() {
    let foreign = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = foreign.local_addr().unwrap().port();
    let fixed = free_port();
    let stage = Stage::new(&format!(
        "{WEB}[app.fixed]\nrun = \"python3 -S app.py\"\nport = {fixed}\nenv = {{ HOST = \"127.0.0.1\" }}\n"
    ));
    // not seen as ours: nothing runs yet
    let wanted = format!("{},{taken}", stage.port);
    let before = stage.run(&["ports", &wanted, "--json"]).expect_code(0).json();
    assert_eq!(before.as_array().unwrap().len(), 1, "{before:#}");
    stage.sandbox.start_daemon(stage.port);
    let wanted = [stage.port, taken, fixed, free_port()].map(|port| port.to_string()).join(",");
    let ports = stage.run(&["ports", &wanted, "--json"]).expect_code(0).json();
    let of = |port: u16| {
        let suffix = format!(":{port}");
        let mut found = ports.as_array().unwrap().iter();
        found
            .find(|it| it["address"].as_str().unwrap().ends_with(&suffix))
            .unwrap_or_else(|| panic!("{port}: {ports:#}"))
    };
    assert_eq!(ports.as_array().unwrap().len(), 3, "{ports:#}");
    assert_eq!(of(stage.port)["owner"], format!("the front door: http://{HOST}:{}/", stage.port));
    assert_eq!(of(stage.port)["pid"], stage.edge());
    assert_eq!((&of(fixed)["stack"], &of(fixed)["instance"]), (&"t".into(), &"fixed.1".into()));
    assert_eq!(of(fixed)["pid"], stage.pids("fixed")[0]);
    assert_eq!(of(taken)["pid"], std::process::id());
    assert!(of(taken)["owner"].as_str().unwrap().ends_with("not of Mainstay"), "{ports:#}");
    let text = stage.run(&["ports"]).expect_code(0).stdout;
    let all = ["PORT", "t/fixed.1", "the front door", "not of Mainstay"];
    assert!(all.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn the_history_says_when_and_why_also_of_the_past_keepers() {
    let stage = Stage::started(&format!("{WEB}{QUICK}{TWO}"));
    stage.kill(stage.pids("web")[0]);
    stage.wait_for_app("web", "back", |app| stage::restarts(app) == 1 && app["ready"] == 1);
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    stage.wait_ready("web");
    let states = |arguments: &[&str]| -> Vec<(String, String)> {
        let entries = stage.run(arguments).expect_code(0).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(|it| (text(&it["state"]), text(&it["reason"]))).collect()
    };
    let web = states(&["history", "web", "--json", "--since", "1h"]);
    let names: Vec<&str> = web.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(names, ["starting", "ready", "ended", "starting", "ready"]);
    assert!(web[2].1.contains("signal 9"), "{web:?}");
    assert_eq!(states(&["history", "--json"]).len(), 7, "with the other app's");
    assert_eq!(states(&["history", "--json", "-n", "2"]).len(), 2);
    let text = stage.run(&["history", "web", "other"]).expect_code(0).stdout;
    assert!(text.starts_with("TIME ") && text.contains("web.1") && text.contains("other.1"), "{text}");
}

#[test]
fn figures_of_instances_are_in_the_metrics() {
    let stage = Stage::started(WEB);
    let text = wait_until("they were looked at", || {
        let text = stage.run(&["metrics"]).expect_code(0).stdout;
        text.contains("mainstay_instance_memory_bytes{").then_some(text)
    });
    let figure = |name: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}{{stack=\"t\",app=\"web\",slot=\"1\"}}")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert!(
        figure("mainstay_instance_memory_bytes") > 1e6 && figure("mainstay_instance_cpu_seconds_total") < 1e4
    );
}
