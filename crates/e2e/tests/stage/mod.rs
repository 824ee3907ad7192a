//! What the tests of supervision and of changes share: a stack under `mainstay start`, its app, and clients that never stop asking.
#![allow(dead_code)] // each test binary uses its part

pub mod load;

use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use testkit::http::{Connection, Response, get};
use testkit::{Output, Running, Sandbox, free_port, is_alive, wait_until};

/// Host name of the stack's site.
pub const HOST: &str = "t.localhost";
/// The app, in `app.py`.
pub const WEB: &str = "[app.web]\nrun = \"python3 -S app.py\"\n";

/// Restarts that a test need not wait for.
pub const QUICK: &str = "restart = { delay = \"20ms\", max_delay = \"100ms\", max_restarts = 1000 }\n";

/// A manifest with one site that leads to `web`, and these apps.
pub fn manifest(apps: &str) -> String {
    format!("stack = \"t\"\n[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n{apps}")
}

/// A stack with `app.py`, not started yet.
pub struct Stage {
    pub sandbox: Sandbox,
    pub port: u16,
}

impl Stage {
    /// With these apps.
    pub fn new(apps: &str) -> Self {
        let sandbox = Sandbox::with_manifest(&manifest(apps));
        sandbox.write("app.py", include_str!("app.py"));
        Self { sandbox, port: free_port() }
    }

    /// With these apps, started and ready.
    #[track_caller]
    pub fn started(apps: &str) -> Self {
        let stage = Self::new(apps);
        stage.sandbox.start_daemon(stage.port);
        stage
    }

    /// A verb with its arguments, about this home.
    pub fn arguments(&self, arguments: &[&str]) -> Vec<OsString> {
        let home = self.sandbox.home().into_os_string();
        arguments.iter().map(OsString::from).chain([OsString::from("--home"), home]).collect()
    }

    /// Runs a verb to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox.run(self.arguments(arguments))
    }

    /// `start`, in the background of the test.
    pub fn starting(&self) -> Running {
        let address = format!("127.0.0.1:{}", self.port);
        self.sandbox.start(self.arguments(&["start", "--http", &address]))
    }

    /// Another manifest with these apps.
    pub fn rewrite(&self, apps: &str) {
        self.sandbox.write("mainstay.toml", manifest(apps));
    }

    /// Makes a file in the stack's folder: a signal to the app.
    pub fn signal(&self, name: &str) {
        self.sandbox.write(name, "");
    }

    /// Takes the signal back.
    pub fn unsignal(&self, name: &str) {
        fs::remove_file(self.sandbox.stack().join(name)).expect("a signal");
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        get(self.port, HOST, path)
    }

    /// A request that `app.py` holds until the signal `gate` is given; it has arrived, as this log of its instance tells.
    #[track_caller]
    pub fn slow(&self, host: &str, log: &str, gate: &str) -> Connection {
        let waiting = || self.home_file(log).matches("waits").count();
        let before = waiting();
        let mut slow = Connection::open(("127.0.0.1", self.port));
        slow.send(format!("GET /wait/{gate} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        wait_until("the app has the request", || (waiting() > before).then_some(()));
        slow
    }

    /// Process id of the instance that answers.
    #[track_caller]
    pub fn answering(&self) -> u32 {
        let answer = self.get("/");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.sandbox.status()
    }

    /// An app in `status`; none while there is no keeper, or it does not know the stack yet.
    pub fn find_app(&self, name: &str) -> Option<Value> {
        let home = self.sandbox.home();
        let home = if home.is_dir() { home } else { self.sandbox.stack().join(".mainstay") };
        let output =
            self.sandbox.run(["status".as_ref(), "--json".as_ref(), "--home".as_ref(), home.as_os_str()]);
        let status: Value = serde_json::from_str(&output.stdout).ok().filter(|_| output.code == Some(0))?;
        let apps = status["stacks"][0]["apps"].as_array()?;
        apps.iter().find(|app| app["name"] == name).cloned()
    }

    /// An app in `status`.
    #[track_caller]
    pub fn app(&self, name: &str) -> Value {
        self.find_app(name).unwrap_or_else(|| panic!("no {name} in {:#}", self.status()))
    }

    /// Waits until an app stands so, and gives it.
    #[track_caller]
    pub fn wait_for_app(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let begun = std::time::Instant::now();
        loop {
            last = if begun.elapsed() < testkit::DEADLINE {
                self.app(name)
            } else {
                panic!("{name} is not {what}: {last:#}")
            };
            if is(&last) {
                return last;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits until all of an app's instances are ready and none is on its way out.
    #[track_caller]
    pub fn wait_ready(&self, name: &str) -> Value {
        self.wait_for_app(name, "ready", |app| {
            app["state"] == "ready" && instances(app).iter().all(|instance| instance["state"] == "ready")
        })
    }

    /// Process ids of an app's living instances, by slot.
    #[track_caller]
    pub fn pids(&self, name: &str) -> Vec<u32> {
        pids(&self.app(name))
    }

    #[track_caller]
    pub fn keeper(&self) -> u32 {
        number(&self.status()["keeper"]["pid"])
    }

    #[track_caller]
    pub fn edge(&self) -> u32 {
        number(&self.status()["edge"]["pid"])
    }

    /// SIGKILL to a process of this stack, and its end.
    pub fn kill(&self, pid: u32) {
        testkit::signal(pid, "KILL");
        wait_until("it is dead", || (!is_alive(pid)).then_some(()));
    }

    /// Kills the keeper, as nothing else would.
    #[track_caller]
    pub fn kill_keeper(&self) {
        self.kill(self.keeper());
    }

    /// Text of a file below the home.
    pub fn home_file(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox.home().join(name)).unwrap_or_default()
    }

    /// Lines of the edge's access log.
    pub fn access_log(&self) -> Vec<Value> {
        let text = self.home_file("logs/edge/access.log");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Folder of the sockets, as the address of an instance that listens on one tells.
    #[track_caller]
    pub fn run_folder(&self) -> PathBuf {
        let app = self.app("web");
        let address = app["instances"][0]["address"].as_str().expect("an address").to_owned();
        let socket = PathBuf::from(address.strip_prefix("unix:").expect("a unix socket"));
        socket.ancestors().nth(3).expect("run/app/short/s").to_owned()
    }
}

/// The instances of an app in `status`.
pub fn instances(app: &Value) -> &[Value] {
    app["instances"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Process ids of an app's living instances.
pub fn pids(app: &Value) -> Vec<u32> {
    instances(app)
        .iter()
        .filter_map(|instance| instance["pid"].as_u64())
        .map(|pid| u32::try_from(pid).expect("a pid"))
        .collect()
}

/// Restarts of an app's first instance.
pub fn restarts(app: &Value) -> u64 {
    instances(app).first().and_then(|it| it["restarts"].as_u64()).unwrap_or(0)
}

/// States of an app's history, with their reasons.
pub fn history(app: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    app["history"]
        .as_array()
        .expect("a history")
        .iter()
        .map(|it| (text(&it["state"]), text(&it["reason"])))
        .collect()
}

/// A process id.
#[track_caller]
pub fn number(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// The parent of a process.
#[track_caller]
pub fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("its parent");
    line.trim().parse().expect("a pid")
}
