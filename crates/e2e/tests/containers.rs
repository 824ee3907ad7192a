//! Apps in containers, on a real engine: reached through the edge, found by name, kept within their limits, and adopted, replaced or removed
//! whoever is killed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod stage;

use serde_json::Value;
use stage::{HOST, QUICK, Stage, history, instances, pids};
use std::time::Duration;
use testkit::tiny::{self, Belongings, podman};
use testkit::{Sandbox, free_port, is_alive, wait_until, wait_within};

/// A web server that says who it is, and ends when it is told to.
const SERVE: &str = r#"["sh", "-c", "mkdir -p /tmp/www; hostname > /tmp/www/index.html; httpd -p 8080 -h /tmp/www; trap 'exit 0' TERM; while true; do sleep 0.1; done"]"#;

/// A stack of its own name, and what the engine has of it. None: there is no engine.
fn stack(apps: &str) -> Option<(Belongings, Stage)> {
    let image = tiny::image()?;
    let port = free_port();
    let name = format!("e2e-{}-{port}", std::process::id());
    let apps = apps.replace("IMAGE", &format!("image = \"{image}\"")).replace("SERVE", SERVE);
    let site = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n");
    let site = if apps.contains("[app.web]") { site } else { String::new() };
    let sandbox = Sandbox::with_manifest(&format!("stack = \"{name}\"\n{site}{apps}"));
    Some((Belongings::of(&name), Stage { sandbox, port }))
}

const WEB: &str = "[app.web]\nIMAGE\nrun = SERVE\nport = 8080\n";

/// What an engine does in a second takes it many where the machine is busy.
const LONG: Duration = Duration::from_secs(180);

fn start(stage: &Stage) {
    stage.starting().wait_within(LONG).expect_code(0);
}

/// Stops the stack. What the engine keeps for a while after that (its service for a minute, Podman a process of each command for five) is ended here.
fn end(stage: &Stage) {
    stage.run(&["stop"]).expect_code(0);
    tiny::end_engine(&stage.sandbox);
}

fn inside(id: &str, command: &[&str]) -> (bool, String) {
    let (done, said) = podman(&[&["exec", id], command].concat());
    (done, said.trim().to_owned())
}

/// Process ids of the engine's service.
fn service_of(stage: &Stage) -> Vec<u32> {
    let words = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let all = stage.sandbox.processes().into_iter();
    all.filter(|pid| words(pid).contains("service\0--time")).collect()
}

fn out(stage: &Stage, app: &str) -> String {
    let stack = stage.status()["stacks"][0]["name"].as_str().unwrap_or_default().to_owned();
    stage.home_file(&format!("logs/{stack}/{app}.1.out.log"))
}

/// The user that the edge runs as may open neither the engine's socket nor the keeper's.
fn the_edge_has_no_way_to_the_engine(stage: &Stage) {
    use std::os::unix::fs::MetadataExt;
    let ids = |key: &str| -> Vec<u32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", stage.edge())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
        line.split_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    let (users, groups) = (ids("Uid:"), [ids("Gid:"), ids("Groups:")].concat());
    assert!(!users.contains(&0), "{users:?}");
    let engine = stage.home_file("engine");
    let engine = engine.trim().strip_prefix("unix:").expect("a socket").trim_start_matches("//");
    let run = std::path::Path::new(engine).parent().unwrap();
    // An engine that runs already has a socket of its own, elsewhere.
    let control = Some(run.join("control.sock")).filter(|path| path.exists());
    for socket in [std::path::PathBuf::from(engine)].into_iter().chain(control) {
        let seen = std::fs::metadata(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        let open = seen.mode() & 0o002 != 0 || seen.mode() & 0o020 != 0 && groups.contains(&seen.gid());
        assert!(!open && !users.contains(&seen.uid()), "{}: {:o}", socket.display(), seen.mode());
    }
}

// req: CONT-01, SEC-31
#[test]
fn containers_answer_through_the_edge_and_leave_their_volumes_alone() {
    let manifest = format!(
        "{WEB}instances = 2\nvolumes = [\"data:/data\"]\n{}[network.default]\nsubnets = [{{ subnet = \"10.213.77.0/24\" }}]\n",
        "[app.asks]\nIMAGE\nlisten = false\nneeds = [\"web\"]\nuser = \"app\"\nrun = [\"sh\", \"-c\", \"until wget -q -O - http://web:8080/; do sleep 0.2; done; trap 'exit 0' TERM; while true; do sleep 0.1; done\"]\n"
    );
    let Some((engine, stage)) = stack(&manifest) else { return };
    start(&stage);
    let web = stage.wait_ready("web");
    let answers: std::collections::BTreeSet<String> =
        (0..10).map(|_| stage.get("/").text().trim().to_owned()).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
    for instance in instances(&web) {
        let address = instance["address"].as_str().unwrap();
        assert!(address.starts_with("10.213.77.") && address.ends_with(":8080"), "{address}");
    }
    // Another app of its network finds it by name.
    wait_until("the other app has asked", || {
        answers.iter().any(|name| out(&stage, "asks").contains(name)).then_some(())
    });
    let ids = engine.containers();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        assert_eq!(podman(&["port", id]).1, "", "nothing is published");
    }
    for id in &ids {
        inside(id, &["touch", "/data/kept"]);
    }
    // Each has files, a name and a user of its own.
    assert!(inside(&ids[0], &["touch", "/tmp/mine"]).0 && !inside(&ids[1], &["ls", "/tmp/mine"]).0);
    let names: std::collections::BTreeSet<String> =
        ids.iter().map(|id| inside(id, &["hostname"]).1).collect();
    assert_eq!(names.len(), 3);
    let users: std::collections::BTreeSet<String> =
        ids.iter().map(|id| inside(id, &["id", "-u"]).1).collect();
    assert_eq!(users, ["0", "1001"].map(str::to_owned).into());
    the_edge_has_no_way_to_the_engine(&stage);
    stage.run(&["stop"]).expect_code(0);
    wait_until("nothing runs", || engine.containers().is_empty().then_some(()));
    wait_until("its network is gone", || engine.networks().is_empty().then_some(()));
    assert_eq!(engine.volumes().len(), 1);
    start(&stage);
    stage.wait_ready("web");
    let kept = engine.containers().iter().filter(|id| inside(id, &["ls", "/data/kept"]).0).count();
    assert_eq!(kept, 2);
    end(&stage);
}

#[test]
fn whoever_is_killed_the_containers_end_well() {
    let Some((engine, stage)) = stack(&format!("{WEB}{QUICK}")) else { return };
    start(&stage);
    let name = stage.get("/").text();
    let runner = pids(&stage.wait_ready("web"))[0];

    // The keeper: the container runs on, and the next one finds it.
    stage.kill_keeper();
    assert_eq!(stage.get("/").text(), name);
    start(&stage);
    assert_eq!((pids(&stage.wait_ready("web")), stage.get("/").text()), (vec![runner], name.clone()));

    // The engine's service: nothing of the container ends, and it is there again when it is wanted.
    let service = || service_of(&stage);
    for pid in service() {
        stage.kill(pid);
    }
    assert_eq!(stage.get("/").text(), name);
    wait_until("the service is there again", || (!service().is_empty()).then_some(()));
    assert!(is_alive(runner), "the runner of a container outlives the service");
    assert_eq!(stage.get("/").text(), name);

    // The runner: a new one, and nothing of the old container.
    stage.kill(runner);
    stage.wait_for_app("web", "started again", |app| app["ready"] == 1 && pids(app) != [runner]);
    assert_ne!(stage.get("/").text(), name);
    wait_until("one container is left", || (engine.containers().len() == 1).then_some(()));
    end(&stage);
    assert!(engine.containers().is_empty());
}

#[test]
fn stop_said_stopped_while_the_engine_was_silent_and_its_containers_ran_on() {
    let Some((engine, stage)) = stack(&format!("{WEB}stop = {{ timeout = \"1s\", drain = \"1s\" }}\n"))
    else {
        return;
    };
    start(&stage);
    let former = engine.containers();
    let silent = || {
        for pid in service_of(&stage) {
            testkit::signal(pid, "STOP");
        }
    };
    let stop = |verb: &[&str]| stage.sandbox.start(stage.arguments(verb)).wait_within(LONG);

    silent();
    let output = stop(&["stop", "--all"]);
    assert_eq!(output.code, Some(3), "{} {}", output.stdout, output.stderr);
    assert!(!output.stdout.contains("stopped"), "{}", output.stdout);
    assert!(output.stderr.contains("-web-1-"), "which one is said: {}", output.stderr);
    assert_eq!(engine.containers(), former);
    // Without a keeper it is said as well, and the next one removes it.
    assert_eq!(stop(&["stop"]).code, Some(3));
    start(&stage);
    let second = engine.containers();
    assert!(second.len() == 1 && second != former, "{former:?} {second:?}");

    silent();
    let output = stop(&["down"]);
    assert_eq!(output.code, Some(3), "{} {}", output.stdout, output.stderr);
    assert!(output.stderr.contains("-web-1-"), "{}", output.stderr);
    start(&stage);
    wait_until("only the new one is left", || {
        let third = engine.containers();
        (third.len() == 1 && third != second).then_some(())
    });
    end(&stage);
    stop(&["stop"]).expect_code(0);
}

#[test]
fn up_that_is_killed_leaves_no_container_behind_for_ever() {
    let Some((engine, stage)) = stack(&format!("{WEB}stop = {{ timeout = \"1s\", drain = \"1s\" }}\n"))
    else {
        return;
    };
    let up = || {
        let running = stage.sandbox.start(["up", "--http", &format!("127.0.0.1:{}", stage.port)]);
        wait_within(LONG, "it is up", || stage.find_app("web").filter(|app| app["ready"] == 1));
        running
    };

    // Its shims hear of it, and have the containers stopped.
    let first = up();
    first.signal("KILL");
    wait_within(LONG, "its containers end with it", || engine.containers().is_empty().then_some(()));

    // The engine died too: nobody is left who could. The next `up` is who.
    let second = up();
    let left = engine.containers();
    let services = service_of(&stage);
    services.iter().for_each(|pid| testkit::signal(*pid, "STOP"));
    second.signal("KILL");
    wait_within(LONG, "its runners are gone", || {
        let words = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let all = stage.sandbox.processes();
        all.iter().all(|pid| !words(pid).contains("container\0run")).then_some(())
    });
    services.iter().for_each(|pid| testkit::signal(*pid, "KILL"));
    assert_eq!(engine.containers(), left);
    let third = up();
    wait_within(LONG, "only the new one is left", || {
        let now = engine.containers();
        (now.len() == 1 && now != left).then_some(())
    });
    third.signal("INT");
    third.wait_within(LONG).expect_code(0);
    assert!(engine.containers().is_empty() && engine.networks().is_empty());
    tiny::end_engine(&stage.sandbox);
}

/// Two threads that do nothing but count.
const BUSY: &str = r#"["sh", "-c", "(while true; do :; done) & while true; do :; done"]"#;

// req: CONT-15
#[test]
fn limits_hold() {
    let manifest = format!(
        "[app.busy]\nIMAGE\nlisten = false\nrun = {BUSY}\nresources = {{ cpus = 1.0 }}\nstop = {{ timeout = \"1s\" }}\n\
         [app.greedy]\nIMAGE\nlisten = false\nrun = [\"sh\", \"-c\", \"sleep 1; exec tail -c {} /dev/zero\"]\nresources = {{ memory = \"1GiB\" }}\nrestart = \"never\"\n\
         [app.calm]\nIMAGE\nlisten = false\nrun = [\"sh\", \"-c\", \"while true; do sleep 0.1; done\"]\nresources = {{ memory = \"64MB\", cpus = 0.5, pids = 50 }}\nrestart = \"never\"\n\
         [app.closed]\nIMAGE\nlisten = false\nuser = \"app\"\nread_only = true\ntmpfs = [\"/tmp:noexec,nosuid,size=100m\"]\n\
         files = [{{ name = \"token\", secret = \"s3cret-in-a-file\" }}]\nrun = [\"sh\", \"-c\", \"trap 'exit 0' TERM; while true; do sleep 0.1; done\"]\n",
        (1 << 30) + 1,
    );
    let Some((engine, stage)) = stack(&manifest) else { return };
    let _ = stage.starting().wait_within(LONG);
    let ended = |app: &Value| history(app).iter().any(|(state, _)| state == "ended");
    let greedy = stage.wait_for_app("greedy", "ended", ended);
    let ends: Vec<String> = history(&greedy).into_iter().map(|(_, reason)| reason).collect();
    let of = |app: &str| {
        let label = format!("label=mainstay.app={app}");
        let all = engine.containers();
        let found = podman(&["ps", "-q", "--no-trunc", "--filter", &label]).1;
        found.lines().map(str::to_owned).find(|id| all.contains(id)).unwrap_or_else(|| panic!("no {app}"))
    };
    assert!(ends.iter().any(|end| end.contains("out of memory, it held 1")), "{ends:?}");
    // What the kernel really has is told, and its word about one container is no word about another.
    let calm = stage.app("calm");
    let lines = instances(&calm)[0]["enforced"].as_array().unwrap().clone();
    let holds = |key: &str| {
        let line = lines.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key}: {lines:?}"));
        line["holds"].as_str().unwrap_or_default().to_owned()
    };
    assert!(holds("resources.memory").ends_with("bytes, swap included"), "{lines:?}");
    assert_eq!(holds("resources.cpus"), "50 ms of each 100 ms");
    assert!(holds("resources.pids").starts_with("50, "), "{lines:?}");
    // What it uses is what is used inside: its runner alone holds more than this shell.
    let memory = instances(&calm)[0]["memory"].as_u64().unwrap();
    assert!((1..4_000_000).contains(&memory), "{memory}");
    podman(&["kill", "--signal", "KILL", &of("calm")]);
    let calm = stage.wait_for_app("calm", "ended", ended);
    assert!(history(&calm).iter().all(|(_, why)| !why.contains("out of memory")), "{:?}", history(&calm));

    let closed = of("closed");
    assert_eq!(inside(&closed, &["id", "-u"]).1, "1001");
    let (done, said) = inside(&closed, &["sh", "-c", "touch /etc/x 2>&1"]);
    assert!(!done && said.contains("Read-only file system"), "{said}");
    let (done, said) = inside(&closed, &["sh", "-c", "cp /bin/busybox /tmp/true && /tmp/true 2>&1"]);
    assert!(!done && said.contains("Permission denied"), "{said}");
    let (done, said) = inside(&closed, &["sh", "-c", "dd if=/dev/zero of=/tmp/big bs=1M count=101 2>&1"]);
    assert!(!done && said.contains("No space left"), "{said}");
    assert_eq!(inside(&closed, &["cat", "/run/secrets/token"]).1, "s3cret-in-a-file");
    assert_eq!(inside(&closed, &["stat", "-c", "%a %u", "/run/secrets/token"]).1, "440 1001");
    let status = stage.status().to_string();
    let told = [inside(&closed, &["env"]).1, podman(&["inspect", &closed]).1, status, out(&stage, "closed")];
    assert!(told.iter().all(|text| !text.contains("s3cret")), "a secret is in its file alone");

    let busy = of("busy");
    let (_, text) = podman(&["inspect", "--format", "{{.State.Pid}}", &busy]);
    let group = sys::cgroup::Host::look().group_named(text.trim().parse().unwrap(), &busy);
    let used = || group.cpu_time().unwrap().as_secs_f64();
    let (before, begun) = (used(), std::time::Instant::now());
    wait_until("five seconds have passed", || (begun.elapsed().as_secs_f64() > 5.0).then_some(()));
    let cores = (used() - before) / begun.elapsed().as_secs_f64();
    println!("two busy threads have {cores:.3} cores");
    assert!(cores <= 1.05, "{cores}");
    // A machine that does much else may not have a whole core for them.
    assert!(cores < 0.9 || group.throttled() > 0, "the limit was never in its way");
    let busy = stage.app("busy")["instances"][0]["enforced"].to_string();
    assert!(busy.contains("100 ms of each 100 ms"), "{busy}");

    // What is reserved counts before anything starts.
    let reserves = "[app.more]\nIMAGE\nlisten = false\nresources = { reserve = { cpus = 0.5, memory = \"100000GB\" } }\n";
    let reserves = reserves.replace("IMAGE", &format!("image = \"{}\"", tiny::image().unwrap()));
    let file = stage.sandbox.stack().join("mainstay.toml");
    stage.sandbox.write("mainstay.toml", std::fs::read_to_string(file).unwrap() + &reserves);
    let refused = stage.sandbox.start(stage.arguments(&["reload"])).wait_within(LONG);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("more") && refused.stderr.contains("reserve"), "{}", refused.stderr);
    end(&stage);
}

// req: CONT-14
#[test]
fn a_health_command_runs_inside_and_one_that_is_not_there_is_said_to_be_missing() {
    let health = |command: &str| {
        format!(
            "health = {{ command = {command}, interval = \"200ms\", timeout = \"30s\", start_period = \"170s\", retries = 3 }}\n"
        )
    };
    let manifest = format!(
        "{WEB}{}[app.bare]\nIMAGE\nrun = SERVE\nport = 8080\n{}",
        health(r#"["sh", "-c", "test ! -e /tmp/sick"]"#),
        health(r#"["pg_isready", "-U", "postgres"]"#)
    );
    let Some((engine, stage)) = stack(&manifest) else { return };
    start(&stage);
    let bare = stage.wait_ready("bare");
    let said = history(&bare);
    assert!(
        said.iter().any(|(state, why)| state == "ready" && why.contains("has no program pg_isready")),
        "{said:?}"
    );
    stage.wait_ready("web");
    let is_web = |id: &String| {
        podman(&["inspect", "--format", "{{json .Config.Labels}}", id]).1.contains("\"mainstay.app\":\"web\"")
    };
    let web = engine.containers().into_iter().find(is_web).unwrap();
    inside(&web, &["touch", "/tmp/sick"]);
    let sick = |app: &Value| instances(app)[0]["state"] == "unhealthy";
    stage.wait_for_app("web", "unhealthy", sick);
    inside(&web, &["rm", "/tmp/sick"]);
    stage.wait_ready("web");
    assert_eq!(stage.app("bare")["state"], "ready");
    end(&stage);
}
