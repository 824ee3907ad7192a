//! Instances in good health that are replaced all the same.

use crate::house::{House, SECOND};
use model::observed::{End, Event};
use model::plan::{AppState, app_state, serving, what_is_wrong};
use model::plan::{Serving, SlotState, slot_state};
use model::spec::Listen;

#[test]
fn worn_instances_are_replaced_one_after_the_other_never_below_what_is_wanted() {
    let mut house = House::default();
    house.up("web", 2);
    house.worn("web", 1);
    house.worn("web", 2);
    assert_eq!(house.told(), "start s/web.3#3\nlook again at 90s\n", "one more, beside them");
    house.ready("web", 3);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
    assert_eq!(house.phases("web"), "1=draining/1 2=ready/1 3=ready/1", "one more than wanted at most");
    house.drained("web", 1);
    assert_eq!(house.told(), "stop s/web.1#1: drained\nlook again at 20s\n");
    house.ended("web", 1, End::Stopped, 50 * SECOND);
    assert_eq!(house.told(), "forget s/web.1#1\nstart s/web.1#4\nlook again at 90s\n");
    house.ready("web", 1);
    assert_eq!(house.told(), "drain s/web.2#2\nlook again at 30s\n");
    house.goes("web", 2);
    assert_eq!(house.told(), "forget s/web.2#2\n");
    assert_eq!(house.phases("web"), "1=ready/1 3=ready/1");
}

#[test]
fn a_recycling_is_no_restart() {
    let mut house = House::default();
    house.up("web", 1);
    house.worn("web", 1);
    house
        .observed
        .apply(Event::Worn { instance: house.instance("web", 1).id.clone(), why: "age".into() }, house.now);
    house.settle();
    house.ready("web", 2);
    house.settle();
    house.goes("web", 1);
    house.settle();
    let record = house.observed.slot(&crate::house::id("web"), 1).unwrap();
    assert_eq!((record.recycled, record.restarts, record.worn.as_deref()), (1, 0, Some("200 requests")));
    // The slot's next run is none either.
    house.worn("web", 2);
    house.settle();
    let record = house.observed.slot(&crate::house::id("web"), 1).unwrap();
    assert_eq!((record.recycled, record.restarts), (1, 0));
}

#[test]
fn one_that_ends_by_itself_while_it_is_worn_just_restarts() {
    let mut house = House::default();
    house.up("web", 1);
    house.worn("web", 1);
    house.settle();
    house.now = 5 * SECOND;
    house.ended("web", 1, End::Exited(1), 100 * SECOND);
    house.settle();
    house.now += SECOND;
    house.settle();
    assert_eq!(house.phases("web"), "2=starting/1", "its successor was there already");
    let record = house.observed.slot(&crate::house::id("web"), 1).unwrap();
    assert_eq!((record.recycled, record.worn.as_deref()), (0, None));
}

#[test]
fn without_a_successor_the_worn_one_serves_on_and_the_failure_is_seen() {
    let mut house = House::default();
    house.want("web", |app| app.restart.max_restarts = 1);
    house.up("web", 1);
    house.worn("web", 1);
    for _ in 0..2 {
        house.now += 100 * SECOND;
        house.settle();
        house.ended("web", 2, End::NotReady("refused".into()), SECOND);
        house.settle();
    }
    house.now += 1000 * SECOND;
    assert_eq!(house.told(), "");
    assert_eq!(house.phases("web"), "1=ready/1");
    let id = crate::house::id("web");
    assert_eq!(app_state(&house.desired, &house.observed, &id), AppState::Degraded);
    assert!(
        what_is_wrong(&house.desired, &house.observed, &id)
            .unwrap()
            .contains("did not become ready: refused")
    );
    assert_eq!(slot_state(&house.desired.apps[&id], &house.observed, &id, 2, house.now), SlotState::Failed);
    // Nor does it go when there is suddenly no room: its successor could not be started.
    house.want("web", |app| app.in_place = true);
    assert_eq!(house.told(), "");
    // And when it ends in the end, it is started again.
    house.ended("web", 1, End::Exited(1), 2000 * SECOND);
    house.settle();
    house.now += SECOND;
    house.settle();
    assert_eq!(house.phases("web"), "1=starting/1");
}

#[test]
fn a_fixed_port_is_handed_over_in_place() {
    let mut house = House::default();
    house.want("web", |app| app.listen = Listen::Port(80));
    house.up("web", 1);
    house.worn("web", 1);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
    assert_eq!(serving(&house.desired, &house.observed, &crate::house::id("web")), Serving::Starting);
    house.goes("web", 1);
    assert_eq!(house.told(), "forget s/web.1#1\nstart s/web.1#2\nlook again at 90s\n");
}

#[test]
fn without_room_for_both_one_goes_at_a_time() {
    let mut house = House::default();
    house.up("web", 3);
    house.want("web", |app| app.in_place = true);
    (1..=3).for_each(|slot| house.worn("web", slot));
    for slot in 1..=3 {
        assert_eq!(house.told(), format!("drain s/web.{slot}#{slot}\nlook again at 30s\n"));
        house.goes("web", slot);
        let next = slot + 3;
        assert_eq!(
            house.told(),
            format!("forget s/web.{slot}#{slot}\nstart s/web.{slot}#{next}\nlook again at 90s\n")
        );
        house.ready("web", slot);
    }
    assert_eq!(house.told(), "");
}

#[test]
fn in_place_none_goes_that_could_not_come_back() {
    let mut house = House::default();
    house.up("db", 1);
    house.needs("web", &["db"]);
    house.up("web", 1);
    house.want("web", |app| app.in_place = true);
    house.unhealthy("db", 1);
    house.worn("web", 1);
    assert_eq!(house.told(), "", "its successor could not be started");
    house.ready("db", 1);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
}

#[test]
fn a_change_under_way_keeps_what_it_replaces_and_leaves_others_to_be_recycled() {
    let mut house = House::default();
    house.up("web", 1);
    house.up("api", 1);
    house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    house.worn("web", 1);
    house.worn("api", 1);
    assert_eq!(house.told(), "start s/api.2#2\nstart s/web.2#2\nlook again at 90s\n");
    house.ready("api", 2);
    house.ready("web", 2);
    assert_eq!(house.told(), "drain s/api.1#1\nlook again at 30s\n");
    house.want("web", |app| app.keep_outdated = false);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
}

#[test]
fn fewer_wanted_lets_the_worn_ones_go_first_and_nobody_succeeds_them() {
    let mut house = House::default();
    house.up("web", 3);
    house.worn("web", 1);
    house.want("web", |app| app.instances = 2);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
    house.goes("web", 1);
    house.settle();
    assert_eq!(house.phases("web"), "2=ready/1 3=ready/1");
}

#[test]
fn an_unhealthy_one_is_not_recycled_before_it_serves_again() {
    let mut house = House::default();
    house.up("web", 1);
    house.unhealthy("web", 1);
    house.worn("web", 1);
    assert_eq!(house.told(), "");
    house.ready("web", 1);
    assert_eq!(house.told(), "start s/web.2#2\nlook again at 90s\n");
    // Sick again meanwhile: it goes, and its successor stays.
    house.unhealthy("web", 1);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
}
