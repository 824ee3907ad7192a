//! Thresholds, counts and verdicts of recycling.

use super::*;

fn instance(slot: u32, run: u64) -> InstanceId {
    let app = AppId { stack: "shop".parse().unwrap(), app: "web".parse().unwrap() };
    InstanceId { app, slot, run }
}

fn wear() -> Wear {
    Wear::new(mpsc::channel(1).0)
}

#[test]
fn thresholds_are_drawn_for_each_instance_and_do_not_change() {
    let recycle = RecycleSpec { requests: Some(200), jitter: 50, memory: None, age: None };
    let limit = |id: &InstanceId| {
        let due = |requests: &u64| worn_out(id, &recycle, *requests, None).is_some();
        (0..1000).find(due).unwrap()
    };
    let all: Vec<u64> = (1..=40).map(|run| limit(&instance(1, run))).collect();
    assert!(all.iter().all(|limit| (200..=250).contains(limit)), "{all:?}");
    let different: BTreeSet<&u64> = all.iter().collect();
    assert!(different.len() > 10, "{all:?}");
    assert_eq!(limit(&instance(1, 1)), all[0], "the next keeper draws the same");
    let exact = RecycleSpec { jitter: 0, ..recycle };
    assert_eq!(worn_out(&instance(1, 1), &exact, 199, None), None);
    assert_eq!(worn_out(&instance(1, 1), &exact, 203, None).unwrap(), "it took 203 requests (limit 200)");
}

#[test]
fn age_is_spread_as_requests_are() {
    let day = Duration::from_secs(86_400);
    let alone = RecycleSpec { age: Some(day), ..RecycleSpec::default() };
    assert_eq!(worn_out(&instance(1, 1), &alone, 0, Some(day - Duration::from_secs(1))), None);
    assert_eq!(
        worn_out(&instance(1, 1), &alone, 0, Some(day)).unwrap(),
        "it ran for 86400 s (limit 86400 s)"
    );
    let spread = RecycleSpec { requests: Some(1000), jitter: 500, ..alone };
    let limits: BTreeSet<String> =
        (1..20).map(|run| worn_out(&instance(1, run), &spread, 0, Some(2 * day)).unwrap()).collect();
    assert!(limits.len() > 5, "{limits:?}");
}

#[test]
fn an_edge_that_was_restarted_does_not_make_an_instance_young() {
    let (mut wear, id) = (wear(), instance(1, 1));
    let sums = [10, 150, 3, 60, 0, 5].map(|counted| {
        wear.count(&id, counted);
        wear.requests(&id)
    });
    assert_eq!(sums, [10, 150, 153, 210, 210, 215]);
}

#[test]
fn who_was_killed_for_memory_was_not_just_stopped() {
    let (mut wear, id) = (wear(), instance(1, 1));
    assert_eq!(wear.verdict(&id, End::Stopped), End::Stopped);
    wear.seen.entry(id.clone()).or_default().killed = Some((1_130_000_000, 1_000_000_000));
    let end = wear.verdict(&id, End::Stopped);
    assert_eq!(end.to_string(), "was ended: out of memory, it held 1.1 GB of 1 GB");
    assert_eq!(wear.verdict(&id, End::Exited(3)), End::Exited(3), "it was faster");
}
