//! Where a stack's logs are, and what they do not show: the real binary, an app that prints what it should not, requests that carry it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use testkit::{FrontDoor, HOST, wait_until};

/// Prints all that is private, on both streams, then answers.
const APP: &str = r#"
import http.server, os, sys
for out in (sys.stdout, sys.stderr):
    print("mail ada@example.com card 4111 1111 1111 1111 from 198.51.100.7", file=out)
    print("key " + os.environ["API_KEY"] + " password=hunter2 call +4930123456", file=out, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, file=sys.stderr, flush=True)
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;
const SECRET: &str = "k3y-f0r-n0b0dy";
/// What is nobody's business, but the app's own secret.
const PRIVATE: [&str; 5] = ["ada@", "4111", "198.51.100.7", "hunter2", "30123456"];
const PATH: &str = "/u/ada@example.com/4111111111111111?token=hunter2&tel=%2B4930123456&key=k3y-f0r-n0b0dy";

fn open(logs: &str) -> FrontDoor {
    let manifest = format!(
        "trusted = [\"127.0.0.0/8\"]\n[edge]\naccess_log = \"combined\"\n{logs}\n[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/*\"\napp = \"web\"\n\
         [app.web]\nrun = \"python3 app.py\"\nenv_file = \"secrets.env\"\nbuild = [\"echo built\"]\n"
    );
    let files = [("app.py", APP), ("secrets.env", "API_KEY=k3y-f0r-n0b0dy\n")];
    let door = FrontDoor::open(&manifest, &files);
    let ask = format!(
        "GET {PATH} HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 198.51.100.7\r\nReferer: http://x/?mail=ada@example.com\r\n\r\n"
    );
    assert_eq!(door.ask(&ask).status, 200);
    door
}

/// Every file below a folder, links aside.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            found.push((entry.path().display().to_string(), text));
        }
    }
    found
}

/// Once the app's and the edge's lines for the request are there.
fn wait_for_lines(app: &Path, access: &Path) {
    let has = |path: &Path, text: &str| std::fs::read_to_string(path).is_ok_and(|found| found.contains(text));
    wait_until("the lines of the request", || (has(app, "/u/") && has(access, "/u/")).then_some(()));
}

// req: PRIV-12
#[test]
fn what_is_to_be_masked_reaches_no_disk() {
    let door = open("[logs]\nredact = [\"secrets\", \"email\", \"card\", \"phone\", \"ip\", \"token\"]");
    let home = door.sandbox.stack().join(".mainstay");
    let logs = home.join("logs");
    let app = std::fs::read_dir(&logs).unwrap().flatten().map(|entry| entry.path().join("web.1.err.log"));
    let app = app.into_iter().find(|path| path.exists()).expect("the app's log");
    wait_for_lines(&app, &logs.join("edge/access.log"));
    for (name, text) in files(&logs) {
        for hidden in PRIVATE {
            assert!(!text.contains(hidden), "{hidden} in {name}: {text}");
        }
        // The edge knows no app's secrets: in a request they are masked by what they are called.
        assert!(!text.contains(SECRET) || name.ends_with("access.log"), "{name}: {text}");
    }
    let text = std::fs::read_to_string(&app).unwrap();
    assert!(text.contains("mail [email] card [card] from 198.51.100.0"), "{text}");
    assert!(text.contains("key [secret] password=[token] call [phone]"), "{text}");
    // By choice of each app: this one now hides its secret only.
    let manifest = std::fs::read_to_string(door.sandbox.stack().join("mainstay.toml")).unwrap();
    door.sandbox.write("mainstay.toml", format!("{manifest}logs = {{ redact = [\"secrets\"] }}\n"));
    door.sandbox.run(["reload"]).expect_code(0);
    let plain = || files(&logs).iter().any(|(_, text)| text.contains("key [secret] password=hunter2"));
    wait_until("the app's own choice", || plain().then_some(()));
}

// req: OBS-01
#[test]
fn a_folder_of_its_own_holds_all_of_a_stacks_logs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let dir = folder.path().join("plot-palette");
    let door = open(&format!("[logs]\ndir = \"{}\"", dir.display()));
    wait_for_lines(&dir.join("web.1.err.log"), &dir.join("access.log"));
    let names: Vec<String> = files(&dir).into_iter().map(|(name, _)| name).collect();
    let expected = ["web.1.out.log", "web.1.err.log", "web.build.log", "access/access.log"]
        .map(|name| dir.join(name).display().to_string());
    assert!(names.len() == 4 && expected.iter().all(|name| names.contains(name)), "{names:?}");
    let out = std::fs::read_to_string(dir.join("web.1.out.log")).unwrap();
    assert!(out.contains("key [secret] password=hunter2") && !out.contains(SECRET), "{out}");
    for (name, text) in files(&door.sandbox.stack().join(".mainstay/logs")) {
        assert!(!text.contains("/u/ada") && !text.contains("mail ada"), "{name}: {text}");
    }
    let shown = door.sandbox.run(["logs", "--access", "--json"]).expect_code(0).stdout;
    assert!(shown.contains("\"edge\"") && shown.contains("\"web.1\""), "{shown}");
    let built = door.sandbox.run(["logs", "web.build"]).expect_code(0).stdout;
    assert!(built.lines().any(|line| line.ends_with("built")), "{built}");
}

#[test]
fn a_folder_that_is_not_the_keepers_is_refused_and_what_runs_stays() {
    let door = open("");
    let folder = door.sandbox.stack().join("shared");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let manifest = std::fs::read_to_string(door.sandbox.stack().join("mainstay.toml")).unwrap();
    door.sandbox.write("mainstay.toml", manifest.replace("[[site]]", "[logs]\ndir = \"shared\"\n[[site]]"));
    let refused = door.sandbox.run(["reload"]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("no logs can be kept in") && refused.stderr.contains("[logs] dir"),
        "{}",
        refused.stderr
    );
    assert_eq!(door.get("/still").status, 200);
}
