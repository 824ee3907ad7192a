//! Renewal by the authority's own word, profiles, addresses, revocation, another account key. Pebble 2.4 knows neither RFC 9773 nor profiles:
//! `support::front`, a server of these tests' own, adds both from their texts; all else is pebble.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use certs::acme::{self, Due, Host, Store};
use jiff::{Timestamp, ToSpan};
use model::acme::AuthoritySpec;
use std::time::{Duration, SystemTime};
use support::front::Front;
use support::{Edge, authority, pebble, wish};
use testkit::pebble::{Options, Pebble};

const HOUR: Duration = Duration::from_secs(3600);

struct Scene {
    edge: Edge,
    pebble: Pebble,
    front: Front,
    authority: AuthoritySpec,
    home: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let edge = Edge::open();
        edge.set_clock(edge.now());
        let pebble = pebble(&edge, Options { validity: Some(90 * 86400), ..Options::default() });
        let front = Front::before(&pebble);
        let authority = AuthoritySpec { directory: front.directory(), ..authority(&pebble) };
        Self { edge, pebble, front, authority, home: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> Store {
        Store::open(self.home.path()).unwrap()
    }

    /// Suggests a window that begins and ends so many hours from now.
    fn suggest(&self, start: i64, end: i64, again: Option<u64>) {
        let now = Timestamp::try_from(self.edge.now()).unwrap();
        let at = |hours: i64| (now + hours.hours()).to_string();
        self.front.suggest(&at(start), &at(end), again);
    }

    fn due(&self, wish: &acme::Wish) -> Due {
        acme::due(wish, self.store().look(&wish.names).unwrap().as_ref(), self.edge.now())
    }
}

fn at(due: Due) -> SystemTime {
    match due {
        Due::At(time) => time,
        due => panic!("{due:?}"),
    }
}

#[tokio::test]
async fn the_authority_s_window_decides_and_a_new_order_names_what_it_replaces() {
    let scene = Scene::new();
    let wish = wish(&scene.edge, vec![scene.authority.clone()], &["shop.test"]);
    scene.suggest(1000, 1010, Some(7200));
    acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(scene.front.orders()[0].get("replaces"), None);
    let begun = scene.edge.now();
    let renewal = scene.store().look(&wish.names).unwrap().unwrap().meta.renew.unwrap();
    assert!(renewal >= begun + HOUR * 999 && renewal <= begun + HOUR * 1011);

    // Asked again when it said so, and no sooner.
    assert_eq!(at(scene.due(&wish)), begun + HOUR * 2);
    scene.edge.set_clock(begun + HOUR * 2);
    assert_eq!(scene.due(&wish), Due::Ask);
    acme::ask(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(scene.store().look(&wish.names).unwrap().unwrap().meta.renew, Some(renewal), "kept");

    // No word for once is no reason to change anything.
    scene.edge.go_on(HOUR * 2);
    scene.front.instead("/renewal-info", 500, "", "");
    assert_eq!(scene.due(&wish), Due::Ask);
    acme::ask(&wish, &scene.store(), &scene.edge).await.unwrap();
    let meta = scene.store().look(&wish.names).unwrap().unwrap().meta;
    assert_eq!((meta.renew, meta.error), (Some(renewal), None));
    scene.front.pass();

    // It revokes: a window in the past. The order that follows says what it replaces.
    scene.suggest(-20, -10, None);
    scene.edge.go_on(HOUR * 24);
    assert_eq!(scene.due(&wish), Due::Ask);
    acme::ask(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(scene.due(&wish), Due::Now);
    let asked = scene.front.asked();
    scene.suggest(1000, 1010, Some(60));
    acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(scene.front.orders()[1]["replaces"], asked[0].as_str());
    assert_ne!(scene.front.asked().last(), Some(&asked[0]), "of another certificate");
    assert!(matches!(scene.due(&wish), Due::At(_)));

    // The pair before is there until the new one is served.
    let former = scene.home.path().join("certificates/shop.test/former-privkey.pem");
    assert!(former.exists());
    scene.store().served(&wish.names).unwrap();
    assert!(!former.exists());
}

#[tokio::test]
async fn an_order_whose_replacement_is_refused_is_placed_without() {
    let scene = Scene::new();
    let wish = wish(&scene.edge, vec![scene.authority.clone()], &["shop.test"]);
    scene.suggest(-20, -10, None);
    acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    scene.front.refuse_replacement();
    acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(scene.pebble.certificates(), 2);
}

#[tokio::test]
async fn a_profile_is_asked_for_and_another_one_is_another_certificate() {
    let scene = Scene::new();
    scene.front.offer(&["classic", "shortlived"]);
    let mut wish = wish(&scene.edge, vec![scene.authority.clone()], &["127.0.0.1"]);
    wish.site.profile = Some("shortlived".to_owned());
    let pair = acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_eq!(pair.facts.names, ["127.0.0.1"]);
    let order = &scene.front.orders()[0];
    assert_eq!((&order["profile"], &order["identifiers"][0]["type"]), (&"shortlived".into(), &"ip".into()));
    assert!(matches!(scene.due(&wish), Due::At(_)));
    wish.site.profile = Some("classic".to_owned());
    assert_eq!(scene.due(&wish), Due::Now);

    // One that it does not have is refused before anything is ordered.
    wish.site.profile = Some("classy".to_owned());
    let failure = acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap_err();
    assert!(failure.cause.contains("has no profile classy; it has classic, shortlived"), "{failure}");
    assert_eq!(scene.pebble.orders(), 1);
}

#[tokio::test]
async fn what_is_revoked_is_replaced_and_served_until_then() {
    let scene = Scene::new();
    let wish = wish(&scene.edge, vec![scene.authority.clone()], &["shop.test"]);
    let nothing = acme::revoke(&wish, None, &scene.store(), &scene.edge).await.unwrap_err();
    assert!(nothing.cause.contains("no certificate"), "{nothing}");
    let first = acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert!(matches!(scene.due(&wish), Due::At(_)));
    let reason = Some(acme::RevocationReason::KeyCompromise);
    for _ in 0..2 {
        acme::revoke(&wish, reason.clone(), &scene.store(), &scene.edge).await.unwrap();
    }
    assert_eq!(scene.store().look(&wish.names).unwrap().unwrap().pair.as_ref(), Some(&first));
    assert_eq!(scene.due(&wish), Due::Now);
    let second = acme::obtain(&wish, &scene.store(), &scene.edge).await.unwrap();
    assert_ne!(first.key, second.key);
    assert!(matches!(scene.due(&wish), Due::At(_)));
}

#[tokio::test]
async fn an_account_gets_another_key_and_goes_on_with_it() {
    let scene = Scene::new();
    let first = wish(&scene.edge, vec![scene.authority.clone()], &["a.test"]);
    acme::obtain(&first, &scene.store(), &scene.edge).await.unwrap();
    let accounts = || {
        let folder = std::fs::read_dir(scene.home.path().join("accounts")).unwrap();
        folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<Vec<_>>()
    };
    let before = accounts();
    acme::roll_over(&scene.authority, &scene.store(), &scene.edge).await.unwrap();
    assert!(accounts().len() == 1 && accounts() != before);
    let second = wish(&scene.edge, vec![scene.authority.clone()], &["b.test"]);
    acme::obtain(&second, &scene.store(), &scene.edge).await.unwrap();
    // The same account: it can still revoke what it had before.
    acme::revoke(&first, None, &scene.store(), &scene.edge).await.unwrap();
}
