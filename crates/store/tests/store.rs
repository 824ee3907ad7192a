//! The store as the keeper sees it: what is done survives, what cannot be done is an error that says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use model::{AppId, AppName, InstanceId, StackName};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::{Ban, NewRevision, Proposal, Scaled, Store, StoreError, TaskRecord, TaskRun, Transition, Wanted};

fn name(text: &str) -> StackName {
    text.parse().unwrap()
}

fn app(text: &str) -> AppName {
    text.parse().unwrap()
}

fn app_id(stack: &str, app: &str) -> AppId {
    AppId { stack: name(stack), app: app.parse().unwrap() }
}

fn revision(text: &str) -> NewRevision {
    NewRevision {
        manifest: PathBuf::from("/srv/hello/mainstay.toml"),
        http: vec!["127.0.0.1:8080".parse().unwrap()],
        https: vec!["127.0.0.1:8443".parse().unwrap()],
        text: text.to_owned(),
        asked: "{\"profiles\":[\"app\"]}".to_owned(),
        at_ms: 1_700_000_000_000,
    }
}

fn accepted(proposal: Proposal) -> u64 {
    match proposal {
        Proposal::Accepted(revision) => revision,
        Proposal::Conflict { head } => panic!("conflict with {head:?}"),
    }
}

fn in_a_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    (folder, path)
}

#[test]
fn everything_is_there_after_reopening() {
    let (_folder, path) = in_a_folder();
    let hello = name("hello");
    let transition = Transition {
        app: app_id("hello", "web"),
        instance: "web.1".into(),
        state: "ready".into(),
        reason: "answered 200".into(),
        at_ms: 5,
    };
    let (before, step) = {
        let store = Store::open(&path).unwrap();
        let first = accepted(store.propose(&hello, None, &revision("one")).unwrap());
        assert!(store.commit(&hello, first).unwrap());
        accepted(store.propose(&hello, Some(first), &revision("two")).unwrap());
        store.set_wanted(&hello, Wanted::Stopped).unwrap();
        store.set_app_stopped(&hello, &app("db"), true).unwrap();
        assert_eq!(store.count_restart(&hello, &app("web")).unwrap(), 1);
        assert_eq!(store.count_restart(&hello, &app("web")).unwrap(), 2);
        store.record(&transition).unwrap();
        let done = store.begin(&hello, first, "{}").unwrap();
        store.finish(done).unwrap();
        let step = store.begin(&hello, first, r#"{"step":"drain"}"#).unwrap();
        store.use_run(&InstanceId { app: app_id("hello", "web"), slot: 1, run: 7 }).unwrap();
        store.use_run(&InstanceId { app: app_id("hello", "web"), slot: 2, run: 6 }).unwrap();
        assert_eq!(store.next_snapshot().unwrap(), 1);
        (store.stacks().unwrap(), step)
    };
    let store = Store::open(&path).unwrap();
    assert_eq!(store.stacks().unwrap(), before);
    let [record] = before.as_slice() else { panic!("{before:?}") };
    assert_eq!(record.active.as_ref().unwrap().content, revision("one"));
    assert_eq!(record.candidate.as_ref().unwrap().content, revision("two"));
    assert_eq!(record.wanted, Wanted::Stopped);
    assert!(record.stopped.contains(&app("db")));
    assert_eq!(record.restarts.get(&app("web")), Some(&2));
    assert_eq!(store.history(&app_id("hello", "web"), 10).unwrap(), [transition]);
    let unfinished = store.unfinished().unwrap();
    assert_eq!(unfinished.len(), 1);
    assert_eq!((unfinished[0].id, unfinished[0].step.as_str()), (step, r#"{"step":"drain"}"#));
    assert_eq!(
        store.runs().unwrap().get(&app_id("hello", "web")),
        Some(&7),
        "a lower number does not set it back"
    );
    assert_eq!(store.next_snapshot().unwrap(), 2);
}

#[test]
fn of_two_changes_made_at_once_one_is_refused() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    let hello = name("hello");
    let first = accepted(store.propose(&hello, None, &revision("one")).unwrap());
    let again = store.propose(&hello, None, &revision("two")).unwrap();
    assert_eq!(again, Proposal::Conflict { head: Some(first) });
    store.commit(&hello, first).unwrap();
    let second = accepted(store.propose(&hello, Some(first), &revision("two")).unwrap());
    let late = store.propose(&hello, Some(first), &revision("three")).unwrap();
    assert_eq!(late, Proposal::Conflict { head: Some(second) });
    // Whoever saw the candidate may replace it; it can be committed no longer.
    let third = accepted(store.propose(&hello, Some(second), &revision("three")).unwrap());
    assert!(!store.commit(&hello, second).unwrap());
    assert!(!store.drop_candidate(&hello, second).unwrap());
    assert!(store.drop_candidate(&hello, third).unwrap());
    let record = store.stack(&hello).unwrap().unwrap();
    assert_eq!((record.head(), record.candidate), (Some(first), None));
}

#[test]
fn numbers_of_a_removed_stack_are_not_used_again() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    let hello = name("hello");
    let first = accepted(store.propose(&hello, None, &revision("one")).unwrap());
    store.use_run(&InstanceId { app: app_id("hello", "web"), slot: 1, run: 3 }).unwrap();
    store.begin(&hello, first, "{}").unwrap();
    assert!(store.drop_candidate(&hello, first).unwrap(), "a stack that never served");
    assert_eq!((store.stacks().unwrap(), store.unfinished().unwrap()), (vec![], vec![]));
    assert!(accepted(store.propose(&hello, None, &revision("one")).unwrap()) > first);
    store.remove(&hello).unwrap();
    assert_eq!(store.stack(&hello).unwrap(), None);
    assert_eq!(store.runs().unwrap().get(&app_id("hello", "web")), Some(&3));
}

#[test]
fn history_and_revisions_are_bounded() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    let transition = |app: &AppId, at_ms| Transition {
        app: app.clone(),
        instance: "web.1".into(),
        state: "ready".into(),
        reason: String::new(),
        at_ms,
    };
    let (web, other) = (app_id("hello", "web"), app_id("hello", "other"));
    store.record(&transition(&other, 1)).unwrap();
    for at_ms in 0..250 {
        store.record(&transition(&web, at_ms)).unwrap();
    }
    let kept: Vec<u64> =
        store.history(&web, 1000).unwrap().iter().map(|transition| transition.at_ms).collect();
    assert_eq!(kept, (50..250).collect::<Vec<u64>>());
    assert_eq!(store.history(&web, 1).unwrap()[0].at_ms, 249);
    assert_eq!(store.history(&other, 1000).unwrap().len(), 1, "another app's are not counted");
    store.record(&Transition { state: "draining".into(), ..transition(&web, 251) }).unwrap();
    assert_eq!(store.last_state(&web, "web.1").unwrap().as_deref(), Some("draining"));
    assert_eq!(store.last_state(&web, "web.2").unwrap(), None);

    let hello = name("hello");
    let first = accepted(store.propose(&hello, None, &revision("one")).unwrap());
    store.commit(&hello, first).unwrap();
    let mut head = first;
    for _ in 0..60 {
        head = accepted(store.propose(&hello, Some(head), &revision("next")).unwrap());
    }
    let record = store.stack(&hello).unwrap().unwrap();
    assert_eq!(record.active.unwrap().content.text, "one", "what is served is kept");
    assert_eq!(record.candidate.unwrap().number, head);
}

#[test]
fn the_history_is_asked_for_by_stack_app_and_time_and_bounded_by_age() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    let at = |app: AppId, at_ms: u64| {
        let (instance, state, reason) = ("web.1".to_owned(), "ready".to_owned(), String::new());
        store.record(&Transition { app, instance, state, reason, at_ms }).unwrap();
    };
    let found = |stack: Option<&str>, app: Option<&str>, since_ms: u64, limit: u32| -> Vec<u64> {
        let found = store.history_of(stack, app, since_ms, limit).unwrap();
        found.into_iter().map(|it| it.at_ms).collect()
    };
    (1..=3).for_each(|time| at(app_id("one", "web"), time * 10));
    at(app_id("one", "db"), 15);
    at(app_id("two", "web"), 25);
    assert_eq!(found(None, None, 0, 9), [10, 15, 20, 25, 30], "oldest first");
    assert_eq!(found(Some("one"), None, 15, 9), [15, 20, 30]);
    assert_eq!(found(None, Some("web"), 0, 2), [25, 30], "the latest");
    assert_eq!(found(Some("no"), None, 0, 9), [0; 0]);
    store.forget_history(20).unwrap();
    assert_eq!(found(None, None, 0, 9), [20, 25, 30]);
}

#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    store.next_snapshot().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[test]
fn a_newer_version_s_database_is_refused() {
    let (_folder, path) = in_a_folder();
    drop(Store::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_damaged_database_is_refused_with_the_next_step() {
    let (folder, path) = in_a_folder();
    let refused = |path: &Path| {
        let error = Store::open(path).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        let told = error.to_string();
        assert!(told.contains(path.to_str().unwrap()) && told.contains("move it"), "{told}");
    };
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, it only is where one should be".repeat(100)).unwrap();
    refused(&text);
    // One that was one: everything after its first page is overwritten.
    drop(Store::open(&path).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    refused(&path);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Store::open(Path::new("/nowhere/state.db")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/state.db"), "{error}");
}

/// Not a test of its own: what the tests below run in a process that they end.
#[test]
fn child() {
    let Some(path) = std::env::var_os("STORE_TEST_CHILD") else { return };
    let store = Store::open(Path::new(&path)).unwrap();
    let hello = name("hello");
    let mut head = store.stack(&hello).unwrap().and_then(|record| record.head());
    loop {
        let done = store.propose(&hello, head, &revision(&"x".repeat(10_000))).and_then(|proposal| {
            head = Some(accepted(proposal));
            store.next_snapshot()
        });
        match done {
            // Two line breaks: the test harness may have begun the line.
            Ok(number) => println!("\nwritten {number}"),
            Err(error) => {
                println!("\nrefused {error}");
                return;
            }
        }
    }
}

/// This binary as `child`, begun by `sh -c` so that limits can be set first.
fn start_child(path: &Path, first: &str) -> std::process::Child {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first} exec \"$0\" --exact child --nocapture")]);
    command.arg(std::env::current_exe().unwrap());
    command.env("STORE_TEST_CHILD", path).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_kill_in_the_middle_of_writing_loses_nothing_that_was_done() {
    let (_folder, path) = in_a_folder();
    let mut last = 0;
    for round in 1..=5 {
        let mut child = start_child(&path, "");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut written =
            lines.filter_map(|line| line.strip_prefix("written ").map(|n| n.parse::<u64>().unwrap()));
        last = written.nth(round * 3).expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        last = written.last().unwrap_or(last);
        let store = Store::open(&path).unwrap();
        assert!(store.next_snapshot().unwrap() > last);
        assert_eq!(
            store.stack(&name("hello")).unwrap().unwrap().candidate.unwrap().content.text.len(),
            10_000
        );
    }
    assert!(last > 0);
}

#[test]
fn a_file_that_cannot_grow_is_an_error_and_what_was_done_stays() {
    let (_folder, path) = in_a_folder();
    // Half a MiB (`ulimit -f` counts blocks of 512 bytes); without the trap the signal would end the process.
    let child = start_child(&path, "trap '' XFSZ; ulimit -f 1024;");
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "it must not panic: {text}");
    let written =
        text.lines().filter_map(|line| line.strip_prefix("written ")).next_back().expect("some fit");
    let refused = text.lines().find(|line| line.starts_with("refused")).expect("not all fit");
    assert!(refused.contains(path.to_str().unwrap()), "{refused}");
    let store = Store::open(&path).unwrap();
    assert!(store.next_snapshot().unwrap() > written.parse::<u64>().unwrap());
}

#[test]
fn bans_survive_until_they_end_or_are_lifted() {
    let (_folder, path) = in_a_folder();
    let ban = |net: &str, until_ms| Ban { net: net.parse().unwrap(), until_ms, reason: "rates".into() };
    let all = [ban("198.51.100.7/32", 500), ban("2001:db8::/64", 900)];
    let store = Store::open(&path).unwrap();
    store.change_bans(&all, &[]).unwrap();
    store.change_bans(&all[..1], &[]).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.bans().unwrap(), all);
    store.end_bans(500).unwrap();
    assert_eq!(store.bans().unwrap(), all[1..]);
    store.change_bans(&[], &[all[1].net]).unwrap();
    assert_eq!(store.bans().unwrap(), []);
}

#[test]
fn what_was_scaled_survives_and_goes_with_its_stack() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    store.propose(&name("hello"), None, &revision("a")).unwrap();
    let three = Scaled { instances: 3, manifest: "1".into() };
    let asked = BTreeMap::from([(app("web"), Some(three.clone())), (app("api"), Some(three.clone()))]);
    store.set_scaled(&name("hello"), &asked).unwrap();
    store.set_scaled(&name("hello"), &BTreeMap::from([(app("api"), None)])).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    let scaled = store.stack(&name("hello")).unwrap().unwrap().scaled;
    assert_eq!(scaled, BTreeMap::from([(app("web"), three)]));
    assert!(store.set_scaled(&name("other"), &asked).is_err(), "there is no such stack");
    store.remove(&name("hello")).unwrap();
    store.propose(&name("hello"), None, &revision("a")).unwrap();
    assert!(store.stack(&name("hello")).unwrap().unwrap().scaled.is_empty());
}

#[test]
fn tasks_and_their_runs_survive_and_the_oldest_runs_go() {
    let (_folder, path) = in_a_folder();
    let store = Store::open(&path).unwrap();
    let (stack, task) = (name("hello"), app("backup"));
    store.propose(&stack, None, &revision("a")).unwrap();
    let far = TaskRecord { schedule: "0 2 * * *".into(), seen_ms: 5, waiting_ms: Some(4) };
    store.keep_task(&stack, &task, &TaskRecord { waiting_ms: None, ..far.clone() }).unwrap();
    store.keep_task(&stack, &task, &far).unwrap();
    let run = |begun_ms, ended_ms| TaskRun {
        id: 0,
        spec: u64::MAX - 1,
        due_ms: Some(begun_ms),
        begun_ms,
        ended_ms,
        result: "running".into(),
        detail: String::new(),
    };
    let open = store.begin_task_run(&stack, &task, &run(1, None)).unwrap();
    let over = u64::from(store::tasks::KEPT);
    for begun in 2..=over {
        store.begin_task_run(&stack, &task, &run(begun, Some(begun))).unwrap();
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.tasks(&stack).unwrap(), BTreeMap::from([(task.clone(), far)]));
    let found = store.open_task_runs(&stack).unwrap();
    assert_eq!(found, [(task.clone(), TaskRun { id: open, ..run(1, None) })]);
    store.end_task_run(open, 9, "failed", "exited with status 3").unwrap();
    assert!(store.open_task_runs(&stack).unwrap().is_empty());
    let all = store.task_runs(&stack, &task, u32::MAX).unwrap();
    assert_eq!((all.len(), all.last().map(|run| run.ended_ms)), (100, Some(Some(9))));
    store.begin_task_run(&stack, &task, &run(over + 1, Some(1))).unwrap();
    let all = store.task_runs(&stack, &task, u32::MAX).unwrap();
    assert_eq!((all.len(), all[99].begun_ms), (100, 2), "the oldest is gone");
}
