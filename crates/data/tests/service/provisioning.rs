//! Database, account and rights, encryption, the slow log: as the manifest says, and as the teams' own statements say.

use crate::fixture::{LOGIN, Service, client, expand, installed, is_secret, spec, user};
use data::TlsFiles;
use model::Secret;
use model::service::ServiceTls;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use testkit::wait_until;

// req: DATA-02
#[test]
fn the_teams_four_statements_run_unchanged_and_the_account_logs_in() {
    let file = testkit::checkout().join("../shared/fragments/CFG-04.plot-palette.sql");
    if !installed() {
        return;
    }
    if !file.exists() {
        eprintln!("skipped: {} is not here", file.display());
        return;
    }
    let db = Service::start(spec(|spec| spec.database = None));
    db.administer_file(&file).unwrap();
    let (port, socket) = (db.given("DB_PORT"), db.given("DB_SOCKET"));
    let login = ["--user=plot_palette_user", "--password=secure_password", "--database=plot_palette"];
    let ask = "SELECT current_user(), @@character_set_database, @@collation_database";
    for way in [&["--host=127.0.0.1", "--port", &port][..], &["--socket", &socket][..]] {
        let said = client(&[&login[..], way, &["--execute", ask]].concat()).unwrap();
        assert_eq!(said, "plot_palette_user@localhost\tutf8mb4\tutf8mb4_unicode_ci", "{way:?}");
    }
    client(
        &[&login[..], &["--host=127.0.0.1", "--port", &port, "--execute", "CREATE TABLE t (i INT)"]].concat(),
    )
    .unwrap();
}

// req: DATA-03
#[test]
fn text_comes_back_as_it_was_and_is_compared_without_accents() {
    if !installed() {
        return;
    }
    let db = Service::start(spec(|_| {}));
    db.sql("CREATE TABLE stories (id INT PRIMARY KEY, text VARCHAR(99), UNIQUE (text))").unwrap();
    db.sql("INSERT INTO stories VALUES (1, 'a 🎨 of 🖼️'), (2, 'é'), (3, 'f'), (4, 'D')").unwrap();
    assert_eq!(
        db.sql("SELECT text, HEX(SUBSTR(text, 3, 1)) FROM stories WHERE id = 1").unwrap(),
        "a 🎨 of 🖼️\tF09F8EA8"
    );
    assert_eq!(db.sql("SELECT 'é' = 'E', id FROM stories WHERE text = 'E'").unwrap(), "1\t2");
    assert_eq!(db.sql("SELECT id FROM stories WHERE id > 1 ORDER BY text").unwrap(), "4\n2\n3");
    let twice = db.sql("INSERT INTO stories VALUES (5, 'E')").unwrap_err();
    assert!(twice.contains("ERROR 1062"), "{twice}");
}

// req: DATA-04
#[test]
fn the_account_may_do_everything_in_its_database_and_nothing_elsewhere() {
    if !installed() {
        return;
    }
    let db = Service::start(spec(|_| {}));
    // `_` stands for any letter in what is granted: that must not open a neighbour's database.
    db.administer("CREATE DATABASE plotXpalette; CREATE TABLE plotXpalette.t (i INT)").unwrap();
    let all = "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE t (i INT, FOREIGN KEY (i) REFERENCES p (id)); CREATE INDEX x ON t (i);
        INSERT INTO p VALUES (1); INSERT INTO t VALUES (1); UPDATE t SET i = NULL; DELETE FROM t; ALTER TABLE t ADD j INT;
        CREATE VIEW v AS SELECT * FROM t; CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.j = 1;
        CREATE PROCEDURE q() SELECT 1; CALL q(); LOCK TABLES t WRITE; UNLOCK TABLES; CREATE TEMPORARY TABLE w (i INT);
        DROP VIEW v; DROP TABLE t";
    db.sql(all).unwrap();
    let elsewhere = [
        "SELECT * FROM mysql.user",
        "SELECT * FROM mysql.global_priv",
        "CREATE DATABASE x",
        "CREATE USER x",
        "SELECT * FROM plotXpalette.t",
        "SET GLOBAL max_connections = 1",
        "SELECT 1 INTO OUTFILE '/tmp/mainstay-data-test'",
        "GRANT SELECT ON plot_palette.* TO 'plot_palette_user'@'localhost'",
    ];
    for statement in elsewhere {
        let error = db.sql(statement).unwrap_err();
        let denied = ["ERROR 1044", "ERROR 1045", "ERROR 1142", "ERROR 1227", "ERROR 1410"];
        assert!(denied.iter().any(|number| error.contains(number)), "{statement}: {error}");
    }
    let accounts = db.administer("SELECT user, host FROM mysql.user ORDER BY 1").unwrap();
    let system = user().map_or_else(|| sys::user::by_uid(sys::user::uid()).unwrap().name, |user| user.name);
    let mut expected =
        ["mariadb.sys", "plot_palette_user", "root", &system].map(|name| format!("{name}\tlocalhost"));
    expected.sort();
    assert_eq!(accounts, expected.join("\n"), "nobody else, nobody without a name, nobody from elsewhere");
    let root =
        client(&["--host=127.0.0.1", "--port", &db.given("DB_PORT"), "--user=root", "--execute=SELECT 1"]);
    assert!(root.unwrap_err().contains("ERROR 1698"), "root comes in by the socket alone");
}

// req: DATA-05
#[test]
fn required_encryption_is_used_and_a_plain_login_refused() {
    if !installed() {
        return;
    }
    let pair = testkit::tls::pair(&["localhost", "127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        sys::durable::write_for(&path, text.as_bytes(), 0o600, user().map(|user| (user.uid, user.gid)))
            .unwrap();
        path
    };
    let tls =
        TlsFiles { cert: write("c", &pair.cert), key: write("k", &pair.key), ca: write("a", &pair.root) };
    let mut db = Service::expand(spec(|spec| spec.tls = ServiceTls::Required), Some(tls));
    assert_eq!(db.given("DB_SSL_CA"), folder.path().join("a").display().to_string());
    db.run();
    db.wait_healthy();
    let cipher = db.sql("SHOW STATUS LIKE 'Ssl_cipher'").unwrap();
    assert!(cipher.strip_prefix("Ssl_cipher\t").is_some_and(|cipher| cipher.len() > 5), "{cipher}");
    let version = db.sql("SHOW STATUS LIKE 'Ssl_version'").unwrap();
    assert!(version.ends_with("TLSv1.3"), "{version}");
    let (port, password) = (db.given("DB_PORT"), format!("--password={}", db.given("DB_PASSWORD")));
    let login =
        ["--host=127.0.0.1", "--port", &port, "--user=plot_palette_user", &password, "--execute=SELECT 1"];
    let plain = client(&[&login[..], &["--skip-ssl"]].concat()).unwrap_err();
    // Newer versions say why; this one says no more than that it is no good login.
    assert!(["ERROR 1045", "ERROR 3159"].iter().any(|number| plain.contains(number)), "{plain}");
    let old = client(&[&login[..], &["--ssl", "--tls-version=TLSv1.1"]].concat()).unwrap_err();
    assert!(old.contains("ERROR 2026"), "{old}");
    assert_eq!(client(&[&login[..], &["--ssl"]].concat()).unwrap(), "1");
}

// req: DATA-06
#[test]
fn a_slow_statement_is_told_with_time_user_rows_and_text() {
    if !installed() {
        return;
    }
    let db = Service::start(spec(|_| {}));
    db.sql("CREATE TABLE t (i INT); INSERT INTO t VALUES (1), (2), (3)").unwrap();
    db.sql("SELECT i, 'quick' FROM t").unwrap();
    db.sql("SELECT i, 'slow', SLEEP(0.1) FROM t").unwrap();
    let log = wait_until("the slow statement is told", || {
        Some(db.said()).filter(|said| said.contains("'slow', SLEEP(0.1) FROM t;"))
    });
    let entry = log.rsplit_once("# User@Host").unwrap().1;
    assert!(entry.starts_with(": plot_palette_user[plot_palette_user] @ localhost"), "{entry}");
    assert!(entry.contains("Rows_sent: 3  Rows_examined: 3"), "{entry}");
    let time = entry.split_once("Query_time: ").unwrap().1.split_whitespace().next().unwrap();
    assert!((0.3..5.0).contains(&time.parse::<f64>().unwrap()), "{time}");
    assert!(log.contains("SET timestamp=") && !log.contains("quick"), "{log}");
}

#[test]
fn a_changed_manifest_changes_database_and_account() {
    if !installed() {
        return;
    }
    let latin = ("latin1".to_owned(), "latin1_swedish_ci".to_owned());
    let mut db = Service::start(spec(|spec| (spec.character_set, spec.collation) = latin));
    let before = db.expanded.clone();
    let old = db.given("DB_PASSWORD");
    db.sql("CREATE TABLE kept (i INT)").unwrap();
    db.administer("GRANT SELECT ON mysql.* TO 'plot_palette_user'@'localhost'").unwrap();
    let hostile = "p'\"\\;#\n`$PORT é";
    db.change(|spec| {
        (spec.character_set, spec.collation) = ("utf8mb4".into(), "utf8mb4_unicode_ci".into());
        spec.password = Some(Secret::new(hostile));
    });
    assert_ne!(
        before.app.fingerprint(0),
        db.expanded.app.fingerprint(0),
        "the server has to be started again"
    );
    assert!(!format!("{:?}", db.expanded).contains("$PORT é"));
    db.stop("TERM");
    db.run();
    db.wait_healthy();
    assert_eq!(db.sql("SELECT @@collation_database; SHOW TABLES").unwrap(), "utf8mb4_unicode_ci\nkept");
    assert!(
        db.sql("SELECT * FROM mysql.user").unwrap_err().contains("ERROR 1142"),
        "what the manifest does not say is taken back"
    );
    let login = [
        "--host=127.0.0.1",
        "--port",
        &db.given("DB_PORT"),
        "--user=plot_palette_user",
        "--execute=SELECT 1",
    ]
    .map(str::to_owned);
    let with = |password: &str| {
        let password = format!("--password={password}");
        client(&login.iter().map(String::as_str).chain([&*password]).collect::<Vec<_>>())
    };
    assert!(with(&old).unwrap_err().contains("ERROR 1045"));
    assert_eq!(with(hostile).unwrap(), "1");
    db.change(|spec| spec.password = None);
    assert_eq!(db.given("DB_PASSWORD"), old, "the one that was made is kept");
}

#[test]
fn expanding_twice_gives_the_same_and_shows_no_password() {
    if !installed() {
        return;
    }
    let free = spec(|spec| spec.port = None);
    let home = tempfile::tempdir().unwrap();
    expand(home.path(), &free, None, true).unwrap();
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "a dry run writes nothing");
    let one = expand(home.path(), &free, None, false).unwrap();
    let inode = |file: &str| home.path().join("stack/db").join(file).metadata().unwrap().ino();
    let (description, login) = (inode("service.json"), inode(LOGIN));
    let two = expand(home.path(), &free, None, false).unwrap();
    assert_eq!((&one.app, &one.gives, &one.server), (&two.app, &two.gives, &two.server));
    assert_eq!(
        (description, login),
        (inode("service.json"), inode(LOGIN)),
        "what is the same is not written again"
    );
    assert_eq!(
        expand(home.path(), &free, None, true).unwrap().app,
        one.app,
        "what was chosen is what a dry run tells"
    );
    let given = |name: &str| &one.gives.iter().find(|(given, _)| given == name).unwrap().1;
    let password = given("DB_PASSWORD").expose();
    let port = given("DB_PORT").expose();
    assert_eq!(
        given("DATABASE_URL").expose(),
        format!("mysql://plot_palette_user:{password}@127.0.0.1:{port}/plot_palette")
    );
    assert!(is_secret(given("DATABASE_URL")) && is_secret(given("DB_PASSWORD")));
    assert!(!format!("{one:?} {}", serde_json::to_string(&one.app).unwrap()).contains(password));
    let owner = user().map_or(sys::user::uid(), |user| user.uid);
    let mut holds = Vec::new();
    for entry in std::fs::read_dir(home.path().join("stack/db")).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        if meta.is_file() && std::fs::read_to_string(entry.path()).unwrap().contains(password) {
            let name = entry.file_name().into_string().unwrap();
            let expected = if name == "password" { sys::user::uid() } else { owner };
            assert_eq!((meta.mode() & 0o777, meta.uid()), (0o600, expected), "{name}");
            holds.push(name);
        }
    }
    holds.sort();
    assert_eq!(holds, ["client.cnf", "password", "start.sql", "url"]);
    assert!(one.server.starts_with("MariaDB 1"), "{}", one.server);
    assert!(Path::new(&one.app.argv[3]).is_file());
}

#[test]
fn the_databases_user_cannot_change_what_root_runs_for_it() {
    let Some(user) = user().filter(|_| installed()) else { return };
    let mut service = Service::expand(spec(|_| {}), None);
    let description = service.folder().join("service.json");
    let is_the_keepers = || {
        let meta = description.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (sys::user::uid(), user.gid, 0o640));
    };
    is_the_keepers();
    // As former versions left it.
    std::os::unix::fs::chown(&description, Some(user.uid), Some(user.gid)).unwrap();
    service.change(|_| {});
    is_the_keepers();
}
