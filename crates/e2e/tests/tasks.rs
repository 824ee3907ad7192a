//! Commands by the clock, over the real binary. Their schedules have seconds, so that nobody waits for minutes; what is daily is made
//! due by the time zone that the keeper is given.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{Stage, WEB, instances};
use testkit::{Running, is_alive, wait_until};

/// A task: it tells its pid, waits for a file if it is to, and ends as it is told.
const TASK: &str = "import os, sys, time\nprint('task', os.getpid(), flush=True)\n\
    while len(sys.argv) > 2 and not os.path.exists(sys.argv[2]): time.sleep(0.01)\n\
    print('last words', file=sys.stderr, flush=True)\nsys.exit(int(sys.argv[1]))\n";

/// A task that runs `task.py` with these arguments.
fn task(name: &str, schedule: &str, arguments: &str, rest: &str) -> String {
    format!("[task.{name}]\nschedule = \"{schedule}\"\nrun = \"python3 -S task.py {arguments}\"\n{rest}")
}

/// With the app and these tasks, in this time zone.
fn started(tasks: &str, zone: &str) -> Stage {
    let stage = Stage::new(&format!("{WEB}{tasks}"));
    stage.sandbox.write("task.py", TASK);
    start(&stage, zone);
    stage
}

fn start(stage: &Stage, zone: &str) {
    let address = format!("127.0.0.1:{}", stage.port);
    let mut command = stage.sandbox.command(stage.arguments(&["start", "--http", &address]));
    Running::start({
        command.env("TZ", zone);
        command
    })
    .wait()
    .expect_code(0);
}

/// Runs of a task, the latest first.
fn runs(stage: &Stage, name: &str) -> Vec<Value> {
    let status = stage.status();
    let tasks = status["stacks"][0]["tasks"].as_array().unwrap().clone();
    let task = tasks.into_iter().find(|task| task["name"] == name).expect("the task");
    task["runs"].as_array().unwrap().clone()
}

/// Waits for a run that ended so.
fn wait_for(stage: &Stage, name: &str, result: &str) -> Value {
    wait_until(result, || runs(stage, name).into_iter().find(|run| run["result"] == result))
}

/// Process id that a task's run has printed, of the run that printed last.
fn pid(stage: &Stage, name: &str) -> Option<u32> {
    let log = stage.home_file(&format!("logs/t/{name}.1.out.log"));
    log.lines().rev().find_map(|line| line.split("task ").nth(1)?.trim().parse().ok())
}

/// A time zone in which it is two o'clock so many seconds from now.
fn two_o_clock_in(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let of_day = i64::try_from(now.as_secs() % 86_400).unwrap();
    // Seconds to add to UTC, from −12 to +12 hours; POSIX writes what is to be taken away.
    let east = (2 * 3600 - seconds - of_day + 12 * 3600).rem_euclid(86_400) - 12 * 3600;
    let (sign, east) = if east < 0 { ('+', -east) } else { ('-', east) };
    format!("TST{sign}{:02}:{:02}:{:02}", east / 3600, east / 60 % 60, east % 60)
}

// req: JOB-13
#[test]
fn a_daily_task_runs_at_two_by_the_hosts_clock_and_what_was_missed_is_reported() {
    let often = task("often", "*/2 * * * * *", "0", "");
    let daily = task("daily", "0 2 * * *", "0", "");
    let stage = started(&format!("{daily}{often}"), &two_o_clock_in(8));
    let run = wait_for(&stage, "daily", "ok");
    let due = run["due"].as_str().unwrap();
    assert!(due[10..].starts_with("T02:00:00"), "{due}");
    assert!(
        run["took_ms"].as_u64().is_some() && run["detail"].as_str().unwrap().contains("last words"),
        "{run}"
    );
    assert_eq!(runs(&stage, "daily").len(), 1, "once");
    wait_for(&stage, "often", "ok");
    let shown = stage.run(&["status"]).expect_code(0).stdout;
    for text in ["TASK", "NEXT RUN", "0 2 * * *", " 02:00:00", "ok"] {
        assert!(shown.contains(text), "{text:?} is missing in:\n{shown}");
    }
    assert!(stage.run(&["logs", "daily"]).expect_code(0).stdout.contains("last words"));

    // the host is off for some of its times
    stage.kill_keeper();
    std::thread::sleep(std::time::Duration::from_secs(7)); // time itself is what is waited for
    start(&stage, "UTC");
    let missed = wait_for(&stage, "often", "missed");
    assert!(missed["detail"].as_str().unwrap().contains("missed, due"), "{missed}");
    assert!(stage.home_file("logs/keeper.log").contains("missed, due"));
    let history = stage.run(&["task", "history", "often"]).expect_code(0).stdout;
    assert!(history.contains("missed"), "{history}");
    let next = stage.status()["stacks"][0]["tasks"][0]["next"].as_str().unwrap().to_owned();
    assert!(next.ends_with("T02:00:00+00:00"), "the zone of the host as it is now: {next}");
}

#[test]
fn a_run_goes_on_over_reloads_and_keepers_and_the_next_ones_are_left_out() {
    let long = |rest: &str| task("long", "*/2 * * * * *", "0 gate", rest);
    let stage = started(&long(""), "UTC");
    wait_for(&stage, "long", "running");
    let first = wait_until("it runs", || pid(&stage, "long"));
    let skipped = wait_for(&stage, "long", "skipped");
    assert!(skipped["detail"].as_str().unwrap().contains("still goes on"), "{skipped}");
    // a reload that changes something else, and one that changes the task: from its next run on
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\" }}\n{}", long("")));
    stage.run(&["reload"]).expect_code(0);
    stage.rewrite(&format!("{WEB}env = {{ NAME = \"second\" }}\n{}", long("env = { A = \"b\" }\n")));
    let said = stage.run(&["reload"]).expect_code(0).stdout;
    assert!(said.contains("task long: env A changed; from its next run on"), "{said}");
    assert!(is_alive(first));
    stage.kill_keeper();
    start(&stage, "UTC");
    assert!(is_alive(first));
    assert_eq!(stage.run(&["task", "run", "long"]).expect_code(5).code, Some(5), "it runs already");
    stage.signal("gate");
    let ended =
        wait_until("its end", || runs(&stage, "long").into_iter().rev().find(|run| run["result"] == "ok"));
    assert!(ended["took_ms"].as_u64() > Some(2000), "the run that a former keeper began: {ended}");
    wait_until("the next one", || pid(&stage, "long").filter(|pid| *pid != first));
}

#[test]
fn a_run_that_waits_is_begun_though_the_former_one_ended_while_no_keeper_lived() {
    let waits = task("waits", "0 2 * * *", "0 gate", "overlap = \"wait\"\n");
    let stage = started(&waits, &two_o_clock_in(8));
    let _asked = Running::start(stage.sandbox.command(stage.arguments(&["task", "run", "waits"])));
    let first = wait_until("it runs", || pid(&stage, "waits"));
    let tasks = || stage.status()["stacks"][0]["tasks"][0].clone();
    wait_until("the next one to wait", || (tasks()["waits"] == true).then_some(()));
    stage.kill_keeper();
    stage.signal("gate");
    wait_until("its end", || (!is_alive(first)).then_some(()));
    start(&stage, "UTC");
    wait_until("the second run", || pid(&stage, "waits").filter(|pid| *pid != first));
    let second = wait_until("its end", || {
        let of_clock = runs(&stage, "waits").into_iter().find(|run| !run["due"].is_null());
        of_clock.filter(|run| run["result"] == "ok")
    });
    assert!(second["due"].is_string() && tasks()["waits"] == false, "{second}");
}

#[test]
fn a_task_that_fails_says_so_and_troubles_nobody_else() {
    let never = "0 0 1 1 *";
    let tasks = [
        task("bad", never, "3", ""),
        task("slow", never, "0 never", "timeout = \"1s\"\n"),
        task("good", never, "0", "needs = [\"web\"]\n"),
    ];
    let stage = started(&tasks.concat(), "UTC");
    let said = stage.run(&["task", "run", "bad"]).expect_code(4).stderr;
    assert!(said.contains("last words") && said.contains("failed: exited with status 3"), "{said}");
    let said = stage.run(&["task", "run", "slow"]).expect_code(4).stderr;
    assert!(said.contains("timed-out: took longer than 1s"), "{said}");
    wait_until("it is gone", || pid(&stage, "slow").filter(|pid| !is_alive(*pid)));
    assert!(stage.run(&["task", "run", "good"]).expect_code(0).stdout.contains("good: ok, in"));
    let status = stage.status();
    assert_eq!(status["stacks"][0]["state"], "ready");
    assert_eq!(status["stacks"][0]["apps"].as_array().unwrap().len(), 1, "tasks have a table of their own");
    assert_eq!(instances(&stage.app("web")).len(), 1);
    let shown = stage.run(&["status"]).expect_code(0).stdout;
    assert!(shown.contains("bad: failed") && shown.contains("exited with status 3"), "{shown}");
    for (verb, why) in [("restart", "bad is a task"), ("stop", "bad is a task")] {
        let said = stage.run(&[verb, "bad"]).expect_code(2).stderr;
        assert!(said.contains(why), "{said}");
    }
    let listed = stage.run(&["task", "--json"]).expect_code(0).json();
    assert_eq!(listed[0]["name"], "bad");
    assert_eq!(listed[0]["runs"][0]["result"], "failed");
    assert_eq!(stage.run(&["task", "run", "none"]).expect_code(2).code, Some(2));
}

#[test]
fn overlapping_runs_wait_or_replace_as_the_task_says() {
    let waits = task("waits", "*/2 * * * * *", "0 gate", "overlap = \"wait\"\n");
    let replaces = task("replaces", "*/3 * * * * *", "0 never", "overlap = \"replace\"\n");
    let stage = started(&format!("{waits}{replaces}"), "UTC");
    let first = wait_until("it runs", || pid(&stage, "waits"));
    let skipped = wait_for(&stage, "waits", "skipped");
    assert!(skipped["detail"].as_str().unwrap().contains("one waits for it"), "one at most: {skipped}");
    assert!(is_alive(first));
    stage.signal("gate");
    wait_until("the one that waited", || pid(&stage, "waits").filter(|pid| *pid != first));
    let replaced = wait_for(&stage, "replaces", "replaced");
    assert!(replaced["took_ms"].as_u64() < Some(6000), "{replaced}");
    let running = runs(&stage, "replaces").iter().filter(|run| run["result"] == "running").count();
    assert!(running <= 1, "never two at a time");
}
