//! Which certificate a client gets, and that it is the one of now.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use support::tls::*;
use support::*;
use wire::snapshot::{Certificate, Snapshot};

fn serving_these(certificates: &[&Certificate]) -> Snapshot {
    let mut table = proxying(&[Backend::echoing().address]);
    table.sites[0].hosts = vec!["*".into()];
    table.certificates = certificates.iter().map(|&given| given.clone()).collect();
    table.ticket_keys = vec![ticket_key(1)];
    table
}

/// What a client that asks for this name, or address, is shown.
fn shown(config: &Arc<ClientConfig>, door: SocketAddr, name: &str) -> CertificateDer<'static> {
    connect(config, door, name).unwrap().conn.peer_certificates().unwrap()[0].clone().into_owned()
}

#[test]
fn the_first_certificate_for_a_name_is_served_and_an_exact_name_goes_before_a_wildcard() {
    let (custom, custom_der) = pair(&["a.test", "*.b.test"]);
    let (acme, acme_der) = pair(&["a.test", "*.b.test", "www.b.test", "c.test"]);
    let config = client(&[&custom_der, &acme_der], &[TLS13]);
    let edge = behind(&[SECURE], &serving_these(&[&custom, &acme]));
    for (name, der) in
        [("a.test", &custom_der), ("x.b.test", &custom_der), ("www.b.test", &acme_der), ("c.test", &acme_der)]
    {
        assert_eq!(shown(&config, edge.doors[0].address, name), *der, "{name}");
    }
}

#[test]
fn who_asks_for_an_address_gets_the_certificate_for_it() {
    let (named, named_der) = pair(&["a.test"]);
    let (other, other_der) = pair(&["192.0.2.17"]);
    let (own, own_der) = pair(&["127.0.0.1"]);
    let config = client(&[&named_der, &other_der, &own_der], &[TLS13, TLS12]);
    let edge = behind(&[SECURE], &serving_these(&[&named, &other, &own]));
    let mut stream = connect(&config, edge.doors[0].address, "127.0.0.1").unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap()[0], own_der);
    assert_eq!(exchange(&mut stream, &get("127.0.0.1", "/")).status, 200);
    // Where the world knows us by another address than the one we have: the only one that is for an address.
    let mut table = serving_these(&[&named, &other]);
    table.revision = 2;
    edge.apply(&edge.with_its_doors(&table));
    let trusting = client(&[&other_der], &[TLS13]);
    let socket = std::net::TcpStream::connect(edge.doors[0].address).unwrap();
    let name = rustls_pki_types::ServerName::try_from("192.0.2.17").unwrap();
    let mut connection = rustls::ClientConnection::new(trusting, name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut &socket).unwrap();
    }
    assert_eq!(connection.peer_certificates().unwrap()[0], other_der);
}

#[test]
fn a_renewed_certificate_is_served_from_the_next_handshake_on_to_who_resumes_too() {
    for version in [TLS13, TLS12] {
        let ((old, old_der), (new, new_der)) = (pair(&["a.test"]), pair(&["a.test"]));
        let (other, other_der) = pair(&["b.test"]);
        let edge = behind(&[SECURE], &serving_these(&[&old, &other]));
        let config = client(&[&old_der, &new_der, &other_der], &[version]);
        let visit = |name: &str| {
            let mut stream = connect(&config, edge.doors[0].address, name).unwrap();
            assert_eq!(exchange(&mut stream, &get(name, "/")).status, 200);
            let is_resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
            (is_resumed, stream.conn.peer_certificates().unwrap()[0].clone())
        };
        assert!(!visit("a.test").0 && !visit("b.test").0);
        assert_eq!(visit("a.test"), (true, old_der.clone()));
        edge.apply(&edge.with_its_doors(&Snapshot { revision: 2, ..serving_these(&[&new, &other]) }));
        assert_eq!(visit("a.test"), (false, new_der.clone()), "seen at once");
        assert_eq!(visit("a.test"), (true, new_der));
        assert!(visit("b.test").0, "sessions of other certificates go on");
    }
}
