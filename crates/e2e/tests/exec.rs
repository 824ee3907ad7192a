//! Commands beside an instance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use stage::{Stage, WEB};
use std::ffi::OsString;
use std::fs::File;
use std::process::Stdio;

/// `exec`; what follows its command belongs to that.
fn words(stage: &Stage, words: &[&str]) -> Vec<OsString> {
    let home = stage.sandbox.home().into_os_string();
    ["exec".into(), "--home".into(), home].into_iter().chain(words.iter().map(OsString::from)).collect()
}

fn exec(stage: &Stage, arguments: &[&str]) -> testkit::Output {
    stage.sandbox.run(words(stage, arguments))
}

#[test]
fn a_command_has_the_environment_folder_and_user_of_the_app_and_its_status_is_handed_on() {
    let env = "env = { PLAIN = \"x y\", PASSWORD = { file = \"password\" } }\n";
    let stage = Stage::new(&format!("{WEB}dir = \"below\"\n{env}").replace("app.py", "../app.py"));
    stage.sandbox.write("password", "hunter2");
    stage.sandbox.write("below/here", "");
    stage.sandbox.start_daemon(stage.port);
    let script = "echo $PLAIN,$PASSWORD,$MORE,$PORT,$(id -u),$(basename $PWD); exit 7";
    let ran = exec(&stage, &["-e", "MORE=1", "web", "--", "sh", "-c", script]).expect_code(7);
    let uid = exec(&stage, &["web", "--", "id", "-u"]).expect_code(0);
    let port =
        stage.app("web")["instances"][0]["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let expected = format!("x y,hunter2,1,{port},{},below\n", uid.stdout.trim());
    assert_eq!(ran.stdout, expected);
    let owner = std::fs::metadata(format!("/proc/{}", stage.pids("web")[0])).unwrap();
    assert_eq!(uid.stdout.trim(), std::os::unix::fs::MetadataExt::uid(&owner).to_string());
    let log = stage.home_file("logs/keeper.log");
    assert!(!log.contains("hunter2"), "{log}");
    exec(&stage, &["web.9", "--", "true"]).expect_code(5);
    exec(&stage, &["nobody", "--", "true"]).expect_code(2);
    let missing = exec(&stage, &["web", "--", "no-such-program"]).expect_code(3);
    assert!(missing.stderr.contains("cannot execute no-such-program"), "{}", missing.stderr);
}

#[test]
fn a_large_dump_goes_through_as_it_is() {
    let stage = Stage::started(WEB);
    let bytes: Vec<u8> = (0..200_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let dump = stage.sandbox.write("dump", &bytes);
    let copy = stage.sandbox.stack().join("copy");
    let mut command = stage.sandbox.command(words(&stage, &["-T", "web", "--", "cat"]));
    command.stdin(File::open(&dump).unwrap()).stdout(File::create(&copy).unwrap()).stderr(Stdio::inherit());
    assert!(command.status().unwrap().success());
    assert!(std::fs::read(&copy).unwrap() == bytes, "something was lost or changed");
}
