//! Starts, ends and what outlives them.

use crate::fixture::{Service, installed, spec};

#[test]
fn rows_outlive_a_restart_and_a_kill() {
    if !installed() {
        return;
    }
    let begun = std::time::Instant::now();
    let mut db = Service::start(spec(|_| {}));
    let first = begun.elapsed();
    db.sql("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
    db.stop("TERM");
    let begun = std::time::Instant::now();
    db.run();
    db.wait_healthy();
    let restart = begun.elapsed();
    db.sql("INSERT INTO t VALUES (2)").unwrap();
    db.stop("KILL");
    let begun = std::time::Instant::now();
    db.run();
    db.wait_healthy();
    eprintln!("first start {first:?}, restart {restart:?}, after kill -9 {:?}", begun.elapsed());
    assert_eq!(db.sql("SELECT id FROM t ORDER BY id").unwrap(), "1\n2");
}
