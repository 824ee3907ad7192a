//! What a route's policies do to real requests, on their way in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use argon2::password_hash::CustomizedPasswordHasher;
use base64::Engine as _;
use model::policy::*;
use model::spec::RedirectSpec;
use std::io::Write;
use std::net::TcpStream;
use support::*;
use wire::snapshot::{Handler, Route, Snapshot};

/// One site `a.test` with these routes, to one application.
fn routed(app: &Backend, routes: Vec<Route>) -> Snapshot {
    snapshot(1, vec![site(1, &["a.test"], routes)], vec![upstream("s/a", app.address)])
}

fn with(path: &str, policy: PolicySpec) -> Route {
    Route { policy, ..route(path, "s/a") }
}

fn rate(zone: &str, count: u32, burst: u32, by: KeySpec, status: u16) -> PolicySpec {
    let rate = RateSpec { zone: zone.into(), count, per_ms: 1000, burst, by, status };
    PolicySpec { rates: vec![rate], ..PolicySpec::default() }
}

/// Sends these requests at once, each on a connection of its own that is open already, and gives their answers.
fn at_once(edge: &Edge, requests: &[String]) -> Vec<Reply> {
    let mut clients: Vec<TcpStream> = requests.iter().map(|_| edge.client()).collect();
    for (client, request) in clients.iter_mut().zip(requests) {
        client.write_all(request.as_bytes()).unwrap();
    }
    clients.iter_mut().map(read_reply).collect()
}

fn ask(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{lines}Connection: close\r\n\r\n")
}

fn count(replies: &[Reply], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

/// Requests that pass of 22 (7) sent at once, and from another client meanwhile.
fn burst(count_in_second: u32, burst: u32) {
    let app = Backend::answering(|_| ok("app"));
    let limited = rate("api", count_in_second, burst, KeySpec::Client, 429);
    let mut snapshot = routed(&app, vec![with("/api/*", limited), route("/*", "s/a")]);
    snapshot.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = Edge::start(&snapshot);
    // More than the burst by one; where the machine is slow enough for one more to be due, the next client is asked.
    let most = usize::try_from(burst).unwrap() + 1;
    let step = std::time::Duration::from_secs(1) / count_in_second;
    for client in 1..=20 {
        let request = ask("/api/x", &format!("X-Forwarded-For: 192.0.2.{client}\r\n"));
        let began = std::time::Instant::now();
        let replies = at_once(&edge, &vec![request.clone(); most + 1]);
        if began.elapsed() >= step {
            continue;
        }
        assert_eq!((count(&replies, 200), count(&replies, 429)), (most, 1));
        let refused = replies.iter().find(|reply| reply.status == 429).unwrap();
        assert_eq!(refused.header("Retry-After").as_deref(), Some("1"));
        let other = ask("/api/x", "X-Forwarded-For: 198.51.100.1\r\n");
        assert_eq!(edge.request(&other).status, 200, "another client");
        let free = ask("/", &format!("X-Forwarded-For: 192.0.2.{client}\r\n"));
        assert_eq!(edge.request(&free).status, 200, "a route without a limit");
        until(|| edge.request(&request).status == 200);
        // Evenly at the rate, with the burst used up.
        for _ in 0..3 {
            std::thread::sleep(step); // the rate that is tested
            assert_eq!(edge.request(&request).status, 200);
        }
        return;
    }
    panic!("the machine is too slow to send {} requests within {step:?}", most + 1);
}

// req: SEC-03, SEC-05
#[test]
fn ten_a_second_and_a_burst_of_twenty() {
    burst(10, 20);
}

// req: SEC-04
#[test]
fn two_a_second_and_a_burst_of_five() {
    burst(2, 5);
}

// req: SEC-06
#[test]
fn a_refusal_has_the_status_of_the_limit_and_is_logged() {
    let app = Backend::answering(|_| ok("app"));
    let hourly = |zone: &str, status| {
        let mut policy = rate(zone, 1, 0, KeySpec::Route, status);
        policy.rates[0].per_ms = 3_600_000;
        policy
    };
    let metrics = Route { handler: Handler::Metrics, ..route("/metrics", "") };
    let routes = vec![with("/native/*", hourly("n", 429)), with("/imported/*", hourly("i", 503)), metrics];
    let edge = Edge::start(&routed(&app, routes));
    for (path, status) in [("/native/x", 429), ("/imported/x", 503)] {
        assert_eq!(edge.get("a.test", path).status, 200);
        let refused = edge.get("a.test", path);
        assert_eq!((refused.status, refused.header("Retry-After").as_deref()), (status, Some("3600")));
    }
    let figures = edge.get("a.test", "/metrics").text();
    for zone in ["n", "i"] {
        let line = format!("mainstay_limited_total{{zone=\"{zone}\",kind=\"rate\"}} 1\n");
        assert!(figures.contains(&line), "{figures}");
    }
    let log = edge.log(5);
    let refused: Vec<_> = log.iter().filter(|line| line["status"] != 200).collect();
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|line| line["error"].as_str().unwrap().contains("limit")), "{refused:?}");
}

// req: SEC-07
#[test]
fn without_a_policy_nothing_is_limited() {
    let app = Backend::answering(|_| ok("app"));
    let edge = Edge::start(&routed(&app, vec![route("/*", "s/a")]));
    let replies = at_once(&edge, &vec![ask("/x", ""); 200]);
    assert_eq!(count(&replies, 200), 200);
}

#[test]
fn a_count_outlives_a_reload_and_is_shared_by_all_workers() {
    let app = Backend::answering(|_| ok("app"));
    let mut policy = rate("z", 1, 3, KeySpec::Client, 429);
    policy.rates[0].per_ms = 3_600_000;
    let mut snapshot = routed(&app, vec![with("/*", policy.clone())]);
    let edge = Edge::with_workers(2, &snapshot);
    assert_eq!(count(&at_once(&edge, &vec![ask("/", ""); 10]), 200), 4);
    policy.methods = vec!["GET".into()];
    snapshot = routed(&app, vec![with("/*", policy.clone())]);
    (snapshot.revision, snapshot.sites[0].hash) = (2, 2);
    edge.apply(&snapshot);
    assert_eq!(edge.get("a.test", "/").status, 429);
    policy.rates[0].burst = 4;
    snapshot = routed(&app, vec![with("/*", policy)]);
    (snapshot.revision, snapshot.sites[0].hash) = (3, 3);
    edge.apply(&snapshot);
    assert_eq!(edge.get("a.test", "/").status, 200, "another limit begins anew");
}

#[test]
fn a_place_is_given_back_when_a_client_aborts() {
    let (app, requests) = driven();
    let limit = ConcurrencySpec { zone: "c".into(), most: 1, by: KeySpec::Client, status: 503 };
    let policy = PolicySpec { concurrency: vec![limit], ..PolicySpec::default() };
    let edge = Edge::start(&routed(&app, vec![with("/*", policy)]));
    let mut first = edge.client();
    first.write_all(ask("/", "").as_bytes()).unwrap();
    let _asked = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(edge.get("a.test", "/").status, 503);
    drop(first);
    let answering = std::thread::spawn(move || {
        let mut stream = requests.recv_timeout(PATIENCE).unwrap();
        next_head(&mut stream).unwrap();
        stream.write_all(ok("second").as_bytes()).unwrap();
    });
    until(|| edge.get("a.test", "/").status == 200);
    answering.join().unwrap();
}

// req: SEC-09
#[test]
fn a_denied_address_reaches_no_application() {
    let app = Backend::answering(|_| ok("app"));
    let access = AccessSpec {
        allow: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()],
        deny: vec!["192.0.2.128/25".parse().unwrap()],
    };
    let policy = PolicySpec { access, ..PolicySpec::default() };
    let mut snapshot = routed(&app, vec![with("/*", policy)]);
    snapshot.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = Edge::start(&snapshot);
    let from = |client: &str| edge.request(&ask("/", &format!("X-Forwarded-For: {client}\r\n"))).status;
    for denied in ["192.0.2.200", "198.51.100.1", "2001:db8:2::1"] {
        assert_eq!(from(denied), 403, "{denied}");
    }
    assert_eq!(edge.get("a.test", "/").status, 403, "the peer itself");
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    for allowed in ["192.0.2.1", "2001:db8:1::1"] {
        assert_eq!(from(allowed), 200, "{allowed}");
    }
}

// req: SEC-12
#[test]
fn only_listed_types_of_files_are_given() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.html", "b.txt"] {
        std::fs::File::create(root.path().join(name)).unwrap().write_all(b"x").unwrap();
    }
    let policy = PolicySpec { file_types: vec!["html".into()], ..PolicySpec::default() };
    let route = Route { policy, ..files("/*", root.path()) };
    let edge = Edge::start(&snapshot(1, vec![site(1, &["a.test"], vec![route])], Vec::new()));
    for (path, status) in [("/a.html", 200), ("/b.txt", 403), ("/b%2etxt", 403), ("/c.php", 403)] {
        assert_eq!(edge.get("a.test", path).status, status, "{path}");
    }
}

#[test]
fn a_method_that_is_not_listed_is_told_which_are() {
    let app = Backend::answering(|_| ok("app"));
    let policy = PolicySpec { methods: vec!["GET".into(), "POST".into()], ..PolicySpec::default() };
    let edge = Edge::start(&routed(&app, vec![with("/*", policy)]));
    let refused = edge.request("DELETE / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert_eq!((refused.status, refused.header("Allow").as_deref()), (405, Some("GET, HEAD, POST")));
    assert_eq!(edge.get("a.test", "/").status, 200);
}

#[test]
fn a_route_under_maintenance_shows_its_page_to_all_but_those_who_work_on_it() {
    let app = Backend::answering(|_| ok("app"));
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::File::create(&page).unwrap().write_all(b"<p>back at noon").unwrap();
    let allow = vec!["192.0.2.1/32".parse().unwrap()];
    let maintenance = MaintenanceSpec { page: Some(page), retry_after: 120, allow };
    let policy = PolicySpec { maintenance: Some(maintenance), ..PolicySpec::default() };
    let mut snapshot = routed(&app, vec![with("/*", policy)]);
    snapshot.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = Edge::start(&snapshot);
    let closed = edge.get("a.test", "/");
    assert_eq!((closed.status, closed.header("Retry-After").as_deref()), (503, Some("120")));
    assert_eq!(closed.text(), "<p>back at noon");
    assert_eq!(edge.request(&ask("/", "X-Forwarded-For: 192.0.2.1\r\n")).status, 200);
}

fn basic(text: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64::prelude::BASE64_STANDARD.encode(text))
}

#[test]
fn a_name_and_a_password_open_a_route() {
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hash = argon2::Argon2::default()
        .hash_password_customized(b"secret", b"salt-of-sixteen!", None, None, params)
        .unwrap();
    let users = vec![UserSpec { name: "eve".into(), hash: hash.to_string() }];
    let basic_auth = Some(BasicAuthSpec { realm: "inner".into(), users });
    let app = Backend::echoing();
    let policy = PolicySpec { basic_auth, ..PolicySpec::default() };
    let edge = Edge::start(&routed(&app, vec![with("/*", policy)]));
    for wrong in [String::new(), basic("eve:wrong"), basic("mallory:secret")] {
        let refused = edge.request(&ask("/", &wrong));
        assert_eq!(refused.status, 401);
        assert!(refused.header("WWW-Authenticate").unwrap().starts_with("Basic realm=\"inner\""));
    }
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    // The second is not hashed again, and both go on with their body.
    for _ in 0..2 {
        let lines = format!("{}X-Forwarded-User: root\r\nContent-Length: 0\r\n", basic("eve:secret"));
        let passed = edge.request(&ask("/x", &lines));
        assert_eq!(passed.status, 200);
        let head = passed.text();
        assert!(head.contains("\r\nX-Forwarded-User: eve\r\n") && !head.contains("root"), "{head}");
        assert!(!head.contains("Authorization"), "{head}");
    }
    let log = edge.log(5);
    assert!(log.iter().all(|line| !line.to_string().contains("secret")));
}

fn forward_auth(path: &str, timeout_ms: u64) -> PolicySpec {
    let copy = vec!["Remote-User".into(), "Remote-Groups".into()];
    let forward_auth = ForwardAuthSpec { upstream: "s/auth".into(), path: path.into(), copy, timeout_ms };
    PolicySpec { forward_auth: Some(forward_auth), ..PolicySpec::default() }
}

#[test]
fn another_server_decides_who_gets_in() {
    let app = Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            let mut body = vec![0; if head.contains("Content-Length: 4") { 4 } else { 0 }];
            std::io::Read::read_exact(&mut stream, &mut body).unwrap();
            let answer = ok(&format!("{head}{}", String::from_utf8(body).unwrap()));
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let auth = Backend::answering(|head| {
        assert!(head.starts_with("GET /verify HTTP/1.1\r\n"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
        if !head.contains("Cookie: session=1\r\n") {
            let body = "sign in";
            return format!(
                "HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=b\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        let uri = head.lines().find(|line| line.starts_with("X-Forwarded-Uri")).unwrap();
        assert!(
            head.contains("X-Forwarded-Method: POST\r\n") && head.contains("X-Forwarded-Host: a.test\r\n")
        );
        assert!(head.contains("X-Forwarded-For: 127.0.0.1\r\n"), "{head}");
        format!("HTTP/1.1 204 No Content\r\nremote-user: eve of {uri}\r\nX-Other: 1\r\n\r\n")
    });
    let mut snapshot = routed(&app, vec![with("/*", forward_auth("/verify", 5000))]);
    snapshot.upstreams.push(upstream("s/auth", auth.address));
    let edge = Edge::start(&snapshot);
    let refused = edge.request(&ask("/x", "Remote-User: root\r\n"));
    assert_eq!((refused.status, refused.text().as_str()), (302, "sign in"));
    assert_eq!(refused.header("Location").as_deref(), Some("/login"));
    assert_eq!(refused.header("Set-Cookie").as_deref(), Some("a=b"));
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    let lines = "Cookie: session=1\r\nRemote-User: root\r\nRemote_Groups: admin\r\nContent-Length: 4\r\n";
    let post = format!("POST /x?y HTTP/1.1\r\nHost: a.test\r\n{lines}\r\nbody");
    let mut client = edge.client();
    client
        .write_all(format!("{post}{}", post.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).as_bytes())
        .unwrap();
    let mut first = String::from_utf8(read_until(&mut client, b"\r\n\r\nbody")).unwrap();
    first.push_str(&String::from_utf8(read_until(&mut client, b"\r\n\r\nbody")).unwrap());
    assert_eq!(first.matches("Remote-User: eve of X-Forwarded-Uri: /x?y\r\n").count(), 2, "{first}");
    assert!(!first.contains("root") && !first.contains("admin") && !first.contains("X-Other"), "{first}");
    assert_eq!(auth.connections.load(std::sync::atomic::Ordering::SeqCst), 1, "kept and used again");
}

#[test]
fn forward_authentication_fails_closed() {
    let app = Backend::answering(|_| ok("app"));
    let (silent, _held) = driven();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (server, status) in [(silent.address, 504), (gone, 502)] {
        let mut snapshot = routed(&app, vec![with("/*", forward_auth("/verify", 300))]);
        snapshot.upstreams.push(upstream("s/auth", server));
        let edge = Edge::start(&snapshot);
        assert_eq!(edge.get("a.test", "/").status, status);
    }
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

// req: EDGE-04
#[test]
fn the_backend_has_its_prefix_and_the_frontend_the_rest() {
    let frontend = Backend::answering(|_| ok("frontend"));
    let backend = Backend::answering(|_| ok("backend"));
    let routes = vec![route("/api/*", "s/backend"), route("/*", "s/frontend")];
    let upstreams = vec![upstream("s/backend", backend.address), upstream("s/frontend", frontend.address)];
    let edge = Edge::start(&snapshot(1, vec![site(1, &["a.test"], routes)], upstreams));
    for path in ["/api", "/api/", "/api/x?y"] {
        assert_eq!(edge.get("a.test", path).text(), "backend", "{path}");
    }
    for path in ["/", "/apix", "/x/api"] {
        assert_eq!(edge.get("a.test", path).text(), "frontend", "{path}");
    }
}

// req: EDGE-08
#[test]
fn a_prefix_is_stripped_and_said() {
    let app = Backend::echoing();
    let rewrite = vec![RewriteSpec::StripPrefix("/api".into())];
    let policy = PolicySpec { rewrite, ..PolicySpec::default() };
    let edge = Edge::start(&routed(&app, vec![with("/api/*", policy)]));
    for (path, line) in [
        ("/api/health", "GET /health HTTP/1.1\r\n"),
        ("/api", "GET / HTTP/1.1\r\n"),
        ("/api?x=1", "GET /?x=1 HTTP/1.1\r\n"),
    ] {
        let head = edge.request(&ask(path, "X-Forwarded-Prefix: /forged\r\n")).text();
        assert!(head.starts_with(line), "{head}");
        assert_eq!(head.matches("X-Forwarded-Prefix").count(), 1);
        assert!(head.contains("\r\nX-Forwarded-Prefix: /api\r\n"), "{head}");
    }
    let log = edge.log(3);
    assert_eq!(log[0]["path"], "/api/health", "the log has what was asked for");
}

// req: EDGE-24
#[test]
fn one_host_for_all_paths() {
    let app = Backend::answering(|head| ok(head.lines().next().unwrap()));
    let edge = Edge::start(&routed(&app, vec![route("/*", "s/a")]));
    for path in ["/", "/api/v1/images", "/auth/callback?code=1"] {
        assert_eq!(edge.get("a.test", path).text(), format!("GET {path} HTTP/1.1"));
    }
}

#[test]
fn files_and_heads_are_rewritten_too() {
    let root = tempfile::tempdir().unwrap();
    std::fs::File::create(root.path().join("a.txt")).unwrap().write_all(b"file").unwrap();
    let strip =
        PolicySpec { rewrite: vec![RewriteSpec::StripPrefix("/files".into())], ..PolicySpec::default() };
    let set =
        |name: &str, change| HeaderSpec { name: name.into(), change, paths: Vec::new(), https_only: false };
    let headers = vec![
        set("X-Tenant", HeaderChange::Set("blue".into())),
        set("Accept-Language", HeaderChange::Remove),
        set("X-Real-IP", HeaderChange::Set("forged".into())),
    ];
    let policy = PolicySpec { request_headers: headers, ..PolicySpec::default() };
    let app = Backend::echoing();
    let routes = vec![Route { policy: strip, ..files("/files/*", root.path()) }, with("/*", policy)];
    let edge = Edge::start(&routed(&app, routes));
    assert_eq!(edge.get("a.test", "/files/a.txt").text(), "file");
    let head = edge.request(&ask("/", "X-Tenant: red\r\nAccept-Language: de\r\n")).text();
    assert!(head.contains("\r\nX-Tenant: blue\r\n") && !head.contains("red"), "{head}");
    assert!(!head.contains("Accept-Language") && head.contains("\r\nX-Real-IP: 127.0.0.1\r\n"), "{head}");
}

#[test]
fn a_redirect_keeps_what_it_is_told_to() {
    let to = |to: &str, status| Handler::Redirect(RedirectSpec { to: to.into(), status });
    let routes = vec![
        Route { handler: to("https://www.{host}{path}{query}", 308), ..route("/a/*", "") },
        Route { handler: to("{path}", 302), ..route("/*", "") },
    ];
    let edge = Edge::start(&snapshot(1, vec![site(1, &["a.test"], routes)], Vec::new()));
    let moved = edge.get("a.test:81", "/a/b?c=d");
    assert_eq!(moved.header("Location").as_deref(), Some("https://www.a.test/a/b?c=d"));
    assert_eq!((moved.status, moved.body.len()), (308, 0));
    assert_eq!(edge.get("a.test", "//evil.test/x").header("Location").as_deref(), Some("/evil.test/x"));
}

#[test]
fn a_preflight_is_answered_before_anybody_signs_in() {
    let app = Backend::answering(|_| ok("app"));
    let mut policy = forward_auth("/verify", 300);
    policy.methods = vec!["GET".into()];
    policy.cors = Some(CorsSpec {
        origins: vec!["https://b.test".into()],
        methods: vec!["GET".into()],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: false,
        max_age: 60,
    });
    let mut snapshot = routed(&app, vec![with("/*", policy)]);
    snapshot.upstreams.push(serving("s/auth", Vec::new()));
    let edge = Edge::start(&snapshot);
    let ask = |origin: &str| {
        edge.request(&format!(
            "OPTIONS /x HTTP/1.1\r\nHost: a.test\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"
        ))
    };
    let allowed = ask("https://b.test");
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("Access-Control-Allow-Origin").as_deref(), Some("https://b.test"));
    assert_eq!(allowed.header("Access-Control-Allow-Methods").as_deref(), Some("GET"));
    assert_eq!(ask("https://c.test").status, 403);
}
