//! Unit tests of [`super`]: which instance is next.

use super::*;
use crate::wake::Wake;
use model::observed::Address;
use model::site::Balance;

fn upstream(count: u16) -> Upstream {
    weighted(Balance::LeastRequests, &vec![1; count.into()])
}

fn weighted(balance: Balance, weights: &[u32]) -> Upstream {
    bounded(balance, weights, None)
}

fn bounded(balance: Balance, weights: &[u32], concurrency: Option<u32>) -> Upstream {
    let wake = Wake::new().unwrap();
    let lasting = Arc::<Lasting>::default();
    let address = |port| Address::Tcp(([127, 0, 0, 1], port).into());
    let endpoint = |(n, &weight): (u16, &u32)| {
        (
            Instance::new(
                &n.to_string(),
                address(n),
                Default::default(),
                Arc::clone(&wake),
                Arc::clone(&lasting),
            ),
            weight,
        )
    };
    let endpoints = (1..).zip(weights).map(endpoint).collect();
    let spec = wire::snapshot::Upstream {
        id: "s/a".to_owned(),
        state: UpstreamState::Ready,
        balance,
        http2: false,
        endpoints: Vec::new(),
        traffic: TrafficSpec { concurrency, ..TrafficSpec::default() },
    };
    Upstream::new(&spec, endpoints, Arc::clone(&lasting))
}

/// The instances' names of so many requests, one after the other.
fn turns(upstream: &Upstream, count: usize) -> Vec<usize> {
    let name = |claim: Claim| claim.instance().unwrap().name.parse().unwrap();
    (0..count).map(|_| name(claimed(upstream.claim(&mut Tried::new())))).collect()
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
    let mut tried = Tried::new();
    (0..3).for_each(|_| drop(claimed(none.claim(&mut tried))));
    assert!(matches!(none.claim(&mut tried), Pick::Exhausted));
    assert_eq!(turns(&weighted(Balance::RoundRobin, &[0, 0]), 4).len(), 4, "all the same then");
}

#[test]
fn a_schedule_is_bounded_whatever_the_weights() {
    let schedule = schedule(&[u32::MAX, u32::MAX - 1, 1]);
    assert!(schedule.len() as u64 <= PLACES + 4, "{}", schedule.len());
    assert!(schedule.contains(&2), "rounded, but not away");
    let heavy = schedule.iter().filter(|&&place| place == 0).count();
    assert!((2040..=2056).contains(&heavy), "{heavy}");
}

#[test]
fn the_least_busy_is_next() {
    let upstream = upstream(3);
    let held: Vec<Claim> = (0..3).map(|_| claimed(upstream.claim(&mut Tried::new()))).collect();
    let name = held[1].instance().unwrap().name.clone();
    let mut held = held;
    drop(held.remove(1));
    assert_eq!(claimed(upstream.claim(&mut Tried::new())).instance().unwrap().name, name);
}

#[test]
fn each_is_tried_once() {
    let upstream = upstream(20);
    let mut tried = Tried::new();
    for _ in 0..20 {
        drop(claimed(upstream.claim(&mut tried)));
    }
    assert!(matches!(upstream.claim(&mut tried), Pick::Exhausted));
    upstream.instances.iter().for_each(|instance| instance.set_draining(true));
    assert!(matches!(upstream.claim(&mut Tried::new()), Pick::Draining));
}

#[test]
fn full_ones_are_passed_over_until_a_place_is_free() {
    for count in [1, 3, 20] {
        for balance in [Balance::LeastRequests, Balance::RoundRobin] {
            let upstream = bounded(balance, &vec![1; count], Some(2));
            let mut held: Vec<Claim> =
                (0..2 * count).map(|_| claimed(upstream.claim(&mut Tried::new()))).collect();
            assert!(
                upstream.instances.iter().all(|instance| instance.in_flight() == 2),
                "{count}, {balance:?}"
            );
            let mut tried = Tried::new();
            assert!(matches!(upstream.claim(&mut tried), Pick::Busy));
            assert!(tried.is_empty(), "a full one was not tried");
            let name = held.pop().unwrap().release().unwrap().name.clone();
            assert_eq!(claimed(upstream.claim(&mut tried)).instance().unwrap().name, name);
            upstream.instances.iter().for_each(|instance| instance.set_draining(true));
            assert!(matches!(upstream.claim(&mut Tried::new()), Pick::Draining | Pick::Busy));
        }
    }
}
