//! Which certificates a snapshot gets, and when it gets others.

use super::*;
use crate::stack::tests::{app, spec, stack};
use certs::local::LocalAuthority;
use model::spec::{Listen, StackSpec};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn secure(tls: TlsSpec) -> Stack {
    let mut stack = stack(spec(&[("web", app("web", Listen::AnyPort))]));
    let active = stack.active.as_mut().unwrap();
    let mut spec = StackSpec::clone(&active.spec);
    spec.sites[0].tls = tls;
    spec.https = vec!["127.0.0.1:8443".parse().unwrap()];
    active.spec = Arc::new(spec);
    stack
}

fn write(path: &Path, text: &str) {
    sys::durable::write(path, text.as_bytes(), 0o600).unwrap();
}

fn keep(certificates: &mut Certificates, stack: &Stack) {
    certificates.keep([stack].into_iter(), SystemTime::now());
}

/// None yet, in a folder.
fn certificates(folder: &Path) -> Certificates {
    Certificates::new(folder.join("certs"), mpsc::channel(1).0, TaskTracker::new())
}

fn look(certificates: &mut Certificates, stack: &Stack) {
    certificates.look(SystemTime::now());
    keep(certificates, stack);
}

/// The same site with a certificate, and a snapshot made of it.
#[test]
fn the_edge_gets_doors_certificates_and_ticket_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = certificates(folder.path());
    let stack = secure(TlsSpec::Local);
    keep(&mut certificates, &stack);
    let keys = certs::ticket::Tickets::default().at(std::time::Instant::now());
    let stacks = BTreeMap::from([(stack.name.clone(), stack)]);
    let (desired, observed, facts) = Default::default();
    let sources = crate::publish::Sources {
        stacks: &stacks,
        desired: &desired,
        observed: &observed,
        facts: &facts,
        found: &BTreeMap::new(),
        certificates: &certificates,
        sticky_key: &wire::snapshot::StickyKey::default(),
        ticket_keys: &keys,
        bans: &[],
        servers: &crate::servers::Servers::new(mpsc::channel(1).0, Default::default()),
    };
    let parts = crate::publish::parts(&sources);
    let (made, own) = (parts.whole(), &parts.certificates);
    let doors: Vec<_> = made.doors.iter().map(|door| (door.address.port(), door.tls)).collect();
    assert_eq!(doors, [(8080, false), (8443, true)]);
    assert_eq!(own[0].hosts, ["web.test"]);
    assert!(own[0].key.contains("PRIVATE KEY") && made.ticket_keys == keys);
    assert!(made.sites[0].https_redirect);
    let shown = format!("{made:?} {own:?} {certificates:?}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    assert_eq!(crate::publish::parts(&sources).whole(), made, "the same state gives the same snapshot");
}

#[test]
fn http_only_by_choice_and_without_a_door_for_https() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = certificates(folder.path());
    keep(&mut certificates, &secure(TlsSpec::Off));
    keep(&mut certificates, &stack(spec(&[("web", app("web", Listen::AnyPort))])));
    assert!(certificates.published().is_empty());
    assert!(!folder.path().join("certs").exists(), "an authority nobody asked for");
}

#[test]
fn leaves_are_renewed_before_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = certificates(folder.path());
    keep(&mut certificates, &secure(TlsSpec::Local));
    let first = Arc::clone(certificates.published());
    let stack = secure(TlsSpec::Local);
    let day = Duration::from_secs(24 * 3600);
    certificates.look(SystemTime::now() + 50 * day);
    keep(&mut certificates, &stack);
    assert_eq!(*certificates.published(), first);
    certificates.look(SystemTime::now() + 65 * day);
    keep(&mut certificates, &stack);
    assert_ne!(*certificates.published(), first);
}

#[test]
fn a_broken_new_pair_keeps_the_old_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |name: &str| {
        let authority = LocalAuthority::open(&folder.path().join(name)).unwrap();
        authority.issue(&["web.test".to_owned()], SystemTime::now()).unwrap()
    };
    let (one, two) = (pair("one"), pair("two"));
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let mut certificates = certificates(folder.path());
    let stack = secure(TlsSpec::Files { cert: cert.clone(), key: key.clone() });
    let revision = stack.active.as_ref().unwrap();
    assert!(certificates.check(revision).unwrap_err().to_string().contains("cert.pem"));
    keep(&mut certificates, &stack);
    assert!(
        certificates.published().is_empty() && !certificates.status(SystemTime::now())[0].problems.is_empty()
    );

    write(&cert, &one.chain);
    write(&key, &one.key);
    certificates.check(revision).unwrap();
    look(&mut certificates, &stack);
    let served = |certificates: &Certificates| certificates.published()[0].chain.clone();
    assert_eq!(served(&certificates), one.chain);
    assert_eq!(certificates.status(SystemTime::now())[0].problems, Vec::<String>::new());

    // Half of a new pair is there.
    write(&cert, &two.chain);
    look(&mut certificates, &stack);
    assert_eq!(served(&certificates), one.chain);
    let problems = certificates.status(SystemTime::now())[0].problems.join("\n");
    assert!(
        problems.contains("key.pem") && problems.contains("the former certificate stays in use"),
        "{problems}"
    );

    write(&key, &two.key);
    look(&mut certificates, &stack);
    assert_eq!(served(&certificates), two.chain);
    assert_eq!(certificates.status(SystemTime::now())[0].problems, Vec::<String>::new());
}

// A wildcard of the user's own was beaten by the local authority's certificate for the exact name.
#[test]
fn a_pair_for_its_names_is_served_to_the_sites_it_covers_and_nothing_else_is_made_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let authority = LocalAuthority::open(&folder.path().join("own")).unwrap();
    let own = authority.issue(&["*.test".to_owned()], SystemTime::now()).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&cert, &own.chain);
    write(&key, &own.key);
    let mut stack = secure(TlsSpec::Local);
    let active = stack.active.as_mut().unwrap();
    let mut spec = StackSpec::clone(&active.spec);
    spec.certificates = vec![PairSpec { cert, key }];
    active.spec = Arc::new(spec);
    let mut certificates = certificates(folder.path());
    keep(&mut certificates, &stack);
    let published = certificates.published();
    assert_eq!((published.len(), &published[0].chain), (1, &own.chain));
    assert_eq!(published[0].hosts, ["*.test", "web.test"]);
    assert!(!folder.path().join("certs").exists(), "an authority nobody asked for");
}

#[test]
fn client_certificates_are_asked_for_by_the_list_in_the_file_and_without_one_nobody_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("clients.pem");
    let mut stack = secure(TlsSpec::Local);
    let active = stack.active.as_mut().unwrap();
    let mut spec = StackSpec::clone(&active.spec);
    spec.sites[0].client_certs = Some(model::site::ClientCertSpec { roots: roots.clone(), required: true });
    active.spec = Arc::new(spec);
    let mut certificates = certificates(folder.path());
    let revision = stack.active.as_ref().unwrap();
    assert!(certificates.check(revision).unwrap_err().to_string().contains("clients.pem"));
    keep(&mut certificates, &stack);
    assert_eq!(certificates.client_roots(&roots), "");
    let problems: Vec<String> = certificates.client_problems(revision).collect();
    assert!(problems[0].contains("web.test") && problems[0].contains("nobody gets in"), "{problems:?}");
    let authority = LocalAuthority::open(&folder.path().join("clients")).unwrap();
    write(&roots, authority.root());
    certificates.look(SystemTime::now());
    assert_eq!(certificates.client_roots(&roots), authority.root());
    assert_eq!(certificates.client_problems(revision).count(), 0);
}

fn acme(stack: &mut Stack, number: u64, hosts: &[&str], on_demand: bool) {
    let active = stack.active.as_mut().unwrap();
    let mut spec = StackSpec::clone(&active.spec);
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    spec.sites[0].hosts = hosts;
    spec.sites[0].tls = TlsSpec::Acme(Default::default());
    let on_demand = on_demand.then(|| model::acme::OnDemandSpec { ask: "http://127.0.0.1:9/".to_owned() });
    spec.acme = Some(model::acme::AcmeSpec {
        authorities: Vec::new(),
        challenges: Vec::new(),
        dns: None,
        key: Default::default(),
        check_names: false,
        wait: Duration::ZERO,
        export: None,
        hook: Vec::new(),
        on_demand,
    });
    active.spec = Arc::new(spec);
    active.number = number;
}

/// None yet; nothing is ordered.
fn paused(folder: &Path) -> Certificates {
    let mut certificates = certificates(folder);
    certificates.pause();
    certificates
}

fn names(certificates: &Certificates) -> Vec<&str> {
    certificates.on_demand.names.keys().map(String::as_str).collect()
}

fn says_yes(certificates: &mut Certificates, stack: &Stack, name: &str) {
    certificates.answered(name.to_owned(), stack.name.to_string(), Ok(true));
    keep(certificates, stack);
}

// Somebody came with the name of a site whose order failed, and both the order and what the store had of it were gone.
#[test]
fn a_name_on_demand_took_a_configured_sites_order_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = paused(folder.path());
    let mut stack = secure(TlsSpec::Local);
    acme(&mut stack, 1, &["*"], true);
    keep(&mut certificates, &stack);
    for name in ["web.test", "free.test"] {
        says_yes(&mut certificates, &stack, name);
    }
    acme(&mut stack, 2, &["web.test", "*"], true);
    keep(&mut certificates, &stack);
    assert!(certificates.is_configured("web.test") && !certificates.is_configured("other.test"));
    for order in certificates.orders.orders.values_mut() {
        order.held.meta.failures = 3;
    }
    certificates.forget_names(SystemTime::now());
    assert!(names(&certificates).is_empty(), "{:?}", names(&certificates));
    let left: Vec<&String> = certificates.orders.orders.keys().collect();
    assert_eq!(left, ["web.test"]);
    // A name of a site is not even asked about: there is no runtime here that could.
    certificates.unknown("web.test", [&stack].into_iter());
}

#[test]
fn names_on_demand_of_a_stack_that_is_gone_stayed_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = paused(folder.path());
    let mut stack = secure(TlsSpec::Local);
    acme(&mut stack, 1, &["*"], true);
    keep(&mut certificates, &stack);
    says_yes(&mut certificates, &stack, "a.test");
    assert!(certificates.on_demand.has("a.test"));
    certificates.keep(std::iter::empty(), SystemTime::now());
    assert!(!certificates.is_on_demand() && !certificates.on_demand.has("a.test"));
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    certificates.forget_names(now);
    certificates.forget_names(now + 23 * hour);
    assert_eq!(names(&certificates), ["a.test"], "it may be back soon");
    certificates.forget_names(now + 25 * hour);
    assert!(names(&certificates).is_empty());

    keep(&mut certificates, &stack);
    says_yes(&mut certificates, &stack, "b.test");
    certificates.remove("b.test").unwrap();
    assert!(names(&certificates).is_empty() && certificates.remove("b.test").is_err());
}

#[test]
fn a_renewal_waited_behind_sites_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = paused(folder.path());
    let mut stack = secure(TlsSpec::Local);
    acme(&mut stack, 1, &["*"], true);
    keep(&mut certificates, &stack);
    for name in ["a.test", "b.test", "c.test", "d.test", "z.test"] {
        says_yes(&mut certificates, &stack, name);
    }
    let authority = LocalAuthority::open(&folder.path().join("own")).unwrap();
    let pair = Arc::new(authority.issue(&["z.test".to_owned()], SystemTime::now()).unwrap());
    let orders = &mut certificates.orders.orders;
    orders.get_mut("z.test").unwrap().pair = Some(pair);
    orders.values_mut().for_each(|order| order.forced = true);
    // A site goes before names on demand.
    orders.get_mut("d.test").unwrap().stacks.insert("shop".to_owned());
    let next: Vec<String> = certificates.orders.next().into_iter().map(|(of, _)| of).collect();
    assert_eq!(next, ["d.test", "a.test", "b.test", "z.test"]);
}

#[test]
fn a_forced_renewal_goes_on_where_what_is_stored_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = paused(folder.path());
    let mut stack = secure(TlsSpec::Local);
    acme(&mut stack, 1, &["web.test"], false);
    let entry = folder.path().join("certs/acme/certificates/web.test");
    sys::folder::make(&entry, 0o700, None).unwrap();
    write(&entry.join("meta.json"), "{");
    keep(&mut certificates, &stack);
    let mut renew = |force| {
        let request = crate::api::RenewRequest { name: None, force };
        certificates.renew(&request, SystemTime::now()).unwrap()
    };
    assert_eq!((renew(false).ordered.len(), entry.exists()), (0, true), "left as it is");
    assert_eq!((renew(true).ordered, entry.exists()), (vec!["web.test".to_owned()], false));
    assert!(folder.path().join("certs/acme/broken/1-web.test/meta.json").exists());
    assert!(certificates.orders.orders.values().all(|order| order.problem.is_none() && order.forced));
}
