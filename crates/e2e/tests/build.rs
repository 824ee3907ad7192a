//! What an app starts from: built once, beside what serves, and never half.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use stage::load::Load;
use stage::{Stage, WEB};
use std::fs;
use std::path::PathBuf;
use testkit::{is_alive, wait_until};

/// The app with these steps; its inputs are `requirements.txt`.
fn built(steps: &str, more: &str) -> String {
    format!(
        "{WEB}env = {{ WHERE = \"$BUILD_DIRECTORY\" }}\n{more}[app.web.build]\nsteps = [{steps}]\ninputs = [\"requirements.txt\"]\n"
    )
}

/// A step that copies the input and counts, in the app's state, how often it ran.
const COPY: &str = "[\"python3\", \"-c\", \"import os, shutil; shutil.copy('requirements.txt', os.environ['BUILD_DIRECTORY']); \
                    open(os.environ['STATE_DIRECTORY'] + '/count', 'a').write('x'); print('copied')\"]";

fn stage(steps: &str, more: &str) -> Stage {
    let stage = Stage::new(&built(steps, more));
    stage.sandbox.write("requirements.txt", "one\n");
    stage
}

fn started(steps: &str, more: &str) -> Stage {
    let stage = stage(steps, more);
    stage.sandbox.start_daemon(stage.port);
    stage
}

impl Stage {
    fn builds(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sandbox.home().join("build/t/web")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> =
            entries.map(|it| it.path()).filter(|it| it.is_dir() && !it.ends_with("cache")).collect();
        folders.sort();
        folders
    }

    fn times(&self) -> usize {
        self.home_file("state/t/web/count").len()
    }
}

#[test]
fn it_is_built_once_and_kept() {
    let stage = started(COPY, "");
    assert_eq!((stage.times(), stage.builds().len()), (1, 1));
    let folder = stage.builds().remove(0);
    assert_eq!(fs::read_to_string(folder.join("requirements.txt")).unwrap(), "one\n");
    stage.run(&["restart", "web"]).expect_code(0);
    stage.run(&["reload"]).expect_code(0);
    let hashes = stage.sandbox.home().join("build/t/.hashes.json");
    assert!(hashes.is_file());
    stage.run(&["stop"]).expect_code(0);
    assert!(!hashes.exists(), "hashes of revisions that are no more");
    stage.sandbox.start_daemon(stage.port);
    assert_eq!((stage.times(), stage.builds()), (1, vec![folder]));
    let log = stage.run(&["logs", "web.build"]).expect_code(0);
    assert!(log.stdout.contains("copied") && log.stdout.contains("step 1 of 1"), "{}", log.stdout);
    assert!(!stage.run(&["logs"]).stdout.contains("copied"));
}

#[test]
fn a_changed_input_is_built_beside_what_serves() {
    let stage = started(COPY, "");
    let load = Load::begin(stage.port, "/");
    stage.sandbox.write("requirements.txt", "two\n");
    let dry = stage.run(&["reload", "--dry-run"]).expect_code(0);
    assert!(dry.stdout.contains("app web: build changed (requirements.txt)"), "{}", dry.stdout);
    assert_eq!(stage.times(), 1);
    let before = stage.pids("web");
    stage.run(&["reload"]).expect_code(0);
    load.more(20);
    load.end();
    assert_ne!(stage.pids("web"), before);
    // the one before is kept for a quick way back
    assert_eq!((stage.times(), stage.builds().len()), (2, 2));
    stage.sandbox.write("requirements.txt", "one\n");
    stage.run(&["reload"]).expect_code(0);
    assert_eq!((stage.times(), stage.builds().len()), (2, 2));
}

#[test]
fn a_failed_build_drops_the_change() {
    let stage = started(COPY, "");
    let before = stage.pids("web");
    stage.rewrite(&built("\"mkdir sub\", \"cp no-such-file sub\"", ""));
    let output = stage.run(&["reload"]).expect_code(4);
    for part in
        ["build of web failed: step 2 of 2 (cp no-such-file sub) exit status: 1", "No such file or directory"]
    {
        assert!(output.stderr.contains(part), "{}", output.stderr);
    }
    assert_eq!(stage.pids("web"), before);
    assert_eq!(stage.builds().len(), 1);
    let status = stage.run(&["status"]).stdout;
    assert!(
        status.contains("dropped") && status.contains("next: put it right, then mainstay reload"),
        "{status}"
    );
}

#[test]
fn a_first_build_that_fails_is_tried_again_when_asked() {
    let stage = stage("[\"cat\", \"gate\"]", "");
    let address = format!("127.0.0.1:{}", stage.port);
    let output = stage.run(&["start", "--http", &address]).expect_code(4);
    assert!(
        output.stderr.contains("build of web failed: step 1 of 1 (cat gate) exit status: 1"),
        "{}",
        output.stderr
    );
    let app = stage.app("web");
    assert_eq!(app["state"], "failed", "{app:#}");
    let status = stage.run(&["status"]).stdout;
    assert!(status.contains("next: put it right, then mainstay reload; mainstay logs web.build"), "{status}");
    stage.signal("gate");
    stage.run(&["reload"]).expect_code(0);
    stage.wait_ready("web");
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    let stage = stage("\"sleep 600\"", "");
    stage.rewrite(&(built("\"sleep 600\"", "") + "timeout = \"1s\"\n"));
    let address = format!("127.0.0.1:{}", stage.port);
    let output = stage.run(&["start", "--http", &address]).expect_code(4);
    assert!(output.stderr.contains("did not end: all steps together have 1s"), "{}", output.stderr);
}

/// A step that writes its process id and waits.
const WAIT: &str = "[\"python3\", \"-c\", \"import os, time; open(os.environ['STATE_DIRECTORY'] + '/pid', 'w').write(str(os.getpid()) + '\\\\n'); \
                    time.sleep(0 if os.path.exists('gate') else 600)\"]";

fn step(stage: &Stage) -> u32 {
    wait_until("the step runs", || stage.home_file("state/t/web/pid").strip_suffix('\n')?.parse().ok())
}

#[test]
fn a_killed_keeper_leaves_no_step_and_the_next_builds_anew() {
    let stage = stage(WAIT, "");
    let starting = stage.starting();
    let step = step(&stage);
    stage.wait_for_app("web", "building", |app| app["state"] == "building" && app["build"]["step"] == 1);
    stage.kill_keeper();
    wait_until("the step is gone", || (!is_alive(step)).then_some(()));
    drop(starting);
    stage.signal("gate");
    stage.sandbox.start_daemon(stage.port);
    stage.wait_ready("web");
    assert_eq!(stage.builds().len(), 1);
}

#[test]
fn ctrl_c_in_the_middle_of_a_build_leaves_nothing() {
    let stage = stage(WAIT, "");
    let up = stage.sandbox.start(["up", "--http", &format!("127.0.0.1:{}", stage.port)]);
    let state = stage.sandbox.stack().join(".mainstay/state/t/web/pid");
    let pid = wait_until("the step runs", || {
        fs::read_to_string(&state).ok()?.strip_suffix('\n')?.parse::<u32>().ok()
    });
    up.signal("INT");
    let output = up.wait();
    assert!(!is_alive(pid), "{}", output.stderr);
    stage.sandbox.wait_until_empty();
}

#[test]
fn a_full_disk_is_named() {
    let stage = stage("\"cp requirements.txt /dev/full\"", "");
    let address = format!("127.0.0.1:{}", stage.port);
    let output = stage.run(&["start", "--http", &address]).expect_code(4);
    let failed = "build of web failed: step 1 of 1 (cp requirements.txt /dev/full) exit status: 1";
    assert!(
        output.stderr.contains(failed) && output.stderr.contains("No space left on device"),
        "{}",
        output.stderr
    );
}

// req: DEP-31
#[test]
fn steps_run_as_the_apps_user() {
    if !sys::user::is_root() {
        return; // everything runs as the caller
    }
    let stage = started(COPY, "user = \"nobody\"\n");
    let nobody = sys::user::lookup("nobody").unwrap();
    let folder = stage.builds().remove(0);
    for made in [&folder, &folder.join("requirements.txt"), &folder.with_file_name("cache")] {
        assert_eq!(sys::user::owner(made).unwrap().0, nobody.uid, "{}", made.display());
    }
    // beside it, where the steps cannot write, what says that it is finished; and their output, which is kept
    assert_eq!(sys::user::owner(&folder.with_extension("json")).unwrap().0, 0);
    assert!(stage.home_file("logs/t/web.build.log").contains("copied"));
}
