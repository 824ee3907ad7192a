//! `mainstay up`: from the first line to nothing left.
#![allow(clippy::unwrap_used)] // helpers of tests too

use std::time::Instant;
use testkit::http::{Connection, get, post_form, try_status};
use testkit::{Sandbox, free_port, is_alive, wait_until};

fn manifest(apps: &str) -> String {
    format!("stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\n[[site.route]]\napp = \"web\"\n{apps}")
}

const WEB: &str = "[app.web]\nrun = \"python3 -u web.py\"\n";

/// An app that says who it is, and when it is stopped.
const WEB_PY: &str = r#"
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = ("pid %d" % os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
def stop(*_):
    print("web says goodbye", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print("web listens", flush=True)
print("web complains", file=sys.stderr, flush=True)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[test]
fn the_guestbook_is_served_and_stops_in_peace() {
    let sandbox = Sandbox::with_stack("hello");
    let port = free_port();
    let up = sandbox.up(port);
    assert!(up.stderr().contains(&format!("http://hello.localhost:{port}/")), "{}", up.stderr());
    let page = get(port, "hello.localhost", "/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Sign the guestbook"), "{}", page.text());

    // an entry goes in escaped, comes out on the page, and at once on an event stream that was open before
    let mut events = Connection::open(("127.0.0.1", port));
    events.send("GET /events HTTP/1.1\r\nHost: hello.localhost\r\n\r\n");
    assert_eq!(events.head().header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(events.chunk(), Some(b"retry: 1000\n\n".to_vec()));
    let answer = post_form(port, "hello.localhost", "/entries", "name=Ada&message=1+%3C+2");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let event = String::from_utf8(events.chunk().unwrap()).unwrap();
    assert!(event.starts_with("id: 1\nevent: entry\n") && event.contains("1 < 2"), "{event}");
    assert!(get(port, "hello.localhost", "/").text().contains("1 &lt; 2"));

    // the stream ends cleanly, then the app
    up.signal("INT");
    assert_eq!(events.chunk(), None, "the event stream was cut");
    let output = up.wait().expect_code(0);
    assert!(output.stderr.contains("hello is stopped"), "{}", output.stderr);
    sandbox.wait_until_empty();
}

// req: EDGE-15
#[test]
fn an_unknown_host_never_reaches_the_app() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let port = free_port();
    let up = sandbox.up(port);
    assert_eq!(get(port, "t.localhost", "/").status, 200);
    assert_eq!(get(port, "other.localhost", "/").status, 404);
    let requests = sandbox.status()["stacks"][0]["apps"][0]["instances"][0]["requests"].clone();
    assert_eq!(requests, 1, "the unknown host was passed on");
    up.signal("TERM");
    up.wait().expect_code(0);
}

// req: OBS-04
#[test]
fn logs_of_all_services_come_with_prefixes() {
    let apps =
        format!("{WEB}[app.worker]\nrun = \"sh -c 'echo worker works; exec sleep 600'\"\nlisten = false\n");
    let sandbox = Sandbox::with_manifest(&manifest(&apps));
    sandbox.write("web.py", WEB_PY);
    let mut up = sandbox.up(free_port());
    let mut follow = sandbox.start(["logs", "-f"]);
    for (label, text) in
        [("web.1    | ", "web listens"), ("web.1    | ", "web complains"), ("worker.1 | ", "worker works")]
    {
        up.wait_for(&format!("{label}{text}"));
        follow.wait_for(text);
        let prefixed = |line: &str| line.starts_with(label) && line.contains(text);
        assert!(follow.stdout().lines().any(prefixed), "{}", follow.stdout());
    }
    up.signal("INT");
    follow.wait_for("web says goodbye");
    drop(follow);
    let output = up.wait().expect_code(0);
    assert!(
        output.stdout.contains("web.1    | web says goodbye"),
        "the last words are missing:\n{}",
        output.stdout
    );

    // the files are still there, and show the same without a keeper
    let logs = sandbox.run(["logs", "--no-prefix"]).expect_code(0).stdout;
    assert!(logs.contains("web listens") && logs.contains("worker works"), "{logs}");
    let logs = sandbox.run(["logs", "worker", "--json"]).expect_code(0).json();
    assert_eq!((&logs["source"], &logs["text"]), (&"worker.1".into(), &"worker works".into()));
}

// req: OBS-03
#[test]
fn a_journal_is_followed_and_shows_its_last_lines() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write(
        "web.py",
        WEB_PY.replace("pid %d\" %", "pid %d\" % (print('asked', flush=True) or 0) or \"%d\" %"),
    );
    let port = free_port();
    let up = sandbox.up(port);
    let mut follow = sandbox.start(["logs", "-f", "-n", "1", "web"]);
    follow.wait_for("web ");
    assert!(!follow.stdout().contains("web listens\nweb"), "more than the last line: {}", follow.stdout());
    get(port, "t.localhost", "/");
    follow.wait_for("| ");
    follow.wait_for("asked");
    drop(follow);
    let last = sandbox.run(["logs", "--no-prefix", "-n", "1", "web"]).expect_code(0).stdout;
    assert_eq!(last.trim(), "asked");
    let access = wait_until("the access log has the request", || {
        let shown = sandbox.run(["logs", "edge", "web"]).expect_code(0).stdout;
        shown.lines().find(|line| line.starts_with("edge ")).map(str::to_owned)
    });
    assert!(access.contains(" 200 GET t.localhost/ ") && access.contains("web.1"), "{access}");
    up.signal("INT");
    up.wait().expect_code(0);
}

#[test]
fn status_shows_an_instance_and_follows_its_stop_start_and_restart() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let port = free_port();
    let up = sandbox.up(port);
    let pid = get(port, "t.localhost", "/").text().replace("pid ", "");
    let text = sandbox.run(["status"]).expect_code(0).stdout;
    let row = text.lines().find(|line| line.contains("web.1")).unwrap_or_else(|| panic!("no row:\n{text}"));
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[1..3], ["ready", &pid], "{text}");
    assert!(
        cells.iter().any(|cell| cell.ends_with('M')) && text.contains(&format!("http://t.localhost:{port}/")),
        "{text}"
    );
    let json = sandbox.status();
    let instance = &json["stacks"][0]["apps"][0]["instances"][0];
    assert_eq!(instance["pid"].to_string(), pid);
    assert_eq!(instance["restarts"], 0);
    assert!(instance["memory"].as_u64().unwrap() > 1 << 20, "{instance}");

    // stop, start and restart of one service, and what status says meanwhile
    sandbox.run(["stop", "web"]).expect_code(0);
    assert_eq!(sandbox.status()["stacks"][0]["apps"][0]["state"], "stopped");
    assert_eq!(get(port, "t.localhost", "/").status, 502);
    sandbox.run(["start", "web"]).expect_code(0);
    let second = get(port, "t.localhost", "/").text();
    sandbox.run(["restart", "web"]).expect_code(0);
    let third = get(port, "t.localhost", "/").text();
    assert!(format!("pid {pid}") != second && second != third, "{pid}, {second}, {third}");
    up.signal("INT");
    up.wait().expect_code(0);
}

#[test]
fn a_taken_port_is_reported_with_its_holder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let address = taken.local_addr().unwrap().to_string();
    let output = sandbox.run(["up", "--http", &address]).expect_code(1);
    let own = format!("pid {}", std::process::id());
    assert!(output.stderr.contains(&address) && output.stderr.contains(&own), "{}", output.stderr);
    sandbox.wait_until_empty();
}

#[test]
fn a_second_up_refuses_a_taken_port_too_and_begins_with_a_clean_record() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    for _ in 0..2 {
        let up = sandbox.up(0);
        let web = sandbox.status()["stacks"][0]["apps"][0]["instances"][0].clone();
        assert_eq!(web["restarts"], 0, "the former up left a ghost: {web}");
        assert!(web["last_end"].is_null(), "the former up left a ghost: {web}");
        up.signal("INT");
        up.wait().expect_code(0);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    sandbox.run(["up", "--http", &address]).expect_code(1);
    sandbox.wait_until_empty();
}

#[test]
fn up_begins_with_the_manifest_as_it_is_now_and_not_with_the_former_one() {
    let sandbox = Sandbox::with_manifest(
        "stack = \"t\"\n[[site]]\nhosts = [\"old.localhost\"]\nroute = [{ static = \".\" }]\n",
    );
    let old = free_port();
    let up = sandbox.up(old);
    up.signal("INT");
    up.wait().expect_code(0);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", old)).unwrap();
    sandbox.write("mainstay.toml", manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let new = free_port();
    let mut up = sandbox.start(["up", "--http", &new.to_string()]);
    up.wait_for(&format!(" is up: http://t.localhost:{new}/"));
    assert_eq!(get(new, "t.localhost", "/").status, 200);
    up.signal("INT");
    up.wait().expect_code(0);
}

#[test]
fn an_app_that_listens_elsewhere_is_told_so() {
    let web = "[app.web]\nrun = \"python3 -m http.server 0 --bind 127.0.0.1\"\nhealth = { start_period = \"2s\" }\n";
    let sandbox = Sandbox::with_manifest(&manifest(web));
    let output = sandbox.run(["up", "--http", "127.0.0.1:0"]).expect_code(4);
    assert!(output.stderr.contains("not on $HOST:$PORT"), "{}", output.stderr);
    sandbox.wait_until_empty();
}

#[test]
fn an_app_that_does_not_become_healthy_shows_its_last_lines() {
    let sandbox =
        Sandbox::with_manifest(&manifest("[app.web]\nrun = \"sh -c 'echo no database; exit 7'\"\n"));
    let output = sandbox.run(["up", "--http", "127.0.0.1:0"]).expect_code(4);
    assert!(output.stderr.contains("no database"), "the last lines are missing:\n{}", output.stderr);
    assert!(
        output.stderr.contains("error: web did not become healthy: exited with status 7"),
        "{}",
        output.stderr
    );
    sandbox.wait_until_empty();
}

#[test]
fn start_says_why_an_app_does_not_become_healthy_and_goes_on_trying() {
    let sandbox =
        Sandbox::with_manifest(&manifest("[app.web]\nrun = \"sh -c 'echo no database; exit 7'\"\n"));
    let home = sandbox.home();
    let home = home.to_str().unwrap();
    let output = sandbox.run(["start", "--http", "127.0.0.1:0", "--home", home]).expect_code(4);
    for text in
        ["no database\n", "error: web did not become healthy: exited with status 7\n", "mainstay stop"]
    {
        assert!(output.stderr.contains(text), "{text} is missing in:\n{}", output.stderr);
    }
    let status = sandbox.run(["status", "--home", home]).expect_code(0).stdout;
    assert!(status.contains("exited with status 7"), "{status}");
    sandbox.run(["stop", "--home", home]).expect_code(0);
    sandbox.wait_until_empty();
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let stubborn = WEB_PY.replace("os._exit(0)", "pass");
    let sandbox = Sandbox::with_manifest(&manifest(&format!("{WEB}stop = {{ timeout = \"10m\" }}\n")));
    sandbox.write("web.py", stubborn);
    let mut up = sandbox.up(free_port());
    up.signal("INT");
    up.wait_for("goodbye");
    assert!(is_alive(up.pid()), "it did not wait for its app");
    let begun = Instant::now();
    up.signal("INT");
    up.wait().expect_code(3);
    sandbox.wait_until_empty();
    assert!(begun.elapsed().as_secs() < 10, "took {:?}", begun.elapsed());
}

#[test]
fn kill_9_leaves_nothing() {
    let sandbox = Sandbox::with_manifest(&manifest(&format!("{WEB}instances = 2\n")));
    sandbox.write("web.py", WEB_PY);
    let port = free_port();
    let up = sandbox.up(port);
    assert!(
        sandbox.processes().len() >= 6,
        "keeper, edge, two shims and two apps: {:?}",
        sandbox.processes()
    );
    up.signal("KILL");
    assert_eq!(up.wait().code, None);
    sandbox.wait_until_empty();
    assert_eq!(try_status(port, "t.localhost", "/"), None);
    // and the same stack starts again on what was left on disk
    let up = sandbox.up(port);
    assert_eq!(get(port, "t.localhost", "/").status, 200);
    up.signal("HUP");
    up.wait().expect_code(0);
}

#[test]
fn one_keeper_for_a_home() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let up = sandbox.up(free_port());
    let output = sandbox.run(["up", "--http", "127.0.0.1:0"]).expect_code(5);
    assert!(output.stderr.contains(&format!("pid {}", up.pid())), "{}", output.stderr);
    // `stop` from another terminal ends it too
    sandbox.run(["stop"]).expect_code(0);
    up.wait().expect_code(0);
}

#[test]
fn up_tells_programs_what_happens() {
    let sandbox = Sandbox::with_manifest(&manifest(WEB));
    sandbox.write("web.py", WEB_PY);
    let mut up = sandbox.start(["up", "--json", "--http", "127.0.0.1:0"]);
    up.wait_for("\"event\":\"up\"");
    up.wait_for("web listens");
    up.signal("INT");
    let output = up.wait().expect_code(0);
    let events: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"starting"), Some(&"stopped")), "{names:?}");
    for name in ["ready", "up", "log", "stopping"] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    let up = events.iter().find(|event| event["event"] == "up").unwrap();
    assert!(up["urls"][0].as_str().unwrap().starts_with("http://t.localhost:"), "{up}");
    let ready = events.iter().find(|event| event["event"] == "ready").unwrap();
    assert_eq!(ready["instance"], "web.1");
}

#[test]
fn an_app_that_does_not_end_is_announced_and_killed_with_a_word() {
    let stubborn = WEB_PY.replace("os._exit(0)", "pass");
    let sandbox = Sandbox::with_manifest(&manifest(&format!("{WEB}stop = {{ timeout = \"3s\" }}\n")));
    sandbox.write("web.py", stubborn);
    let up = sandbox.up(free_port());
    let output = sandbox.run(["stop", "web"]).expect_code(0);
    for text in ["web.1 still runs, SIGKILL in ", "web.1 was killed: it did not end within 3 s"] {
        assert!(output.stderr.contains(text), "{text} is missing in:\n{}", output.stderr);
    }
    assert_eq!(output.stdout.trim(), "web: stopped");
    assert_eq!(sandbox.run(["stop", "web"]).expect_code(0).stdout.trim(), "no change");
    sandbox.run(["start", "web"]).expect_code(0);
    up.signal("INT");
    let output = up.wait().expect_code(0);
    assert!(output.stderr.contains("web.1 was killed"), "{}", output.stderr);
}
