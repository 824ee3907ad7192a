//! One test for each rule of the plan.

use crate::house::{House, SECOND, id};
use model::observed::{End, Event, Phase};
use model::plan::{SlotState, Step};
use model::spec::{Listen, RestartPolicy};
use std::time::Duration;

#[test]
fn an_instance_is_started_once() {
    let mut house = House::default();
    house.want("web", |app| app.instances = 2);
    assert_eq!(house.told(), "start s/web.1#1\nstart s/web.2#2\nlook again at 90s\n");
    assert_eq!(house.settle(), []);
}

#[test]
fn a_run_number_is_never_used_again() {
    let mut house = House::default();
    house.observed.runs.insert(id("web"), 41);
    house.up("web", 1);
    assert_eq!(house.instance("web", 1).id.run, 42);
    house.ended("web", 1, End::Exited(1), 60 * SECOND);
    house.settle();
    house.now += SECOND;
    assert_eq!(house.told(), "start s/web.1#43\nlook again at 91s\n");
    // A message about the former run changes nothing.
    let before = house.observed.clone();
    let stale = model::InstanceId { app: id("web"), slot: 1, run: 42 };
    house.observed.apply(Event::Ready { instance: stale.clone() }, house.now);
    house.observed.apply(Event::Started { instance: stale, spec: 1 }, house.now);
    assert_eq!(house.observed, before);
}

// req: PROC-24
#[test]
fn what_is_needed_is_ready_before_it_is_started() {
    let mut house = House::default();
    house.needs("front", &["back"]);
    house.needs("back", &["db"]);
    house.want("db", |_| {});
    assert_eq!(house.told(), "start s/db.1#1\nlook again at 90s\n");
    house.ready("db", 1);
    assert_eq!(house.told(), "start s/back.1#1\nlook again at 90s\n");
    house.ready("back", 1);
    assert_eq!(house.told(), "start s/front.1#1\nlook again at 90s\n");
}

#[test]
fn what_a_plan_takes_out_is_not_relied_on_in_the_same_plan() {
    let mut house = House::default();
    house.up("db", 1);
    house.needs("api", &["db"]);
    house.want("db", |app| app.instances = 0);
    assert_eq!(house.told(), "drain s/db.1#1\nlook again at 30s\n");
}

#[test]
fn a_program_that_ended_with_success_is_there_for_those_that_need_it() {
    let mut house = House::default();
    house.needs("web", &["migrate"]);
    house.want("migrate", |app| app.restart.policy = RestartPolicy::OnFailure);
    house.settle();
    house.ended("migrate", 1, End::Exited(0), SECOND);
    assert_eq!(house.told(), "forget s/migrate.1#1, unstable\nstart s/web.1#1\nlook again at 90s\n");
}

// req: PROC-03
#[test]
fn with_always_every_end_but_our_stop_is_followed_by_a_start() {
    for end in
        [End::Exited(0), End::Exited(3), End::Signaled(11), End::OutOfMemory { held: None, limit: None }]
    {
        let mut house = House::default();
        house.up("web", 1);
        house.now = 100 * SECOND;
        house.ended("web", 1, end, 100 * SECOND);
        assert_eq!(house.told(), "forget s/web.1#1\nlook again at 101s\n");
        house.now += SECOND;
        assert_eq!(house.told(), "start s/web.1#2\nlook again at 191s\n");
    }
    let mut house = House::default();
    house.up("web", 1);
    house.want("web", |app| app.instances = 0);
    house.settle();
    house.goes("web", 1);
    house.settle();
    house.now += 1000 * SECOND;
    assert_eq!(house.told(), "", "an administrator's stop lasts");
}

#[test]
fn on_failure_and_never_leave_a_slot_ended() {
    let again = |policy, end| {
        let mut house = House::default();
        house.want("job", |app| app.restart.policy = policy);
        house.settle();
        house.ended("job", 1, end, 100 * SECOND);
        house.settle();
        house.now += 100 * SECOND;
        !house.settle().is_empty()
    };
    assert!(!again(RestartPolicy::OnFailure, End::Exited(0)));
    assert!(again(RestartPolicy::OnFailure, End::Exited(1)));
    assert!(again(RestartPolicy::OnFailure, End::Signaled(9)));
    assert!(!again(RestartPolicy::Never, End::Exited(0)));
    assert!(!again(RestartPolicy::Never, End::Exited(1)));
}

/// The time from a stable end to the plan's next start.
fn gap(delay: Duration) -> Duration {
    let mut house = House::default();
    house.want("web", |app| app.restart.delay = delay);
    house.up("web", 1);
    house.now = 1000 * SECOND;
    house.ended("web", 1, End::Exited(0), 900 * SECOND);
    house.settle();
    let due = house.plan().next.unwrap();
    house.now = due - Duration::from_millis(1);
    assert_eq!(house.settle(), [], "not a millisecond too early");
    house.now = due;
    assert_eq!(house.settle().len(), 1);
    due - 1000 * SECOND
}

#[test]
fn the_next_start_is_exactly_the_delay_away() {
    assert_eq!(gap(10 * SECOND), 10 * SECOND);
    assert_eq!(gap(3 * SECOND), 3 * SECOND);
}

// req: PROC-20
#[test]
fn an_end_before_min_uptime_is_unstable_and_a_later_one_ends_the_count() {
    let mut house = House::default();
    house.up("web", 1);
    let mut end_after = |uptime: Duration| {
        house.ended("web", 1, End::Exited(1), uptime);
        house.settle();
        let count = house.observed.slot(&id("web"), 1).unwrap().unstable;
        house.now = house.plan().next.unwrap();
        house.settle();
        house.ready("web", 1);
        count
    };
    let just_before = 10 * SECOND - Duration::from_nanos(1);
    assert_eq!(
        [end_after(SECOND), end_after(just_before), end_after(10 * SECOND), end_after(SECOND)],
        [1, 2, 0, 1]
    );
}

#[test]
fn the_delay_doubles_with_each_unstable_end_up_to_its_maximum() {
    let mut house = House::default();
    house.want("web", |app| app.restart.max_delay = 7 * SECOND);
    house.settle();
    let mut delays = Vec::new();
    for _ in 0..5 {
        house.ended("web", 1, End::NotStarted("no such file".into()), Duration::ZERO);
        house.settle();
        delays.push((house.plan().next.unwrap() - house.now).as_secs());
        house.now = house.plan().next.unwrap();
        house.settle();
    }
    assert_eq!(delays, [1, 2, 4, 7, 7]);
}

#[test]
fn after_ten_unstable_restarts_no_further_start_is_tried_until_the_specification_changes() {
    let mut house = House::default();
    house.want("web", |_| {});
    house.settle();
    let mut restarts = 0;
    loop {
        house.ended("web", 1, End::Exited(1), SECOND);
        house.settle();
        let Some(next) = house.plan().next else { break };
        house.now = next;
        restarts += house.settle().len();
    }
    assert_eq!(restarts, 10);
    let app = house.desired.apps.get(&id("web")).unwrap();
    assert_eq!(model::plan::slot_state(app, &house.observed, &id("web"), 1, house.now), SlotState::Failed);
    house.now += 100_000 * SECOND;
    assert_eq!(house.told(), "");
    house.want("web", |app| app.spec = 2);
    assert_eq!(house.settle().len(), 1, "a new specification is tried");
}

#[test]
fn an_administrator_can_ask_for_a_new_try() {
    let mut house = House::default();
    house.want("web", |app| app.restart.max_restarts = 0);
    house.settle();
    house.ended("web", 1, End::Exited(1), SECOND);
    house.settle();
    assert_eq!(house.told(), "");
    house.observed.apply(Event::Cleared { app: id("web") }, house.now);
    assert_eq!(house.told(), "start s/web.1#2\nlook again at 90s\n");
}

#[test]
fn not_ready_in_time_counts_as_unstable_whatever_the_uptime() {
    let mut house = House::default();
    house.want("web", |_| {});
    house.settle();
    house.now = 90 * SECOND;
    // The supervisor should have said so long ago; if it is told to stop the instance, this is why it ended.
    assert_eq!(house.told(), "stop s/web.1#1: not ready after 60s\nlook again at 110s\n");
    house.ended("web", 1, End::Stopped, 90 * SECOND);
    assert_eq!(house.told(), "forget s/web.1#1, unstable\nlook again at 91s\n");
}

#[test]
fn candidates_are_prepared_beside_the_outdated_which_stay() {
    let mut house = House::default();
    house.up("web", 2);
    house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    assert_eq!(house.told(), "start s/web.3#3\nstart s/web.4#4\nlook again at 90s\n");
    house.ready("web", 3);
    house.ready("web", 4);
    assert_eq!(house.settle(), []);
    // Committed: the full set takes over at once.
    house.want("web", |app| app.keep_outdated = false);
    assert_eq!(house.told(), "drain s/web.1#1\ndrain s/web.2#2\nlook again at 30s\n");
}

#[test]
fn nothing_is_prepared_beside_the_holder_of_a_fixed_port() {
    let mut house = House::default();
    house.want("web", |app| app.listen = Listen::Port(8000));
    house.up("web", 1);
    house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    assert_eq!(house.told(), "");
    house.want("web", |app| app.keep_outdated = false);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
    house.drained("web", 1);
    assert_eq!(house.told(), "stop s/web.1#1: drained\nlook again at 20s\n");
    house.ended("web", 1, End::Stopped, 100 * SECOND);
    assert_eq!(house.told(), "forget s/web.1#1\nstart s/web.1#2\nlook again at 90s\n");
}

#[test]
fn the_outdated_keep_serving_when_the_new_specification_cannot_run() {
    let mut house = House::default();
    house.up("web", 3);
    house.want("web", |app| app.spec = 2);
    house.settle();
    loop {
        assert_eq!(house.phases("web"), "1=ready/1 2=ready/1 3=ready/1 4=starting/2");
        house.ended("web", 4, End::Exited(1), SECOND);
        house.settle();
        let Some(next) = house.plan().next else { break };
        house.now = next;
        house.settle();
    }
    assert_eq!(house.phases("web"), "1=ready/1 2=ready/1 3=ready/1");
}

#[test]
fn an_outdated_instance_that_does_not_serve_goes_at_once() {
    let mut house = House::default();
    house.up("web", 2);
    house.unhealthy("web", 1);
    house.want("web", |app| app.spec = 2);
    assert_eq!(house.told(), "drain s/web.1#1\nstart s/web.3#3\nlook again at 30s\n");
}

#[test]
fn what_does_not_serve_is_the_first_to_go_when_there_are_too_many() {
    let mut house = House::default();
    house.up("web", 3);
    house.unhealthy("web", 1);
    house.want("web", |app| app.instances = 1);
    assert_eq!(house.told(), "drain s/web.1#1\ndrain s/web.3#3\nlook again at 30s\n");
}

#[test]
fn a_draining_instance_is_stopped_when_drained_or_at_its_deadline() {
    let mut house = House::default();
    house.up("web", 2);
    house.want("web", |app| app.instances = 0);
    house.settle();
    house.drained("web", 2);
    assert_eq!(house.told(), "stop s/web.2#2: drained\nlook again at 20s\n");
    house.now = 30 * SECOND;
    assert_eq!(
        house.told(),
        "stop s/web.1#1: still had requests after 30s\nstop s/web.2#2: not gone in time\nlook again at 50s\n"
    );
}

#[test]
fn a_stop_that_was_not_heard_is_repeated() {
    let mut house = House::default();
    house.up("web", 1);
    house.want("web", |app| app.instances = 0);
    house.settle();
    house.drained("web", 1);
    house.settle();
    house.now = 20 * SECOND;
    assert_eq!(house.told(), "stop s/web.1#1: not gone in time\nlook again at 40s\n");
}

// req: PROC-24
#[test]
fn what_is_needed_is_stopped_after_those_that_need_it() {
    let mut house = House::default();
    house.needs("front", &["back"]);
    house.needs("back", &["db"]);
    for app in ["db", "back", "front"] {
        house.up(app, 1);
    }
    for app in ["db", "back", "front"] {
        house.want(app, |app| app.instances = 0);
    }
    let mut order = Vec::new();
    for app in ["front", "back", "db"] {
        order.extend(house.settle());
        house.goes(app, 1);
    }
    let drains: Vec<String> =
        order.iter().filter(|step| matches!(step, Step::Drain { .. })).map(ToString::to_string).collect();
    assert_eq!(drains, ["drain s/front.1#1", "drain s/back.1#1", "drain s/db.1#1"]);
}

#[test]
fn a_dependent_that_stays_does_not_keep_what_it_needs_from_being_stopped() {
    let mut house = House::default();
    house.needs("back", &["db"]);
    house.up("db", 1);
    house.up("back", 1);
    house.want("db", |app| app.instances = 0);
    assert_eq!(house.told(), "drain s/db.1#1\nlook again at 30s\n");
}

#[test]
fn a_circle_of_needs_is_stopped_all_the_same() {
    let mut house = House::default();
    house.up("a", 1);
    house.up("b", 1);
    house.needs("a", &["b"]);
    house.needs("b", &["a"]);
    house.want("a", |app| app.instances = 0);
    house.want("b", |app| app.instances = 0);
    assert_eq!(house.told(), "drain s/a.1#1\ndrain s/b.1#1\nlook again at 30s\n");
}

#[test]
fn an_app_of_which_nothing_is_desired_is_stopped() {
    let mut house = House::default();
    house.up("web", 1);
    house.desired.apps.clear();
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 10s\n");
}

#[test]
fn a_failed_slot_does_not_take_the_place_of_one_that_can_serve() {
    let mut house = House::default();
    house.want("web", |app| app.restart.max_restarts = 0);
    house.up("web", 2);
    house.ended("web", 1, End::Exited(1), SECOND);
    house.settle();
    house.want("web", |app| app.instances = 1);
    assert_eq!(house.told(), "");
    house.now = 100 * SECOND;
    house.ended("web", 2, End::Exited(1), 100 * SECOND);
    house.settle();
    house.now += SECOND;
    assert_eq!(house.told(), "start s/web.2#3\nlook again at 191s\n");
}

#[test]
fn an_adopted_instance_is_neither_started_again_nor_lost() {
    let mut house = House::default();
    house.want("web", |app| app.instances = 2);
    house.observed.runs.insert(id("web"), 3);
    let instance = model::InstanceId { app: id("web"), slot: 2, run: 7 };
    let phase = Phase::Ready { since: Duration::ZERO };
    house.observed.apply(Event::Adopted { instance, spec: 1, phase }, house.now);
    assert_eq!(house.told(), "start s/web.1#8\nlook again at 90s\n");
}
