//! What is due, what was missed, on a clock of our own. (Where clocks change: `model::schedule`.)

use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What came due between the two.
fn due(times: &str, seen: &str, now: &str) -> Due {
    Due::between(&Times::parse(times).unwrap(), &berlin(), at(seen), at(now))
}

fn run(moment: &str) -> Due {
    Due { run: Some(at(moment)), ..Due::default() }
}

#[test]
fn nothing_is_due_before_its_time_and_it_is_due_once() {
    let seen = "2026-01-15T12:00:00Z";
    assert_eq!(due("0 2 * * *", seen, "2026-01-16T00:59:59.999Z"), Due::default());
    assert_eq!(due("0 2 * * *", seen, "2026-01-16T01:00:00.3Z"), run("2026-01-16T01:00:00Z"));
    assert_eq!(due("0 2 * * *", "2026-01-16T01:00:00.3Z", "2026-01-17T00:00:00Z"), Due::default());
}

#[test]
fn a_keeper_that_is_away_for_a_moment_misses_nothing_and_one_that_is_longer_away_says_so() {
    let seen = "2026-01-15T12:00:00Z";
    assert_eq!(due("0 2 * * *", seen, "2026-01-16T01:01:00Z"), run("2026-01-16T01:00:00Z"));
    let moment = at("2026-01-16T01:00:00Z");
    let late = Due { missed: 1, between: Some((moment, moment)), run: None };
    assert_eq!(due("0 2 * * *", seen, "2026-01-16T01:01:01Z"), late);
    let days = due("0 2 * * *", seen, "2026-01-19T01:00:10Z");
    assert_eq!((days.missed, days.run), (3, Some(at("2026-01-19T01:00:00Z"))), "the latest is not too late");
    assert_eq!(days.between, Some((moment, at("2026-01-18T01:00:00Z"))));
}

#[test]
fn what_recurs_within_seconds_is_missed_after_a_few() {
    let seen = "2026-01-15T12:00:00Z";
    let often = due("*/2 * * * * *", seen, "2026-01-15T12:00:09Z");
    assert_eq!(
        (often.missed, often.run),
        (2, Some(at("2026-01-15T12:00:08Z"))),
        "2 and 4 are older than three seconds"
    );
    let month = due("* * * * * *", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    assert_eq!(month.missed, COUNTED, "not each second of a month is looked at");
}

#[test]
fn missed_runs_where_clocks_change_are_counted_as_they_would_have_run() {
    let spring = due("30 2 * * *", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z");
    assert_eq!(spring.missed, 3, "28 at 2:30, 29 at 3:00, 30 at 2:30");
    let autumn = due("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn.missed, 1, "once, although it is 2:30 twice");
}

#[test]
fn words() {
    assert!(missed(1, "a", "b").starts_with("1 run was missed, due b"));
    assert!(missed(3, "a", "b").contains("3 runs were missed, due a to b"));
    assert!(missed(COUNTED, "a", "b").contains("or more"));
    assert_eq!(shown(at("2026-01-16T01:00:00Z"), &berlin()), "2026-01-16 02:00:00");
    assert_eq!(millis(timestamp(1_700_000_000_123)), 1_700_000_000_123);
}
