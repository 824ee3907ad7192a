//! How many there are to be: by hand, as the manifest says, and for those who need them.

use super::*;
use crate::stack::tests::{app, spec, stack};
use model::upkeep::ScaleSpec;
use std::time::Duration;

fn name(text: &str) -> AppName {
    text.parse().unwrap()
}

fn sleeper(needs: &[&str]) -> AppSpec {
    let range = ScaleSpec { min: 0, max: 4, target: None, idle: Duration::from_secs(1) };
    let needs = needs.iter().map(|need| name(need)).collect();
    AppSpec { instances: 4, scale: Some(range), needs, ..app("sleeper", Listen::AnyPort) }
}

fn numbers(stack: &Stack) -> Vec<u32> {
    let active = &stack.active.as_ref().unwrap().spec;
    active.apps.iter().map(|(name, app)| stack.number(active, name, app)).collect()
}

#[test]
fn what_was_asked_for_holds_until_the_manifest_says_another_number() {
    let one = AppSpec { instances: 1, ..app("web", Listen::AnyPort) };
    let mut stack = stack(spec(&[("web", one.clone())]));
    stack.scaled.insert(name("web"), Scaled { instances: 3, manifest: says(&one) });
    assert_eq!(numbers(&stack), [3]);
    let of = |app: &AppSpec| stack.scaled(&name("web"), app);
    assert_eq!(of(&AppSpec { argv: vec!["other".into()], ..one.clone() }), Some(3), "a reload keeps it");
    assert_eq!(of(&AppSpec { instances: 2, ..one.clone() }), None, "who writes a number means that one");
    assert_eq!(of(&sleeper(&[])), None);
    stack.stopped.insert(name("web"));
    assert_eq!(numbers(&stack), [0]);
}

#[test]
fn who_sleeps_is_awake_while_one_runs_that_needs_it() {
    let web = AppSpec { instances: 1, needs: vec![name("c")], ..app("web", Listen::AnyPort) };
    let mut stack =
        stack(spec(&[("a", sleeper(&[])), ("b", sleeper(&["a"])), ("c", sleeper(&["b"])), ("web", web)]));
    for app in ["a", "b", "c"] {
        stack.following.insert(name(app), 0);
    }
    assert_eq!(numbers(&stack), [4, 4, 4, 1], "web runs");
    stack.stopped.insert(name("web"));
    assert_eq!(numbers(&stack), [0, 0, 0, 0]);
    let active = stack.active.clone().unwrap().spec;
    let asleep = |stack: &Stack, app: &str| stack.is_asleep(&active, &name(app), &active.apps[&name(app)]);
    assert!(asleep(&stack, "a") && !asleep(&stack, "web"));
    stack.following.insert(name("b"), 2);
    assert_eq!(numbers(&stack), [4, 2, 0, 0], "b was woken, which needs a");
    stack.stopped.insert(name("b"));
    assert_eq!(numbers(&stack), [0, 0, 0, 0]);
}

#[test]
fn a_range_holds_whatever_was_followed_before() {
    let range = ScaleSpec { min: 2, max: 3, target: Some(1), idle: Duration::from_secs(1) };
    let web = AppSpec { instances: 2, scale: Some(range), ..app("web", Listen::AnyPort) };
    let mut stack = stack(spec(&[("web", web)]));
    assert_eq!(numbers(&stack), [2]);
    for (followed, number) in [(0, 2), (3, 3), (9, 3)] {
        stack.following.insert(name("web"), followed);
        assert_eq!(numbers(&stack), [number]);
    }
}

#[test]
fn what_cannot_be_scaled_says_why() {
    let apps = [("web", app("web", Listen::AnyPort)), ("one", app("one", Listen::Port(4000)))];
    let stack = stack(spec(&apps));
    let active = &stack.active.as_ref().unwrap().spec;
    let refused =
        |text: &str, number| scalable(&stack, active, text, Some(number)).map(drop).unwrap_err().to_string();
    assert!(refused("one", 2).contains("fixed port"));
    assert!(refused("web", 0).contains("mainstay stop web"));
    assert!(refused("web", 1001).contains("1 to 1000"));
    assert!(refused("webb", 2).contains("no app webb"));
    assert!(
        scalable(&stack, active, "one", Some(1)).is_ok() && scalable(&stack, active, "web", None).is_ok()
    );
}
