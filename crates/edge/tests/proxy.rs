//! What a client sees of a proxied request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use support::*;

// req: EDGE-03
#[test]
fn hosts_go_to_their_sites() {
    let front = Backend::answering(|_| ok("front"));
    let api = Backend::answering(|_| ok("api"));
    let sites = vec![
        site(1, &["yourdomain.test", "www.yourdomain.test"], vec![route("/*", "s/front")]),
        site(2, &["api.yourdomain.test"], vec![route("/*", "s/api")]),
    ];
    let edge = Edge::start(&snapshot(
        1,
        sites,
        vec![upstream("s/front", front.address), upstream("s/api", api.address)],
    ));
    assert_eq!(edge.get("yourdomain.test", "/").text(), "front");
    assert_eq!(edge.get("WWW.yourdomain.test:8080", "/x").text(), "front");
    assert_eq!(edge.get("api.yourdomain.test", "/").text(), "api");
}

// req: EDGE-06, EDGE-07
#[test]
fn a_prefix_goes_to_its_app_with_the_path_unchanged() {
    let app = Backend::answering(|head| ok(head.lines().next().unwrap()));
    let root = tempfile::tempdir().unwrap();
    std::fs::File::create(root.path().join("index.html")).unwrap().write_all(b"<p>static").unwrap();
    let sites = vec![
        site(1, &["a.test"], vec![route("/api/*", "s/a"), files("/*", root.path())]),
        site(2, &["all.test"], vec![route("/*", "s/a")]),
    ];
    let edge = Edge::start(&snapshot(1, sites, vec![upstream("s/a", app.address)]));
    assert_eq!(edge.get("a.test", "/api/health?x=%20y").text(), "GET /api/health?x=%20y HTTP/1.1");
    assert_eq!(edge.get("a.test", "/").text(), "<p>static");
    assert_eq!(edge.get("all.test", "/any/path").text(), "GET /any/path HTTP/1.1");
}

// req: EDGE-09
#[test]
fn the_instance_learns_who_asked() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.request(
        "GET /x HTTP/1.1\r\nHost: a.test:81\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\r\n",
    );
    let head = reply.text();
    assert!(head.contains("\r\nHost: a.test:81\r\n"), "{head}");
    assert!(head.contains("\r\nX-Real-IP: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nX-Forwarded-Proto: http\r\n"), "{head}");
    assert!(head.contains("\r\nX-Forwarded-Host: a.test:81\r\n"), "{head}");
    assert!(!head.contains("X-Secret") && !head.contains("Keep-Alive"), "{head}");
    let id = reply.header("X-Request-Id").unwrap();
    assert!(head.contains(&format!("\r\nX-Request-Id: {id}\r\n")), "{head}");
    assert_eq!(edge.log(1)[0]["request_id"], id.as_str());
}

// req: EDGE-10
#[test]
fn forwarded_fields_are_believed_from_trusted_peers_only() {
    let app = Backend::echoing();
    let asked = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 198.51.100.7, 192.0.2.1\r\nX-Real-IP: 198.51.100.8\r\nX_Real_IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nForwarded: for=1.2.3.4\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n";
    let edge = Edge::start(&proxying(&[app.address]));
    let head = edge.request(asked).text();
    for believed in [
        "X-Forwarded-Proto: https",
        "evil.test",
        "X-Real-IP: 198",
        "6.6.6.6",
        "Forwarded: for",
        "X-Request-Id: mine",
    ] {
        assert!(!head.contains(believed), "{believed} in {head}");
    }
    assert!(head.contains("X-Real-IP: 127.0.0.1\r\n"), "{head}");
    assert_eq!(edge.log(1)[0]["client"], "127.0.0.1");

    let mut trusting = proxying(&[app.address]);
    trusting.revision = 2;
    trusting.trusted = vec!["127.0.0.0/8".parse().unwrap(), "192.0.2.0/24".parse().unwrap()];
    edge.apply(&trusting);
    let head = edge.request(asked).text();
    for believed in [
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test",
        "X-Real-IP: 198.51.100.7\r\n",
        "X-Request-Id: mine",
    ] {
        assert!(head.contains(believed), "{believed} not in {head}");
    }
    assert_eq!(edge.log(2)[1]["client"], "198.51.100.7", "the first from the right that is not trusted");
}

// req: EDGE-15
#[test]
fn an_unknown_host_is_not_found_and_reaches_nobody() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.get("other.test", "/");
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("<!doctype html>"));
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 0);
    let json = edge
        .request("GET / HTTP/1.1\r\nHost: o.test\r\nAccept: application/json\r\nConnection: close\r\n\r\n");
    let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(value["status"], 404);
    assert_eq!(value["request_id"].as_str(), json.header("X-Request-Id").as_deref());
}

// req: EDGE-13
#[test]
fn a_refusing_backend_is_a_bad_gateway_named_in_the_log() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let edge = Edge::start(&proxying(&[closed]));
    assert_eq!(edge.get("a.test", "/").status, 502);
    let line = &edge.log(1)[0];
    assert_eq!(line["upstream"], "s/a.1#1");
    assert!(line["error"].as_str().unwrap().contains("refused"), "{line}");
}

#[test]
fn another_instance_answers_for_one_that_refuses() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = Backend::answering(|_| ok("here"));
    let edge = Edge::start(&proxying(&[closed, app.address]));
    for _ in 0..6 {
        assert_eq!(edge.get("a.test", "/").text(), "here");
    }
}

#[test]
fn a_silent_instance_is_a_gateway_timeout() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].read_ms = 200;
    let edge = Edge::start(&table);
    assert_eq!(edge.get("a.test", "/").status, 504);
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn bad_answers_are_bad_gateways() {
    let bad = [
        "garbage\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ];
    for answer in bad {
        let app = Backend::start(move |mut stream| {
            next_head(&mut stream);
            let _ = stream.write_all(answer.as_bytes());
        });
        let edge = Edge::start(&proxying(&[app.address]));
        assert_eq!(edge.get("a.test", "/").status, 502, "{answer:?}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_cut_for_the_client_too() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!((reply.status, reply.text().as_str()), (200, "half"));
    assert!(edge.log(1)[0]["error"].as_str().unwrap().contains("broke off"));
}

#[test]
fn what_an_instance_says_beyond_its_answer_reaches_nobody() {
    let app =
        Backend::answering(|_| format!("{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", ok("fine")));
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        let (head, body) = read_head(&mut client);
        assert!(head.starts_with("HTTP/1.1 200"));
        assert_eq!(body, b"fine");
    }
    assert_eq!(
        app.connections.load(std::sync::atomic::Ordering::SeqCst),
        3,
        "no such connection is used again"
    );
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let app = Backend::answering(|head| ok(head.split(' ').nth(1).unwrap()));
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    let request = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{more}\r\n");
    let all: String = (0..20).map(|n| request(&format!("/{n}"), "")).collect();
    client.write_all(format!("{all}{}", request("/end", "Connection: close\r\n")).as_bytes()).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let bodies: Vec<&str> =
        text.split("\r\n\r\n").skip(1).map(|part| part.split("HTTP/").next().unwrap()).collect();
    let expected: Vec<String> = (0..20).map(|n| format!("/{n}")).chain(["/end".to_owned()]).collect();
    assert_eq!(bodies, expected);
    assert_eq!(
        app.connections.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "one connection carried them all"
    );
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let app = Backend::start(|mut stream| {
        while let Some(head) = next_head(&mut stream) {
            let length = if head.contains("Transfer-Encoding") { 21 } else { 5 };
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let _ = stream.write_all(ok(&String::from_utf8_lossy(&body)).as_bytes());
        }
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let requests = [
        "POST /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "POST /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: v\r\n\r\n",
    ];
    for request in requests {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        for at in 1..request.len() {
            let mut client = edge.client();
            let (first, second) = request.split_at(at);
            client.write_all(first.as_bytes()).unwrap();
            std::thread::yield_now();
            client.write_all(second.as_bytes()).unwrap();
            let reply = read_reply(&mut client);
            assert_eq!((reply.status, reply.text().as_str()), (200, body), "split at {at}");
        }
    }
}

#[test]
fn malformed_requests_are_refused_and_closed() {
    let app = Backend::echoing();
    let edge = Edge::start(&proxying(&[app.address]));
    let bad = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a.test\r\n\r\n", 505),
        ("GET /../etc HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
        ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ];
    for (request, status) in bad {
        assert_eq!(edge.request(request).status, status, "{request:?}");
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(edge.request(&huge).status, 431);
}

#[test]
fn an_old_client_gets_plain_bodies() {
    let app = Backend::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
            .to_owned()
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.request("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(reply.text(), "hello world");
    assert!(reply.header("Transfer-Encoding").is_none());
    assert_eq!(reply.header("Connection").as_deref(), Some("close"));
}

#[test]
fn a_body_without_an_end_is_chunked_for_a_new_client() {
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let reply = edge.get("a.test", "/");
    assert_eq!(reply.header("Transfer-Encoding").as_deref(), Some("chunked"));
    assert_eq!(reply.text(), "5\r\nhello\r\n0\r\n\r\n");
    let old = edge.request("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!(old.text(), "hello");
}

#[test]
fn answers_without_a_body_keep_the_connection() {
    let app = Backend::answering(|head| match head.split(' ').nth(1).unwrap() {
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_owned(),
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n".to_owned(),
    });
    let edge = Edge::start(&proxying(&[app.address]));
    let mut client = edge.client();
    for (line, status) in [("HEAD /head", "200"), ("GET /204", "204"), ("GET /304", "304")] {
        client.write_all(format!("{line} HTTP/1.1\r\nHost: a.test\r\n\r\n").as_bytes()).unwrap();
        let (head, rest) = read_head(&mut client);
        assert_eq!(&head[9..12], status);
        assert!(rest.is_empty());
    }
    assert_eq!(app.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_unix_socket_and_a_port_serve_the_same_app() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                while next_head(&mut stream).is_some() {
                    stream.write_all(ok("socket").as_bytes()).unwrap();
                }
            });
        }
    });
    let app = Backend::answering(|_| ok("port"));
    let mut table = proxying(&[app.address]);
    table.upstreams[0].endpoints.push(wire::snapshot::Endpoint {
        instance: "s/a.2#2".into(),
        address: model::observed::Address::Unix(path),
        draining: false,
        weight: 1,
        release: 0,
        pid: None,
    });
    let edge = Edge::start(&table);
    let mut answers: Vec<String> = (0..10).map(|_| edge.get("a.test", "/").text()).collect();
    answers.sort();
    assert_eq!(answers, [["port"; 5], ["socket"; 5]].concat(), "idle instances take turns");
}

#[test]
fn what_may_not_run_twice_is_not_sent_twice() {
    // Each connection takes one request and closes without an answer.
    let app = Backend::start(|mut stream| {
        next_head(&mut stream);
    });
    let other = Backend::start(|mut stream| {
        next_head(&mut stream);
    });
    let count = |backend: &Backend| backend.connections.load(std::sync::atomic::Ordering::SeqCst);
    let edge = Edge::start(&proxying(&[app.address, other.address]));
    let reply =
        edge.request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!((reply.status, count(&app) + count(&other)), (502, 1));
    assert_eq!(edge.get("a.test", "/").status, 502);
    assert_eq!(count(&app) + count(&other), 3, "what may run twice is tried once more, elsewhere");
}

#[test]
fn a_client_without_a_host_gets_the_site_of_all_names() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    table.sites[0].hosts = vec!["*".into()];
    let edge = Edge::start(&table);
    let reply = edge.request("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("\r\nHost: localhost\r\n"), "{}", reply.text());
}

#[test]
fn wildcards_stand_for_one_label() {
    let app = Backend::echoing();
    let mut table = proxying(&[app.address]);
    table.sites[0].hosts = vec!["*.a.test".into()];
    let edge = Edge::start(&table);
    assert_eq!(edge.get("x.a.test", "/").status, 200);
    assert_eq!(edge.get("x.y.a.test", "/").status, 404);
    assert_eq!(edge.get("a.test", "/").status, 404);
}

/// What came in one read with a request that nobody serves is not lost: the rest of it, a body even, would be read as something else.
#[test]
fn a_request_behind_one_that_is_not_found_is_answered_too() {
    let backend = Backend::echoing();
    let edge = Edge::start(&proxying(&[backend.address]));
    let mut client = edge.client();
    let requests = "GET /1 HTTP/1.1\r\nHost: no.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(
        (text.matches("HTTP/1.1 404").count(), text.matches("HTTP/1.1 200").count()),
        (1, 1),
        "{text}"
    );
}

/// However many requests were sent ahead: where a read ends within one of them, the rest finds its room.
#[test]
fn a_long_row_of_requests_is_answered_to_its_end() {
    let edge = Edge::start(&proxying(&[]));
    let mut client = edge.client();
    let mut reader = client.try_clone().unwrap();
    let counting = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text.matches("HTTP/1.1 404").count(), text.matches("HTTP/1.1 ").count())
    });
    let row = "GET /1 HTTP/1.1\r\nHost: no.test\r\n\r\n".repeat(30_000);
    client.write_all(row.as_bytes()).unwrap();
    client.write_all(b"GET /1 HTTP/1.1\r\nHost: no.test\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(counting.join().unwrap(), (30_001, 30_001));
}
