//! Images for tests that run containers: no public registry is reachable from a test, so small ones are made once out of Debian's packages, under
//! the names of those that they stand for (`scripts/test-images` says how). They behave like those as far as the stacks need it.
//!
//! Each function gives the reference under which the engine knows the image, and makes it where it is missing: the first time that takes a
//! minute or two. What was made is kept in the engine, and its base below the target folder.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

/// Debian 12, with curl and busybox (`wget`).
pub fn base() -> &'static str {
    made("base", "localhost/mainstay-test/base:1")
}

/// Python 3.11 with pip; Flask, Gunicorn, psycopg2 and redis are installed.
pub fn python() -> &'static str {
    made("python", "docker.io/library/python:3.11-slim")
}

/// PostgreSQL 15: `POSTGRES_USER`, `POSTGRES_PASSWORD[_FILE]`, `POSTGRES_DB`, `/docker-entrypoint-initdb.d`.
pub fn postgres() -> &'static str {
    made("postgres", "docker.io/library/postgres:15")
}

/// Redis 7.
pub fn redis() -> &'static str {
    made("redis", "docker.io/library/redis:7-alpine")
}

/// nginx, serving `/usr/share/nginx/html` on port 80.
pub fn nginx() -> &'static str {
    made("nginx", "docker.io/library/nginx:alpine")
}

/// Node.js 18 with npm.
pub fn node() -> &'static str {
    made("node", "docker.io/library/node:18-alpine")
}

/// Makes the image of this recipe, once for each test process; other processes wait for it.
fn made(name: &'static str, reference: &'static str) -> &'static str {
    static MADE: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().expect("no test panicked here");
    if !made.contains(&name) {
        let test = std::env::current_exe().expect("the test's own path");
        let target = test.ancestors().nth(3).expect("target/debug/deps/test"); // target
        make(target, name);
        made.push(name);
    }
    reference
}

fn make(target: &Path, name: &str) {
    let script = crate::checkout().join("scripts/test-images");
    let output =
        Command::new(script).arg(target.join("test-images")).arg(name).output().expect("scripts/test-images");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the image {name} cannot be made (scripts/setup test installs what that takes):\n{said}"
    );
}
