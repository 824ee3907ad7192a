//! A restart in the middle of an order: the next keeper goes on with it, and the authority sees no second one. Where an answer has to be
//! lost on its way, `support::front` loses it; the authority is pebble.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use certs::acme::{self, Host, Store};
use std::time::Duration;
use support::front::Front;
use support::{Edge, authority, pebble, wish};
use testkit::pebble::Options;

/// Begins, and is dropped as soon as this is so.
async fn dropped(wish: &acme::Wish, store: &Store, edge: &Edge, when: impl Fn() -> bool) {
    let stopped = async {
        while !when() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        done = acme::obtain(wish, store, edge) => panic!("it was not dropped: {done:?}"),
        () = stopped => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("it never came so far"),
    }
}

#[tokio::test]
async fn an_order_goes_on_after_a_restart_before_names_were_proved() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options { nonce_reject: 20, ..Options::default() });
    let home = tempfile::tempdir().unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test", "www.shop.test"]);
    edge.hang(true);
    dropped(&wish, &Store::open(home.path()).unwrap(), &edge, || edge.presented() == 1).await;
    edge.hang(false);

    let store = Store::open(home.path()).unwrap();
    let held = store.look(&wish.names).unwrap().unwrap();
    assert_eq!(held.meta.order.as_ref().map(|order| order.names.len()), Some(2));
    assert_eq!(acme::due(&wish, Some(&held), edge.now()), acme::Due::Now);
    acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!((pebble.orders(), pebble.certificates()), (1, 1));
    assert_eq!(store.look(&wish.names).unwrap().unwrap().meta.order, None);
}

#[tokio::test]
async fn an_order_goes_on_after_a_restart_behind_finalise() {
    for lost in ["/finalize-order", "/certZ/"] {
        let edge = Edge::open();
        let pebble = pebble(&edge, Options::default());
        let front = Front::before(&pebble);
        let home = tempfile::tempdir().unwrap();
        let mut authority = authority(&pebble);
        authority.directory = front.directory();
        let wish = wish(&edge, vec![authority], &["shop.test"]);
        front.lose(Some(lost));
        // The authority has signed; whoever ordered it does not live to hear it.
        let store = Store::open(home.path()).unwrap();
        dropped(&wish, &store, &edge, || pebble.certificates() == 1).await;
        front.lose(None);

        let pair = acme::obtain(&wish, &Store::open(home.path()).unwrap(), &edge).await.unwrap();
        assert_eq!(pair.facts.names, ["shop.test"]);
        assert_eq!((pebble.orders(), pebble.certificates()), (1, 1), "behind {lost}");
        assert!(!home.path().join("certificates/shop.test/order.key").exists());
    }
}

#[tokio::test]
async fn an_order_that_the_authority_forgot_is_placed_anew_with_another_account() {
    let edge = Edge::open();
    let first = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let mut one = authority(&first);
    let kept = home.path().join("root.pem");
    std::fs::copy(first.root(), &kept).unwrap();
    one.root = Some(kept.clone());
    let wish = wish(&edge, vec![one], &["shop.test"]);
    edge.hang(true);
    dropped(&wish, &store, &edge, || edge.presented() == 1).await;
    edge.hang(false);

    // Another one in its place, with an empty memory.
    let port = first.port();
    drop(first);
    let second = pebble(&edge, Options { port: Some(port), ..Options::default() });
    std::fs::copy(second.root(), &kept).unwrap();
    acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!(second.orders(), 1);
}
