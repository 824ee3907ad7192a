//! Data services under the real binary and the real MariaDB: started before the apps that need them, survived by them, stopped after
//! them; and what is told when one cannot be had. What the database itself does is `crates/data`'s.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{Stage, instances, pids};
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use testkit::{Output, free_port, wait_until};

/// What is installed by `scripts/setup`.
const PACKAGES: &str = "mariadb-server-core mariadb-client-core, and the system user mysql";

/// Whether the server is there; says so where it is not.
fn installed() -> bool {
    let there = ["/usr/sbin/mariadbd", "/usr/bin/mariadb"].iter().all(|program| Path::new(program).exists());
    let there = there && (!sys::user::is_root() || sys::user::lookup("mysql").is_some());
    if !there {
        eprintln!("skipped: this test needs {PACKAGES}");
    }
    there
}

/// The app, which needs `db`, with these further lines.
fn web(lines: &str) -> String {
    format!("[app.web]\nrun = \"python3 app.py\"\nneeds = [\"db\"]\n{lines}\n")
}

/// A database of this name, with these further lines.
fn service(name: &str, lines: &str) -> String {
    format!("[service.{name}]\nkind = \"mariadb\"\ndatabase = \"shop\"\nport = {}\n{lines}\n", free_port())
}

/// A stack with that app, not started yet.
fn stage(apps: &str) -> Stage {
    let stage = Stage::new(apps);
    stage.sandbox.write("app.py", include_str!("services/app.py"));
    stage
}

fn started(apps: &str) -> Stage {
    let stage = stage(apps);
    stage.sandbox.start_daemon(stage.port);
    stage
}

/// What the database answers to the app; none while it cannot be asked.
fn try_sql(stage: &Stage, statement: &str) -> Option<String> {
    let path = format!("/sql/{}", statement.replace('%', "%25").replace(' ', "%20").replace('\'', "%27"));
    let answer = stage.get(&path);
    (answer.status == 200).then(|| answer.text().trim().to_owned())
}

#[track_caller]
fn sql(stage: &Stage, statement: &str) -> String {
    try_sql(stage, statement)
        .unwrap_or_else(|| panic!("{statement}: {}", stage.home_file("logs/t/web.1.out.log")))
}

/// `data shell` with these arguments, of which the last ones are the client's.
fn shell(stage: &Stage, arguments: &[&str]) -> Output {
    let home = stage.sandbox.home().into_os_string();
    let verb = ["data", "shell"].iter().chain(arguments).map(OsString::from);
    stage.sandbox.run([OsString::from("--home"), home].into_iter().chain(verb))
}

/// Every command line on this machine.
fn command_lines() -> String {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect()
}

/// Text of every file below a folder.
fn texts(folder: &Path) -> String {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .map(|path| if path.is_dir() { texts(&path) } else { fs::read_to_string(path).unwrap_or_default() })
        .collect()
}

// req: SEC-39
#[test]
fn an_app_gets_an_account_of_its_own_and_nobody_sees_its_password() {
    if !installed() {
        return;
    }
    let stage = started(
        &(web("env = { SECRET_KEY = { generate = 24 } }\nwritable = [\"uploads\"]") + &service("db", "")),
    );
    let history: Vec<_> =
        stage.app("web")["history"].as_array().unwrap().iter().map(|it| it["at"].clone()).collect();
    let ready = stage.app("db")["history"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["state"] == "ready")
        .unwrap()["at"]
        .clone();
    assert!(ready.as_str() <= history[0].as_str(), "db {ready}, web {}", history[0]);

    let env = stage.get("/env").json();
    let (password, key) = (env["DB_PASSWORD"].as_str().unwrap(), env["SECRET_KEY"].as_str().unwrap());
    assert!(password.len() >= 24 && key.len() == 48);
    assert_eq!(
        (&env["DB_HOST"], &env["DB_NAME"], &env["DB_USER"]),
        (&"127.0.0.1".into(), &"shop".into(), &"shop".into())
    );
    assert_eq!(
        env["DATABASE_URL"],
        format!("mysql://shop:{password}@127.0.0.1:{}/shop", env["DB_PORT"].as_str().unwrap())
    );
    // its rights: all in its database, none elsewhere
    assert_eq!(sql(&stage, "select current_user()"), "shop@localhost");
    for beyond in ["select user from mysql.user", "create database x", "create user x"] {
        assert_eq!(try_sql(&stage, beyond), None, "{beyond}");
    }

    let status = stage.status().to_string();
    let db = &stage.app("db")["service"];
    assert_eq!((&db["kind"], &db["database"]), (&"mariadb".into(), &"shop".into()));
    assert!(
        db["server"].as_str().unwrap().starts_with("MariaDB ")
            && Path::new(db["socket"].as_str().unwrap()).exists()
    );
    let shown = stage.run(&["status"]).expect_code(0).stdout;
    assert!(shown.contains("MariaDB ") && shown.contains(&format!("127.0.0.1:{}", db["port"])), "{shown}");
    let listed = stage.run(&["data", "list"]).expect_code(0).stdout
        + &stage.run(&["data", "url", "db"]).expect_code(0).stdout;
    let reload = stage.run(&["reload", "--dry-run"]).expect_code(0).stdout;
    assert!(reload.contains("no change"), "{reload}");
    for (place, text) in [
        ("status", status),
        ("status", shown),
        ("data", listed),
        ("command lines", command_lines()),
        ("logs", texts(&stage.sandbox.home().join("logs"))),
        ("instances", texts(&stage.sandbox.home().join("instances"))),
        ("logs", stage.run(&["logs", "-n", "1000"]).stdout),
    ] {
        assert!(
            !text.is_empty() && !text.contains(password) && !text.contains(key),
            "a secret is in {place}: {text}"
        );
    }
    let open = stage.run(&["data", "url", "db", "--show-password"]).expect_code(0).stdout;
    assert_eq!(open.trim(), env["DATABASE_URL"].as_str().unwrap());
    let secret = stage.sandbox.home().join("secrets/t/web/SECRET_KEY");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(secret).unwrap()) & 0o777, 0o600);
    assert!(stage.sandbox.stack().join("uploads").is_dir());

    let asked = |arguments: &[&str]| {
        let output = shell(&stage, &[&["db"], arguments].concat()).expect_code(0);
        output.stdout.trim().to_owned()
    };
    assert_eq!(asked(&["--", "-NBe", "select 2+3, current_user()"]), "5\tshop@localhost");
    assert_eq!(asked(&["--admin", "--", "-NBe", "select count(*) > 0 from mysql.user"]), "1");
    stage.run(&["data", "shell", "web"]).expect_code(2);
}

// req: DATA-09, DATA-10, DATA-32
#[test]
fn apps_and_rows_survive_whatever_happens_to_the_database() {
    if !installed() {
        return;
    }
    let stage = started(
        &(web("health = { path = \"/health\", interval = \"200ms\" }")
            + &service("db", "interval = \"200ms\"\nrestart = { delay = \"20ms\" }")),
    );
    sql(&stage, "create table t (n int)");
    sql(&stage, "insert into t values (42)");
    let web = stage.pids("web");
    let same = |what: &str| {
        wait_until("the rows are there", || try_sql(&stage, "select n from t").filter(|rows| rows == "42"));
        wait_until("the app is well", || (stage.get("/health").status == 200).then_some(()));
        stage.wait_ready("web");
        stage.wait_ready("db");
        assert_eq!(stage.pids("web"), web, "{what}");
    };
    // killed: recovered by itself
    let db = stage.pids("db");
    stage.kill(db[0]);
    stage.wait_for_app("db", "started again", |app| app["state"] == "ready" && pids(app) != db);
    same("killed");
    assert_eq!(instances(&stage.app("db"))[0]["restarts"], 1);
    // restarted
    stage.run(&["restart", "db"]).expect_code(0);
    same("restarted");
    // stopped, and queried as any other
    stage.run(&["stop", "db"]).expect_code(0);
    assert_eq!(stage.app("db")["state"], "stopped");
    let health = stage.get("/health").status;
    assert!([503, 502].contains(&health), "{health}");
    assert_eq!(stage.pids("web"), web);
    stage.run(&["start", "db"]).expect_code(0);
    same("stopped and started");
    // the keeper dies: the next one finds the database
    let db = stage.pids("db");
    stage.kill_keeper();
    assert_eq!(sql(&stage, "select n from t"), "42");
    stage.sandbox.start_daemon(stage.port);
    assert_eq!(stage.pids("db"), db);
    same("another keeper");
    assert_eq!(stage.pids("db"), db, "adopted for good");
    // a reload that changes only the database replaces only the database
    let text = fs::read_to_string(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    stage.sandbox.write(
        "mainstay.toml",
        text.replace("interval = \"200ms\"\nrestart", "max_connections = 33\ninterval = \"200ms\"\nrestart"),
    );
    let told = stage.run(&["reload"]).expect_code(0).stdout;
    assert!(told.contains("service db: max_connections changed") && !told.contains("app web"), "{told}");
    same("reload");
    assert_eq!(sql(&stage, "select @@max_connections"), "33");
    assert_ne!(stage.pids("db"), db);
    // everything dies at once, as when the power goes
    let (keeper, all) = (stage.keeper(), stage.sandbox.processes());
    for pid in [keeper].iter().chain(&all) {
        testkit::signal(*pid, "KILL");
    }
    wait_until("all are dead", || {
        (!stage.sandbox.processes().iter().any(|pid| testkit::is_alive(*pid))).then_some(())
    });
    stage.sandbox.start_daemon(stage.port);
    wait_until("the rows are there", || try_sql(&stage, "select n from t").filter(|rows| rows == "42"));
    // the whole stack, in order: the app first
    stage.run(&["stop"]).expect_code(0);
    stage.sandbox.start_daemon(stage.port);
    assert_eq!(sql(&stage, "select n from t"), "42");
}

// req: DEP-05
#[test]
fn status_logs_and_restart_without_a_name_mean_everything_and_in_order() {
    if !installed() {
        return;
    }
    let stage =
        started(&(web("") + &service("db", "") + "[app.idle]\nrun = \"sleep 600\"\nlisten = false\n"));
    stage.run(&["stop", "idle"]).expect_code(0);
    let (web, db) = (stage.pids("web"), stage.pids("db"));
    let logs = stage.run(&["logs", "-n", "500"]).expect_code(0).stdout;
    assert!(logs.contains("db.1"), "{logs}");
    let told = stage.run(&["restart"]).expect_code(0).stdout;
    assert!(told.contains("web.") && told.contains("db.1") && !told.contains("idle"), "{told}");
    let after = |name: &str| stage.wait_ready(name);
    let (new_web, new_db) = (after("web"), after("db"));
    assert!(pids(&new_web) != web && pids(&new_db) != db);
    assert_eq!(stage.app("idle")["state"], "stopped");
    let last = |app: &Value, state: &str| {
        let history = app["history"].as_array().unwrap();
        history.iter().rev().find(|it| it["state"] == state).unwrap()["at"].as_str().unwrap().to_owned()
    };
    assert!(
        last(&new_db, "ready") <= last(&new_web, "starting"),
        "the app started after its database was ready"
    );
    let all = stage.status();
    let names: Vec<_> = all["stacks"][0]["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| app["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["db", "idle", "web"]);
}

#[test]
fn what_cannot_be_had_is_told_once_and_what_runs_goes_on() {
    if !installed() {
        return;
    }
    let one = web("") + &service("db", "");
    let stage = started(&one);
    let pids = || (stage.pids("web"), stage.pids("db"));
    let before = pids();
    let tried = |name: &str, lines: &str| {
        let second =
            format!("[service.{name}]\nkind = \"mariadb\"\n{lines}restart = {{ max_restarts = 0 }}\n");
        stage.rewrite(&(one.clone() + &second));
        let output = stage.run(&["reload"]);
        assert_ne!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        assert_eq!(pids(), before);
        assert_eq!(sql(&stage, "select 1"), "1");
        output.stderr
    };
    // somebody else has the port
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let told = tried("busy", &format!("port = {port}\n"));
    assert!(told.contains(&format!("port {port} is held by pid {}", std::process::id())), "{told}");
    // somebody else's data
    let store = stage.sandbox.home().join("data/t/foreign/store/data");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("ibdata1"), "theirs").unwrap();
    let told = tried("foreign", "");
    assert!(told.contains("data folder") || told.contains("belongs to"), "{told}");
    assert!(told.contains("next:"), "{told}");
    assert_eq!(fs::read_to_string(store.join("ibdata1")).unwrap(), "theirs");
    // never ready in the time it has
    let told = tried("slow", "start_period = \"1ms\"\n");
    assert!(told.contains("did not become ready"), "{told}");
    // an app with a password that is not the database's
    let wrong = "env = { DB_PASSWORD = \"wrong\" }\nhealth = { path = \"/health\", start_period = \"3s\" }";
    stage.rewrite(&one.replace("needs = [\"db\"]\n", &format!("needs = [\"db\"]\n{wrong}\n")));
    let output = stage.run(&["reload"]).expect_code(4);
    assert!(output.stderr.contains("Access denied"), "{}", output.stderr);
    assert_eq!(pids(), before);
    // what was given up left its words nowhere: the database comes back as it was
    stage.kill(before.1[0]);
    wait_until("the database is back", || try_sql(&stage, "select 1"));
    stage.rewrite(&one);
    stage.run(&["reload"]).expect_code(0);
}

#[test]
fn who_waits_for_a_database_that_never_is_ready_says_so() {
    if !installed() {
        return;
    }
    let stage = stage(
        &(web("")
            + &service("db", "start_period = \"1ms\"\nrestart = { delay = \"20ms\", max_restarts = 1 }")),
    );
    let output = stage.starting().wait().expect_code(4);
    assert!(output.stderr.contains("db did not become ready within 1ms"), "{}", output.stderr);
    let web = stage.wait_for_app("web", "waiting", |app| app["state"] == "waiting");
    let reason = web["reason"].as_str().unwrap();
    assert!(reason.starts_with("waits for db: "), "{reason}");
    let db = stage.wait_for_app("db", "failed", |app| app["state"] == "failed");
    let reason = db["reason"].as_str().unwrap();
    assert!(reason.contains("did not become ready") && reason.contains("mainstay logs db"), "{reason}");
}

#[test]
fn with_tls_the_app_verifies_the_database_by_the_local_authority() {
    if !installed() {
        return;
    }
    let stage = started(&(web("") + &service("db", "tls = \"required\"")));
    let cipher = sql(&stage, "show session status like 'Ssl_cipher'");
    assert!(cipher.split_whitespace().nth(1).is_some_and(|cipher| !cipher.is_empty()), "{cipher}");
    let plain = shell(&stage, &["db", "--", "--skip-ssl", "-NBe", "select 1"]);
    assert_ne!(plain.code, Some(0), "{}", plain.stdout);
}
