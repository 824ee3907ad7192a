//! What goes wrong with an authority, and what is said of it: one clear message each, nothing stored is touched, and the next try is at a
//! time of the injected clock. The authority is pebble; where it has to misbehave, `support::front` does it in its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use certs::acme::limits::{Limits, Rate};
use certs::acme::{self, Due, Failure, Host, Retry, Store};
use model::acme::{ChallengeKind, EabSpec};
use model::secret::Secret;
use model::spec::EnvValue;
use std::time::Duration;
use support::front::Front;
use support::{Edge, authority, by, pebble, wish};
use testkit::pebble::Options;

const DAY: Duration = Duration::from_secs(86400);

/// The wait until the next try, in seconds.
fn wait(failure: &Failure, edge: &Edge) -> u64 {
    match failure.retry {
        Retry::At(time) => time.duration_since(edge.now()).unwrap().as_secs(),
        Retry::Never => panic!("never: {failure}"),
    }
}

#[track_caller]
fn says(failure: &Failure, parts: &[&str]) {
    for part in parts {
        assert!(failure.cause.contains(part), "{part:?} is not in {:?}", failure.cause);
    }
}

#[tokio::test]
async fn a_name_that_is_not_proved_three_times_and_then_is() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test", "www.shop.test"]);
    edge.set_clock(edge.now());
    edge.hide(3);
    for (failures, seconds) in [(1, 60), (2, 120), (3, 240)] {
        let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
        says(
            &failure,
            &["localhost:", "shop.test: urn:ietf:params:acme:error:", "does it lead to this host"],
        );
        let waits = wait(&failure, &edge);
        assert!(waits >= seconds * 79 / 100 && waits <= seconds * 121 / 100, "{waits} of {seconds}");
        let held = store.look(&wish.names).unwrap().unwrap();
        assert_eq!((held.meta.failures, held.meta.error.as_ref()), (failures, Some(&failure.cause)));
        let Due::At(then) = acme::due(&wish, Some(&held), edge.now()) else { panic!("not waited for") };
        assert_eq!(Retry::At(then), failure.retry);
        edge.set_clock(then);
        assert_eq!(acme::due(&wish, Some(&held), edge.now()), Due::Now);
    }
    acme::obtain(&wish, &store, &edge).await.unwrap();
    let meta = store.look(&wish.names).unwrap().unwrap().meta;
    assert_eq!((meta.failures, meta.error, meta.next_try), (0, None, None));
    assert_eq!(pebble.orders(), 4);
}

#[tokio::test]
async fn another_way_of_proof_is_tried_with_another_order() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test"]);
    edge.hide(1);
    let wish = by(&wish, &[ChallengeKind::Http01, ChallengeKind::TlsAlpn01]);
    acme::obtain(&wish, &store, &edge).await.unwrap();
    assert_eq!((pebble.orders(), edge.presented()), (2, 2));
}

#[tokio::test]
async fn the_next_authority_is_asked_where_one_is_down_refuses_or_is_full() {
    let edge = Edge::open();
    let second = pebble(&edge, Options::default());
    let first = pebble(&edge, Options { blocked: vec!["shop.test".to_owned()], ..Options::default() });
    let busy = Front::before(&first);
    let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many orders"}"#;
    busy.instead("/order-plz", 429, "Retry-After: 7200\r\n", problem);
    let mut full = authority(&first);
    full.directory = busy.directory();
    let mut down = authority(&first);
    down.directory = format!("https://localhost:{}/dir", testkit::free_port());
    for (name, one) in [("a.test", down), ("shop.test", authority(&first)), ("b.test", full.clone())] {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let wish = wish(&edge, vec![one, authority(&second)], &[name]);
        acme::obtain(&wish, &store, &edge).await.unwrap();
        let meta = store.look(&wish.names).unwrap().unwrap().meta;
        assert_eq!(meta.directory, Some(second.directory()), "{name}");
    }
    assert_eq!(second.certificates(), 3);

    // Alone, it is asked again when it says so.
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    edge.set_clock(edge.now());
    let failure =
        acme::obtain(&wish(&edge, vec![full.clone()], &["b.test"]), &store, &edge).await.unwrap_err();
    says(&failure, &["rateLimited: too many orders"]);
    assert_eq!(wait(&failure, &edge), 7200);
    busy.instead("/order-plz", 429, &format!("Retry-After: {}\r\n", u64::MAX), problem);
    let failure = acme::obtain(&wish(&edge, vec![full], &["b.test"]), &store, &edge).await.unwrap_err();
    assert_eq!(wait(&failure, &edge), 7 * 86400, "bounded");
}

#[tokio::test]
async fn what_is_stored_is_untouched_by_a_failure() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options { validity: Some(7 * 86400), ..Options::default() });
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test"]);
    let pair = acme::obtain(&wish, &store, &edge).await.unwrap();
    let held = store.look(&wish.names).unwrap().unwrap();
    let Due::At(renewal) = acme::due(&wish, Some(&held), edge.now()) else { panic!("no renewal") };
    assert!(renewal > edge.now() + DAY * 2 && renewal < edge.now() + DAY * 4, "half of a short life");

    edge.set_clock(renewal);
    assert_eq!(acme::due(&wish, Some(&held), edge.now()), Due::Now);
    edge.break_with("the edge is down");
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    says(&failure, &["the edge is down"]);
    let held = Store::open(home.path()).unwrap().look(&wish.names).unwrap().unwrap();
    assert_eq!((held.pair, held.meta.failures), (Some(pair), 1));
}

#[tokio::test]
async fn each_fault_of_an_authority_is_called_by_its_name() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let front = Front::before(&pebble);
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let good = authority(&pebble);
    let with = |directory: String| model::acme::AuthoritySpec { directory, ..good.clone() };
    let fails = async |authority, parts: &[&str]| {
        let wish = wish(&edge, vec![authority], &["shop.test"]);
        let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
        says(&failure, parts);
    };
    let closed = testkit::free_port();
    fails(
        with(format!("https://localhost:{closed}/dir")),
        &["cannot be reached: ", "refused", "`authority`"],
    )
    .await;
    fails(with("https://no-such-name.invalid/dir".to_owned()), &["its name is not found"]).await;
    fails(with("http://localhost/dir".to_owned()), &["does not begin with https://"]).await;
    let lost = pebble.directory().replace("/dir", "/nowhere");
    fails(with(lost), &["its directory answers with status 404", "give the URL of its ACME directory"]).await;
    front.instead("/dir", 200, "Content-Type: text/html\r\n", "<html>Welcome</html>");
    fails(with(front.directory()), &["what is no JSON"]).await;
    front.instead("/dir", 200, "", "{\"issuer\": \"somebody\"}");
    fails(with(front.directory()), &["no ACME directory"]).await;
    front.instead("/dir", 301, "Location: https://elsewhere.test/\r\n", "");
    fails(with(front.directory()), &["leads on to https://elsewhere.test/"]).await;
    front.instead("/dir", 503, "", "<html>Under repair</html>");
    fails(with(front.directory()), &["status 503", "status page"]).await;

    // A root of somebody else's; none that can be read; the host's own.
    let other = support::pebble(&edge, Options::default());
    let root = |root| model::acme::AuthoritySpec { root, ..good.clone() };
    fails(root(Some(other.root())), &["of a root that is not trusted here", "`root`"]).await;
    fails(root(Some(home.path().join("none.pem"))), &["none.pem cannot be read"]).await;
    fails(root(Some(pebble.folder().join("pebble.json"))), &["pebble.json holds no certificate"]).await;
    assert_eq!(pebble.orders(), 0);
}

#[tokio::test]
async fn a_clock_that_is_far_off_is_named_with_both_times() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wish = wish(&edge, vec![authority(&pebble)], &["shop.test"]);
    // The directory's own certificate is valid from 1975 to 4096.
    for (year, part) in
        [("1971-02-03T04:05:06Z", "is valid only from 1975"), ("4099-02-03T04:05:06Z", "has expired on 409")]
    {
        let now: jiff::Timestamp = year.parse().unwrap();
        edge.set_clock(now.into());
        let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
        says(&failure, &[part, "this machine's clock, which says ", &year[..16], "set this machine's clock"]);
    }
}

#[tokio::test]
async fn an_external_account_is_bound_and_its_key_is_never_shown() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let edge = Edge::open();
    let external = vec![("kid-1".to_owned(), key.to_owned())];
    let pebble = pebble(&edge, Options { external, ..Options::default() });
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let mut wish = wish(&edge, vec![authority(&pebble)], &["shop.test"]);
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    says(&failure, &["externalAccountRequired", "`eab`"]);

    let secret = |text: &str| EnvValue::Secret(Secret::new(text.to_owned()));
    for wrong in ["not base64!", "c29tZWJvZHkgZWxzZSdzIGtleSB0aGF0IGlzIG5vdCBvdXJz"] {
        wish.acme.authorities[0].eab = Some(EabSpec { key_id: "kid-1".to_owned(), hmac_key: secret(wrong) });
        let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
        assert!(!failure.cause.contains(wrong) && !format!("{wish:?}{store:?}").contains(wrong), "{failure}");
    }
    // Who mends it does not wait for what was wrong before.
    wish.acme.authorities[0].eab = Some(EabSpec { key_id: "kid-1".to_owned(), hmac_key: secret(key) });
    let held = store.look(&wish.names).unwrap().unwrap();
    assert_eq!((held.meta.failures, acme::due(&wish, Some(&held), edge.now())), (3, Due::Now));
    acme::obtain(&wish, &store, &edge).await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_not_tried() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let wildcard = wish(&edge, vec![authority(&pebble)], &["*.shop.test"]);
    let failure = acme::obtain(&wildcard, &store, &edge).await.unwrap_err();
    says(&failure, &["*.shop.test can only be proved by DNS-01: give `dns`"]);
    assert_eq!(failure.retry, Retry::Never);
    let held = store.look(&wildcard.names).unwrap();
    assert_eq!(acme::due(&wildcard, held.as_ref(), edge.now() + DAY * 365), Due::Never);
    // Another wish is another matter.
    let mut mended = wildcard;
    mended.acme.dns = Some(support::dns(pebble.dns_command()));
    assert_eq!(acme::due(&mended, held.as_ref(), edge.now()), Due::Now);
    acme::obtain(&mended, &store, &edge).await.unwrap();
}

#[tokio::test]
async fn a_command_for_records_that_fails_is_quoted_without_its_secrets() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let mut wish = by(&wish(&edge, vec![authority(&pebble)], &["shop.test"]), &[ChallengeKind::Dns01]);
    let shell = |text: &str| ["sh", "-c", text].map(str::to_owned).to_vec();
    let mut dns = support::dns(shell("echo \"$TOKEN does not open $2 $1\" >&2; exit 3"));
    dns.env.insert("TOKEN".to_owned(), EnvValue::Secret(Secret::new("hunter2".to_owned())));
    wish.acme.dns = Some(dns.clone());
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    says(
        &failure,
        &["sh set _acme-challenge.shop.test", "does not open", "exit status: 3", "run it by hand"],
    );
    assert!(!failure.cause.contains("hunter2"), "{failure}");

    dns.command = shell("echo started; sleep 600");
    dns.timeout = Duration::from_millis(300);
    wish.acme.dns = Some(dns);
    let failure = acme::obtain(&wish, &store, &edge).await.unwrap_err();
    says(&failure, &["was not done after 0.3 s"]);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_named_and_left_as_it_is() {
    let edge = Edge::open();
    let pebble = pebble(&edge, Options::default());
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let good = wish(&edge, vec![authority(&pebble)], &["good.test"]);
    let bad = wish(&edge, vec![authority(&pebble)], &["bad.test"]);
    for wish in [&good, &bad] {
        acme::obtain(wish, &store, &edge).await.unwrap();
    }
    let (meta, key) = (home.path().join("certificates/bad.test/meta.json"), store.files(&bad.names).1);
    for (path, content) in [(&key, "no key"), (&meta, "{ \"names\": 7 ")] {
        let before = std::fs::read(path).unwrap();
        sys::durable::write(path, content.as_bytes(), 0o600).unwrap();
        let error = store.look(&bad.names).unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        let failure = acme::obtain(&bad, &store, &edge).await.unwrap_err();
        says(&failure, &["the store of certificates cannot be used", &path.display().to_string()]);
        assert!(wait(&failure, &edge) > 0);
        assert_eq!(std::fs::read_to_string(path).unwrap(), content, "left as it is");
        // The others are served all the same.
        let entries = store.entries().unwrap();
        let usable: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.held.is_ok())).collect();
        assert_eq!(usable, [("bad.test", false), ("good.test", true)]);
        sys::durable::write(path, &before, 0o600).unwrap();
    }
    assert!(store.look(&bad.names).unwrap().unwrap().pair.is_some());
    // An account that is broken is named, too.
    let account = std::fs::read_dir(home.path().join("accounts")).unwrap().next().unwrap().unwrap().path();
    sys::durable::write(&account, b"{\"key\": \"hunter2\"}", 0o600).unwrap();
    let failure = acme::obtain(&good, &store, &edge).await.unwrap_err();
    says(&failure, &[&account.display().to_string(), "another account is made then"]);
    assert!(!failure.cause.contains("hunter2"));
    assert_eq!(pebble.orders(), 2);
}

#[tokio::test]
async fn an_authority_s_limits_are_kept_by_this_host_and_the_next_authority_is_asked() {
    let edge = Edge::open();
    let (first, second) = (pebble(&edge, Options::default()), pebble(&edge, Options::default()));
    let home = tempfile::tempdir().unwrap();
    let rate = |most| Rate { most, per: DAY };
    let limits = Limits { orders: rate(9), certificates: rate(2), duplicates: rate(9), failures: rate(3) };
    let store = || Store::open(home.path()).unwrap().limited(&first.directory(), limits);
    edge.set_clock(edge.now());
    for name in ["a.shop.test", "b.shop.test"] {
        acme::obtain(&wish(&edge, vec![authority(&first)], &[name]), &store(), &edge).await.unwrap();
    }
    let third = wish(&edge, vec![authority(&first)], &["c.shop.test"]);
    let failure = acme::obtain(&third, &store(), &edge).await.unwrap_err();
    says(&failure, &["it takes 2 certificates for shop.test in 24 h", "the order waits"]);
    assert!((43199..=43200).contains(&wait(&failure, &edge)), "{failure:?}");
    assert_eq!(first.orders(), 2, "not asked");

    let either = wish(&edge, vec![authority(&first), authority(&second)], &["c.shop.test"]);
    acme::obtain(&either, &store(), &edge).await.unwrap();
    assert_eq!((first.orders(), second.orders()), (2, 1));

    // Failed validations of a name.
    let other = wish(&edge, vec![authority(&first)], &["other.test"]);
    edge.hide(3);
    for _ in 0..3 {
        acme::obtain(&other, &store(), &edge).await.unwrap_err();
    }
    let failure = acme::obtain(&other, &store(), &edge).await.unwrap_err();
    says(&failure, &["3 failed validations of other.test"]);
    edge.go_on(DAY / 3);
    acme::obtain(&other, &store(), &edge).await.unwrap();
}
