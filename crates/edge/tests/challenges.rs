//! Certificate authorities that want to see whose a name is: over HTTP (RFC 8555 section 8.3) and TLS-ALPN (RFC 8737).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use rustls::{AlertDescription, ClientConfig, ClientConnection, Error, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use support::tls::*;
use support::*;
use wire::snapshot::{HttpChallenge, Snapshot};

const PATH: &str = "/.well-known/acme-challenge/";

/// A site `a.test` that is led to HTTPS, whose app says what arrived, and one answer for authorities.
fn challenged() -> Snapshot {
    let mut table = proxying(&[Backend::echoing().address]);
    table.sites[0].https_redirect = true;
    table.http_challenges = vec![HttpChallenge { token: "tok-1_A".into(), answer: "tok-1_A.thumb".into() }];
    table
}

// req: TLS-03
#[test]
fn a_challenge_is_answered_before_all_else() {
    let (given, der) = pair(&["a.test"]);
    let table = Snapshot { certificates: vec![given], ..challenged() };
    let edge = behind(&[SECURE], &table);
    for host in ["a.test", "A.test:80", "nobody.test", "127.0.0.1"] {
        let reply = edge.get(host, &format!("{PATH}tok-1_A"));
        assert_eq!((reply.status, &*reply.text()), (200, "tok-1_A.thumb"), "{host}");
        assert_eq!(reply.header("content-type").unwrap(), "application/octet-stream");
        assert_eq!(reply.header("cache-control").unwrap(), "no-store");
    }
    let head = edge.request(&format!("HEAD {PATH}tok-1_A HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"));
    assert_eq!((head.status, head.body.len(), head.header("content-length").unwrap()), (200, 0, "13".into()));
    // An authority follows redirects; whatever the connection's certificate is for.
    let config = client(&[&der], &[TLS13]);
    for host in ["a.test", "nobody.test"] {
        let mut stream = connect(&config, edge.doors[0].address, "a.test").unwrap();
        assert_eq!(exchange(&mut stream, &get(host, &format!("{PATH}tok-1_A"))).text(), "tok-1_A.thumb");
    }
    let over_http2 = http2::run(async {
        let client = http2::open_tls(&config, edge.doors[0].address, "a.test").await;
        let request = http::Request::get(format!("https://nobody.test{PATH}tok-1_A")).body(()).unwrap();
        http2::ask(&client, request).await.1
    });
    assert_eq!(over_http2, b"tok-1_A.thumb");
    // All else goes its ordinary way.
    for (host, path, status) in
        [("a.test", "tok-1_B", 301), ("a.test", "tok-1_A/", 301), ("a.test", "", 301), ("b.test", "tok", 404)]
    {
        assert_eq!(edge.get(host, &format!("{PATH}{path}")).status, status, "{host} {path}");
    }
    let posted = format!("POST {PATH}tok-1_A HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(edge.request(&posted.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).status, 308);
    edge.apply(&edge.with_its_doors(&Snapshot { revision: 2, http_challenges: Vec::new(), ..table }));
    assert_eq!(edge.get("a.test", &format!("{PATH}tok-1_A")).status, 301, "withdrawn");
}

#[test]
fn a_challenge_is_answered_where_there_is_no_site_at_all() {
    let table = Snapshot { http_challenges: challenged().http_challenges, ..snapshot(1, vec![], vec![]) };
    let edge = Edge::start(&table);
    assert_eq!(edge.get("new.test", &format!("{PATH}tok-1_A")).text(), "tok-1_A.thumb");
    assert_eq!(edge.get("new.test", "/").status, 404);
}

#[test]
fn an_app_behind_us_answers_authorities_of_its_own() {
    let mut table = challenged();
    table.sites[0].https_redirect = false;
    let edge = Edge::start(&table);
    let reply = edge.get("a.test", &format!("{PATH}its-own"));
    assert!(reply.status == 200 && reply.text().starts_with(&format!("GET {PATH}its-own ")));
}

/// What an authority's validator offers (RFC 8737 section 3).
fn validator(trusted: &CertificateDer<'static>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client(&[trusted], &[TLS13, TLS12]));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

#[test]
fn tls_alpn_is_answered_with_the_challenge_s_certificate_and_nothing_else() {
    let ((own, own_der), (proof, proof_der)) = (pair(&["a.test"]), pair(&["a.test"]));
    let (address, address_der) = pair(&["17.2.0.192.in-addr.arpa"]);
    let address = wire::snapshot::Certificate { hosts: vec!["192.0.2.17".into()], ..address };
    let mut table = challenged();
    table.certificates = vec![own];
    table.alpn_challenges = vec![proof, address];
    table.ticket_keys = vec![ticket_key(1)];
    let edge = behind(&[SECURE], &table);
    let door = edge.doors[0].address;
    for (name, der) in
        [("a.test", &proof_der), ("A.Test", &proof_der), ("17.2.0.192.in-addr.arpa", &address_der)]
    {
        for _ in 0..2 {
            let mut stream = connect(&validator(der, &[b"acme-tls/1"]), door, name).unwrap();
            assert_eq!(stream.conn.alpn_protocol(), Some(&b"acme-tls/1"[..]));
            assert_eq!(stream.conn.peer_certificates().unwrap()[0], *der);
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "a proper end, and no HTTP");
        }
    }
    // Others never see that protocol, nor that certificate.
    let mixed = connect(&validator(&own_der, &[b"acme-tls/1", b"http/1.1"]), door, "a.test").unwrap();
    assert_eq!(mixed.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut silent = connect(&validator(&own_der, &[]), door, "a.test").unwrap();
    assert_eq!(exchange(&mut silent, &get("a.test", "/")).status, 200);
    let no_such = Error::AlertReceived(AlertDescription::UnrecognisedName);
    assert_eq!(refusal(&validator(&proof_der, &[b"acme-tls/1"]), door, "b.test"), no_such);
    table.revision = 2;
    table.alpn_challenges.clear();
    edge.apply(&edge.with_its_doors(&table));
    let withdrawn = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(refusal(&validator(&own_der, &[b"acme-tls/1"]), door, "a.test"), withdrawn);
}

/// As a slow network has it: rustls gives all of its first message to `write_all` at once, and this one byte for byte.
struct Drop(TcpStream);

impl Read for Drop {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Drop {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_first_message_in_pieces_is_put_together() {
    let (given, der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &Snapshot { certificates: vec![given], ..challenged() });
    let name = ServerName::try_from("a.test").unwrap();
    for version in [TLS13, TLS12] {
        let mut drops = Drop(TcpStream::connect(edge.doors[0].address).unwrap());
        drops.0.set_nodelay(true).unwrap();
        let mut connection = ClientConnection::new(client(&[&der], &[version]), name.clone()).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut drops).unwrap();
        }
        let mut stream = StreamOwned::new(connection, drops.0);
        assert_eq!(exchange(&mut stream, &get("a.test", "/")).status, 200);
    }
}
