//! What a stack wants before, during and after a change.

use super::*;
use model::observed::{End, Event};
use model::spec::{
    HandlerSpec, HealthSpec, LogSpec, Probe, RestartPolicy, RestartSpec, RouteSpec, SiteSpec, StopSpec,
    Timeouts,
};
use std::time::Duration;

pub(crate) fn app(run: &str, listen: Listen) -> AppSpec {
    let second = Duration::from_secs(1);
    AppSpec {
        argv: vec![run.into()],
        dir: "/".into(),
        env: BTreeMap::new(),
        listen,
        instances: 2,
        balance: Default::default(),
        http2: false,
        needs: Vec::new(),
        health: HealthSpec {
            probe: Probe::Connect,
            interval: second,
            timeout: second,
            retries: 3,
            start_period: second,
        },
        restart: RestartSpec {
            policy: RestartPolicy::Always,
            delay: second,
            max_delay: second,
            min_uptime: second,
            max_restarts: 3,
        },
        stop: StopSpec { signal: 15, timeout: second, drain: second },
        user: None,
        logs: LogSpec { max_size: 1, keep: 1, redact: Vec::new(), dir: None },
        build: None,
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

pub(crate) fn spec(apps: &[(&str, AppSpec)]) -> Arc<StackSpec> {
    let route = |name: &AppName| RouteSpec {
        name: None,
        path: "/*".into(),
        handler: HandlerSpec::App(name.clone()),
        timeouts: Timeouts::default(),
        body_limit: 1,
        policy: Default::default(),
        hold: None,
        when: None,
    };
    let apps: BTreeMap<AppName, AppSpec> =
        apps.iter().map(|(name, app)| (name.parse().unwrap(), app.clone())).collect();
    let site = |name: &AppName| SiteSpec {
        client_certs: None,
        hosts: vec![format!("{name}.test")],
        listen: Vec::new(),
        tls: Default::default(),
        while_running: false,
        https_redirect: true,
        routes: vec![route(name)],
    };
    Arc::new(StackSpec {
        tasks: BTreeMap::new(),
        name: "shop".parse().unwrap(),
        root: "/".into(),
        http: vec!["127.0.0.1:8080".parse().unwrap()],
        https: Vec::new(),
        proxy_protocol: false,
        edge: Default::default(),
        trusted: Vec::new(),
        sites: apps.keys().map(site).collect(),
        apps,
        services: Default::default(),
        logs: Default::default(),
        cleanup: Default::default(),
        networks: Default::default(),
        volumes: Default::default(),
        forwards: Vec::new(),
        certificates: Vec::new(),
        acme: None,
    })
}

pub(crate) fn stack(active: Arc<StackSpec>) -> Stack {
    let mut stack = Stack::new(active.name.clone(), "/mainstay.toml".into(), Default::default());
    stack.active = Some(Revision {
        number: 1,
        spec: active,
        http: Vec::new(),
        https: Vec::new(),
        engines: Default::default(),
        made: Default::default(),
    });
    stack
}

fn candidate(spec: Arc<StackSpec>) -> Revision {
    Revision {
        number: 2,
        spec,
        http: Vec::new(),
        https: Vec::new(),
        engines: Default::default(),
        made: Default::default(),
    }
}

fn id(name: &str, slot: u32, run: u64) -> InstanceId {
    let app = AppId { stack: "shop".parse().unwrap(), app: name.parse().unwrap() };
    InstanceId { app, slot, run }
}

fn ready(observed: &mut Observed, instance: InstanceId, spec: u64) {
    observed.apply(Event::Started { instance: instance.clone(), spec }, Duration::ZERO);
    observed.apply(Event::Ready { instance }, Duration::ZERO);
}

fn wanted(stack: &Stack, name: &str) -> AppDesired {
    let mut desired = Desired::default();
    stack.desire(&mut desired);
    desired.apps[&id(name, 1, 1).app].clone()
}

#[test]
fn a_candidate_is_prepared_beside_what_serves_and_committed_when_all_of_it_is_ready() {
    let (old, new) = (app("old", Listen::AnyPort), app("new", Listen::AnyPort));
    let mut stack = stack(spec(&[("web", old.clone())]));
    stack.candidate = Some(candidate(spec(&[("web", new.clone())])));
    let web = wanted(&stack, "web");
    assert!(web.keep_outdated);
    assert_eq!(web.spec, new.fingerprint(0));

    let mut observed = Observed::default();
    ready(&mut observed, id("web", 1, 1), old.fingerprint(0));
    ready(&mut observed, id("web", 2, 2), new.fingerprint(0));
    assert!(!stack.candidate_is_ready(&observed), "one of two is not all");
    ready(&mut observed, id("web", 3, 3), new.fingerprint(0));
    assert!(stack.candidate_is_ready(&observed));

    stack.commit();
    assert!(!wanted(&stack, "web").keep_outdated, "after the commit the old instances are replaced");
    assert_eq!(stack.change.as_ref().unwrap().state, "committed");
}

#[test]
fn only_the_candidates_own_instances_can_fail_it() {
    let (old, new) = (app("old", Listen::AnyPort), app("new", Listen::AnyPort));
    let mut stack = stack(spec(&[("web", old.clone()), ("db", old.clone())]));
    stack.candidate = Some(candidate(spec(&[("web", new.clone()), ("db", old.clone())])));
    let crash = End::Exited(1);
    assert!(stack.fails_candidate(&id("web", 3, 3), new.fingerprint(0), &crash));
    assert!(!stack.fails_candidate(&id("web", 1, 1), old.fingerprint(0), &crash));
    assert!(!stack.fails_candidate(&id("db", 1, 1), old.fingerprint(0), &crash), "db is the same in both");

    stack.drop_candidate("web.3 exited with status 1".into());
    assert_eq!(wanted(&stack, "web").spec, old.fingerprint(0));
    assert_eq!(stack.change.as_ref().unwrap().state, "dropped");
}

#[test]
fn a_fixed_port_is_replaced_after_the_commit() {
    let (mut old, mut new) = (app("old", Listen::Port(5000)), app("new", Listen::Port(5000)));
    (old.instances, new.instances) = (1, 1);
    let mut stack = stack(spec(&[("web", old.clone())]));
    stack.candidate = Some(candidate(spec(&[("web", new)])));
    let mut observed = Observed::default();
    ready(&mut observed, id("web", 1, 1), old.fingerprint(0));
    assert!(stack.candidate_is_ready(&observed));
}

#[test]
fn a_removed_app_stays_desired_with_none_until_its_last_instance_is_gone() {
    let web = app("web", Listen::AnyPort);
    let mut stack = stack(spec(&[("web", web.clone()), ("old", web.clone())]));
    stack.candidate = Some(candidate(spec(&[("web", web.clone())])));
    assert_eq!(wanted(&stack, "old").instances, 2, "nothing is taken away before the commit");
    stack.commit();
    assert_eq!(wanted(&stack, "old").instances, 0);

    let mut observed = Observed::default();
    ready(&mut observed, id("old", 1, 1), web.fingerprint(0));
    assert!(!stack.tidy(&observed));
    assert!(stack.retiring.contains_key("old".parse::<AppName>().as_ref().unwrap()));
    let instance = id("old", 1, 1);
    observed.apply(
        Event::Ended { instance: instance.clone(), end: End::Stopped, uptime: Duration::ZERO },
        Duration::ZERO,
    );
    observed.apply(Event::Forgotten { instance, unstable: false }, Duration::ZERO);
    assert!(!stack.tidy(&observed));
    assert!(stack.retiring.is_empty());
}

#[test]
fn a_restart_makes_every_instance_outdated_without_a_candidate() {
    let web = app("web", Listen::AnyPort);
    let mut stack = stack(spec(&[("web", web)]));
    let before = wanted(&stack, "web").spec;
    stack.restarts.insert("web".parse().unwrap(), 1);
    let after = wanted(&stack, "web");
    assert_ne!(before, after.spec);
    assert!(!after.keep_outdated);
    assert!(stack.spec_of(&"web".parse().unwrap(), after.spec).is_some());
    assert!(stack.spec_of(&"web".parse().unwrap(), before).is_none());
}

#[test]
fn what_only_a_replaced_candidate_wanted_is_named() {
    let (old, second, third) =
        (app("old", Listen::AnyPort), app("second", Listen::AnyPort), app("third", Listen::AnyPort));
    let mut stack = stack(spec(&[("web", old.clone()), ("db", old.clone())]));
    assert_eq!(stack.prepare(candidate(spec(&[("web", second.clone()), ("db", second.clone())]))), []);
    let superseded = stack.prepare(candidate(spec(&[("web", third), ("db", second.clone())])));
    assert_eq!(superseded, [(id("web", 1, 1).app, second.fingerprint(0))], "db is wanted so still");
}

#[test]
fn a_program_that_does_its_work_and_ends_does_not_hold_a_change_up() {
    let (mut old, mut new) = (app("old", Listen::Nothing), app("new", Listen::Nothing));
    for app in [&mut old, &mut new] {
        (app.instances, app.restart.policy) = (1, RestartPolicy::OnFailure);
    }
    let mut stack = stack(spec(&[("web", old)]));
    stack.candidate = Some(candidate(spec(&[("web", new.clone())])));
    let (print, run) = (new.fingerprint(0), id("web", 1, 1));
    assert!(!stack.fails_candidate(&run, print, &End::Exited(0)), "it may end before anybody looked");
    let mut observed = Observed::default();
    observed.apply(Event::Started { instance: run.clone(), spec: print }, Duration::ZERO);
    observed.apply(
        Event::Ended { instance: run.clone(), end: End::Exited(0), uptime: Duration::ZERO },
        Duration::ZERO,
    );
    observed.apply(Event::Forgotten { instance: run, unstable: true }, Duration::ZERO);
    assert!(stack.candidate_is_ready(&observed));
    assert_eq!(stack.failed_slot(&observed, Duration::ZERO), None);
}

#[test]
fn a_candidate_whose_slot_is_not_started_again_has_failed() {
    let (old, mut new) = (app("old", Listen::AnyPort), app("new", Listen::AnyPort));
    new.restart.policy = RestartPolicy::Never;
    let mut stack = stack(spec(&[("web", old)]));
    stack.candidate = Some(candidate(spec(&[("web", new.clone())])));
    let (print, run) = (new.fingerprint(0), id("web", 3, 1));
    let mut observed = Observed::default();
    ready(&mut observed, run.clone(), print);
    observed.apply(
        Event::Ended { instance: run.clone(), end: End::Exited(7), uptime: Duration::ZERO },
        Duration::ZERO,
    );
    observed.apply(Event::Forgotten { instance: run, unstable: true }, Duration::ZERO);
    let (failed, end) = stack.failed_slot(&observed, Duration::ZERO).unwrap();
    assert_eq!((failed.slot, end), (3, End::Exited(7)));
}

/// A stack whose app `backup` is a task.
fn with_task(run: &str) -> Arc<StackSpec> {
    let task = app(run, Listen::Nothing);
    let mut spec =
        Arc::unwrap_or_clone(spec(&[("web", app("web", Listen::AnyPort)), ("backup", task.clone())]));
    let (overlap, missed) = Default::default();
    let task =
        model::upkeep::TaskSpec { schedule: "@daily".into(), app: task, overlap, missed, timeout: None };
    spec.tasks.insert("backup".parse().unwrap(), task);
    Arc::new(spec)
}

#[test]
fn of_a_task_one_is_wanted_while_a_run_goes_on_with_what_it_was_started_with() {
    let mut stack = stack(with_task("old"));
    assert_eq!(wanted(&stack, "backup").instances, 0);
    let name: AppName = "backup".parse().unwrap();
    let print = wanted(&stack, "backup").spec;
    stack.runs.insert(name.clone(), Run { id: 1, print, begun_ms: 0, over: None });
    assert_eq!((wanted(&stack, "backup").instances, wanted(&stack, "backup").spec), (1, print));
    // prepared, committed: the run is not another one's
    stack.prepare(candidate(with_task("new")));
    let during = wanted(&stack, "backup");
    assert_eq!((during.instances, during.spec, during.keep_outdated), (1, print, false));
    stack.commit();
    let after = wanted(&stack, "backup");
    assert_eq!((after.instances, after.spec), (1, print));
    stack.runs.get_mut(&name).unwrap().over = Some(crate::tasks::Over::Replaced);
    assert_eq!(wanted(&stack, "backup").instances, 0);
    stack.runs.clear();
    assert_ne!(wanted(&stack, "backup").spec, print, "the next run has the new one");
}

#[test]
fn a_change_does_not_wait_for_its_tasks() {
    let mut stack = stack(spec(&[("web", app("web", Listen::AnyPort))]));
    stack.prepare(candidate(with_task("new")));
    let mut observed = Observed::default();
    let print = wanted(&stack, "web").spec;
    ready(&mut observed, id("web", 1, 1), print);
    ready(&mut observed, id("web", 2, 2), print);
    assert!(stack.candidate_is_ready(&observed));
    let mut desired = Desired::default();
    stack.desire(&mut desired);
    assert!(!desired.apps.contains_key(&stack.app_id(&"backup".parse().unwrap())), "not before the commit");
}
