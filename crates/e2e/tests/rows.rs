//! Rows of `docs/requirements.md` that need a test of their own: rights, the size of one host, names and paths.
#![allow(clippy::unwrap_used)] // helpers of tests too

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::backend::Backend;
use testkit::http::{Connection, Response};
use testkit::{FrontDoor, HOST, Output, Running, Sandbox, binary};

const APP: &str = "import http.server, os
server = http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler)
server.serve_forever()";

/// Runs `mainstay` without root's rights: who runs the tests as root has it run as nobody, from a copy that nobody can reach.
fn without_rights(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let sockets = sandbox.write("run/keep", "");
    let mut command = sandbox.command(arguments);
    if is_root() {
        let program = sandbox.stack().join("mainstay");
        let copied = Command::new("install").arg("-m755").args([binary(), &program]).status().unwrap();
        assert!(copied.success());
        let (uid, gid) = nobody();
        let mut other = Command::new(program);
        other.args(arguments).current_dir(sandbox.stack()).env("NO_COLOR", "1").uid(uid).gid(gid);
        command = other;
    }
    command.env("XDG_RUNTIME_DIR", sockets.parent().unwrap());
    Running::start(command).wait()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The owner of a sandbox's stack, where the tests run as root.
fn nobody() -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("nobody:")).unwrap();
    let field = |at: usize| line.split(':').nth(at).unwrap().parse().unwrap();
    (field(2), field(3))
}

// req: HOST-03
#[test]
fn what_needs_root_is_refused_with_the_missing_right_and_nothing_is_begun() {
    let manifest = |app: &str| {
        format!(
            "stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\nroute = [{{ app = \"web\" }}]\n\
             [app.web]\nrun = \"python3 -S app.py\"\n{app}"
        )
    };
    let sandbox = Sandbox::with_manifest(&manifest(""));
    sandbox.write("app.py", APP);
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let first: u16 = first.trim().parse().unwrap();
    if first > 1 {
        // beside an address that could be had: that is not begun either
        let below = format!("127.0.0.1:{}", first.min(81) - 1);
        let output = without_rights(&sandbox, &["up", "--http", "127.0.0.1:0", "--http", &below]);
        let output = output.expect_code(1);
        assert!(output.stderr.contains("ports below 1024 need root"), "{}", output.stderr);
        sandbox.wait_until_empty();
        assert!(!sandbox.stack().join(".mainstay/logs/t").exists(), "an app was started");
    } else {
        eprintln!("any user may bind any port here: only the other half is shown");
    }
    // an app as somebody else
    sandbox.write("mainstay.toml", manifest("user = \"root\"\n"));
    let output = without_rights(&sandbox, &["up", "--http", "127.0.0.1:0"]);
    assert!(matches!(output.code, Some(1..)), "{output:?}");
    assert!(output.stderr.contains("only root can run an app as root"), "{}", output.stderr);
    sandbox.wait_until_empty();
}

// req: HOST-13
#[test]
fn with_999_connections_open_every_health_request_is_answered_within_a_second() {
    const OPEN: usize = 999;
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&format!("proxy = \"127.0.0.1:{}\"", backend.port())]);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, {
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = limit.maximum;
        limit
    })
    .unwrap();
    let ask = |connection: &mut Connection| -> (Response, Duration) {
        let begun = Instant::now();
        connection.send(format!("GET /health HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        (connection.response(), begun.elapsed())
    };
    let mut open: Vec<Connection> = (0..OPEN).map(|_| door.connect()).collect();
    testkit::wait_until("all are accepted", || {
        (door.edge()["connections"].as_u64()? >= OPEN as u64).then_some(())
    });
    // on connections of their own, and on each of those that are open
    for number in 0..100 {
        let begun = Instant::now();
        let answer = door.get("/health");
        assert!(answer.status == 200 && begun.elapsed() < Duration::from_secs(1), "{number}: {answer:?}");
    }
    for (number, connection) in open.iter_mut().enumerate() {
        let (answer, took) = ask(connection);
        assert!(answer.status == 200 && took < Duration::from_secs(1), "{number}: {answer:?} after {took:?}");
    }
    assert!(door.edge()["connections"].as_u64().unwrap() >= OPEN as u64, "some were closed");
}

// req: EDGE-24, EDGE-25
#[test]
fn every_path_of_the_apis_host_reaches_the_backend_whatever_the_browser() {
    const API: &str = "imagineer-api.joshwentworth.com";
    let backend = Backend::echo();
    let door = FrontDoor::open(
        &format!("[[site]]\nhosts = [\"{API}\"]\n[[site.route]]\nproxy = \"127.0.0.1:{}\"\n", backend.port()),
        &[],
    );
    for path in ["/", "/api/images", "/api/images/7/file", "/auth/callback?code=x&state=y"] {
        for browser in ["Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (iPhone) Mobile/15E148", ""] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {API}\r\nUser-Agent: {browser}\r\n\r\n");
            let answer = door.ask(&request);
            assert_eq!(answer.status, 200, "{path} for {browser}");
            assert!(answer.text().starts_with(&format!("GET {path} HTTP/1.1\n")), "{}", answer.text());
        }
    }
}

/// Milliseconds of processor time that a process has used, and its resident memory in bytes.
fn used(pid: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    (ticks * 1000 / rustix::param::clock_ticks_per_second(), kilobytes << 10)
}

// req: HOST-14
#[test]
fn at_rest_the_system_part_of_the_stack_takes_less_than_half_a_core_and_a_gigabyte() {
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/api/*\"\napp = \"engine\"\n\
         [[site.route]]\napp = \"frontend\"\n\
         [app.frontend]\nrun = \"python3 -S app.py\"\ninstances = 2\n\
         [app.engine]\nrun = \"python3 -S app.py\"\n"
    );
    let door = FrontDoor::open(&manifest, &[("app.py", APP)]);
    let apps: Vec<u64> = door.sandbox.status()["stacks"][0]["apps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|app| app["instances"].as_array().unwrap())
        .filter_map(|instance| instance["pid"].as_u64())
        .collect();
    let own: Vec<u32> =
        door.sandbox.processes().into_iter().filter(|pid| !apps.contains(&u64::from(*pid))).collect();
    assert_eq!((apps.len(), own.len()), (3, 5), "keeper, edge and three shims");
    let sum = || own.iter().map(|pid| used(*pid)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let before = sum();
    let window = Duration::from_secs(2);
    std::thread::sleep(window); // rest is what is measured
    let after = sum();
    let milliseconds = after.0 - before.0;
    assert!(u128::from(milliseconds) < window.as_millis() / 2, "{milliseconds} ms of {window:?}");
    assert!(after.1 < 1 << 30, "{} bytes resident", after.1);
}
