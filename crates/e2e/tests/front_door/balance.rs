//! Which of several servers answers.

use crate::ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST, wait_until};

/// A server that says its name, and whether it is well.
fn named(name: &'static str, well: &Arc<AtomicBool>) -> Backend {
    let well = Arc::clone(well);
    Backend::start(move |request, peer| {
        if request.target() == "/health" {
            let status = if well.load(Ordering::SeqCst) { "200 Well" } else { "500 Sick" };
            return peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
        peer.body(request)?;
        peer.ok(name)
    })
}

fn three() -> (Vec<Backend>, Vec<Arc<AtomicBool>>) {
    let well: Vec<Arc<AtomicBool>> = (0..3).map(|_| Arc::new(AtomicBool::new(true))).collect();
    let backends = ["a", "b", "c"].iter().zip(&well).map(|(name, well)| named(name, well)).collect();
    (backends, well)
}

fn servers(backends: &[Backend]) -> String {
    let names: Vec<String> =
        backends.iter().map(|backend| format!("\"127.0.0.1:{}\"", backend.port())).collect();
    names.join(", ")
}

/// How often each name answered `count` requests, one after the other: on one connection, or on one for each.
fn tally(door: &FrontDoor, count: usize, keep: bool) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    let mut connection = door.connect();
    for _ in 0..count {
        if !keep {
            connection = door.connect();
        }
        connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        let answer = connection.response();
        assert_eq!(answer.status, 200);
        *tally.entry(answer.text()).or_default() += 1;
    }
    tally
}

fn counts(tally: &BTreeMap<String, usize>) -> Vec<usize> {
    tally.values().copied().collect()
}

// req: LB-07, LB-15
#[test]
fn requests_one_after_the_other_go_to_each_in_turn() {
    let (backends, _) = three();
    let list = servers(&backends);
    let door = FrontDoor::to(&[&format!("proxy = [{list}]")]);
    for keep in [true, false] {
        assert_eq!(counts(&tally(&door, 300, keep)), [100, 100, 100], "keep-alive: {keep}");
    }
    drop(door);
    let door = FrontDoor::to(&[&format!("proxy = {{ servers = [{list}], balance = \"round-robin\" }}")]);
    for keep in [true, false] {
        assert_eq!(counts(&tally(&door, 300, keep)), [100, 100, 100], "keep-alive: {keep}");
    }
}

// req: LB-08
#[test]
fn weights_divide_the_requests() {
    let (backends, _) = three();
    let door = FrontDoor::to(&[&format!(
        "proxy = {{ servers = [{{ server = \"127.0.0.1:{}\", weight = 100 }}, {{ server = \"127.0.0.1:{}\", weight = 50 }}] }}",
        backends[0].port(),
        backends[1].port()
    )]);
    for keep in [true, false] {
        let counts = counts(&tally(&door, 300, keep));
        assert!(
            counts.len() == 2 && counts[0].abs_diff(200) <= 2 && counts[0] + counts[1] == 300,
            "{counts:?}"
        );
    }
}

// req: LB-10
#[test]
fn a_sick_server_is_left_alone_until_it_is_well_and_without_any_it_is_503_at_once() {
    let (backends, well) = three();
    let health = "{ path = \"/health\", interval = \"200ms\", timeout = \"1s\", retries = 1 }";
    let door =
        FrontDoor::to(&[&format!("proxy = {{ servers = [{}], health = {health} }}", servers(&backends))]);
    wait_until("all three answer", || (tally(&door, 6, true).len() == 3).then_some(()));
    well[1].store(false, Ordering::SeqCst);
    wait_until("b is left alone", || (!tally(&door, 12, true).contains_key("b")).then_some(()));
    backends[1].take_ledger();
    assert_eq!(counts(&tally(&door, 100, true)), [50, 50]);
    assert_eq!(backends[1].ledger().len(), 0, "the sick one got traffic");
    well[1].store(true, Ordering::SeqCst);
    wait_until("b is back", || (tally(&door, 12, true).len() == 3).then_some(()));

    well.iter().for_each(|well| well.store(false, Ordering::SeqCst));
    wait_until("none is left", || (door.get("/").status == 503).then_some(()));
    let begun = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(ask(&door, HOST, "/", "").status, 503);
    }
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
}
