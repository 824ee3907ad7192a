//! Real Gunicorns under Mainstay, in a network of the test's own where their ports are free: what their configuration says stays theirs,
//! Mainstay starts, watches, logs, reloads and stops them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests too

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::http::{Connection, get};
use testkit::{Network, Running, Sandbox, descendants, is_alive, signal, wait_until};

/// Where the front door listens.
const DOOR: u16 = 8080;

/// An app of this name at a host of its own, with the files that it writes.
fn app(name: &str, run: &str, more: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"{name}.localhost\"]\n[[site.route]]\napp = \"{name}\"\n[app.{name}]\nrun = \"{run}\"\n{more}\n\
         env = {{ SETTINGS = \"{name}.json\", IMPORTS = \"{name}.imports\", FLASK_DEBUG = \"${{FLASK_DEBUG:-false}}\" {} }}\n",
        if name == "onecore" { ", PYTHONPATH = \"onecore\"" } else { "" }
    )
}

fn manifest() -> String {
    let configured = "gunicorn --config gunicorn.conf.py";
    [
        "stack = \"wsgi\"\n".to_owned(),
        app(
            "math2visual",
            &format!("{configured} wsgi:app"),
            "port = 5000\nreload = \"HUP\"\ndescription = \"Math2Visual Backend\"",
        ),
        app(
            "eight",
            &format!("{configured} --workers 8 --timeout 180 --bind 0.0.0.0:5001 wsgi:app"),
            "port = 5001",
        ),
        app("onecore", &format!("{configured} --bind 127.0.0.1:$PORT wsgi:app"), ""),
        app(
            "imagineer",
            "gunicorn --bind 127.0.0.1:10050 --workers 2 --timeout 300 --access-logfile logs/access.log \
             --error-logfile logs/error.log server.api:app",
            "port = 10050\nwritable = [\"logs\"]\ndescription = \"Imagineer API Server\"",
        ),
        app(
            "printing",
            "gunicorn --bind 127.0.0.1:$PORT --workers 1 --access-logfile - --error-logfile - wsgi:app",
            "instances = 2",
        ),
        app("script", "scripts/start_production.sh --bind 127.0.0.1:$PORT --workers 2", ""),
    ]
    .concat()
}

struct Stage {
    sandbox: Sandbox,
    up: Running,
}

impl Stage {
    fn up() -> Self {
        let sandbox = Sandbox::with_manifest(&manifest());
        sandbox.write("gunicorn.conf.py", include_str!("gunicorn.conf.py"));
        sandbox.write("wsgi.py", include_str!("wsgi.py"));
        sandbox.write("server/__init__.py", "");
        sandbox.write("server/api.py", "from wsgi import app\n");
        // a host with one core, as Python sees it
        sandbox.write(
            "onecore/sitecustomize.py",
            "import multiprocessing\nmultiprocessing.cpu_count = lambda: 1\n",
        );
        let script = sandbox.write("scripts/start_production.sh", include_str!("start_production.sh"));
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = sandbox.command(["up", "--http", &format!("127.0.0.1:{DOOR}")]);
        command.env("FLASK_DEBUG", "true");
        let mut up = Running::start(command);
        up.wait_for(" is up: ");
        Self { sandbox, up }
    }

    /// What an app's Gunicorn was configured with, by its own word.
    fn settings(&self, app: &str) -> Value {
        serde_json::from_str(&self.file(&format!("{app}.json"))).unwrap()
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.sandbox.stack().join(name)).unwrap()
    }

    fn app(&self, name: &str) -> Value {
        let status = self.sandbox.status();
        let apps = status["stacks"][0]["apps"].as_array().unwrap();
        apps.iter().find(|app| app["name"] == name).unwrap().clone()
    }

    /// Main process of an app's first instance.
    fn main(&self, app: &str) -> u32 {
        u32::try_from(self.app(app)["instances"][0]["pid"].as_u64().unwrap()).unwrap()
    }

    /// Workers of a Gunicorn.
    fn workers(&self, app: &str) -> BTreeSet<u32> {
        descendants(self.main(app)).into_iter().filter(|pid| is_alive(*pid)).collect()
    }

    /// Files that begin so: requests that have arrived.
    fn arrived(&self, gate: &str) -> usize {
        let files = std::fs::read_dir(self.sandbox.stack()).unwrap().flatten();
        let begin = format!("arrived.{gate}.");
        files.filter(|file| file.file_name().to_string_lossy().starts_with(&begin)).count()
    }
}

/// Process id that an answer names.
fn pid_of(text: &str) -> u32 {
    text.rsplit(' ').next().and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// Asks from several connections at a time until `enough` says so; counts answers by worker, and collects what was none.
fn load(host: &str, enough: impl Fn(usize) -> bool + Sync) -> (BTreeMap<u32, usize>, Vec<String>) {
    let (answers, failures) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = Connection::open(("127.0.0.1", DOOR));
                while !enough(asked.fetch_add(1, Ordering::Relaxed)) {
                    connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
                    let answer = connection.response();
                    if answer.status == 200 {
                        *answers.lock().unwrap().entry(pid_of(&answer.text())).or_insert(0) += 1;
                    } else {
                        failures.lock().unwrap().push(format!("{}: {}", answer.status, answer.text()));
                    }
                }
            });
        }
    });
    (answers.into_inner().unwrap(), failures.into_inner().unwrap())
}

/// Bytes of a line of `smaps_rollup`.
fn memory(pid: u32, line: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let found = text.lines().find_map(|own| own.strip_prefix(line)).unwrap();
    found.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

// req: WSGI-02, WSGI-03, WSGI-06, WSGI-08, WSGI-09, WSGI-10, WSGI-11, WSGI-12, WSGI-14, WSGI-15, PROC-14, PROC-17, PROC-27
#[test]
fn what_gunicorn_is_told_holds_under_mainstay() {
    let Some(network) = Network::new().filter(|network| network.ip("link set lo up")) else {
        return eprintln!("skipped: a network of the test's own needs root, `unshare` and `ip`");
    };
    network.inside(|| {
        let stage = Stage::up();
        configuration(&stage);
        processes(&stage);
        logs(&stage);
        stage.up.signal("INT");
        stage.up.wait().expect_code(0);
        stage.sandbox.wait_until_empty();
    });
}

fn configuration(stage: &Stage) {
    let cores = std::thread::available_parallelism().unwrap().get();
    let by_formula = if cores == 1 { 3 } else { 4 };
    let file = |bind: &str, workers: usize, timeout: u32| {
        json!({
            "bind": [bind], "workers": workers, "timeout": timeout,
            "preload_app": true, "max_requests": 1000, "max_requests_jitter": 50,
        })
    };
    assert_eq!(stage.settings("math2visual"), file("0.0.0.0:5000", by_formula, 120));
    assert_eq!(stage.settings("eight"), file("0.0.0.0:5001", 8, 180), "flags win over the file");
    let settings = stage.settings("onecore");
    assert_eq!((&settings["workers"], &settings["timeout"]), (&json!(3), &json!(120)), "{settings}");
    assert_eq!(
        stage.settings("script")["workers"],
        2,
        "the script's server has the file, and a flag over it"
    );
    for (app, workers) in
        [("math2visual", by_formula), ("eight", 8), ("onecore", 3), ("imagineer", 2), ("script", 2)]
    {
        wait_until("its workers are there", || (stage.workers(app).len() == workers).then_some(()));
        assert_eq!(get(DOOR, &format!("{app}.localhost"), "/").status, 200, "{app}");
    }
    // on every address, on another port, and on loopback alone
    for port in [5000, 5001] {
        assert_eq!(Connection::open(("127.0.0.7", port)).line_of_get(), "HTTP/1.1 200 OK");
    }
    assert!(Connection::try_open(("127.0.0.7", 10050)).is_err());
    assert_eq!(Connection::open(("127.0.0.1", 10050)).line_of_get(), "HTTP/1.1 200 OK");
}

/// A request to a server itself.
trait Ask {
    fn line_of_get(self) -> String;
}

impl Ask for Connection {
    fn line_of_get(mut self) -> String {
        self.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        self.line().unwrap()
    }
}

fn processes(stage: &Stage) {
    // loaded once in the master, whatever the number of workers, and shared with them
    for app in ["math2visual", "eight"] {
        assert_eq!(stage.file(&format!("{app}.imports")), "imported\n");
    }
    for worker in stage.workers("math2visual") {
        let (resident, own) = (memory(worker, "Rss:"), memory(worker, "Private_Dirty:"));
        assert!(resident > 64 << 20 && own < 32 << 20, "{worker} holds {resident}, {own} of its own");
    }
    let cmdline = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    for app in ["math2visual", "imagineer", "script"] {
        for pid in stage.workers(app).into_iter().chain([stage.main(app)]) {
            assert!(cmdline(pid).contains("gunicorn"), "{app}: {}", cmdline(pid));
        }
    }
    // what one run was given is in the processes' environment and in no file
    for pid in stage.workers("script").into_iter().chain([stage.main("script")]) {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(environment.split(|byte| *byte == 0).any(|own| own == b"FLASK_DEBUG=true"));
    }
    let files = ["mainstay.toml", "gunicorn.conf.py", "scripts/start_production.sh"];
    assert!(files.iter().all(|name| !stage.file(name).contains("FLASK_DEBUG=true")));
    // two instances behind one address share the requests
    let pids: BTreeSet<u32> = (0..20).map(|_| pid_of(&get(DOOR, "printing.localhost", "/").text())).collect();
    assert_eq!(pids.len(), 2, "{pids:?}");
    let status = stage.sandbox.run(["status"]).expect_code(0).stdout;
    for text in ["Math2Visual Backend", "Imagineer API Server"] {
        assert!(status.contains(text), "{status}");
    }
}

fn logs(stage: &Stage) {
    let shown = || stage.sandbox.run(["logs", "printing", "-n", "200"]).expect_code(0).stdout;
    wait_until("what it prints is its log", || {
        let shown = shown();
        (shown.contains("\"GET / HTTP/1.1\" 200") && shown.contains("Booting worker")).then_some(())
    });
    let folder = PathBuf::from("logs");
    assert!(stage.file(folder.join("access.log").to_str().unwrap()).contains("\"GET / HTTP/1.1\" 200"));
    assert!(stage.file(folder.join("error.log").to_str().unwrap()).contains("Booting worker"));
}

// req: WSGI-07, WSGI-13, WSGI-20, PROC-12, LB-14
#[test]
fn gunicorn_recycles_and_reloads_its_workers_without_a_failed_request() {
    let Some(network) = Network::new().filter(|network| network.ip("link set lo up")) else {
        return eprintln!("skipped: a network of the test's own needs root, `unshare` and `ip`");
    };
    network.inside(|| {
        let stage = Stage::up();
        recycled(&stage);
        reloaded(&stage);
        as_many_as_workers(&stage);
        each_worker_answers(&stage);
        stage.up.signal("INT");
        stage.up.wait().expect_code(0);
    });
}

fn recycled(stage: &Stage) {
    let (answers, failures) = load("math2visual.localhost", |asked| asked >= 10_000);
    assert!(failures.is_empty(), "{} failed: {failures:?}", failures.len());
    assert_eq!(answers.values().sum::<usize>(), 10_000);
    let living = stage.workers("math2visual");
    let replaced: Vec<usize> =
        answers.iter().filter(|(pid, _)| !living.contains(pid)).map(|(_, count)| *count).collect();
    assert!(replaced.len() >= 5, "{answers:?}");
    assert!(replaced.iter().all(|count| (1000..=1050).contains(count)), "{replaced:?}");
}

fn reloaded(stage: &Stage) {
    let (main, before) = (stage.main("math2visual"), stage.workers("math2visual"));
    let run = stage.app("math2visual")["instances"][0]["run"].clone();
    let over = AtomicBool::new(false);
    let failures = std::thread::scope(|scope| {
        let load = scope.spawn(|| load("math2visual.localhost", |_| over.load(Ordering::Relaxed)).1);
        let said = stage.sandbox.run(["signal", "math2visual"]).expect_code(0).stdout;
        assert_eq!(said.trim(), format!("math2visual.1: SIGHUP to process {main}"));
        wait_until("all workers are others", || {
            let now = stage.workers("math2visual");
            (now.len() == before.len() && now.is_disjoint(&before)).then_some(())
        });
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert!(failures.is_empty(), "{} failed: {failures:?}", failures.len());
    let now = stage.app("math2visual");
    assert_eq!((stage.main("math2visual"), &now["instances"][0]["run"]), (main, &run), "the same instance");
    // an app without a word about it needs to be told which
    let output = stage.sandbox.run(["signal", "imagineer"]);
    assert!(output.code != Some(0) && output.stderr.contains("mainstay signal imagineer HUP"), "{output:?}");
}

fn as_many_as_workers(stage: &Stage) {
    let ask = |gate: &str| {
        let mut connection = Connection::open(("127.0.0.1", DOOR));
        connection.send(format!("GET /wait/{gate} HTTP/1.1\r\nHost: imagineer.localhost\r\n\r\n"));
        connection
    };
    // one is busy: health is answered by the other
    let mut image = ask("image");
    wait_until("it is being worked on", || (stage.arrived("image") == 1).then_some(()));
    let begun = Instant::now();
    assert_eq!(get(DOOR, "imagineer.localhost", "/api/health").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // two at a time, and the third waits
    let mut second = ask("second");
    wait_until("both are being worked on", || (stage.arrived("second") == 1).then_some(()));
    let mut third = ask("third");
    std::thread::sleep(Duration::from_millis(300)); // that it does not arrive is what is seen
    assert_eq!(stage.arrived("third"), 0, "two workers do three things at a time");
    for gate in ["image", "second", "third"] {
        stage.sandbox.write(gate, "");
    }
    for answer in [&mut image, &mut second, &mut third].map(Connection::response) {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A worker does one thing at a time: eight at a time are done by all eight, on the one socket.
fn each_worker_answers(stage: &Stage) {
    let mut all: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(("127.0.0.1", DOOR));
            connection.send("GET /wait/all HTTP/1.1\r\nHost: eight.localhost\r\n\r\n");
            connection
        })
        .collect();
    wait_until("all are being worked on", || (stage.arrived("all") == 8).then_some(()));
    stage.sandbox.write("all", "");
    let answered: BTreeSet<u32> =
        all.iter_mut().map(|connection| pid_of(&connection.response().text())).collect();
    assert_eq!(answered, stage.workers("eight"));
}

// req: PROC-04, PROC-05
#[test]
fn a_service_is_started_again_after_the_delay_that_it_asks_for() {
    let program = |name: &str, delay: u32| {
        format!(
            "[app.{name}]\nrun = \"sleep 600\"\nlisten = false\nrestart = {{ delay = \"{delay}s\", max_delay = \"60s\" }}\n"
        )
    };
    let sandbox = Sandbox::with_manifest(&format!(
        "stack = \"t\"\n{}{}",
        program("imagineer-api", 10),
        program("math2visual", 3)
    ));
    let mut up = sandbox.start(["up", "--http", "127.0.0.1:0"]);
    up.wait_for(" is up");
    let pid = |name: &str| {
        let status = sandbox.status();
        let apps = status["stacks"][0]["apps"].as_array().unwrap();
        let app = apps.iter().find(|app| app["name"] == name).unwrap();
        app["instances"][0]["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap())
    };
    let all = [("imagineer-api", 10.0), ("math2visual", 3.0)];
    let ended = all.map(|(name, _)| {
        let old = pid(name).unwrap();
        signal(old, "KILL");
        wait_until("it is gone", || (!is_alive(old)).then_some(()));
        (old, Instant::now())
    });
    for ((name, delay), (old, ended)) in all.into_iter().zip(ended).rev() {
        let begun =
            wait_until("it is there again", || pid(name).filter(|new| *new != old).map(|_| Instant::now()));
        let took = (begun - ended).as_secs_f64();
        assert!((delay..delay + 1.5).contains(&(took + 0.05)), "{name}: {took} s");
    }
    up.signal("INT");
    up.wait().expect_code(0);
}
