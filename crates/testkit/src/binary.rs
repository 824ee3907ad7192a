//! Where the binary under test is.
//!
//! `cargo test --workspace` has just built it (the tests of its own package need it). When only some packages are tested, it
//! may be missing or older than its sources: then it is built, once for each test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Packages that are no part of the binary.
const DEVELOPERS: [&str; 3] = ["e2e", "testkit", "xtask"];

/// Path of `mainstay`; `MAINSTAY_BIN` names another one.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("MAINSTAY_BIN") {
            return path.into();
        }
        let test = std::env::current_exe().expect("the test's own path");
        let profile = test.ancestors().nth(2).expect("target/debug/deps/test"); // target/debug
        let path = profile.join("mainstay");
        let built = modified(&path);
        if built.is_none() || built < newest_source() {
            build(profile);
        }
        path
    })
}

fn build(profile: &Path) {
    let target = profile.parent().expect("the target folder");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--package", "mainstay"]).arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.current_dir(crate::checkout()).status().expect("cargo");
    assert!(status.success(), "the binary under test does not build");
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn newest_source() -> Option<SystemTime> {
    let crates = std::fs::read_dir(crate::checkout().join("crates")).expect("crates").flatten();
    let ours = crates.filter(|entry| !DEVELOPERS.iter().any(|name| entry.file_name() == *name));
    ours.filter_map(|entry| newest_below(&entry.path().join("src"))).max()
}

fn newest_below(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let newest = |path: PathBuf| if path.is_dir() { newest_below(&path) } else { modified(&path) };
    entries.filter_map(|entry| newest(entry.path())).max()
}
