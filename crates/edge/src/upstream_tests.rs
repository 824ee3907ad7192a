//! Unit tests of [`super`]: which instance is next.

use super::*;
use crate::instance::Origin;
use crate::wake::Wake;
use model::observed::Address;
use model::site::Balance;
use model::traffic::{CircuitSpec, StickySpec};

fn upstream(count: u16) -> Upstream {
    weighted(Balance::LeastRequests, &vec![1; count.into()])
}

fn weighted(balance: Balance, weights: &[u32]) -> Upstream {
    bounded(balance, weights, None)
}

fn bounded(balance: Balance, weights: &[u32], concurrency: Option<u32>) -> Upstream {
    with(balance, weights, TrafficSpec { concurrency, ..TrafficSpec::default() })
}

fn of(balance: Balance, traffic: TrafficSpec) -> wire::snapshot::Upstream {
    wire::snapshot::Upstream {
        id: "s/a".to_owned(),
        state: UpstreamState::Ready,
        balance,
        http2: false,
        endpoints: Vec::new(),
        traffic,
        aside: Vec::new(),
    }
}

fn with(balance: Balance, weights: &[u32], traffic: TrafficSpec) -> Upstream {
    let wake = Wake::new().unwrap();
    let lasting = Arc::<Lasting>::default();
    let address = |port| Address::Tcp(([127, 0, 0, 1], port).into());
    let endpoint = |(n, &weight): (u16, &u32)| {
        (
            Instance::new(
                &n.to_string(),
                address(n),
                Origin::default(),
                Arc::clone(&wake),
                Arc::clone(&lasting),
                None,
            ),
            weight,
        )
    };
    let endpoints = (1..).zip(weights).map(endpoint).collect();
    Upstream::new(&of(balance, traffic), endpoints, Arc::clone(&lasting), &StickyKey::default())
}

/// The instances' names of so many requests, one after the other.
fn turns(upstream: &Upstream, count: usize) -> Vec<usize> {
    let name = |claim: Claim| claim.instance().unwrap().name.parse().unwrap();
    (0..count).map(|_| name(claimed(upstream.claim(&mut Tried::default())))).collect()
}

fn claimed(pick: Pick) -> Claim {
    match pick {
        Pick::Claimed(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ties_go_round() {
    for upstream in [upstream(3), weighted(Balance::RoundRobin, &[1, 1, 1])] {
        assert_eq!(turns(&upstream, 300), [1, 2, 3].repeat(100));
    }
}

#[test]
fn weights_are_kept_exactly_and_turns_evenly_spread() {
    assert_eq!(turns(&weighted(Balance::RoundRobin, &[100, 50]), 300), [1, 2, 1].repeat(100));
    assert_eq!(turns(&weighted(Balance::RoundRobin, &[5, 1, 1]), 7), [1, 1, 1, 2, 3, 1, 1]);
    let none = weighted(Balance::RoundRobin, &[0, 3, 0]);
    assert_eq!(turns(&none, 3), [2, 2, 2]);
    let mut tried = Tried::default();
    (0..3).for_each(|_| drop(claimed(none.claim(&mut tried))));
    assert!(matches!(none.claim(&mut tried), Pick::Exhausted));
    assert_eq!(turns(&weighted(Balance::RoundRobin, &[0, 0]), 4).len(), 4, "all the same then");
}

#[test]
fn the_least_busy_is_next() {
    let upstream = upstream(3);
    let held: Vec<Claim> = (0..3).map(|_| claimed(upstream.claim(&mut Tried::default()))).collect();
    let name = held[1].instance().unwrap().name.clone();
    let mut held = held;
    drop(held.remove(1));
    assert_eq!(claimed(upstream.claim(&mut Tried::default())).instance().unwrap().name, name);
}

#[test]
fn each_is_tried_once() {
    let upstream = upstream(20);
    let mut tried = Tried::default();
    for _ in 0..20 {
        drop(claimed(upstream.claim(&mut tried)));
    }
    assert!(matches!(upstream.claim(&mut tried), Pick::Exhausted));
    upstream.instances.iter().for_each(|instance| instance.set_draining(true));
    assert!(matches!(upstream.claim(&mut Tried::default()), Pick::Draining));
}

#[test]
fn full_ones_are_passed_over_until_a_place_is_free() {
    for count in [1, 3, 20] {
        for balance in [Balance::LeastRequests, Balance::RoundRobin] {
            let upstream = bounded(balance, &vec![1; count], Some(2));
            let mut held: Vec<Claim> =
                (0..2 * count).map(|_| claimed(upstream.claim(&mut Tried::default()))).collect();
            assert!(
                upstream.instances.iter().all(|instance| instance.in_flight() == 2),
                "{count}, {balance:?}"
            );
            let mut tried = Tried::default();
            assert!(matches!(upstream.claim(&mut tried), Pick::Busy));
            assert!(tried.is_empty(), "a full one was not tried");
            let name = held.pop().unwrap().release().unwrap().name.clone();
            assert_eq!(claimed(upstream.claim(&mut tried)).instance().unwrap().name, name);
            upstream.instances.iter().for_each(|instance| instance.set_draining(true));
            assert!(matches!(upstream.claim(&mut Tried::default()), Pick::Draining | Pick::Busy));
        }
    }
}

/// At this moment.
fn at(upstream: &Upstream, now: Instant) -> Pick {
    upstream.claim_at(&mut Tried::default(), &Clock(OnceCell::from(now)))
}

fn fail(upstream: &Upstream, claim: &mut Claim, times: u32, how: Failed) {
    (0..times).for_each(|_| upstream.failed(claim, how));
}

#[test]
fn an_instance_that_cannot_be_reached_is_left_alone_then_tried_by_one_request() {
    let upstream = upstream(2);
    let CircuitSpec { failures, open } = upstream.traffic.circuit;
    let mut claim = claimed(upstream.claim(&mut Tried::default()));
    fail(&upstream, &mut claim, failures, Failed::Unreachable);
    let sick = claim.release().unwrap();
    let later = Instant::now() + open;
    for _ in 0..10 {
        assert_ne!(claimed(upstream.claim(&mut Tried::default())).instance().unwrap().key, sick.key);
    }
    let of_it = |pick: Pick| Some(claimed(pick)).filter(|claim| claim.instance().unwrap().key == sick.key);
    let mut trial = (0..4).find_map(|_| of_it(at(&upstream, later))).expect("one tries it");
    assert!((0..4).all(|_| of_it(at(&upstream, later)).is_none()), "one");
    trial.answered();
    drop(trial);
    assert!((0..4).any(|_| of_it(upstream.claim(&mut Tried::default())).is_some()), "it is back");
}

#[test]
fn with_all_left_alone_it_is_said_for_how_long() {
    for count in [1, 3] {
        let upstream = upstream(count);
        let CircuitSpec { failures, open } = upstream.traffic.circuit;
        for _ in 0..count {
            let mut claim = claimed(upstream.claim(&mut Tried::default()));
            fail(&upstream, &mut claim, failures, Failed::Unreachable);
        }
        let Pick::Cut(wait) = upstream.claim(&mut Tried::default()) else { panic!("open") };
        assert!(wait <= LAST && wait > Duration::ZERO, "{wait:?}: one is tried soon");
        let later = Instant::now() + open;
        let trial = claimed(at(&upstream, later));
        drop(trial);
        let mut trials: Vec<Claim> = (0..count).map(|_| claimed(at(&upstream, later))).collect();
        trials.iter_mut().for_each(|trial| fail(&upstream, trial, 1, Failed::Unanswered));
        drop(trials);
        let Pick::Cut(wait) = upstream.claim(&mut Tried::default()) else { panic!("opened again") };
        assert!(wait <= LAST, "{wait:?}");
    }
}

#[test]
fn requests_that_break_whoever_gets_them_take_no_more_than_half_of_the_instances() {
    for (count, cut) in [(1, 0), (2, 1), (3, 1), (4, 2), (17, 8)] {
        let upstream = upstream(count);
        for instance in &upstream.instances {
            let mut claim = instance.claim(u32::MAX).unwrap();
            fail(&upstream, &mut claim, 50, Failed::Unanswered);
        }
        let open = upstream.instances.iter().filter(|instance| !instance.circuit.is_closed()).count();
        assert_eq!(open, cut, "of {count}");
    }
}

#[test]
fn without_a_bound_on_failures_nothing_is_left_alone() {
    let mut upstream = upstream(1);
    let mut claim = claimed(upstream.claim(&mut Tried::default()));
    fail(&upstream, &mut claim, 50, Failed::Unreachable);
    assert!(matches!(upstream.claim(&mut Tried::default()), Pick::Cut(_)));
    upstream.traffic.circuit.failures = 0;
    claimed(upstream.claim(&mut Tried::default()));
}

/// Instances with a slow start of 100 s, which became ready then; none: nobody knows when.
fn slow(balance: Balance, ready: &[Option<Instant>]) -> Upstream {
    let (wake, lasting) = (Wake::new().unwrap(), Arc::<Lasting>::default());
    let spec = of(balance, TrafficSpec { slow_start: Duration::from_secs(100), ..TrafficSpec::default() });
    let made = |(n, ready): (u16, &Option<Instant>)| {
        let address = Address::Tcp(([127, 0, 0, 1], n).into());
        let (name, wake, lasting) = (n.to_string(), Arc::clone(&wake), Arc::clone(&lasting));
        (Instance::new(&name, address, Origin::default(), wake, lasting, *ready), 1)
    };
    let endpoints = (1..).zip(ready).map(made).collect();
    Upstream::new(&spec, endpoints, lasting, &StickyKey::default())
}

/// Of so many requests in a row those that the first instance got, which became ready at `ready`, at `now`.
fn of_the_new(balance: Balance, ready: Instant, now: Instant, in_flight: bool) -> usize {
    let upstream = slow(balance, &[Some(ready), None, None]);
    let mut held = Vec::new();
    let first = |pick: Pick| {
        let claim = claimed(pick);
        let is_first = &*claim.instance().unwrap().name == "1";
        held.extend(in_flight.then_some(claim));
        is_first
    };
    (0..30_000).map(|_| at(&upstream, now)).map(first).filter(|first| *first).count()
}

#[test]
fn a_new_instance_gets_its_share_by_and_by() {
    fastrand::seed(1);
    let start = Instant::now();
    for balance in [Balance::LeastRequests, Balance::RoundRobin] {
        for in_flight in [false, true] {
            // A tenth of a share beside two whole ones; half of it; all of it, exactly.
            for (passed, least, most) in [(0, 1200, 1700), (50, 5400, 6700), (100, 10_000, 10_000)] {
                let now = start + Duration::from_secs(passed);
                let got = of_the_new(balance, start, now, in_flight);
                // In turn its missed turns are shared: a tenth of a turn in three.
                let least = if balance == Balance::RoundRobin { least * 2 / 3 } else { least };
                assert!((least..=most).contains(&got), "{balance:?}, {in_flight}, {passed} s: {got}");
            }
        }
    }
}

#[test]
fn instances_of_the_same_age_share_alike_and_a_single_one_has_all() {
    for count in [1, 2, 5] {
        let upstream = slow(Balance::LeastRequests, &vec![Some(Instant::now()); count]);
        let all: Vec<usize> = (1..=count).collect();
        assert_eq!(turns(&upstream, 10 * count), all.repeat(10));
    }
}

#[test]
fn a_client_stays_with_its_instance_as_long_as_that_takes_requests() {
    let traffic = TrafficSpec {
        sticky: Some(StickySpec { cookie: "to".to_owned() }),
        concurrency: Some(2),
        ..TrafficSpec::default()
    };
    let upstream = with(Balance::LeastRequests, &[1; 3], traffic);
    let first = claimed(upstream.claim(&mut Tried::default()));
    let mine = Arc::clone(first.instance().unwrap());
    let (cookie, tag) = upstream.news(&mine, None).unwrap();
    assert_eq!((cookie, upstream.news(&mine, Some(tag))), ("to", None));
    let wished = || claimed(upstream.claim(&mut Tried::new(Some(tag))));
    let second = wished();
    assert_eq!(second.instance().unwrap().key, mine.key, "though it is the busiest");
    let third = wished();
    let other = Arc::clone(third.instance().unwrap());
    assert_ne!(other.key, mine.key, "it is full");
    assert!(upstream.news(&other, Some(tag)).is_some(), "the client is told");
    drop((first, second));
    assert_eq!(wished().instance().unwrap().key, mine.key);
    mine.set_draining(true);
    assert_ne!(wished().instance().unwrap().key, mine.key);
}

#[test]
fn who_is_passed_over_leaves_his_turns_to_all_others() {
    let upstream = upstream(4);
    let mut claim = upstream.instances[1].claim(u32::MAX).unwrap();
    fail(&upstream, &mut claim, upstream.traffic.circuit.failures, Failed::Unreachable);
    drop(claim);
    assert_eq!(turns(&upstream, 300), [1, 3, 4].repeat(100));
}
