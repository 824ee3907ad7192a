//! Real servers of other kinds under Mainstay, in a network of the test's own where their ports are free: uvicorn with an ASGI
//! application, a Python program with processes of its own, two Nodes behind one port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests too

use serde_json::Value;
use std::collections::BTreeSet;
use testkit::http::{Connection, get};
use testkit::{Network, Running, Sandbox, is_alive, wait_until};

/// Where the front door listens: the port of the frontend.
const DOOR: u16 = 3000;

const MANIFEST: &str = r#"
stack = "servers"

[[site]]
hosts = ["frontend.localhost"]
[[site.route]]
path = "/api/*"
app = "seminar"
strip_prefix = "/api"
[[site.route]]
app = "frontend"

[[site]]
hosts = ["poker.localhost"]
[[site.route]]
app = "poker"

[app.seminar]
run = "uvicorn events:app --host 127.0.0.1 --port 8000"
port = 8000

[app.frontend]
run = "node frontend.js"
instances = 2

[app.poker]
run = "python backend/equity_server.py"
port = 5001
env = { PATH = "${VENV}:/usr/bin:/bin" }
"#;

fn started() -> (Sandbox, Running) {
    let sandbox = Sandbox::with_manifest(MANIFEST);
    sandbox.write("events.py", include_str!("events.py"));
    sandbox.write("frontend.js", include_str!("frontend.js"));
    sandbox.write("backend/equity_server.py", include_str!("equity_server.py"));
    // what an activated environment is: a folder with a `python`
    let venv = sandbox.stack().join("venv/bin");
    std::fs::create_dir_all(&venv).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", venv.join("python")).unwrap();
    let mut command = sandbox.command(["up", "--http", &format!("127.0.0.1:{DOOR}")]);
    command.env("VENV", venv);
    let mut up = Running::start(command);
    up.wait_for(" is up: ");
    (sandbox, up)
}

fn app(sandbox: &Sandbox, name: &str) -> Value {
    let status = sandbox.status();
    let apps = status["stacks"][0]["apps"].as_array().unwrap();
    apps.iter().find(|app| app["name"] == name).unwrap().clone()
}

fn pids(values: &Value, key: &str) -> BTreeSet<u32> {
    let pid = |it: &Value| it[key].as_u64().and_then(|pid| u32::try_from(pid).ok());
    values.as_array().unwrap().iter().filter_map(pid).collect()
}

// req: WSGI-18, WSGI-19, LB-13
#[test]
fn servers_of_other_kinds_are_themselves_under_mainstay() {
    let Some(network) = Network::new().filter(|network| network.ip("link set lo up")) else {
        return eprintln!("skipped: a network of the test's own needs root, `unshare` and `ip`");
    };
    network.inside(|| {
        let (sandbox, up) = started();
        streams_event_by_event(&sandbox);
        shares_a_port(&sandbox);
        let all = solves_in_processes(&sandbox);
        up.signal("INT");
        up.wait().expect_code(0);
        assert!(all.iter().all(|pid| !is_alive(*pid)), "a process of the pool is left: {all:?}");
        sandbox.wait_until_empty();
    });
}

/// An event is with the client before the next one is sent, whoever waits for whom.
fn streams_event_by_event(sandbox: &Sandbox) {
    let pid = app(sandbox, "seminar")["instances"][0]["pid"].clone();
    assert_eq!(get(DOOR, "frontend.localhost", "/api/").text(), format!("asgi {pid}"));
    assert_eq!(get(8000, "127.0.0.1", "/").text(), format!("asgi {pid}"), "on its own port");
    let mut stream = Connection::open(("127.0.0.1", DOOR));
    stream.send("GET /api/events HTTP/1.1\r\nHost: frontend.localhost\r\nAccept-Encoding: gzip, br\r\n\r\n");
    let head = stream.head();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("content-encoding"), None);
    for number in 1..=4 {
        sandbox.write(&format!("event.{number}"), "");
        let event = format!("id: {number}\ndata: token {number}\n\n");
        assert_eq!(stream.chunk(), Some(event.into_bytes()));
    }
    assert_eq!(stream.chunk(), None);
}

fn shares_a_port(sandbox: &Sandbox) {
    let answered: BTreeSet<String> = (0..20).map(|_| get(DOOR, "frontend.localhost", "/").text()).collect();
    let instances = pids(&app(sandbox, "frontend")["instances"], "pid");
    assert_eq!(answered, instances.iter().map(|pid| format!("frontend {pid}")).collect());
    assert_eq!(answered.len(), 2);
}

/// Gives its processes.
fn solves_in_processes(sandbox: &Sandbox) -> BTreeSet<u32> {
    let answer = get(DOOR, "poker.localhost", "/").text();
    let mut words = answer.split(' ').map(|word| word.parse::<u32>().unwrap());
    assert_eq!(words.next(), Some(506), "{answer}");
    let workers: BTreeSet<u32> = words.collect();
    assert!(workers.len() > 1, "one process solved it all: {answer}");
    let instance = app(sandbox, "poker")["instances"][0].take();
    let all = wait_until("its processes are seen", || {
        let all = pids(&app(sandbox, "poker")["instances"][0]["usage"]["processes"], "pid");
        workers.is_subset(&all).then_some(all)
    });
    assert_eq!(all.len(), 4, "itself and three that solve: {all:?}");
    assert!(all.contains(&u32::try_from(instance["pid"].as_u64().unwrap()).unwrap()));
    all
}
