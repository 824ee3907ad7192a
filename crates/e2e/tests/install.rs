//! `mainstay install`: the units, as systemd itself checks them, and what they take away and leave. Nothing of this host is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests too

mod stage;

use stage::{Stage, WEB};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::{Running, Sandbox, signal, wait_until};

const EMPTY: &str = "stack = \"t\"\n";

/// The units below a folder of the test's own.
struct Image {
    sandbox: Sandbox,
}

impl Image {
    fn new() -> Self {
        Self { sandbox: Sandbox::with_manifest(EMPTY) }
    }

    fn root(&self) -> PathBuf {
        self.sandbox.folder().join("image")
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.root().join("etc/systemd/system").join(name)
    }

    fn install(&self, more: &[&str]) -> testkit::Output {
        let root = self.root();
        let arguments = ["install", "--root", root.to_str().unwrap()];
        self.sandbox.run(arguments.iter().chain(more))
    }
}

/// A value of a unit.
fn value(unit: &str, key: &str) -> String {
    let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
    line.unwrap_or_else(|| panic!("no {key} in\n{unit}")).to_owned()
}

#[test]
fn units_are_written_once_and_removed_again() {
    let image = Image::new();
    let shown = image.install(&["--dry-run"]).expect_code(0).stdout;
    assert!(shown.contains("would write") && shown.contains("    KillMode=process"), "{shown}");
    assert!(!image.root().exists(), "a dry run wrote something");

    let said = image.install(&["--socket", "127.0.0.1:8081", "--json"]).expect_code(0).json();
    let text = said.to_string();
    for name in ["mainstay.service", "mainstay-stacks.service", "mainstay.socket", "useradd --system"] {
        assert!(text.contains(name), "{name}: {said:#}");
    }
    let service = fs::read_to_string(image.unit("mainstay.service")).unwrap();
    for (key, expected) in
        [("Type", "notify"), ("WantedBy", "multi-user.target"), ("RestartPreventExitStatus", "1 2 5")]
    {
        assert_eq!(value(&service, key), expected);
    }
    assert!(value(&service, "After").contains("network-online.target"));
    let again = image.install(&["--socket", "127.0.0.1:8081"]).expect_code(0).stdout;
    assert!(again.starts_with("no change"), "{again}");

    let removed = image.install(&["--uninstall"]);
    assert!(removed.expect_code(0).stdout.contains("remove"), "said nothing");
    assert_eq!(fs::read_dir(image.root().join("etc/systemd/system")).unwrap().count(), 0);
    assert!(image.install(&["--uninstall"]).expect_code(0).stdout.starts_with("no change"));
}

#[test]
fn a_unit_of_somebody_elses_is_left_alone() {
    let image = Image::new();
    let unit = image.unit("mainstay-stacks.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
    let refused = image.install(&[]).expect_code(1);
    assert!(refused.stderr.contains("was not written by mainstay install"), "{}", refused.stderr);
    assert!(!image.unit("mainstay.service").exists(), "half of it was done");
    assert!(fs::read_to_string(&unit).unwrap().contains("/bin/true"));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let image = Image::new();
    image.install(&["--socket", "127.0.0.1:8081", "--socket", "[::1]:8081"]).expect_code(0);
    for name in ["mainstay.service", "mainstay-stacks.service", "mainstay.socket"] {
        let verify =
            |path: &Path| Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(path).output();
        let output = match verify(&image.unit(name)) {
            Ok(output) => output,
            Err(error) => {
                return eprintln!("skipped: systemd-analyze: {error}; scripts/setup test installs it");
            }
        };
        // Before version 254 it does not know this key, and passes over it.
        let is_new = |line: &&str| line.contains("'DelegateSubgroup'");
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter(|line| !is_new(line)).collect();
        assert!(output.status.success() && !said.concat().contains(name), "{name}: {said:?}");
    }
    // what is wrong would be seen
    let unit = image.unit("mainstay.service");
    let text = fs::read_to_string(&unit).unwrap().replace("KillMode=process", "KillMode=procession");
    #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
    fs::write(&unit, text).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("kill mode"), "{output:?}");
}

/// The capabilities that the unit leaves, as setpriv(1) takes them away from a whole tree of processes.
#[test]
fn the_capabilities_of_the_unit_are_enough_for_apps_of_other_users() {
    if !sys::user::is_root() {
        return eprintln!("skipped: only root has capabilities to take away");
    }
    let image = Image::new();
    image.install(&[]).expect_code(0);
    let unit = fs::read_to_string(image.unit("mainstay.service")).unwrap();
    let left: Vec<String> = value(&unit, "CapabilityBoundingSet")
        .split(' ')
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let stage = Stage::new(WEB);
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set=-all,{}", left.join(","))).arg("--inh-caps=-all");
    command.arg(testkit::binary()).arg("keeper").arg("--home").arg(stage.sandbox.home());
    let keeper = Running::start(command);
    let socket = || stage.sandbox.home().join("state.db").exists();
    wait_until("the keeper has begun", || socket().then_some(()));
    wait_until("it answers", || (stage.run(&["status"]).code == Some(0)).then_some(()));
    stage.starting().wait().expect_code(0);
    let app = stage.answering();
    let status = fs::read_to_string(format!("/proc/{app}/status")).unwrap();
    let bounds = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
    assert_eq!(u64::from_str_radix(bounds.trim(), 16).unwrap().count_ones() as usize, left.len(), "{bounds}");
    assert!(!status.contains("Uid:\t0\t"), "the app runs as root");
    // it is signalled, ended by its keeper, and started again
    stage.run(&["signal", "web", "USR1"]);
    stage.run(&["restart", "web"]).expect_code(0);
    let app = stage.answering();
    signal(app, "KILL");
    wait_until("it is there again", || {
        testkit::http::try_status(stage.port, stage::HOST, "/").filter(|it| *it == 200)
    });
    // everything at once, as when the host goes down; and back with the next keeper
    stage.run(&["stop", "--all"]).expect_code(0);
    keeper.wait().expect_code(0);
    stage.sandbox.wait_until_empty();
    let mut command = stage.sandbox.command(["keeper", "--home"]);
    command.arg(stage.sandbox.home());
    let keeper = Running::start(command);
    wait_until("it is wanted still", || {
        testkit::http::try_status(stage.port, stage::HOST, "/").filter(|it| *it == 200)
    });
    stage.run(&["stop", "--all"]).expect_code(0);
    keeper.wait().expect_code(0);
}
