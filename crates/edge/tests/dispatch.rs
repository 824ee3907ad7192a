//! Which instance gets a request, seen from clients and instances: bounds, circuits, slow start, sticky clients, repeats.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::observed::Address;
use model::traffic::{CircuitSpec, HoldSpec, StickySpec, TrafficSpec};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::http2::{ask, get, open, run, trusting};
use support::*;
use wire::snapshot::{Snapshot, StickyKey};

fn with(addresses: &[SocketAddr], traffic: TrafficSpec) -> Snapshot {
    let mut table = proxying(addresses);
    table.upstreams[0].traffic = traffic;
    table.sticky_key = StickyKey("of this home".to_owned());
    table
}

/// What an instance has seen.
#[derive(Default)]
struct Seen {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// Takes a moment for each request.
fn working() -> (Backend, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let count = Arc::clone(&seen);
    let backend = Backend::answering(move |_| {
        count.all.fetch_add(1, Ordering::SeqCst);
        let now = count.now.fetch_add(1, Ordering::SeqCst) + 1;
        count.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        count.now.fetch_sub(1, Ordering::SeqCst);
        ok("here")
    });
    (backend, seen)
}

#[test]
fn no_instance_gets_more_at_a_time_than_its_concurrency_whichever_core_sends_it() {
    for most in [1, 2] {
        let apps = [working(), working()];
        let addresses: Vec<SocketAddr> = apps.iter().map(|(backend, _)| backend.address).collect();
        let traffic = TrafficSpec { concurrency: Some(most), ..TrafficSpec::default() };
        let edge = Edge::with_workers(4, &with(&addresses, traffic));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..20).for_each(|_| assert_eq!(edge.get("a.test", "/").status, 200)));
            }
        });
        let most = usize::try_from(most).unwrap();
        assert_eq!(apps.iter().map(|(_, seen)| seen.all.load(Ordering::SeqCst)).sum::<usize>(), 320);
        for (backend, seen) in &apps {
            assert_eq!(seen.most.load(Ordering::SeqCst), most, "as many as it may have, and no more");
            if most == 1 {
                let connections = backend.connections.load(Ordering::SeqCst);
                assert_eq!(connections, seen.all.load(Ordering::SeqCst), "none is kept");
            }
        }
    }
}

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn failures(edge: &Edge, instance: &str) -> u64 {
    edge.stats().instances.iter().find(|stats| stats.instance == instance).unwrap().failures
}

#[test]
fn who_refuses_is_left_alone_tried_by_and_by_and_back_when_it_answers() {
    let (app, _) = working();
    let away = nobody();
    let circuit = CircuitSpec { failures: 3, open: Duration::from_millis(300) };
    let edge = Edge::start(&with(&[away, app.address], TrafficSpec { circuit, ..TrafficSpec::default() }));
    let began = Instant::now();
    for _ in 0..30 {
        assert_eq!(edge.get("a.test", "/").status, 200);
    }
    // Three, and one for each time that it was tried again.
    let tries = 3 + u64::try_from(began.elapsed().as_millis() / 300).unwrap();
    let seen = failures(&edge, "s/a.1#1");
    assert!((3..=tries).contains(&seen), "{seen} of {tries}");
    let listener = TcpListener::bind(away).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            next_head(&mut stream);
            let _ = stream.write_all(ok("back").as_bytes());
        }
    });
    until(|| edge.get("a.test", "/").text() == "back");
    let turns = (0..10).filter(|_| edge.get("a.test", "/").text() == "back").count();
    assert_eq!(turns, 5, "its whole share");
}

#[test]
fn while_all_are_left_alone_the_answer_is_503_and_says_when_to_come_again() {
    let circuit = CircuitSpec { failures: 5, open: Duration::from_secs(3600) };
    let hold = HoldSpec::OFF;
    let edge = Edge::start(&with(&[nobody()], TrafficSpec { circuit, hold, ..TrafficSpec::default() }));
    let answers: Vec<u16> = (0..5).map(|_| edge.get("a.test", "/").status).collect();
    assert_eq!(answers, [502; 5]);
    // Not after ten seconds, nor an hour: with none left, one is tried each second.
    let refused = || Some(edge.get("a.test", "/")).filter(|reply| reply.status == 503);
    assert_eq!(wait_for(refused).header("Retry-After").as_deref(), Some("1"));
    until(|| edge.get("a.test", "/").status == 502);
}

#[test]
fn requests_that_break_the_only_instance_do_not_take_it_from_others() {
    let app = Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            if head.starts_with("GET /poison") {
                return;
            }
            stream.write_all(ok("fine").as_bytes()).unwrap();
        }
    });
    let traffic = TrafficSpec { hold: HoldSpec::OFF, ..TrafficSpec::default() };
    let edge = Edge::start(&with(&[app.address], traffic));
    for _ in 0..20 {
        assert_eq!(edge.get("a.test", "/poison").status, 502);
    }
    assert_eq!(edge.get("a.test", "/").status, 200);
}

#[test]
fn an_app_in_trouble_does_not_get_everything_twice() {
    let apps = [(); 2].map(|()| {
        Backend::start(|mut stream| {
            next_head(&mut stream);
        })
    });
    let circuit = CircuitSpec { failures: 0, ..CircuitSpec::default() };
    let traffic = TrafficSpec { circuit, retries: 0, hold: HoldSpec::OFF, ..TrafficSpec::default() };
    let edge = Edge::start(&with(&apps.each_ref().map(|app| app.address), traffic));
    let began = Instant::now();
    for _ in 0..300 {
        assert_eq!(edge.get("a.test", "/").status, 502);
    }
    let sent: usize = apps.iter().map(|app| app.connections.load(Ordering::SeqCst)).sum();
    let most = 400 + 10 * usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((400..=most).contains(&sent), "a hundred in ten seconds, not three: {sent}");
}

#[test]
fn a_new_instance_beside_others_begins_with_a_part_of_its_share() {
    let apps = [working(), working(), working()];
    let addresses: Vec<SocketAddr> = apps.iter().map(|(backend, _)| backend.address).collect();
    let traffic = TrafficSpec { slow_start: Duration::from_secs(3600), ..TrafficSpec::default() };
    let edge = Edge::with_workers(2, &with(&addresses[..2], traffic.clone()));
    edge.apply(&Snapshot { revision: 2, ..with(&addresses, traffic.clone()) });
    for n in 0..400 {
        assert_eq!(edge.get("a.test", "/").status, 200);
        if n == 200 {
            // What a snapshot says again makes nobody new, and nobody old.
            edge.apply(&Snapshot { revision: 3, ..with(&addresses, traffic.clone()) });
        }
    }
    let got = apps.each_ref().map(|(_, seen)| seen.all.load(Ordering::SeqCst));
    // One in twenty-one on average: nineteen.
    assert!((1..=60).contains(&got[2]), "{got:?}");
    assert!(got[0].abs_diff(got[1]) < 100, "those that were there share the rest: {got:?}");
}

/// Answers with its own name and the cookies it was given; switches protocols where it is asked to.
fn named(name: &'static str) -> Backend {
    Backend::answering(move |head| {
        if head.contains("Upgrade: websocket") {
            return format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX-Name: {name}\r\n\r\n"
            );
        }
        let cookies: Vec<&str> = head.lines().filter(|line| line.starts_with("Cookie")).collect();
        ok(&format!("{name} {}", cookies.join("|")))
    })
}

fn sticky() -> TrafficSpec {
    TrafficSpec { sticky: Some(StickySpec { cookie: "to".to_owned() }), ..TrafficSpec::default() }
}

fn with_cookie(edge: &Edge, cookie: &str, lines: &str) -> Reply {
    edge.request(&format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: theme=dark; {cookie}; last=1\r\n{lines}Connection: close\r\n\r\n"
    ))
}

/// `name=value` of what a client is told to keep.
fn pair(line: &str) -> String {
    line.split(';').next().unwrap().to_owned()
}

#[test]
fn a_client_stays_with_its_instance_and_moves_when_that_goes() {
    let apps = [named("one"), named("two"), named("three")];
    let addresses = apps.each_ref().map(|app| app.address);
    let table = with(&addresses, sticky());
    let edge = Edge::with_workers(2, &table);
    let first = edge.get("a.test", "/");
    let told = first.header("Set-Cookie").unwrap();
    assert!(told.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{told}");
    let (name, cookie) = (first.text(), pair(&told));
    for _ in 0..10 {
        let again = with_cookie(&edge, &cookie, "");
        assert_eq!(
            again.text(),
            format!("{name}Cookie: theme=dark; last=1"),
            "no other, and no cookie of ours"
        );
        assert_eq!(again.header("Set-Cookie"), None, "it knows");
    }
    // Another edge of the same home.
    let other = Edge::start(&table);
    assert!(with_cookie(&other, &cookie, "").text().starts_with(&name));
    // Of no instance, or forged: as if there were none.
    for wrong in ["to=", "to=0123456789abcdef", "to=127.0.0.1"] {
        let told = with_cookie(&edge, wrong, "").header("Set-Cookie").unwrap();
        assert!(told.starts_with("to="), "{told}");
    }
    let mut next = Snapshot { revision: 2, ..table };
    let place = ["one ", "two ", "three "].iter().position(|it| **it == *name).unwrap();
    next.upstreams[0].endpoints[place].draining = true;
    edge.apply(&next);
    let moved = with_cookie(&edge, &cookie, "");
    assert_ne!(moved.text().split(' ').next(), name.split(' ').next());
    let told = moved.header("Set-Cookie").unwrap();
    assert_ne!(pair(&told), cookie);
    assert_eq!(with_cookie(&edge, &pair(&told), "").text(), moved.text());
}

#[test]
fn over_https_the_cookie_says_so() {
    let app = named("one");
    let edge = Edge::start(&trusting(with(&[app.address], sticky())));
    let reply = with_cookie(&edge, "a=b", "X-Forwarded-Proto: https\r\n");
    assert!(reply.header("Set-Cookie").unwrap().ends_with("; Secure"), "{}", reply.head);
}

#[test]
fn a_websocket_goes_to_the_same_instance() {
    let apps = [named("one"), named("two"), named("three")];
    let edge = Edge::start(&with(&apps.each_ref().map(|app| app.address), sticky()));
    let first = edge.get("a.test", "/");
    let cookie = pair(&first.header("Set-Cookie").unwrap());
    for _ in 0..6 {
        let mut client = edge.client();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: {cookie}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
        let (head, _) = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("X-Name: {}\r\n", first.text().trim())), "{head}");
        assert!(!head.contains("Set-Cookie"), "{head}");
    }
}

#[test]
fn http2_clients_stay_too() {
    let apps = [named("one"), named("two"), named("three")];
    let edge = Edge::start(&trusting(with(&apps.each_ref().map(|app| app.address), sticky())));
    run(async {
        let send = open(edge.address).await;
        let (head, first, _) = ask(&send, get("/")).await;
        let cookie = pair(head.headers()["set-cookie"].to_str().unwrap());
        for _ in 0..6 {
            let mut request = get("/");
            // As browsers do over HTTP/2: a field for each (RFC 9113 section 8.2.3).
            request.headers_mut().append("cookie", "a=b".parse().unwrap());
            request.headers_mut().append("cookie", cookie.parse().unwrap());
            let (head, again, _) = ask(&send, request).await;
            assert_eq!(
                String::from_utf8_lossy(&again),
                format!("{}Cookie: a=b", String::from_utf8_lossy(&first))
            );
            assert!(head.headers().get("set-cookie").is_none());
        }
    });
}

#[test]
fn one_server_of_two_upstreams_is_bounded_in_each() {
    let (app, seen) = working();
    let mut table = with(&[app.address], TrafficSpec { concurrency: Some(1), ..TrafficSpec::default() });
    let mut other = table.upstreams[0].clone();
    other.id = "t/b".to_owned();
    table.upstreams.push(other);
    table.sites.push(site(2, &["b.test"], vec![route("/*", "t/b")]));
    table.upstreams.iter_mut().for_each(|upstream| {
        upstream.endpoints[0].address = Address::Tcp(app.address);
        upstream.endpoints[0].instance = app.address.to_string();
    });
    let edge = Edge::with_workers(2, &table);
    std::thread::scope(|scope| {
        for host in ["a.test", "b.test", "a.test", "b.test"] {
            let edge = &edge;
            scope.spawn(move || (0..20).for_each(|_| assert_eq!(edge.get(host, "/").status, 200)));
        }
    });
    assert_eq!(seen.all.load(Ordering::SeqCst), 80);
    assert!(seen.most.load(Ordering::SeqCst) <= 2);
}
