//! Buckets of authorities' limits, by a clock of the test's own.

use super::*;

fn begin() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn counted<'a>(store: &'a Store, names: &'a [String], now: SystemTime) -> Counted<'a> {
    let limits = published(model::acme::LETSENCRYPT).unwrap();
    Counted { store, limits, who: "le".to_owned(), names, now }
}

#[test]
fn duplicates_come_back_one_by_one_and_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let shop = names(&["shop.test", "www.shop.test"]);
    for _ in 0..5 {
        let store = Store::open(home.path()).unwrap();
        let counted = counted(&store, &shop, begin());
        counted.order(Order::New).unwrap();
        counted.certificate(Order::New).unwrap();
    }
    let store = Store::open(home.path()).unwrap();
    let turned = names(&["www.shop.test", "shop.test"]);
    let refused = counted(&store, &turned, begin()).order(Order::New).unwrap_err();
    assert!(refused.text.contains("5 certificates for the same names in 168 h"), "{}", refused.text);
    let wait = refused.wait.unwrap();
    assert!(wait > WEEK / 5 - HOUR && wait <= WEEK / 5, "{wait:?}");
    assert!(counted(&store, &shop, begin()).order(Order::Renewal).is_err());
    // What names the one it replaces is counted by nobody; another set of names is another matter.
    counted(&store, &shop, begin()).order(Order::Replacement).unwrap();
    counted(&store, &names(&["shop.test"]), begin()).order(Order::New).unwrap();
    counted(&store, &shop, begin() + wait).order(Order::New).unwrap();
}

#[test]
fn certificates_are_counted_by_domain_and_orders_by_account() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    for number in 0..50 {
        let one = names(&[&format!("n{number}.example.org")]);
        counted(&store, &one, begin()).order(Order::New).unwrap();
        counted(&store, &one, begin()).certificate(Order::New).unwrap();
    }
    let next = names(&["a.b.example.org"]);
    let refused = counted(&store, &next, begin()).order(Order::New).unwrap_err();
    assert!(refused.text.contains("50 certificates for example.org"), "{}", refused.text);
    assert_eq!(
        (refused.kind, counted(&store, &next, begin()).order(Order::Renewal)),
        (Kind::Limited, Ok(()))
    );
    for number in 50..300 {
        counted(&store, &names(&[&format!("a.n{number}.test")]), begin()).order(Order::New).unwrap();
    }
    let refused = counted(&store, &names(&["new.test"]), begin()).order(Order::New).unwrap_err();
    assert_eq!(refused.wait.map(|wait| wait.as_secs()), Some(36));
}

#[test]
fn failures_are_counted_by_name_and_what_is_full_again_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let both = names(&["a.test", "b.test"]);
    for _ in 0..5 {
        counted(&store, &both, begin()).order(Order::New).unwrap();
        counted(&store, &both, begin()).failed(&both[..1]).unwrap();
    }
    let refused = counted(&store, &both, begin()).order(Order::Replacement).unwrap_err();
    assert!(refused.text.contains("5 failed validations of a.test in 1 h"), "{}", refused.text);
    counted(&store, &both[1..], begin()).order(Order::New).unwrap();
    counted(&store, &both, begin() + HOUR * 4).order(Order::Replacement).unwrap();
    assert_eq!(store.other(FILE).unwrap().unwrap(), "{}");
    // A clock far ahead that was set right again locks nobody out for ever.
    for _ in 0..5 {
        counted(&store, &both, begin() + WEEK * 500).failed(&both).unwrap();
    }
    let refused = counted(&store, &both[..1], begin()).order(Order::New).unwrap_err();
    let wait = refused.wait.unwrap();
    assert!(wait <= HOUR);
    counted(&store, &both[..1], begin() + wait).order(Order::New).unwrap();
}

#[test]
fn domains_are_the_last_two_labels() {
    let found = ["*.a.example.org", "example.org", "localhost", "192.0.2.7", "2001:db8::1"].map(registered);
    assert_eq!(found, ["example.org", "example.org", "localhost", "192.0.2.7", "2001:db8::1"]);
}
