//! How requests are spread over instances, seen from the backends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::site::Balance;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use support::*;
use wire::snapshot::{Snapshot, UpstreamState};

struct Counting {
    backend: Backend,
    requests: Arc<AtomicUsize>,
}

fn counting() -> Counting {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let backend = Backend::answering(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        ok("here")
    });
    Counting { backend, requests }
}

/// An edge with so many workers before instances of these weights, and what each got of 300 requests, one after the other.
fn spread(balance: Balance, workers: usize, weights: &[u32]) -> Vec<usize> {
    let apps: Vec<Counting> = weights.iter().map(|_| counting()).collect();
    let addresses: Vec<SocketAddr> = apps.iter().map(|app| app.backend.address).collect();
    let mut table = proxying(&addresses);
    table.upstreams[0].balance = balance;
    for (endpoint, &weight) in table.upstreams[0].endpoints.iter_mut().zip(weights) {
        endpoint.weight = weight;
    }
    let edge = Edge::with_workers(workers, &table);
    for n in 0..300 {
        assert_eq!(edge.get("a.test", "/").status, 200);
        if n == 100 {
            // A snapshot in between changes nothing: the turn goes on where it stood.
            edge.apply(&Snapshot { revision: 2, ..table.clone() });
        }
    }
    apps.iter().map(|app| app.requests.load(Ordering::SeqCst)).collect()
}

// req: LB-07
#[test]
fn in_turn_is_exact_whichever_worker_answers_and_so_is_the_default() {
    for balance in [Balance::default(), Balance::RoundRobin] {
        assert_eq!(spread(balance, 2, &[1, 1, 1]), [100, 100, 100], "{balance:?}");
    }
}

// req: LB-08
#[test]
fn weights_share_the_requests() {
    assert_eq!(spread(Balance::RoundRobin, 2, &[100, 50]), [200, 100]);
}

#[test]
fn with_no_healthy_instance_the_answer_is_503_at_once() {
    let mut table = proxying(&[]);
    table.upstreams[0].state = UpstreamState::Unhealthy;
    let edge = Edge::start(&table);
    let began = Instant::now();
    assert_eq!(edge.get("a.test", "/").status, 503);
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
}
