//! Orders against a real authority (pebble): each way of proof, nonces that are refused, what lies on the disk afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use certs::acme::{self, Due, Store};
use model::acme::{ChallengeKind, KeyKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use support::{Edge, authority, by, dns, pebble, wish};
use testkit::pebble::Options;

/// Every file below, with its mode.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(modes(&path));
        } else {
            found.push((entry.file_name().into_string().unwrap(), entry.metadata().unwrap().mode() & 0o777));
        }
    }
    found
}

// req: TLS-06
#[tokio::test]
async fn a_pair_is_obtained_by_http_kept_and_not_ordered_again() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test", "www.shop.test"]);
    assert_eq!(acme::due(&wish, store.look(&wish.names).unwrap().as_ref(), acme::Host::now(&edge)), Due::Now);

    let pair = acme::obtain(&wish, &store, &edge).await.unwrap();

    assert_eq!(pair.facts.names, ["shop.test", "www.shop.test"]);
    assert_eq!(edge.served(), 0, "challenges are withdrawn");
    // Another keeper finds the same and has nothing to do.
    let store = Store::open(home.path()).unwrap();
    let held = store.look(&wish.names).unwrap().unwrap();
    assert_eq!(held.pair.as_ref(), Some(&pair));
    assert!(matches!(acme::due(&wish, Some(&held), acme::Host::now(&edge)), Due::At(_)));
    assert_eq!(pebble.orders(), 1);
    let modes = modes(home.path());
    let open: Vec<_> = modes.iter().filter(|(_, mode)| *mode != 0o600).collect();
    assert_eq!(open, [&("fullchain.pem".to_owned(), 0o644)]);
    assert!(modes.iter().any(|(name, _)| name == "privkey.pem"));
}

#[tokio::test]
async fn a_name_is_proved_in_a_handshake() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let mut wish =
        by(&wish(&edge, vec![authority(&pebble)], &["shop.test", "127.0.0.1"]), &[ChallengeKind::TlsAlpn01]);
    wish.acme.key = KeyKind::P384;
    let pair = acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!(pair.facts.names, ["shop.test", "127.0.0.1"]);
}

#[tokio::test]
async fn a_wildcard_is_proved_by_the_command_for_records() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    // Both names need a record of the same name at the same time.
    let mut wish = wish(&edge, vec![authority(&pebble)], &["*.shop.test", "shop.test"]);
    wish.acme.challenges = vec![ChallengeKind::Dns01];
    wish.acme.dns = Some(dns(pebble.dns_command()));
    wish.acme.key = KeyKind::Rsa2048;
    let pair = acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!(pair.facts.names, ["*.shop.test", "shop.test"]);
    assert!(home.path().join("certificates/_wildcard.shop.test/privkey.pem").is_file());
    assert_eq!(edge.presented(), 0);
}

#[tokio::test]
async fn half_of_the_nonces_may_be_refused() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options { nonce_reject: 50, ..Options::default() });
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    for round in 0..3 {
        let names: Vec<String> = (0..5).map(|name| format!("n{name}.r{round}.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let wish = wish(&edge, vec![authority(&pebble)], &names);
        acme::obtain(&wish, &store, &edge).await.unwrap();
    }
    assert_eq!((pebble.orders(), pebble.certificates()), (3, 3));
}

#[test]
fn tasks_of_a_runtime_can_do_it() {
    fn spawned<T: Send>(_: T) {}
    let edge = Edge::open();
    let store = Store::open(tempfile::tempdir().unwrap().path()).unwrap();
    let wish = wish(&edge, Vec::new(), &["shop.test"]);
    spawned(acme::obtain(&wish, &store, &edge));
    spawned(acme::ask(&wish, &store, &edge));
    spawned(acme::revoke(&wish, None, &store, &edge));
}

#[tokio::test]
async fn tasks_that_begin_together_share_an_account() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wishes = ["a.test", "b.test", "c.test"].map(|name| wish(&edge, vec![authority(&pebble)], &[name]));
    let [a, b, c] = &wishes;
    let all = tokio::join!(
        acme::obtain(a, &store, &edge),
        acme::obtain(b, &store, &edge),
        acme::obtain(c, &store, &edge)
    );
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok(), "{all:?}");
    assert_eq!((pebble.orders(), pebble.said("accounts in memory")), (3, 1), "{}", pebble.log());
}
