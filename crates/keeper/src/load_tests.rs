//! How a number follows what is asked, on a clock of our own.

use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// One look each second; gives the number after it.
struct Watch {
    calm: Calm,
    range: ScaleSpec,
    number: u32,
    now: Moment,
    asked: u64,
}

impl Watch {
    fn new(min: u32, max: u32, target: Option<u32>, number: u32) -> Self {
        let range = ScaleSpec { min, max, target, idle: 10 * SECOND };
        Self { calm: Calm::default(), range, number, now: Duration::ZERO, asked: 0 }
    }

    fn look(&mut self, in_flight: u64, waiting: u64, came: u64, ready: bool) -> u32 {
        self.now += SECOND;
        self.asked += came;
        let ask = Ask { in_flight, waiting, asked: self.asked, ready };
        self.number = self.calm.next(&self.range, self.range.min.max(1), self.number, ask, self.now);
        self.number
    }

    /// The number at each of so many looks.
    fn looks(&mut self, times: usize, in_flight: u64, came: u64) -> Vec<u32> {
        (0..times).map(|_| self.look(in_flight, 0, came, true)).collect()
    }
}

#[test]
fn up_at_once_as_far_as_needed_and_no_further_than_the_range() {
    let mut watch = Watch::new(1, 4, Some(10), 1);
    assert_eq!(watch.look(10, 0, 1, true), 1);
    assert_eq!(watch.look(11, 0, 1, true), 2);
    assert_eq!(watch.look(20, 15, 1, true), 4, "what waits counts");
    assert_eq!(watch.look(900, 900, 1, true), 4);
    let mut broken = Watch::new(1, 4, Some(10), 1);
    assert_eq!(broken.look(0, 500, 1, false), 1, "more of what does not start would not help");
}

#[test]
fn down_one_at_a_time_after_a_calm_while() {
    let mut watch = Watch::new(1, 4, Some(10), 4);
    let numbers = watch.looks(34, 1, 1);
    let at = |number| numbers.iter().position(|other| *other == number).unwrap();
    assert_eq!((at(4), at(3), at(2), at(1)), (0, 10, 21, 32));
    assert_eq!(watch.looks(30, 0, 0).last(), Some(&1), "never below the least");
}

#[test]
fn a_load_at_the_border_does_not_make_it_swing() {
    let mut watch = Watch::new(1, 4, Some(10), 3);
    assert!(watch.looks(100, 17, 1).iter().all(|number| *number == 3), "17 of 20 would be too near");
    assert_eq!(watch.looks(11, 16, 1).last(), Some(&2));
    assert!(watch.looks(100, 17, 1).iter().all(|number| *number == 2), "and 17 does not bring it back");
    watch.looks(9, 0, 1);
    watch.looks(1, 20, 1);
    assert_eq!(watch.looks(10, 0, 1).last(), Some(&2), "a busy moment begins the while anew");
}

#[test]
fn to_zero_after_a_while_without_any_request_and_up_when_one_waits() {
    let mut watch = Watch::new(0, 2, Some(10), 1);
    assert!(
        watch.looks(50, 0, 1).iter().all(|number| *number == 1),
        "one a second, each over between two looks"
    );
    assert!(watch.looks(50, 1, 0).iter().all(|number| *number == 1), "a stream that is open");
    let numbers = watch.looks(12, 0, 0);
    assert_eq!(numbers.iter().position(|number| *number == 0), Some(10));
    assert_eq!(watch.look(0, 0, 0, false), 0);
    assert_eq!(watch.look(0, 1, 1, false), 1);
}

#[test]
fn without_a_target_all_sleep_at_once() {
    let mut watch = Watch::new(0, 3, None, 3);
    assert_eq!(watch.look(500, 100, 1, true), 3);
    assert_eq!(watch.looks(11, 0, 0), [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0]);
}
