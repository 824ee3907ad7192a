//! Moments of renewal.

use super::*;
use crate::Pair;
use crate::acme::Doors;
use crate::acme::meta::UnderWay;
use model::acme::{AcmeSpec, AuthoritySpec, KeyKind, SiteAcme};
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

fn wish() -> Wish {
    let authority = AuthoritySpec {
        directory: "https://ca.test/".to_owned(),
        root: None,
        email: None,
        eab: None,
        profile: None,
    };
    Wish {
        names: vec!["a.test".to_owned()],
        acme: AcmeSpec {
            authorities: vec![authority],
            challenges: Vec::new(),
            dns: None,
            key: KeyKind::P256,
            check_names: true,
            wait: Duration::ZERO,
            export: None,
            hook: Vec::new(),
            on_demand: None,
        },
        site: SiteAcme::default(),
        doors: Doors { http: Some(80), https: None },
    }
}

fn held(facts: &Facts, meta: Meta) -> Held {
    let pair = Pair { chain: String::new(), key: String::new(), facts: facts.clone() };
    let directory = Some("https://ca.test/".to_owned());
    Held { pair: Some(pair), meta: Meta { names: facts.names.clone(), directory, ..meta } }
}

#[test]
fn what_a_clock_far_ahead_has_planned_holds_nothing_up() {
    let (facts, wish) = (facts(90), wish());
    let now = day(&facts, 10.0);
    let ahead = now + Duration::from_secs(15 * 365 * 86400);
    let due = |meta: Meta, now| due(&wish, Some(&held(&facts, meta)), now);
    let planned = Meta { renew: Some(ahead), ..Meta::default() };
    assert_eq!(due(planned.clone(), now), Due::At(day(&facts, 81.0)));
    assert_eq!(due(planned.clone(), day(&facts, 81.5)), Due::Now);
    let asked = Ari { window: None, explanation: None, ask: ahead };
    assert_eq!(due(Meta { ari: Some(asked), ..planned.clone() }, now), Due::Ask);
    let failed = |next_try| Meta {
        error: Some("refused".to_owned()),
        wanted: wish.fingerprint(),
        next_try: Some(next_try),
        ..Meta::default()
    };
    assert_eq!(due(failed(ahead), now), Due::Now);
    assert_eq!(due(failed(day(&facts, 17.0)), now), Due::At(day(&facts, 17.0)));
    // An answer of the authority sets the plan right.
    let mut meta = planned;
    heard(&mut meta, &facts, Word { supported: true, window: None, explanation: None, again: LEAST }, now);
    assert!(meta.renew.unwrap() < day(&facts, 60.1));
}

#[test]
fn an_authority_that_wants_to_be_left_alone_is_asked_before_a_short_pair_is_over() {
    let facts = facts(6);
    let (now, wanted) = (day(&facts, 3.0), day(&facts, 10.0));
    assert_eq!(next_try(wanted, Some(&facts), now), day(&facts, 4.5));
    assert_eq!(next_try(day(&facts, 3.1), Some(&facts), now), day(&facts, 3.1));
    let late = day(&facts, 5.99);
    assert_eq!(next_try(wanted, Some(&facts), late), late + LEAST);
    // Nothing is lost any more where it is over, or where there was none.
    assert_eq!([next_try(wanted, Some(&facts), day(&facts, 7.0)), next_try(wanted, None, now)], [wanted; 2]);
}

#[test]
fn an_order_for_other_names_does_not_replace_what_is_stored() {
    let (facts, wish) = (facts(90), wish());
    let now = day(&facts, 10.0);
    let order = |names: &[&str], directory: &str| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let (url, directory) = ("https://ca.test/order/1".to_owned(), directory.to_owned());
        let order = Some(UnderWay { directory, email: None, url, names, profile: None });
        let meta = Meta { renew: Some(day(&facts, 60.0)), order, ..Meta::default() };
        due(&wish, Some(&held(&facts, meta)), now)
    };
    assert_eq!(order(&["a.test"], "https://ca.test/"), Due::Now);
    assert_eq!(order(&["a.test", "b.test"], "https://ca.test/"), Due::At(day(&facts, 60.0)));
    assert_eq!(order(&["a.test"], "https://former.test/"), Due::At(day(&facts, 60.0)));
}
