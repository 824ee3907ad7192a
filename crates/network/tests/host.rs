//! Networks on the real host, with homes and ranges of the test's own. Skipped where the host cannot.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use network::{Bridge, Host, Join, NetworkError, Wanted, capable, short_name, subnet};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A home of this test, whose networks go with it.
struct Home {
    host: Host,
    id: String,
    _dir: tempfile::TempDir,
}

impl Home {
    fn new(test: &str) -> Option<Self> {
        if let Err(reason) = capable() {
            eprintln!("skipped: {reason}");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let id = short_name("", &format!("{test} {}", dir.path().display()));
        Some(Self { host: Host::new(&id, dir.path().join("lock")), id, _dir: dir })
    }

    fn bridge(&self, name: &str, internal: bool) -> Bridge {
        let link = short_name("ms-", &format!("{} {name}", self.id));
        let seed = u64::from(std::process::id()) << 8 | self.id.bytes().map(u64::from).sum::<u64>();
        let routes = subnet::routes();
        let subnet =
            subnet::pick(seed + name.len() as u64, |range| subnet::clash(range, &link, &routes).is_none());
        let subnet = subnet.unwrap();
        let gateway = subnet::gateway(subnet).unwrap();
        Bridge { link, name: name.into(), subnet, gateway, internal }
    }

    fn want(&self, bridges: &[&Bridge]) {
        let bridges: BTreeMap<_, _> = bridges.iter().map(|it| (it.link.clone(), (*it).clone())).collect();
        self.host.want(Wanted { bridges, doors: Default::default() });
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.want(&[]);
        self.host.settle().unwrap();
    }
}

fn at(bridge: &Bridge, last: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(bridge.subnet.network()) + last)
}

fn join(bridge: &Bridge, last: u32) -> Join {
    Join { bridge: bridge.clone(), address: at(bridge, last) }
}

/// Answers `here` to each, for as long as the test lives.
fn serve(namespace: &OwnedFd, address: SocketAddr) {
    let listener = sys::netns::inside(namespace, || TcpListener::bind(address)).unwrap().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"here");
        }
    });
}

fn ask(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(700)) else {
        return false;
    };
    let mut said = String::new();
    stream.read_to_string(&mut said).is_ok() && said == "here"
}

fn ask_from(namespace: &OwnedFd, address: SocketAddr) -> bool {
    sys::netns::inside(namespace, || ask(address)).unwrap()
}

fn exists(link: &str) -> bool {
    std::path::Path::new("/sys/class/net").join(link).exists()
}

#[test]
fn instances_of_a_network_meet_and_nobody_else_does() {
    let (Some(one), Some(two)) = (Home::new("one"), Home::new("two")) else { return };
    let (a, b, other) = (one.bridge("s/a", false), one.bridge("s/bb", true), two.bridge("t/ccc", false));
    one.want(&[&a, &b]);
    two.want(&[&other]);
    let web = one.host.attach("s/web.0", &[join(&a, 10)]).unwrap();
    let db = one.host.attach("s/db.0", &[join(&b, 10), join(&a, 11)]).unwrap();
    let foreign = two.host.attach("t/x.0", &[join(&other, 10)]).unwrap();
    // The same port everywhere, below 1024 too.
    for (namespace, bridge, last) in [(&web, &a, 10), (&db, &a, 11), (&foreign, &other, 10)] {
        serve(namespace, (at(bridge, last), 80).into());
    }
    serve(&db, (at(&b, 10), 80).into());
    assert!(ask((at(&a, 10), 80).into()) && ask((at(&b, 10), 80).into()), "the host reaches all");
    assert!(ask_from(&web, (at(&a, 11), 80).into()), "one of the same network");
    assert!(!ask_from(&web, (at(&b, 10), 80).into()), "it is not on that network");
    assert!(!ask_from(&web, (at(&other, 10), 80).into()), "a network of another home");
    assert!(!ask_from(&foreign, (at(&a, 10), 80).into()));
    // What listens on the host is not reached either, by any of its addresses.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(!ask_from(&web, (a.gateway, port).into()) && !ask_from(&web, (other.gateway, port).into()));
}

#[test]
fn what_is_not_wanted_goes_and_what_somebody_removed_comes_back() {
    let Some(home) = Home::new("lifetime") else { return };
    let (a, b) = (home.bridge("s/a", false), home.bridge("s/bb", false));
    home.want(&[&a, &b]);
    home.host.settle().unwrap();
    assert!(exists(&a.link) && exists(&b.link));
    let namespace = home.host.attach("s/web.0", &[join(&a, 10)]).unwrap();
    let ports = std::fs::read_dir(format!("/sys/class/net/{}/brif", a.link)).unwrap();
    let outer: Vec<_> = ports.map(|port| port.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(outer.len(), 1);
    drop(namespace);
    let until = Instant::now() + Duration::from_secs(20);
    while exists(&outer[0]) {
        assert!(Instant::now() < until, "the wire goes with the namespace");
        std::thread::yield_now();
    }
    // A keeper that comes after one that was killed knows by the mark what is its own.
    let next = Host::new(&home.id, home._dir.path().join("lock"));
    next.want(Wanted { bridges: [(b.link.clone(), b.clone())].into(), doors: Default::default() });
    next.settle().unwrap();
    assert!(!exists(&a.link) && exists(&b.link));
    home.want(&[&a, &b]);
    home.host.settle().unwrap();
    assert!(exists(&a.link));
}

#[test]
fn a_range_that_the_host_uses_is_refused_by_name() {
    let Some(home) = Home::new("clash") else { return };
    let a = home.bridge("s/a", false);
    let overlapping =
        Bridge { link: short_name("ms-", &format!("{} other", home.id)), name: "s/b".into(), ..a.clone() };
    home.want(&[&a]);
    home.host.settle().unwrap();
    home.want(&[&a, &overlapping]);
    let error = home.host.attach("s/x.0", &[join(&overlapping, 9)]).unwrap_err();
    assert!(matches!(&error, NetworkError::Clash { device, .. } if *device == a.link), "{error}");
    assert!(error.to_string().contains(&a.subnet.to_string()), "{error}");
    assert!(!exists(&overlapping.link));
}
