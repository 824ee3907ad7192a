//! Changes of a running stack: `reload`, `restart`, and a first `start` that does not succeed.
#![allow(clippy::unwrap_used)] // helpers of tests too

use testkit::http::{Connection, get};
use testkit::{Sandbox, free_port, is_alive, wait_until};

const MANIFEST: &str = "stack = \"t\"\n[[site]]\nhosts = [\"t.localhost\"]\n[[site.route]]\napp = \"web\"\n\
                        [app.web]\nrun = \"python3 -u web.py\"\n";

/// Answers with its pid and version; `/slow` takes a second.
const WEB_PY: &str = r#"
import http.server, os, time
VERSION = "one"
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)
        body = ("%d %s" % (os.getpid(), VERSION)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn started() -> (Sandbox, u16) {
    let sandbox = Sandbox::with_manifest(MANIFEST);
    sandbox.write("web.py", WEB_PY);
    let port = free_port();
    sandbox.start_daemon(port);
    (sandbox, port)
}

/// Runs a command about the sandbox's home.
#[track_caller]
fn at_home(sandbox: &Sandbox, words: &[&str]) -> testkit::Output {
    let home = sandbox.home();
    sandbox.run(words.iter().copied().chain(["--home", home.to_str().unwrap()]))
}

#[test]
fn reload_changes_what_changed_and_drops_what_does_not_become_healthy() {
    let (sandbox, port) = started();
    let output = at_home(&sandbox, &["reload"]).expect_code(0);
    assert_eq!(output.stdout.trim(), "no change");
    let first = get(port, "t.localhost", "/").text();

    sandbox.write("mainstay.toml", format!("{MANIFEST}[app.web.env]\nCOLOUR = \"blue\"\n"));
    let output = at_home(&sandbox, &["reload", "--dry-run"]).expect_code(0);
    assert!(output.stdout.contains("COLOUR") && !output.stdout.contains("blue"), "{}", output.stdout);
    assert_eq!(get(port, "t.localhost", "/").text(), first, "a dry run changed something");
    at_home(&sandbox, &["reload"]).expect_code(0);
    let second = get(port, "t.localhost", "/").text();
    assert_ne!(first, second);

    sandbox.write("mainstay.toml", MANIFEST.replace("web.py", "broken.py"));
    sandbox.write("broken.py", "raise SystemExit('no such table')\n");
    let output = at_home(&sandbox, &["reload"]).expect_code(4);
    assert!(output.stderr.contains("no such table"), "the reason is missing:\n{}", output.stderr);
    assert_eq!(get(port, "t.localhost", "/").text(), second, "the former state does not serve on");
    let output = at_home(&sandbox, &["status"]).expect_code(0);
    assert!(output.stdout.contains("dropped"), "{}", output.stdout);

    sandbox.write("mainstay.toml", "stack = \"t\"\nsiet = 1\n");
    let output = at_home(&sandbox, &["reload"]).expect_code(1);
    assert!(output.stderr.contains("siet"), "{}", output.stderr);
    assert_eq!(get(port, "t.localhost", "/").text(), second);
    at_home(&sandbox, &["stop"]).expect_code(0);
}

#[test]
fn restart_lets_requests_end_in_peace() {
    let (sandbox, port) = started();
    let first = get(port, "t.localhost", "/").text();
    let mut slow = Connection::open(("127.0.0.1", port));
    slow.send("GET /slow HTTP/1.1\r\nHost: t.localhost\r\n\r\n");
    let app: u32 = first.split(' ').next().unwrap().parse().unwrap();
    wait_until("the slow request is under way", || {
        (sandbox.status()["stacks"][0]["apps"][0]["instances"][0]["in_flight"] == 1).then_some(())
    });
    at_home(&sandbox, &["restart", "web"]).expect_code(0);
    assert_eq!(slow.response().text(), first, "the slow request was cut");
    let second = get(port, "t.localhost", "/").text();
    assert_ne!(first, second);
    assert!(!is_alive(app), "the former process lives on");
    let output = at_home(&sandbox, &["restart", "wbe"]).expect_code(2);
    assert!(output.stderr.contains("its apps: web"), "{}", output.stderr);
    at_home(&sandbox, &["stop"]).expect_code(0);
}

#[test]
fn start_says_why_an_app_does_not_become_healthy() {
    let sandbox =
        Sandbox::with_manifest(&MANIFEST.replace("python3 -u web.py", "sh -c 'echo no database; exit 7'"));
    let home = sandbox.home();
    let arguments = ["start", "--http", "127.0.0.1:0", "--home", home.to_str().unwrap()];
    let output = sandbox.run(arguments).expect_code(4);
    for text in
        ["no database\n", "error: web did not become healthy: exited with status 7\n", "mainstay stop"]
    {
        assert!(output.stderr.contains(text), "{text} is missing in:\n{}", output.stderr);
    }
    // it is tried again, and status says so
    let status = at_home(&sandbox, &["status"]).expect_code(0).stdout;
    assert!(status.contains("exited with status 7"), "{status}");
    at_home(&sandbox, &["stop"]).expect_code(0);
    sandbox.wait_until_empty();
}
