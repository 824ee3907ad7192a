//! Whole changes as texts: what the keeper would do, from one event to the next.

use crate::house::{House, SECOND};
use model::observed::End;
use std::fmt::Write;

/// Notes what happens and what the plan makes of it.
struct Story {
    house: House,
    text: String,
}

impl Story {
    fn new(house: House) -> Self {
        Self { house, text: String::new() }
    }

    fn when(&mut self, what: &str, happens: impl FnOnce(&mut House)) {
        happens(&mut self.house);
        let steps = self.house.settle();
        writeln!(self.text, "{what}:").unwrap();
        for step in steps {
            writeln!(self.text, "  {step}").unwrap();
        }
    }
}

/// A database, a service that needs it, a site that needs the service.
fn three() -> House {
    let mut house = House::default();
    house.needs("front", &["back"]);
    house.needs("back", &["db"]);
    house.want("db", |_| {});
    house
}

#[test]
fn boot_in_the_order_of_needs() {
    let mut story = Story::new(three());
    story.when("boot", |_| {});
    for app in ["db", "back", "front"] {
        story.when(&format!("{app} is ready"), |house| house.ready(app, 1));
    }
    insta::assert_snapshot!(story.text);
}

#[test]
fn reload_of_one_of_two_apps() {
    let mut house = House::default();
    house.up("api", 2);
    house.up("web", 2);
    let mut story = Story::new(house);
    story.when("a candidate changes web", |house| {
        house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    });
    story.when("web.3 is ready", |house| house.ready("web", 3));
    story.when("web.4 is ready", |house| house.ready("web", 4));
    story.when("it is committed", |house| house.want("web", |app| app.keep_outdated = false));
    story.when("web.1 is drained", |house| house.drained("web", 1));
    story.when("web.2 is drained", |house| house.drained("web", 2));
    story.when("both ended", |house| {
        house.ended("web", 1, End::Stopped, 100 * SECOND);
        house.ended("web", 2, End::Stopped, 100 * SECOND);
    });
    insta::assert_snapshot!(story.text);
}

#[test]
fn rolling_restart_of_three() {
    let mut house = House::default();
    house.up("web", 3);
    let mut story = Story::new(house);
    story.when("restart web", |house| house.want("web", |app| app.spec = 2));
    // The slot of the one that went is taken by the next new one.
    for (old, new) in [(1, 4), (2, 1), (3, 2)] {
        story.when(&format!("web.{new} is ready"), |house| house.ready("web", new));
        story.when(&format!("web.{old} is drained"), |house| house.drained("web", old));
        story.when(&format!("web.{old} ended"), |house| {
            house.ended("web", old, End::Stopped, 100 * SECOND);
        });
    }
    insta::assert_snapshot!(story.text);
}

#[test]
fn failed_candidate_dropped() {
    let mut house = House::default();
    house.up("web", 2);
    let mut story = Story::new(house);
    story.when("a candidate changes web", |house| {
        house.want("web", |app| (app.spec, app.keep_outdated) = (2, true));
    });
    story.when("web.3 is ready", |house| house.ready("web", 3));
    story.when("web.4 ends before it is ready", |house| house.ended("web", 4, End::Exited(1), SECOND));
    story.when("it is dropped", |house| {
        house.want("web", |app| (app.spec, app.keep_outdated) = (1, false));
    });
    story.when("web.3 is drained", |house| house.drained("web", 3));
    story.when("web.3 ended", |house| house.ended("web", 3, End::Stopped, SECOND));
    insta::assert_snapshot!(story.text);
}

#[test]
fn stop_in_reverse_order() {
    let mut house = three();
    for app in ["db", "back", "front"] {
        house.up(app, 1);
    }
    let mut story = Story::new(house);
    story.when("stop", |house| {
        for app in ["db", "back", "front"] {
            house.want(app, |app| app.instances = 0);
        }
    });
    for app in ["front", "back", "db"] {
        story.when(&format!("{app} is drained"), |house| house.drained(app, 1));
        story.when(&format!("{app} ended"), |house| house.ended(app, 1, End::Stopped, 100 * SECOND));
    }
    insta::assert_snapshot!(story.text);
}
