//! What is told of an app, to people and to the edge.

use crate::house::{House, SECOND, id};
use model::network::NeedCondition;
use model::observed::{End, Event};
use model::plan::{AppState, Serving, app_state, serving, what_is_wrong};
use model::spec::RestartPolicy;

fn told(house: &House, app: &str) -> (AppState, Serving) {
    (app_state(&house.desired, &house.observed, &id(app)), serving(&house.desired, &house.observed, &id(app)))
}

#[test]
fn from_boot_to_stop() {
    let mut house = House::default();
    house.needs("web", &["db"]);
    house.want("web", |app| app.instances = 2);
    house.want("db", |_| {});
    assert_eq!(told(&house, "db"), (AppState::Starting, Serving::Starting));
    assert_eq!(told(&house, "web"), (AppState::Waiting, Serving::Starting));
    let wrong = what_is_wrong(&house.desired, &house.observed, &id("web"));
    assert_eq!(wrong.as_deref(), Some("waits for db: it is not ready yet"));
    house.up("db", 1);
    house.settle();
    house.ready("web", 1);
    assert_eq!(told(&house, "web"), (AppState::Starting, Serving::Ready));
    house.ready("web", 2);
    assert_eq!(told(&house, "web"), (AppState::Ready, Serving::Ready));
    house.unhealthy("web", 1);
    assert_eq!(told(&house, "web"), (AppState::Degraded, Serving::Ready));
    house.unhealthy("web", 2);
    assert_eq!(told(&house, "web"), (AppState::Unhealthy, Serving::Unhealthy));
    house.want("web", |app| app.instances = 0);
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Stopping, Serving::Down));
    house.goes("web", 1);
    house.goes("web", 2);
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Stopped, Serving::Down));
}

#[test]
fn a_crash_is_told_from_a_first_start_until_the_successor_is_ready() {
    let mut house = House::default();
    house.up("web", 1);
    house.now = 100 * SECOND;
    house.ended("web", 1, End::Signaled(11), 100 * SECOND);
    assert_eq!(told(&house, "web").1, Serving::Restarting, "before the plan has looked at it");
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Degraded, Serving::Restarting));
    let wrong = what_is_wrong(&house.desired, &house.observed, &id("web"));
    assert_eq!(wrong.as_deref(), Some("web.1 was ended by signal 11 and is started again"));
    house.now += SECOND;
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Degraded, Serving::Restarting));
    house.ready("web", 1);
    assert_eq!(told(&house, "web").1, Serving::Ready);
    house.want("web", |app| app.instances = 0);
    house.settle();
    assert_eq!(told(&house, "web").1, Serving::Down, "stopped: nobody comes");
}

#[test]
fn who_waits_says_what_is_wrong_with_what_it_waits_for() {
    let mut house = House::default();
    house.needs("web", &["db"]);
    house.want("web", |_| {});
    house.want("db", |app| app.restart.max_restarts = 1);
    let waits = |house: &House| what_is_wrong(&house.desired, &house.observed, &id("web")).unwrap();
    house.settle();
    house.ended("db", 1, End::Exited(7), SECOND);
    house.settle();
    assert_eq!(waits(&house), "waits for db: db.1 exited with status 7 and is started again");
    house.now += 10 * SECOND;
    house.settle();
    assert_eq!(waits(&house), "waits for db: db.1 exited with status 7 and is being started again");
    house.ended("db", 1, End::Exited(7), SECOND);
    house.settle();
    assert_eq!(
        waits(&house),
        "waits for db: db.1 exited with status 7, the 2nd time in a row, and is not started again"
    );
    house.want("db", |app| app.instances = 0);
    assert_eq!(waits(&house), "waits for db: it is stopped");
}

#[test]
fn failed_says_why() {
    let mut house = House::default();
    house.want("web", |app| app.restart.max_restarts = 0);
    house.settle();
    house.ended("web", 1, End::NotStarted("`nod` was not found".into()), SECOND);
    house.settle();
    let reason = "web.1 could not be started: `nod` was not found and is not started again".to_owned();
    assert_eq!(told(&house, "web"), (AppState::Failed { reason }, Serving::Down));
}

#[test]
fn a_program_that_did_its_work_is_complete_and_one_that_did_not_is_failed() {
    for (status, expected) in [(0, "Complete"), (1, "Failed")] {
        let mut house = House::default();
        house.want("job", |app| app.restart.policy = RestartPolicy::Never);
        house.settle();
        house.ended("job", 1, End::Exited(status), SECOND);
        house.settle();
        let state = format!("{:?}", told(&house, "job").0);
        assert!(state.starts_with(expected), "{state}");
    }
}

#[test]
fn a_restart_holds_requests_while_its_port_is_free() {
    let mut house = House::default();
    house.want("web", |app| app.listen = model::spec::Listen::Port(8000));
    house.up("web", 1);
    house.want("web", |app| app.spec = 2);
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Starting, Serving::Starting));
}

#[test]
fn an_app_that_nobody_asks_sleeps_and_is_not_down() {
    let mut house = House::default();
    house.want("web", |_| {});
    house.up("web", 1);
    house.want("web", |app| (app.instances, app.asleep) = (0, true));
    assert_eq!(told(&house, "web"), (AppState::Asleep, Serving::Ready), "until it is drained");
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Asleep, Serving::Asleep), "what comes now wakes it");
    house.goes("web", 1);
    house.settle();
    assert_eq!(told(&house, "web"), (AppState::Asleep, Serving::Asleep));
    house.want("web", |app| app.instances = 1);
    assert_eq!(told(&house, "web"), (AppState::Starting, Serving::Starting));
}

/// `web` needs `job` until `how`; what ends with a failure is not tried again.
fn needing(how: NeedCondition) -> House {
    let mut house = House::default();
    house.needs("web", &["job"]);
    house.want("web", |app| {
        app.needs_how.insert("job".parse().unwrap(), how);
    });
    house.want("job", |app| app.restart.policy = RestartPolicy::Never);
    house.settle();
    house
}

fn wrong(house: &House, app: &str) -> Option<String> {
    what_is_wrong(&house.desired, &house.observed, &id(app))
}

#[test]
fn who_needs_a_work_waits_for_its_end_and_starts_when_it_was_a_success() {
    let mut house = needing(NeedCondition::Completed);
    house.ready("job", 1);
    assert_eq!(house.told(), "");
    assert_eq!(told(&house, "web"), (AppState::Waiting, Serving::Starting));
    assert_eq!(wrong(&house, "web").unwrap(), "waits for job: it has not done its work yet");
    house.ended("job", 1, End::Exited(0), SECOND);
    assert_eq!(house.told(), "forget s/job.1#1, unstable\nstart s/web.1#1\nlook again at 90s\n");
    house.ready("web", 1);
    house.want("job", |app| app.instances = 0);
    house.ended("web", 1, End::Exited(1), 60 * SECOND);
    house.settle();
    house.now += SECOND;
    assert_eq!(house.told(), "start s/web.1#2\nlook again at 91s\n", "stopped, it is done all the same");
}

#[test]
fn work_that_failed_fails_who_waits_for_it_and_names_it() {
    let mut house = needing(NeedCondition::Completed);
    house.ended("job", 1, End::Exited(3), SECOND);
    house.settle();
    let reason = "waits for job: job.1 exited with status 3 and is not started again";
    assert_eq!(told(&house, "web"), (AppState::Failed { reason: reason.into() }, Serving::Down));
    house.observed.apply(Event::Cleared { app: id("job") }, house.now);
    assert_eq!(house.told(), "start s/job.1#2\nlook again at 90s\n", "an administrator has it tried again");
    assert_eq!(told(&house, "web").0, AppState::Waiting);
    house.ended("job", 1, End::Exited(0), SECOND);
    house.settle();
    assert_eq!(told(&house, "web").0, AppState::Starting);
}

#[test]
fn who_needs_a_start_waits_for_the_program_to_be_executed_and_no_longer() {
    let mut house = needing(NeedCondition::Started);
    assert_eq!(wrong(&house, "web").unwrap(), "waits for job: it does not run yet");
    let instance = house.instance("job", 1).id.clone();
    house.observed.apply(Event::Running { instance }, house.now);
    assert_eq!(house.told(), "start s/web.1#1\nlook again at 90s\n", "it need not be ready");
    house.ended("job", 1, End::Exited(3), SECOND);
    house.ended("web", 1, End::Exited(1), 60 * SECOND);
    house.settle();
    house.now += SECOND;
    assert_eq!(house.told(), "start s/web.1#2\nlook again at 91s\n", "nor run on");
    let mut never = needing(NeedCondition::Started);
    never.ended("job", 1, End::NotStarted("`nod` was not found".into()), SECOND);
    never.settle();
    assert_eq!(told(&never, "web").0, AppState::Waiting, "what could not be executed was not started");
}
