//! Moments of renewal.

use super::*;
use std::time::UNIX_EPOCH;

fn facts(days: u64) -> Facts {
    let begin = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    Facts {
        names: vec!["a.test".to_owned()],
        issuer: "somebody".to_owned(),
        not_before: begin,
        not_after: begin + Duration::from_secs(days * 86400),
    }
}

fn day(of: &Facts, days: f64) -> SystemTime {
    of.not_before + Duration::from_secs_f64(days * 86400.0)
}

#[test]
fn without_a_word_it_is_two_thirds_of_a_life_or_half_of_a_short_one() {
    for (days, soonest, latest) in [(90, 55.4, 60.1), (45, 27.7, 30.1), (6, 2.6, 3.1)] {
        let facts = facts(days);
        for _ in 0..50 {
            let at = renewal(&facts, None, facts.not_before);
            assert!(at >= day(&facts, soonest) && at <= day(&facts, latest), "{days}: {at:?}");
        }
    }
}

#[test]
fn a_window_is_met_at_random_and_one_in_the_past_is_now() {
    let facts = facts(90);
    let window = Window { start: day(&facts, 70.0), end: day(&facts, 72.0) };
    let chosen: Vec<SystemTime> = (0..50).map(|_| renewal(&facts, Some(window), facts.not_before)).collect();
    assert!(chosen.iter().all(|at| *at >= window.start && *at <= window.end));
    assert!(chosen.iter().any(|at| *at != chosen[0]));
    let now = day(&facts, 80.0);
    assert_eq!(renewal(&facts, Some(window), now), now);
    // Nonsense is no word; a window behind the end of the life is not waited for.
    let turned = Window { start: window.end, end: window.start };
    assert!(renewal(&facts, Some(turned), facts.not_before) < day(&facts, 60.1));
    let late = Window { start: day(&facts, 95.0), end: day(&facts, 96.0) };
    assert!(renewal(&facts, Some(late), facts.not_before) < facts.not_after);
}

#[test]
fn the_chosen_moment_stays_while_the_window_does() {
    let facts = facts(90);
    let now = facts.not_before;
    let window = Window { start: day(&facts, 70.0), end: day(&facts, 72.0) };
    let word = |window, again| Word {
        supported: true,
        window,
        explanation: None,
        again: Duration::from_secs(again),
    };
    let mut meta = Meta::default();
    heard(&mut meta, &facts, word(Some(window), 5), now);
    let first = meta.renew;
    // No sooner than in a minute, no later than in a day.
    assert_eq!(meta.ari.as_ref().unwrap().ask, now + Duration::from_secs(60));
    heard(&mut meta, &facts, word(Some(window), u64::MAX / 4), now);
    assert_eq!((meta.renew, meta.ari.as_ref().unwrap().ask), (first, now + Duration::from_secs(86400)));
    heard(&mut meta, &facts, word(None, 60), now);
    assert_eq!((meta.renew, meta.ari.as_ref().unwrap().window), (first, Some(window)));
    let sooner = Window { start: day(&facts, 1.0), end: day(&facts, 2.0) };
    heard(&mut meta, &facts, word(Some(sooner), 60), now);
    assert!(meta.renew.unwrap() <= sooner.end);
}
