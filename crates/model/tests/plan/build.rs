//! What an app starts from is built first.

use crate::house::{House, SECOND, id};
use model::observed::End;
use model::plan::{AppState, Build, Serving, app_state, serving, what_is_wrong};
use model::spec::Listen;

fn builds(house: &mut House, build: Build) {
    house.want("web", |app| app.build = build);
}

fn told(house: &House) -> (AppState, Serving, Option<String>) {
    let (desired, observed, id) = (&house.desired, &house.observed, id("web"));
    (
        app_state(desired, observed, &id),
        serving(desired, observed, &id),
        what_is_wrong(desired, observed, &id),
    )
}

#[test]
fn no_instance_is_started_before_its_build_is_done() {
    let mut house = House::default();
    builds(&mut house, Build::UnderWay("step 1 of 2".into()));
    assert_eq!(house.told(), "");
    assert_eq!(told(&house), (AppState::Building, Serving::Starting, Some("step 1 of 2".into())));
    builds(&mut house, Build::Done);
    assert_eq!(house.told(), "start s/web.1#1\nlook again at 90s\n");
}

#[test]
fn a_build_that_failed_starts_nothing_and_says_why() {
    let mut house = House::default();
    builds(&mut house, Build::Failed("no disk".into()));
    assert_eq!(house.told(), "");
    let why = "no disk".to_owned();
    assert_eq!(told(&house), (AppState::Failed { reason: why.clone() }, Serving::Down, Some(why)));
}

#[test]
fn the_old_ones_serve_while_the_new_ones_are_built() {
    let mut house = House::default();
    house.up("web", 2);
    house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    builds(&mut house, Build::UnderWay("step 1 of 1".into()));
    assert_eq!(house.told(), "");
    assert_eq!(told(&house).0, AppState::Ready);
    builds(&mut house, Build::Done);
    assert_eq!(house.settle().len(), 2);
    assert_eq!(house.phases("web"), "1=ready/1 2=ready/1 3=starting/2 4=starting/2");
}

#[test]
fn the_holder_of_a_fixed_port_does_not_yield_to_what_is_not_built() {
    let mut house = House::default();
    house.want("web", |app| app.listen = Listen::Port(80));
    house.up("web", 1);
    house.want("web", |app| app.spec = 2);
    builds(&mut house, Build::UnderWay("step 1 of 1".into()));
    assert_eq!(house.told(), "");
    builds(&mut house, Build::Done);
    assert_eq!(house.told(), "drain s/web.1#1\nlook again at 30s\n");
}

#[test]
fn what_crashed_is_not_started_again_without_its_build() {
    let mut house = House::default();
    house.up("web", 1);
    house.ended("web", 1, End::Exited(1), 60 * SECOND);
    builds(&mut house, Build::UnderWay("step 1 of 1".into()));
    house.settle();
    house.now += SECOND;
    assert_eq!(house.told(), "");
    builds(&mut house, Build::Done);
    assert_eq!(house.told(), "start s/web.1#2\nlook again at 91s\n");
}
