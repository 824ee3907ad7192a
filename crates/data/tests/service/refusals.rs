//! What cannot be served is said once, clearly, with the next step, and not touched; what is not well is said in a line.

use crate::fixture::{Service, installed, spec, user};
use std::process::Command;
use testkit::wait_until;

#[test]
fn data_of_another_server_or_owner_is_left_alone() {
    if !installed() {
        return;
    }
    let mut db = Service::start(spec(|_| {}));
    db.sql("CREATE TABLE t (i INT)").unwrap();
    db.stop("TERM");
    let marker = db.data().join("mainstay.json");
    let own = std::fs::read_to_string(&marker).unwrap();
    let mark = |text: &str| {
        let owner = user().map(|user| (user.uid, user.gid));
        sys::durable::write_for(&marker, text.as_bytes(), 0o600, owner).unwrap();
    };
    mark(r#"{"engine":"mariadb","version":"99.1.0"}"#);
    db.run();
    let said = db.wait_refused();
    assert!(said.contains("was written by mariadb 99.1.0; this server is mariadb 1"), "{said}");
    std::fs::remove_file(&marker).unwrap();
    db.run();
    let said = db.wait_refused();
    assert!(said.contains("is not empty, and nothing in it says"), "{said}");
    mark(&own);
    if user().is_some() {
        for other in ["ibdata1", ""] {
            let path = db.data().join(other);
            let was = std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap());
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            db.run();
            let said = db.wait_refused();
            assert!(said.contains("belongs to user id 12345; the database runs as"), "{said}");
            std::os::unix::fs::chown(&path, Some(was), None).unwrap();
        }
    }
    db.run();
    db.wait_healthy();
    assert_eq!(db.sql("SHOW TABLES").unwrap(), "t", "after all that it is what it was");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    if !installed() {
        return;
    }
    let mut db = Service::start(spec(|_| {}));
    let (first, running) = (db.pid(), db.take());
    db.run();
    let said = db.wait_refused();
    assert!(said.contains(&format!("is held by another server (pid {first})")), "{said}");
    assert!(db.health().is_ok(), "the first is not disturbed");
    drop(running);
}

#[test]
fn data_of_an_older_series_is_upgraded_first() {
    if !installed() {
        return;
    }
    let mut db = Service::start(spec(|_| {}));
    db.sql("CREATE TABLE t (i INT)").unwrap();
    db.stop("TERM");
    let marker = db.data().join("mainstay.json");
    let own = std::fs::read_to_string(&marker).unwrap();
    let owner = user().map(|user| (user.uid, user.gid));
    sys::durable::write_for(&marker, br#"{"engine":"mariadb","version":"10.5.1"}"#, 0o600, owner).unwrap();
    db.run();
    db.wait_healthy();
    assert_eq!(std::fs::read_to_string(&marker).unwrap(), own);
    assert_eq!(db.sql("SHOW TABLES").unwrap(), "t");
    assert_eq!(db.said().matches("ready for connections").count(), 3, "once for the upgrade: {}", db.said());
}

#[test]
fn a_full_file_system_is_named_before_anything_is_written() {
    let can_mount =
        || Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !installed() || user().is_none() || !can_mount() {
        eprintln!("skipped: it takes root, and the right to mount");
        return;
    }
    let mut db = Service::expand(spec(|_| {}), None);
    let store = db.folder().join("store");
    db.run_on_small_disk(&store);
    let said = db.wait_refused();
    assert!(said.contains(&format!("no space left: the file system of {} has", store.display())), "{said}");
    assert!(said.contains("next: make room there"), "{said}");
}

#[test]
fn health_says_what_is_wrong() {
    if !installed() {
        return;
    }
    let mut db = Service::expand(spec(|spec| spec.max_connections = 10), None);
    let said = db.health().unwrap_err();
    assert!(
        said.contains("cannot connect to port") && said.contains("no server has the data open"),
        "{said}"
    );
    db.run();
    db.wait_healthy();
    let mut busy = Vec::new();
    // One of them may be turned away in favour of the check.
    let said = wait_until("no connection is left", || {
        busy.push(db.hold_connection());
        // Where the machine is busy a check may come to nothing in its time: that is another failure than the one waited for.
        db.health().err().filter(|said| !said.contains("still starting"))
    });
    assert!(said.contains("failure: too many connections"), "{said}");
    assert_eq!(db.administer("SELECT 1").unwrap(), "1", "one is left for the administrator");
    for client in &mut busy {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    wait_until("connections are free again", || db.health().ok());
    db.administer("ALTER USER 'plot_palette_user'@'localhost' IDENTIFIED BY 'another'").unwrap();
    let said = db.health().unwrap_err();
    assert!(said.contains("access denied for plot_palette_user"), "{said}");
}

#[test]
fn a_start_whose_statements_fail_is_not_healthy() {
    if !installed() {
        return;
    }
    let mut db = Service::start(spec(|_| {}));
    // The server allows 64 characters.
    db.change(|spec| spec.database = Some("x".repeat(65)));
    db.stop("TERM");
    db.run();
    let said =
        wait_until("the account stays locked", || db.health().err().filter(|said| said.contains("locked")));
    assert!(
        said.contains("the account plot_palette_user is locked: a statement of the start failed"),
        "{said}"
    );
    assert!(db.said().contains("ERROR: 1102"), "{}", db.said());
    db.change(|spec| spec.database = Some("plot_palette".into()));
    db.stop("TERM");
    db.run();
    db.wait_healthy();
}

#[test]
fn two_servers_live_side_by_side() {
    if !installed() {
        return;
    }
    let (one, two) = (Service::start(spec(|_| {})), Service::start(spec(|_| {})));
    assert_ne!(one.given("DB_PORT"), two.given("DB_PORT"));
    assert_ne!(one.given("DB_PASSWORD"), two.given("DB_PASSWORD"));
    // A starting server removes the temporary tables that it finds: in one folder it would take those of the other.
    assert_ne!(one.sql("SELECT @@tmpdir").unwrap(), two.sql("SELECT @@tmpdir").unwrap());
    one.sql("CREATE TABLE mine (i INT)").unwrap();
    assert_eq!(two.sql("SHOW TABLES").unwrap(), "");
    assert!(one.health().is_ok() && two.health().is_ok());
}

#[test]
fn a_shell_leaves_no_password_in_its_arguments() {
    if !installed() {
        return;
    }
    let db = Service::start(spec(|_| {}));
    let mut shell = db.hold_connection();
    let line = wait_until("the client runs", || {
        let line = std::fs::read_to_string(format!("/proc/{}/cmdline", shell.id())).unwrap();
        Some(line).filter(|line| line.contains("--defaults-file"))
    });
    assert!(!line.contains(&db.given("DB_PASSWORD")), "{line}");
    shell.kill().unwrap();
    shell.wait().unwrap();
    let server = std::fs::read_to_string(format!("/proc/{}/cmdline", db.pid())).unwrap();
    assert_eq!(server.split('\0').filter(|argument| !argument.is_empty()).count(), 2, "{server}");
}
