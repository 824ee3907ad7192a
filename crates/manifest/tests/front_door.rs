//! What the keys of the front door come to: defaults, what a route takes from its site, what is never shown.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Stage;
use model::policy::{Coding, HeaderChange, KeySpec, PolicySpec};
use model::site::TlsSpec;
use model::spec::{HandlerSpec, SiteSpec, StackSpec};

fn spec(text: &str) -> StackSpec {
    Stage::with(text).load().unwrap_or_else(|found| panic!("{found}")).spec
}

/// A stack with one site; `text` has its keys and its routes.
fn site(text: &str) -> SiteSpec {
    spec(&format!("stack = 's'\n[[site]]\n{text}\n[app.web]\nrun = 'python3'\n")).sites.remove(0)
}

fn first(text: &str) -> PolicySpec {
    site(text).routes.remove(0).policy
}

fn said<'a>(policy: &'a PolicySpec, name: &str) -> Vec<&'a HeaderChange> {
    let own = policy.response_headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    own.map(|header| &header.change).collect()
}

/// Whoever deploys says by a variable whether there is HTTPS; written out, an empty address is a mistake.
#[test]
fn a_variable_that_is_empty_is_no_address() {
    let listening = |https: &str| format!("stack = 's'\n[listen]\nhttp = '127.0.0.1:1'\nhttps = {https}\n");
    assert_eq!(spec(&listening("'${NOWHERE:-}'")).https, []);
    assert_eq!(spec(&listening("'${NOWHERE:-127.0.0.1:2}'")).https, ["127.0.0.1:2".parse().unwrap()]);
    assert!(Stage::with(&listening("''")).load().is_err());
}

/// The policy of the pages would let a picture that somebody sent do what a page may.
#[test]
fn what_a_site_says_of_its_pages_does_not_loosen_inert_files() {
    let route = "static = { root = '.', inert = true }";
    let csp = |policy: &PolicySpec| {
        said(policy, "Content-Security-Policy").into_iter().cloned().collect::<Vec<_>>()
    };
    let site = "hosts = 'shop.de'\nheaders = { Content-Security-Policy = 'img-src *' }\n[[site.route]]\n";
    assert!(matches!(&csp(&first(&format!("{site}{route}")))[..], [HeaderChange::Default(_)]));
    assert_eq!(csp(&first(&format!("{site}static = '.'"))), [HeaderChange::Set("img-src *".into())]);
    let own = "headers = { Content-Security-Policy = 'img-src x' }";
    assert_eq!(csp(&first(&format!("{site}{route}\n{own}"))), [HeaderChange::Set("img-src x".into())]);
}

#[test]
fn without_a_word_answers_are_compressed_and_have_security_headers_and_nothing_is_limited() {
    let policy = first("hosts = 'shop.de'\n[[site.route]]\napp = 'web'");
    let names: Vec<_> = policy.response_headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Cache-Control",
            "Content-Security-Policy",
            "Referrer-Policy",
            "Strict-Transport-Security",
            "X-Content-Type-Options",
            "X-Frame-Options",
            "X-XSS-Protection"
        ]
    );
    assert!(policy.response_headers.iter().all(|header| matches!(header.change, HeaderChange::Default(_))));
    let of = |name: &str| policy.response_headers.iter().find(|header| header.name == name).unwrap();
    assert!(of("Strict-Transport-Security").https_only && !of("X-Frame-Options").https_only);
    assert_eq!(of("Cache-Control").paths, ["/_next/static/*"]);
    let compress = policy.compress.unwrap();
    assert_eq!(compress.codings, [Coding::Br, Coding::Zstd, Coding::Gzip]);
    assert!(compress.types.iter().any(|own| own == "text/html") && compress.min == 1024);
    assert!(policy.rates.is_empty() && policy.concurrency.is_empty() && policy.cors.is_none());
}

#[test]
fn no_hsts_for_local_names_nor_for_sites_without_tls() {
    for (hosts, tls, sent) in [
        ("['shop.de', '*.shop.de']", "true", true),
        ("['shop.de']", "false", false),
        ("['shop.localhost']", "true", false),
        ("['10.0.0.1']", "true", false),
        ("['*']", "true", false),
        ("['shop.de', 'shop.test']", "true", false),
    ] {
        let policy = first(&format!("hosts = {hosts}\ntls = {tls}\n[[site.route]]\nredirect = '/'"));
        assert_eq!(!said(&policy, "Strict-Transport-Security").is_empty(), sent, "{hosts} {tls}");
    }
}

#[test]
fn what_the_user_says_of_a_header_replaces_the_default_and_a_route_adds_to_its_site() {
    let site = site(
        "hosts = 'shop.de'\nheaders = { x-frame-options = 'DENY', Server = false, A = '1' }
[[site.route]]\npath = '/a'\nredirect = '/'\nheaders = { A = '2', X-XSS-Protection = false }
[[site.route]]\nredirect = '/'\nsecurity_headers = false",
    );
    let [one, two] = &site.routes[..] else { panic!() };
    assert_eq!(said(&one.policy, "X-Frame-Options"), [&HeaderChange::Set("DENY".into())]);
    assert_eq!(said(&one.policy, "X-XSS-Protection"), [&HeaderChange::Remove]);
    assert_eq!(said(&one.policy, "A"), [&HeaderChange::Set("2".into())]);
    assert_eq!(said(&one.policy, "Server"), [&HeaderChange::Remove]);
    assert_eq!(said(&two.policy, "A"), [&HeaderChange::Set("1".into())]);
    assert_eq!(two.policy.response_headers.len(), 3);
}

#[test]
fn a_key_of_a_route_stands_in_the_place_of_its_sites_and_false_takes_it_away() {
    let site = site(
        "hosts = 'shop.de'\nlimit = '10/s'\ncors = 'https://a.de'\nbody = '1KiB'\nallow = '10.0.0.0/8'\ndeny = '10.0.0.1'
[[site.route]]\npath = '/a'\nredirect = '/'
[[site.route]]\npath = '/b'\nredirect = '/'\nlimit = '2/s'\ncors = false\nallow = []\nbody = 7
[[site.route]]\nredirect = '/'\nlimit = false",
    );
    let [a, b, c] = &site.routes[..] else { panic!() };
    let rate = &a.policy.rates[0];
    assert_eq!((rate.count, rate.per_ms, rate.burst, rate.status), (10, 1000, 9, 429));
    assert_eq!((rate.zone.as_str(), &rate.by), ("s/shop.de", &KeySpec::Client));
    assert_eq!(b.policy.rates[0].zone, "s/shop.de/b");
    assert!(a.policy.cors.is_some() && b.policy.cors.is_none() && c.policy.rates.is_empty());
    assert_eq!((a.body_limit, b.body_limit), (1024, 7));
    assert_eq!((a.policy.access.allow.len(), b.policy.access.allow.len()), (1, 0));
    assert_eq!(b.policy.access.deny.len(), 1);
}

#[test]
fn a_list_of_methods_lets_heads_and_preflights_pass() {
    let policy = first(
        "hosts = 'a.de'\nmethods = ['GET', 'POST']\ncors = 'https://a.de'\n[[site.route]]\nredirect = '/'",
    );
    assert_eq!(policy.methods, ["GET", "HEAD", "POST", "OPTIONS"]);
}

#[test]
fn origins_come_from_one_variable_with_commas() {
    let policy = first("hosts = 'a.de'\ncors = '${ORIGINS}'\n[[site.route]]\nredirect = '/'");
    assert_eq!(policy.cors.unwrap().origins, ["https://a.example", "https://b.example:8443"]);
}

#[test]
fn files_are_prepared_as_the_route_compresses() {
    let site = site(
        "hosts = 'a.de'\n[[site.route]]\npath = '/a'\nstatic = 'public'\ncompress = false
[[site.route]]\npath = '/b'\nstatic = { root = 'public', compress = ['gzip'] }\ncompress = false
[[site.route]]\nstatic = { root = 'public', compress = false }",
    );
    let codings: Vec<usize> = site
        .routes
        .iter()
        .map(|route| match &route.handler {
            HandlerSpec::Static(files) => files.codings.len(),
            _ => panic!(),
        })
        .collect();
    assert_eq!(codings, [0, 1, 0]);
}

#[test]
fn where_a_certificate_comes_from() {
    let of = |tls: &str| {
        let own = site(&format!("hosts = 'a.de'\n{tls}\n[[site.route]]\nredirect = '/'"));
        (own.tls, own.https_redirect)
    };
    assert_eq!(of(""), (TlsSpec::Local, true));
    assert_eq!(of("tls = 'local'\nhttps_redirect = false"), (TlsSpec::Local, false));
    assert_eq!(of("tls = false"), (TlsSpec::Off, false));
    let (tls, _) = of("tls = { cert = 'cert.pem', key = 'key.pem' }");
    assert!(matches!(tls, TlsSpec::Files { cert, key } if cert.ends_with("cert.pem") && key.is_absolute()));
}

#[test]
fn hashes_of_passwords_are_read_from_everywhere_and_shown_nowhere() {
    let text = "hosts = 'a.de'\n[[site.route]]\nredirect = '/'\n\
        basic_auth = { users = { anna = '${HASH}', carla = { file = 'hash' } }, file = 'users' }";
    let spec = spec(&format!("[[site]]\n{text}"));
    let users = &spec.sites[0].routes[0].policy.basic_auth.as_ref().unwrap().users;
    let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["anna", "berta", "carla"]);
    assert!(users.iter().all(|user| user.hash == common::HASH));
    let salt = "c29tZXNhbHRoZXJlMTIzNA";
    assert!(!manifest::effective(&spec).contains(salt) && !format!("{spec:?}").contains(salt));
    let found =
        Stage::with(&format!("[[site]]\n{text}\nx = 1\nlimit = 3\n").replace("${HASH}", "hunter2")).load();
    assert!(!found.unwrap_err().render(false).contains("hunter2"));
}

#[test]
fn the_old_form_of_a_route_means_what_it_meant() {
    let site = site("hosts = 'a.de'\n[[site.route]]\nproxy = 'http://localhost:3000/'");
    let HandlerSpec::Proxy(proxy) = &site.routes[0].handler else { panic!() };
    assert_eq!((proxy.servers.len(), proxy.servers[0].weight, &proxy.health), (1, 1, &None));
}
