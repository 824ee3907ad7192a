//! Step 2: `deploy.sh`, on a terminal and without one, and its sub-commands.

use crate::stage::{DOMAIN, START, Stage};
use std::process::Command;
use std::time::Duration;
use testkit::{Output, Running};

/// `deploy.sh` without a word, on a pseudo-terminal of its own, with these lines typed.
fn on_a_terminal(stage: &Stage, typed: &str) -> Output {
    let answers = stage.sandbox.folder().join("answers");
    #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
    std::fs::write(&answers, typed).unwrap();
    let mut command = stage.command("sh");
    // who deploys may have closed what he makes to others: apps and databases run as others all the same
    let script =
        "umask 077; exec script --quiet --return --echo never --command ./deploy.sh /dev/null <\"$0\"";
    command.args(["-c", script]).arg(&answers);
    Running::start(command).wait_within(START)
}

/// Nobody can be asked: usage, exit code 2, and nothing is touched.
pub fn without_a_terminal_it_prints_usage(stage: &Stage) {
    let before = std::fs::read(stage.sandbox.stack().join(".env")).unwrap();
    for words in [&[][..], &["destroy"], &["deploy", "--ssl", "perhaps"], &["deploy", "--colour", "red"]] {
        let output = stage.deploy(words).expect_code(2);
        for word in ["deploy", "status", "logs", "restart", "cleanup", "--ssl"] {
            assert!(output.stderr.contains(word), "{words:?}: no {word} in {}", output.stderr);
        }
    }
    assert_eq!(std::fs::read(stage.sandbox.stack().join(".env")).unwrap(), before);
    assert!(stage.sandbox.processes().is_empty(), "something was started");
}

/// The whole deployment, asked for on a terminal: deploy, this name, with SSL. What it said.
pub fn asked_on_a_terminal(stage: &Stage) -> String {
    let output = on_a_terminal(stage, &format!("deploy\n{DOMAIN}\nyes\n"));
    if output.code != Some(0) {
        stage.show_logs();
    }
    let said = output.expect_code(0).stdout;
    for question in ["What is to be done?", "Under which host name?", "Set up SSL"] {
        assert!(said.contains(question), "never asked {question:?}: {said}");
    }
    assert!(said.contains("health: 200 ok"), "{said}");
    let settings = std::fs::read_to_string(stage.sandbox.stack().join(".env")).unwrap();
    assert!(settings.contains(&format!("DOMAIN={DOMAIN}\n")) && settings.contains("SSL=yes\n"), "{settings}");
    said
}

/// `status` shows edge, application, counterpart and database.
pub fn everything_runs(stage: &Stage) -> String {
    let status = stage.deploy(&["status"]).expect_code(0).stdout;
    for part in ["edge", "web", "storyteller", "db"] {
        assert!(status.contains(part), "no {part} in\n{status}");
    }
    for name in ["web", "storyteller", "db"] {
        let app = stage.app(name);
        assert_eq!(app["instances"][0]["state"], "ready", "{app:#}");
    }
    let version = stage.database().value("SELECT VERSION()");
    format!("edge, web, storyteller, db ({version}) run")
}

/// A second deployment.
pub fn again(stage: &Stage) -> String {
    let pids = ["web", "storyteller", "db"].map(|name| stage.pid(name));
    let output = stage.deploy(&["deploy"]).expect_code(0);
    assert!(output.stdout.contains("no change"), "{}", output.stdout);
    assert_eq!(["web", "storyteller", "db"].map(|name| stage.pid(name)), pids, "something was restarted");
    "exit 0, no change, same processes".to_owned()
}

/// What runs, from which files, and where: 5000 unless `.env` says otherwise, as it does here.
pub fn gunicorn(stage: &Stage) -> String {
    let folder = stage.sandbox.stack();
    for name in ["server.py", "database.py", "recommendation_service_embedded.py", "gunicorn.conf.py"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(folder.join("story_generation/__init__.py").is_file());
    let master = stage.pid("web");
    let words = sys::proc::cmdline(master).unwrap();
    for word in ["gunicorn.conf.py", "server:app"] {
        assert!(words.iter().any(|given| given == word), "no {word} in {words:?}");
    }
    let workers = stage.workers();
    assert!(workers.len() > 1, "workers: {workers:?}");
    // the parts that a worker has in memory: the database's connector and the model's libraries
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", workers[0])).unwrap();
    for library in ["sklearn", "pandas", "numpy"] {
        assert!(maps.contains(library), "no {library} in a worker");
    }
    let port = stage.variable(master, "PORT").expect("PORT");
    assert!(listens(workers[0], port.parse().unwrap()), "nobody listens on 127.0.0.1:{port}");

    // without a word about ports the application's is 5000
    let python =
        "import os, runpy; os.environ.pop('PORT', None); print(runpy.run_path('gunicorn.conf.py')['bind'])";
    let output =
        Command::new(stage.python()).args(["-B", "-c", python]).current_dir(&folder).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "127.0.0.1:5000");
    let manifest = std::fs::read_to_string(folder.join("mainstay.toml")).unwrap();
    assert!(manifest.contains("port = \"${PLOT_PALETTE_PORT:-5000}\""), "the manifest's own port");
    format!("server:app, {} workers on 127.0.0.1:{port}; 5000 by default", workers.len())
}

/// Whether a process has a listening socket on this port of 127.0.0.1 (proc(5): `/proc/PID/net/tcp`).
fn listens(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let address = format!("0100007F:{port:04X}");
    table.lines().any(|line| line.split_whitespace().nth(1) == Some(&address) && line.contains(" 0A "))
}

/// `status`, `logs` and `restart` are for all services together.
pub fn sub_commands(stage: &Stage) -> String {
    everything_runs(stage);
    let logs = stage.deploy(&["logs", "-n", "100000"]).expect_code(0).stdout;
    for name in ["web", "storyteller", "db"] {
        assert!(logs.lines().any(|line| line.contains(name)), "no line of {name} in the logs");
    }
    let parts = ["web", "storyteller", "db"];
    let before = parts.map(|name| stage.pid(name));
    stage.deploy(&["restart"]).expect_code(0);
    let after = parts.map(|name| stage.pid(name));
    for ((name, old), new) in parts.iter().zip(before).zip(after) {
        assert!(old != new, "{name} was not restarted");
        assert!(!testkit::is_alive(old), "{name} runs on as {old}");
    }
    stage.wait_until_healthy(Duration::from_secs(20));
    format!("restarted: {before:?} became {after:?}")
}
