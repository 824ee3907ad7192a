//! Apps that wait for the work of another one, or only for its start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use stage::{Stage, WEB};
use testkit::wait_until;

/// Works until the file `go` is there, and ends as `STATUS` says.
const WORK: &str = "import os, sys, time
print('begins', flush=True)
while not os.path.exists('go'): time.sleep(0.01)
print('ends', flush=True)
sys.exit(int(os.environ['STATUS']))
";

fn stack(status: u8) -> Stage {
    let work = format!(
        "[app.work]\nrun = \"python3 -S work.py\"\nlisten = false\nrestart = \"never\"\nenv = {{ STATUS = {status} }}\n"
    );
    let stage = Stage::new(&format!("{WEB}needs = {{ work = \"completed\" }}\n{work}"));
    stage.sandbox.write("work.py", WORK);
    stage
}

fn done(stage: &Stage) -> usize {
    stage.home_file("logs/t/work.1.out.log").matches("ends").count()
}

#[test]
fn who_needs_a_work_starts_after_it_and_it_is_done_once() {
    let stage = stack(0);
    let start = stage.starting();
    wait_until("it works", || stage.find_app("work").filter(|app| app["state"] == "ready"));
    let web = stage.wait_for_app("web", "waiting", |app| app["state"] == "waiting");
    assert_eq!(web["reason"], "waits for work: it has not done its work yet");
    stage.signal("go");
    start.wait().expect_code(0);
    stage.answering();
    assert_eq!((stage.app("work")["state"].as_str(), done(&stage)), (Some("done"), 1));
    stage.kill_keeper();
    stage.sandbox.start_daemon(stage.port);
    let manifest = std::fs::read_to_string(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    stage.sandbox.write("mainstay.toml", manifest.replace("needs =", "env = { NEW = 1 }\nneeds ="));
    stage.run(&["reload"]).expect_code(0);
    assert_eq!(done(&stage), 1, "neither a new keeper nor another app's change has it done again");
    stage.run(&["restart", "work"]).expect_code(0);
    wait_until("it is done again", || (done(&stage) == 2).then_some(()));
    stage.answering();
}

#[test]
fn work_that_fails_fails_the_start_and_is_named() {
    let stage = stack(3);
    stage.signal("go");
    let start = stage.starting().wait();
    let said = start.expect_code(4);
    assert!(said.stderr.contains("work.1 exited with status 3"), "{}", said.stderr);
    let web = stage.app("web");
    assert_eq!(web["state"], "failed");
    let reason = web["reason"].as_str().unwrap();
    let expected = "waits for work: work.1 exited with status 3 and is not started again";
    assert!(reason.starts_with(expected), "{reason}");
}
