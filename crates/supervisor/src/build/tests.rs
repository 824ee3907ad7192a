//! The hash of a build, and builds from their first step to their marker.

use super::*;
use model::spec::{HealthSpec, Listen, LogSpec, Probe, RestartPolicy, RestartSpec, StopSpec};
use std::collections::BTreeMap;

fn words(step: &str) -> Vec<String> {
    step.split(' ').map(str::to_owned).collect()
}

fn app(dir: &Path, steps: &[&str], inputs: &[&str]) -> AppSpec {
    let second = Duration::from_secs(1);
    AppSpec {
        argv: Vec::new(),
        dir: dir.to_owned(),
        env: BTreeMap::new(),
        listen: Listen::Nothing,
        instances: 1,
        balance: Default::default(),
        http2: false,
        needs: Vec::new(),
        health: HealthSpec {
            probe: Probe::Alive,
            interval: second,
            timeout: second,
            retries: 1,
            start_period: second,
        },
        restart: RestartSpec {
            policy: RestartPolicy::Always,
            delay: second,
            max_delay: second,
            min_uptime: second,
            max_restarts: 1,
        },
        stop: StopSpec { signal: 15, timeout: second, drain: second },
        user: None,
        logs: LogSpec { dir: None, max_size: 1 << 20, keep: 1, redact: Vec::new() },
        build: Some(BuildSpec {
            steps: steps.iter().map(|step| words(step)).collect(),
            inputs: inputs.iter().map(|input| dir.join(input)).collect(),
            timeout: Duration::from_secs(60),
            hash: 7,
            digests: Vec::new(),
        }),
        writable: Vec::new(),
        description: None,
        traffic: Default::default(),
        recycle: Default::default(),
        resources: Default::default(),
        scale: None,
        reload_signal: None,
        container: None,
        confine: Default::default(),
        mounts: Vec::new(),
        files: Vec::new(),
        networks: Vec::new(),
        needs_how: Default::default(),
        preset: None,
    }
}

fn hash_of(app: &AppSpec, uid: Option<u32>) -> (u64, Vec<u64>) {
    hash(app, app.build.as_ref().unwrap(), &app.dir, uid).unwrap()
}

fn write(path: &Path, text: &str) {
    sys::durable::write(path, text.as_bytes(), 0o644).unwrap();
}

#[test]
fn an_input_that_takes_hours_to_read_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("file")).unwrap();
    file.set_len(1 << 40).unwrap();
    let app = app(dir.path(), &["true"], &["file"]);
    let refused = hash(&app, app.build.as_ref().unwrap(), &app.dir, None).unwrap_err();
    assert!(refused.contains("more than 4294967296 bytes"), "{refused}");
}

#[test]
fn the_hash_changes_with_steps_inputs_folder_and_user_and_with_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("file"), dir.path().join("folder"));
    sys::folder::make(&folder, 0o755, None).unwrap();
    write(&file, "one");
    write(&folder.join("a"), "a");
    let app = app(dir.path(), &["cp file x"], &["file", "folder", "missing"]);
    let first = hash_of(&app, None);
    write(&file, "one");
    sys::folder::make(&folder.join(".mainstay"), 0o755, None).unwrap();
    assert_eq!(hash_of(&app, None), first);
    let mut seen = vec![first.0];
    let mut differs = |hash: (u64, Vec<u64>)| {
        assert!(!seen.contains(&hash.0));
        seen.push(hash.0);
        hash.1
    };
    differs(hash_of(&app, Some(1)));
    let mut other = app.clone();
    other.build.as_mut().unwrap().steps = vec![vec!["cp".into(), "file x".into()]];
    differs(hash_of(&other, None));
    let mut other = app.clone();
    other.dir = folder.clone();
    differs(hash(&other, app.build.as_ref().unwrap(), dir.path(), None).unwrap());
    write(&file, "two");
    let digests = differs(hash_of(&app, None));
    assert!(digests[0] != first.1[0] && digests[1..] == first.1[1..]);
    std::fs::rename(folder.join("a"), folder.join("b")).unwrap();
    assert_ne!(differs(hash_of(&app, None))[1], first.1[1]);
    write(&dir.path().join("missing"), "");
    differs(hash_of(&app, None));
}

fn order(dir: &Path, steps: &[&str]) -> Order {
    let spec = app(dir, steps, &[]);
    Order {
        app: AppId { stack: "s".parse().unwrap(), app: "web".parse().unwrap() },
        build: spec.build.clone().unwrap(),
        spec: Arc::new(spec),
        root: dir.to_owned(),
        folder: dir.join("build/0007"),
        cache: dir.join("build/cache"),
        state: dir.join("state/web"),
        log: dir.join("logs/web.build.log"),
        user: None,
    }
}

async fn outcome(order: Order) -> Outcome {
    let (reports, mut inbox) = mpsc::channel(1);
    let _running = start(order, reports);
    inbox.recv().await.unwrap().outcome
}

#[tokio::test]
async fn what_a_failure_left_is_removed_and_the_marker_comes_last() {
    let dir = tempfile::tempdir().unwrap();
    let order =
        order(dir.path(), &["mkdir $BUILD_DIRECTORY/made", "cp -r $BUILD_DIRECTORY/made build/cache"]);
    sys::folder::make(&order.folder.join("made"), 0o755, None).unwrap();
    assert!(!is_done(&order.folder));
    assert_eq!(outcome(order.clone()).await, Outcome::Done);
    assert!(is_done(&order.folder) && order.folder.join("made").is_dir());
    assert!(order.cache.join("made").is_dir());
}

#[tokio::test]
async fn what_is_still_written_into_is_removed_when_that_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), &["cp -r $BUILD_DIRECTORY build/cache"]);
    let (begun, inner) = (Instant::now(), order.folder.join("made"));
    sys::folder::make(&inner, 0o755, None).unwrap();
    // as a process whose keeper was killed: it writes on for a while, whatever becomes of the folder
    let writer = std::thread::spawn(move || {
        for number in 0.. {
            let _ = std::fs::create_dir_all(inner.join(number.to_string())); // it may be gone just now
            if begun.elapsed() > Duration::from_millis(500) {
                return;
            }
        }
    });
    assert_eq!(outcome(order.clone()).await, Outcome::Done);
    writer.join().unwrap();
}

#[test]
fn a_folder_that_is_not_empty_yet_gets_more_tries_and_then_a_reason() {
    let not_empty = || Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
    let mut tries = 0;
    let third = || {
        tries += 1;
        if tries < 3 { not_empty() } else { Ok(()) }
    };
    until_empty(third).unwrap();
    assert_eq!(tries, 3);
    let error = until_empty(not_empty).unwrap_err();
    assert!(error.to_string().contains("something still writes into it"), "{error}");
    // anything else is said at once
    assert!(until_empty(|| Err(io::ErrorKind::ReadOnlyFilesystem.into())).is_err());
}

#[tokio::test]
async fn a_step_writes_where_the_app_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut order = order(dir.path(), &["touch uploads/made/by-a-step"]);
    let mut spec = (*order.spec).clone();
    spec.writable = vec![dir.path().join("uploads/made")];
    order.spec = Arc::new(spec);
    assert_eq!(outcome(order).await, Outcome::Done);
    assert!(dir.path().join("uploads/made/by-a-step").is_file());
}

#[tokio::test]
async fn a_failure_says_which_step_and_leaves_no_folder() {
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), &["true", "cat no-such-file"]);
    let Outcome::Failed(reason) = outcome(order.clone()).await else { panic!("it succeeded") };
    let (first, rest) = reason.split_once('\n').unwrap();
    assert_eq!(first, "build of web failed: step 2 of 2 (cat no-such-file) exit status: 1");
    assert!(rest.contains("No such file"), "{rest}");
    assert!(!order.folder.exists() && !is_done(&order.folder));
}

#[tokio::test]
async fn a_secret_is_in_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut order = order(dir.path(), &["ls correct-horse-staple $PASSWORD"]);
    let mut spec = (*order.spec).clone();
    spec.env.insert("PASSWORD".into(), EnvValue::Secret(model::Secret::new("correct-horse-staple")));
    spec.logs.redact = vec![RedactKind::Secrets];
    order.spec = Arc::new(spec);
    let Outcome::Failed(reason) = outcome(order.clone()).await else { panic!("it succeeded") };
    let log = std::fs::read_to_string(&order.log).unwrap();
    assert!(
        !reason.contains("correct-horse-staple") && !log.contains("correct-horse-staple"),
        "{reason}\n{log}"
    );
    assert!(reason.contains("(ls *** $PASSWORD)"), "{reason}");
}

#[tokio::test]
async fn a_daemon_that_a_step_left_does_not_outlive_it() {
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), &["setsid --fork sleep 600.0417"]);
    assert_eq!(outcome(order).await, Outcome::Done);
    let mut lines = sys::proc::pids().unwrap().into_iter().filter_map(sys::proc::cmdline);
    assert!(!lines.any(|line| line == ["sleep", "600.0417"]));
}

#[tokio::test]
async fn a_cancelled_build_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let order = order(dir.path(), &["sleep 600"]);
    let (reports, mut inbox) = mpsc::channel(1);
    let running = start(order.clone(), reports);
    drop(running);
    assert_eq!(inbox.recv().await.unwrap().outcome, Outcome::Cancelled);
    assert!(!order.folder.exists());
}
