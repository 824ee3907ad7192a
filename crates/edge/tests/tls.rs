//! TLS: versions, suites, names, swaps, resumption, ends; and what belongs on HTTPS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use edge::Deadlines;
use rustls::crypto::aws_lc_rs;
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::tls::*;
use support::*;
use wire::snapshot::{Certificate, Snapshot};

/// A table that proxies `a.test` to an app which says what arrived, with these certificates.
fn echoing(certificates: &[&Certificate]) -> Snapshot {
    let mut table = proxying(&[Backend::echoing().address]);
    table.certificates = certificates.iter().map(|&given| given.clone()).collect();
    table
}

/// What the edge says to these raw bytes.
fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// A ClientHello for `a.test` of a version before 1.3, with these suites.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let list = |items: &[u16]| items.iter().flat_map(|item| item.to_be_bytes()).collect::<Vec<u8>>();
    let sized = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |kind: u16, bytes: &[u8]| [&kind.to_be_bytes()[..], &sized(bytes)].concat();
    let name = [&[0][..], &sized(b"a.test")].concat();
    let extensions = [
        extension(0, &sized(&name)),
        extension(10, &sized(&list(&[0x001d, 0x0017, 0x0018]))),
        extension(11, &[1, 0]),
        extension(13, &sized(&list(&[0x0403, 0x0503, 0x0804, 0x0401, 0x0203, 0x0201]))),
        extension(23, &[]),
    ]
    .concat();
    let body =
        [&version.to_be_bytes()[..], &[7; 32], &[0], &sized(&list(suites)), &[1, 0], &sized(&extensions)]
            .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[0x16, 3, 1][..], &sized(&message)].concat()
}

const ECDHE_GCM: &[u16] = &[0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca9, 0xcca8];

fn is_alert(answer: &[u8], alert: u8) -> bool {
    answer.len() == 7 && answer[0] == 21 && answer[5..] == [2, alert]
}

// req: TLS-01
#[test]
fn applications_get_plain_http_and_are_told_of_https() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    for (version, name) in [(TLS13, "TLSv1.3"), (TLS12, "TLSv1.2")] {
        let mut stream = connect(&client(&[&der], &[version]), edge.doors[0].address, "a.test").unwrap();
        let forged = get("a.test", "/x?y").replace("\r\n\r\n", "\r\nX-Forwarded-Proto: http\r\n\r\n");
        let reply = exchange(&mut stream, &forged);
        assert_eq!(reply.status, 200);
        let arrived = reply.text();
        assert!(arrived.starts_with("GET /x?y HTTP/1.1\r\n"), "{arrived}");
        assert_eq!(arrived.matches("X-Forwarded-Proto: https\r\n").count(), 1, "{arrived}");
        assert!(!arrived.contains("X-Forwarded-Proto: http\r\n"), "{arrived}");
        until(|| edge.log(1).iter().any(|line| line["tls"] == name));
    }
    let plain = edge.get("a.test", "/");
    assert!(plain.text().contains("X-Forwarded-Proto: http\r\n"));
    assert!(edge.log(3)[2]["tls"].is_null());
}

// req: TLS-14
#[test]
fn versions_before_1_2_are_refused() {
    let (given, _) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    let address = edge.doors[0].address;
    for version in [0x0301, 0x0302, 0x0300] {
        let cbc_too: Vec<u16> = [ECDHE_GCM, &[0xc009, 0xc00a, 0xc013, 0xc014, 0x002f, 0x0035]].concat();
        let answer = answer_to(address, &hello(version, &cbc_too));
        assert!(is_alert(&answer, 70), "{version:x}: {answer:x?}");
    }
    assert_eq!(
        answer_to_first_record(address, &hello(0x0303, ECDHE_GCM)),
        0x16,
        "the control: 1.2 is spoken"
    );
}

/// Type of the first record that the edge answers with.
fn answer_to_first_record(address: SocketAddr, bytes: &[u8]) -> u8 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut first = [0];
    socket.read_exact(&mut first).unwrap();
    first[0]
}

// req: TLS-15
#[test]
fn suites_without_forward_secrecy_or_aead_are_refused() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    let address = edge.doors[0].address;
    let weak: &[u16] = &[
        0x0005, 0x0004, 0xc007, 0xc011, // RC4
        0x000a, 0x0016, 0xc008, 0xc012, // 3DES
        0x002f, 0x0035, 0x003c, 0x003d, // RSA, CBC
        0x009c, 0x009d, 0xc09c, // RSA, AEAD: no forward secrecy
        0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc024, 0xc027, 0xc028, 0x0033, 0x0039, 0x0067, // CBC
        0x0000, 0x0001, 0x0018, 0xc018, // null, anonymous
    ];
    for suite in weak.iter().map(std::slice::from_ref).chain([weak]) {
        let answer = answer_to(address, &hello(0x0303, suite));
        assert!(is_alert(&answer, 40), "{suite:x?}: {answer:x?}");
    }
    let mut spoken = 0;
    for suite in aws_lc_rs::default_provider().cipher_suites {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![suite];
        let mut roots = RootCertStore::empty();
        roots.add(der.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        let builder = builder.with_protocol_versions(&[suite.version()]).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        spoken += usize::from(connect(&config, address, "a.test").is_ok());
    }
    assert_eq!(spoken, 6, "three of 1.3 and, for an ECDSA key, three of 1.2");
}

#[test]
fn the_post_quantum_exchange_comes_first() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    let stream = connect(&client(&[&der], &[TLS13]), edge.doors[0].address, "a.test").unwrap();
    let group = stream.conn.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn each_name_gets_its_certificate_and_unknown_ones_are_refused() {
    let (one, one_der) = pair(&["a.test", "b.test"]);
    let (wild, wild_der) = pair(&["*.a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&one, &wild]));
    let address = edge.doors[0].address;
    let config = client(&[&one_der, &wild_der], &[TLS13, TLS12]);
    for (name, der) in
        [("a.test", &one_der), ("b.test", &one_der), ("x.a.test", &wild_der), ("A.Test", &one_der)]
    {
        let stream = connect(&config, address, name).unwrap();
        assert_eq!(stream.conn.peer_certificates().unwrap()[0], *der, "{name}");
    }
    let unrecognized = rustls::Error::AlertReceived(AlertDescription::UnrecognisedName);
    for name in ["c.test", "x.y.a.test", "127.0.0.1"] {
        for version in [TLS13, TLS12] {
            assert_eq!(refusal(&client(&[&one_der], &[version]), address, name), unrecognized, "{name}");
        }
    }
    let (any, any_der) = pair(&["*"]);
    let mut table = echoing(&[&one, &wild, &any]);
    table.revision = 2;
    edge.apply(&edge.with_its_doors(&table));
    let stream = connect(&client(&[&any_der], &[TLS13]), address, "any.test").unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap()[0], any_der);
}

#[test]
fn a_certificate_that_cannot_be_used_is_left_out_alone() {
    let (good, der) = pair(&["a.test"]);
    let (other, _) = pair(&["b.test"]);
    let broken = [
        Certificate { key: good.key.clone(), ..other.clone() },
        Certificate { chain: "no PEM".to_owned(), ..other.clone() },
        Certificate { key: String::new(), ..other },
    ];
    let edge = behind(&[SECURE], &echoing(&[&broken[0], &broken[1], &good, &broken[2]]));
    let config = client(&[&der], &[TLS13]);
    let mut stream = connect(&config, edge.doors[0].address, "a.test").unwrap();
    assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
    assert!(connect(&config, edge.doors[0].address, "b.test").is_err());
}

#[test]
fn certificates_are_swapped_under_live_connections() {
    let ((old, old_der), (new, new_der)) = (pair(&["a.test"]), pair(&["a.test"]));
    let mut table = echoing(&[&old]);
    let edge = behind(&[SECURE], &table);
    let address = edge.doors[0].address;
    let mut before = connect(&client(&[&old_der], &[TLS13]), address, "a.test").unwrap();
    before.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
    read_head(&mut before);
    (table.revision, table.certificates) = (2, vec![new]);
    edge.apply(&edge.with_its_doors(&table));
    assert!(connect(&client(&[&old_der], &[TLS13]), address, "a.test").is_err(), "the old one is gone");
    let mut after = connect(&client(&[&new_der], &[TLS13]), address, "a.test").unwrap();
    assert_eq!(exchange(&mut after, &get("a.test", "/")).status, 200);
    let mut rest = Vec::new();
    before.write_all(get("a.test", "/").as_bytes()).unwrap();
    before.read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn sessions_are_resumed_by_whoever_has_the_key() {
    let (given, der) = pair(&["a.test"]);
    let mut table = echoing(&[&given]);
    table.ticket_keys = vec![ticket_key(1)];
    let (first, second) = (behind(&[SECURE], &table), behind(&[SECURE], &table));
    let visit = |config: &Arc<ClientConfig>, edge: &Edge| {
        let mut stream = connect(config, edge.doors[0].address, "a.test").unwrap();
        assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
        stream.conn.handshake_kind().unwrap()
    };
    let full = |kind| matches!(kind, HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest);
    for version in [TLS13, TLS12] {
        let config = client(&[&der], &[version]);
        assert!(full(visit(&config, &first)));
        assert_eq!(visit(&config, &first), HandshakeKind::Resumed);
        assert_eq!(visit(&config, &second), HandshakeKind::Resumed, "begun on another edge");
    }
    // Rotation: the former key still opens; once it is gone it does not.
    let (rotated, strange) = (client(&[&der], &[TLS13]), client(&[&der], &[TLS13]));
    assert!(full(visit(&rotated, &second)));
    assert!(full(visit(&strange, &second)));
    (table.revision, table.ticket_keys) = (2, vec![ticket_key(2), ticket_key(1)]);
    first.apply(&first.with_its_doors(&table));
    assert_eq!(visit(&rotated, &first), HandshakeKind::Resumed);
    (table.revision, table.ticket_keys) = (3, vec![ticket_key(3)]);
    first.apply(&first.with_its_doors(&table));
    assert!(full(visit(&strange, &first)));
    // Without keys there is nothing to resume by.
    (table.revision, table.ticket_keys) = (4, Vec::new());
    first.apply(&first.with_its_doors(&table));
    let config = client(&[&der], &[TLS13]);
    assert!(full(visit(&config, &first)) && full(visit(&config, &first)));
}

// req: TLS-13
#[test]
fn plain_http_is_led_to_https() {
    let (given, _) = pair(&["a.test"]);
    let mut table = echoing(&[&given]);
    table.sites[0].https_redirect = true;
    table.trusted = vec!["127.0.0.2/32".parse().unwrap()];
    let edge = behind(&[SECURE], &table);
    let port = edge.doors[0].address.port();
    let moved = edge.get("a.test", "/a%20b/c?d=e&f");
    assert_eq!(moved.status, 301);
    assert_eq!(moved.header("location").unwrap(), format!("https://a.test:{port}/a%20b/c?d=e&f"));
    let posted = edge.request("POST /form HTTP/1.1\r\nHost: A.test:8080\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(posted.status, 308, "a POST stays one");
    assert_eq!(posted.header("location").unwrap(), format!("https://A.test:{port}/form"));
    let absolute = edge.request("GET http://a.test HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert_eq!(absolute.header("location").unwrap(), format!("https://a.test:{port}/"));
    let forged = edge
        .request("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n");
    assert_eq!(forged.status, 301, "nobody's word but a trusted peer's");
    assert_eq!(
        edge.get("a.test", "/.well-known/acme-challenge/x").status,
        301,
        "a challenge that is not ours"
    );
    assert_eq!(edge.get("b.test", "/").status, 404);
}

#[test]
fn what_came_over_https_at_a_trusted_peer_is_not_led_there_again() {
    let (given, _) = pair(&["a.test"]);
    let mut table = echoing(&[&given]);
    table.sites[0].https_redirect = true;
    table.trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = behind(&[SECURE], &table);
    let said = |proto: &str| {
        edge.request(
            &get("a.test", "/").replace("\r\n\r\n", &format!("\r\nX-Forwarded-Proto: {proto}\r\n\r\n")),
        )
    };
    let passed = said("https");
    assert!(passed.status == 200 && passed.text().contains("X-Forwarded-Proto: https\r\n"));
    assert_eq!(said("http").status, 301);
    assert_eq!(edge.get("a.test", "/").status, 301);
}

// req: TLS-19
#[test]
fn a_site_runs_on_http_alone_and_https_is_switched_on_by_a_snapshot() {
    let (given, der) = pair(&["a.test"]);
    let table = echoing(&[]);
    let edge = behind(&[SECURE], &table);
    let address = edge.doors[0].address;
    assert_eq!(edge.get("a.test", "/").status, 200);
    assert!(connect(&client(&[&der], &[TLS13]), address, "a.test").is_err());
    let mut table = Snapshot { revision: 2, certificates: vec![given], ..table };
    table.sites[0].https_redirect = true;
    table.sites[0].hash = 2;
    edge.apply(&edge.with_its_doors(&table));
    assert_eq!(edge.get("a.test", "/").status, 301);
    let mut stream = connect(&client(&[&der], &[TLS13]), address, "a.test").unwrap();
    assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
}

#[test]
fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let ((one, der), (other, _)) = (pair(&["a.test", "*.a.test"]), pair(&["b.test"]));
    let mut table = echoing(&[&one, &other]);
    table.sites[0].hosts = ["a.test", "x.a.test", "b.test"].map(str::to_owned).to_vec();
    let edge = behind(&[SECURE], &table);
    let config = client(&[&der], &[TLS13]);
    let ask = |host: &str| {
        let mut stream = connect(&config, edge.doors[0].address, "a.test").unwrap();
        exchange(&mut stream, &get(host, "/")).status
    };
    for (host, status) in
        [("a.test", 200), ("A.TEST", 200), ("a.test:443", 200), ("x.a.test", 200), ("b.test", 421)]
    {
        assert_eq!(ask(host), status, "{host}");
    }
}

#[test]
fn handshakes_that_do_not_come_to_an_end_are_cut() {
    let (given, der) = pair(&["a.test"]);
    let deadlines = Deadlines { head_ms: 400, ..Deadlines::default() };
    let edge = Edge::with_doors(deadlines, 1, &[SECURE], &echoing(&[&given]));
    let address = edge.doors[0].address;
    let whole = hello(0x0303, ECDHE_GCM);
    for sent in [&whole[..0], &whole[..3], &whole[..40], &whole] {
        let began = Instant::now();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(sent).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(5), "{took:?}");
    }
    // Shaken hands, and not a word.
    let mut silent = connect(&client(&[&der], &[TLS13]), address, "a.test").unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "a proper end");
    until(|| edge.stats().connections == 0);
}

#[test]
fn garbage_is_refused_and_harms_nobody() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    let address = edge.doors[0].address;
    let good = hello(0x0303, ECDHE_GCM);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let send = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).unwrap();
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    };
    for round in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..1 + round % 4 {
            let at = usize::try_from(next() % bytes.len() as u64).unwrap();
            bytes[at] = next().to_le_bytes()[0];
        }
        bytes.truncate(usize::try_from(1 + next() % bytes.len() as u64).unwrap());
        send(&bytes);
    }
    for _ in 0..50 {
        send(&(0..200).map(|_| next().to_le_bytes()[0]).collect::<Vec<_>>());
    }
    send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // After the handshake too.
    let config = client(&[&der], &[TLS13]);
    let mut stream = connect(&config, address, "a.test").unwrap();
    stream.sock.write_all(&[23, 3, 3, 0, 40]).unwrap();
    stream.sock.write_all(&[9; 40]).unwrap();
    assert!(stream.read(&mut [0]).is_err(), "an alert");
    until(|| edge.stats().connections == 0);
    let mut stream = connect(&config, address, "a.test").unwrap();
    assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
}

#[test]
fn a_client_that_has_said_its_end_gets_its_answer() {
    let (given, der) = pair(&["a.test"]);
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file.txt"), "all of it").unwrap();
    let mut table = snapshot(1, vec![site(1, &["a.test"], vec![files("/*", root.path())])], Vec::new());
    table.certificates = vec![given];
    let edge = behind(&[SECURE], &table);
    for version in [TLS13, TLS12] {
        let mut stream = connect(&client(&[&der], &[version]), edge.doors[0].address, "a.test").unwrap();
        stream.write_all(b"GET /file.txt HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\r\n\r\nall of it"), "{}", String::from_utf8_lossy(&answer));
    }
    until(|| edge.stats().connections == 0);
}

#[test]
fn http2_is_spoken_where_both_sides_know_it() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &echoing(&[&given]));
    let mut config = ClientConfig::clone(&client(&[&der], &[TLS13]));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let arrived = runtime.block_on(async {
        let socket = tokio::net::TcpStream::connect(edge.doors[0].address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("a.test").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let driver = tokio::spawn(connection);
        let ask = |host: &str| http::Request::get(format!("https://{host}/x")).body(()).unwrap();
        let (answer, _) = send.clone().ready().await.unwrap().send_request(ask("b.test"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 421);
        let (answer, _) = send.clone().ready().await.unwrap().send_request(ask("a.test"), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let mut arrived = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            let _ = body.flow_control().release_capacity(piece.len());
            arrived.extend_from_slice(&piece);
        }
        drop(send);
        driver.abort();
        String::from_utf8(arrived).unwrap()
    });
    assert!(arrived.contains("X-Forwarded-Proto: https\r\n"), "{arrived}");
    assert_eq!(edge.log(2)[1]["tls"], "TLSv1.3");
    // A client that knows no other protocol than these speaks HTTP/1.1 without a word about it.
    let mut stream = connect(&client(&[&der], &[TLS13]), edge.doors[0].address, "a.test").unwrap();
    assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
}

#[test]
fn nobody_is_accepted_where_it_is_not_known_what_is_spoken() {
    let (given, der) = pair(&["a.test"]);
    let mut table = echoing(&[&given]);
    let edge = behind(&[SECURE], &table);
    // As a reload does it: the address is bound before the snapshot that says what is spoken there.
    let late = sys::listen::bind(([127, 0, 0, 1], 0).into(), 1, 16).unwrap();
    let named = |address| wire::edge::Listener { address, queue: 0, datagrams: false };
    let address = late[0].local_addr().unwrap();
    let names = vec![named(address)];
    edge.say(&wire::edge::ToEdge::Listen { listeners: names }, &[std::os::fd::AsFd::as_fd(&late[0])]);
    let config = client(&[&der], &[TLS13]);
    let waiting = std::thread::spawn(move || connect(&config, address, "a.test").map(drop));
    edge.stats(); // the listener was taken
    table.revision = 2;
    table.doors = vec![model::site::DoorSpec { address, tls: true, proxy_protocol: false, own: false }];
    edge.apply(&table);
    waiting.join().unwrap().unwrap();
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = 88172645463325252_u64;
    let step = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}

#[test]
fn large_bodies_pass_unchanged_both_ways() {
    let (given, der) = pair(&["a.test"]);
    // Sends back what it gets, framed like it.
    let app = Backend::start(|mut stream| {
        let head = next_head(&mut stream).unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        match field("Content-Length: ") {
            Some(length) => {
                let mut body = vec![0; length.parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").unwrap();
                stream.write_all(&body).unwrap();
            }
            None => {
                let body = read_until(&mut stream, b"\r\n0\r\n\r\n");
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
                stream.write_all(&body).unwrap();
            }
        }
    });
    let mut table = proxying(&[app.address]);
    table.sites[0].routes[0].body_limit = 64 << 20;
    table.certificates = vec![given];
    let edge = behind(&[SECURE], &table);
    let body = noise((6 << 20) + 777);
    for version in [TLS13, TLS12] {
        let config = client(&[&der], &[version]);
        let mut stream = connect(&config, edge.doors[0].address, "a.test").unwrap();
        write!(stream, "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(&body).unwrap();
        let (head, mut got) = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let had = got.len();
        got.resize(body.len(), 0);
        stream.read_exact(&mut got[had..]).unwrap();
        assert!(got == body, "{version:?}");
        // Chunked, in pieces of odd sizes, on the same connection.
        stream.write_all(b"PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let mut sent = Vec::new();
        for piece in body[..200_000].chunks(7001) {
            sent.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            sent.extend_from_slice(piece);
            sent.extend_from_slice(b"\r\n");
        }
        sent.extend_from_slice(b"0\r\n\r\n");
        sent.chunks(1999).for_each(|piece| stream.write_all(piece).unwrap());
        let (_, mut got) = read_head(&mut stream);
        let had = got.len();
        got.resize(sent.len(), 0);
        stream.read_exact(&mut got[had..]).unwrap();
        assert!(got == sent, "{version:?}, chunked");
    }
    until(|| edge.in_flight("s/a.1#1") == 0);
}

#[test]
fn a_slow_reader_gets_all_of_a_large_answer() {
    let (given, der) = pair(&["a.test"]);
    let root = tempfile::tempdir().unwrap();
    let body = noise(9 << 20);
    std::fs::write(root.path().join("big.bin"), &body).unwrap();
    let mut table = snapshot(1, vec![site(1, &["a.test"], vec![files("/*", root.path())])], Vec::new());
    table.certificates = vec![given];
    let edge = behind(&[SECURE], &table);
    let mut stream = connect(&client(&[&der], &[TLS13]), edge.doors[0].address, "a.test").unwrap();
    stream.write_all(get("a.test", "/big.bin").as_bytes()).unwrap();
    let (_, mut got) = read_head(&mut stream);
    let mut piece = vec![0; 100_000];
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            count => got.extend_from_slice(&piece[..count]),
        }
        if got.len() % 7 == 0 {
            std::thread::sleep(Duration::from_millis(5)); // the reader's own slowness
        }
    }
    assert!(got == body);
}

#[test]
fn an_upgrade_is_a_tunnel_over_tls_too() {
    let (given, der) = pair(&["a.test"]);
    let app = Backend::start(|mut stream| {
        let head = next_head(&mut stream).unwrap();
        assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
            )
            .unwrap();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            if stream.write_all(&piece[..count]).is_err() {
                return;
            }
        }
    });
    let mut table = proxying(&[app.address]);
    table.certificates = vec![given];
    let edge = behind(&[SECURE], &table);
    let mut stream = connect(&client(&[&der], &[TLS13]), edge.doors[0].address, "a.test").unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    assert!(read_until(&mut stream, b"hello").starts_with(b"HTTP/1.1 101 "));
    for message in [&b"one"[..], &[0, 255, 7], &noise(50_000)] {
        stream.write_all(message).unwrap();
        let mut echo = vec![0; message.len()];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(echo, message);
    }
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and a proper end");
    until(|| edge.stats().connections == 0);
}
