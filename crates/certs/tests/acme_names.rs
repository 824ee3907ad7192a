//! Names are looked at before anything is ordered: do they lead to this host? The resolver is the test's own, the rest is pebble and
//! loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use certs::acme::{self, Due, Host, Retry, Store, Wish};
use model::acme::ChallengeKind;
use std::time::Duration;
use support::{Edge, authority, pebble, wish};
use testkit::pebble::{Options, Pebble};

fn scene() -> (Edge, Pebble, tempfile::TempDir) {
    let edge = Edge::open();
    edge.set_clock(edge.now());
    let pebble = pebble(&edge, Options::default());
    (edge, pebble, tempfile::tempdir().unwrap())
}

fn checked(edge: &Edge, pebble: &Pebble, names: &[&str]) -> Wish {
    let mut wish = wish(edge, vec![authority(pebble)], names);
    wish.acme.check_names = true;
    wish
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_stops_the_order_and_both_values_are_shown() {
    let (edge, pebble, home) = scene();
    let store = Store::open(home.path()).unwrap();
    // Nobody is at the first address; at the second one, an own one, somebody else answers.
    let stranger = std::net::TcpListener::bind(("127.0.0.7", edge.doors.http.unwrap())).unwrap();
    std::thread::spawn(move || {
        for mut socket in stranger.incoming().flatten() {
            use std::io::{Read, Write};
            let _ = socket.read(&mut [0; 1024]);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        }
    });
    edge.leads("shop.test", &["127.0.0.1", "192.0.2.9"]);
    edge.leads("www.shop.test", &["127.0.0.7"]);
    edge.leads("good.shop.test", &["127.0.0.1"]);
    let wish = checked(&edge, &pebble, &["shop.test", "www.shop.test", "good.shop.test", "none.shop.test"]);
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    let own = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = match own.connect("192.0.2.9:9") {
        Ok(()) => own.local_addr().unwrap().ip().to_string(),
        Err(_) => "without IPv4".to_owned(),
    };
    for part in [
        format!("shop.test leads to 192.0.2.9, this host is {own}"),
        "www.shop.test leads to this host (127.0.0.7), but port".to_owned(),
        "answers with what is not ours (status 200)".to_owned(),
        "none.shop.test leads nowhere".to_owned(),
        "check_names = false".to_owned(),
    ] {
        assert!(failure.cause.contains(&part), "{part:?} is not in {failure}");
    }
    assert!(!failure.cause.contains("good.shop.test"), "{failure}");
    assert_eq!((pebble.orders(), edge.served()), (0, 0));

    for name in ["shop.test", "www.shop.test", "none.shop.test"] {
        edge.leads(name, &["127.0.0.1"]);
    }
    acme::obtain(&wish, &store, &edge).await.unwrap();
}

#[tokio::test]
async fn a_name_is_waited_for_an_hour_and_ordered_as_soon_as_it_leads_here() {
    let (edge, pebble, home) = scene();
    let store = Store::open(home.path()).unwrap();
    let mut wish = checked(&edge, &pebble, &["late.test"]);
    wish.acme.wait = Duration::from_secs(3600);
    let begun = edge.now();
    let mut waits = Vec::new();
    while edge.now() < begun + wish.acme.wait {
        let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
        assert!(failure.cause.contains("late.test leads nowhere"), "{failure}");
        assert!(failure.cause.contains("waited for, up to 60 minutes"), "{failure}");
        let Retry::At(then) = failure.retry else { panic!("never: {failure}") };
        waits.push(then.duration_since(edge.now()).unwrap().as_secs());
        let held = store.look(&wish.names).unwrap().unwrap();
        assert_eq!((held.meta.failures, acme::due(&wish, Some(&held), edge.now())), (0, Due::At(then)));
        edge.set_clock(then);
    }
    assert_eq!((waits[0], *waits.iter().max().unwrap()), (30, 300), "{waits:?}");
    // After that it is a failure like others; and an order as soon as the name is there.
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    assert!(!failure.cause.contains("waited for"), "{failure}");
    assert_eq!(store.look(&wish.names).unwrap().unwrap().meta.failures, 1);
    edge.leads("late.test", &["127.0.0.1"]);
    acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!(store.look(&wish.names).unwrap().unwrap().meta.waiting_since, None);
}

#[tokio::test]
async fn what_is_proved_by_a_record_need_not_lead_here() {
    let (edge, pebble, home) = scene();
    let store = Store::open(home.path()).unwrap();
    let mut wish = checked(&edge, &pebble, &["*.shop.test", "shop.test"]);
    wish.acme.challenges = vec![ChallengeKind::Dns01];
    wish.acme.dns = Some(support::dns(pebble.dns_command()));
    acme::obtain(&wish, &store, &edge).await.unwrap();
}
