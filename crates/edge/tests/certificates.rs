//! Which certificate a client gets, and that it is the one of now.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use support::tls::*;
use support::*;
use wire::edge::{FromEdge, ToEdge};
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

fn send_apart(edge: &Edge, revision: u64, certificates: &[&Certificate]) {
    let file = sys::memfile::create("certificates", &wire::encode(&certificates).unwrap()).unwrap();
    edge.say(&ToEdge::Certificates { revision }, &[file.as_fd()]);
}

#[test]
fn certificates_that_come_apart_stay_until_others_come() {
    let ((old, old_der), (new, new_der)) = (pair(&["a.test"]), pair(&["a.test"]));
    let edge = behind(&[SECURE], &serving_these(&[]));
    let config = client(&[&old_der, &new_der], &[TLS13]);
    let served = || shown(&config, edge.doors[0].address, "a.test");
    let naming = |revision, certificates_of| {
        edge.with_its_doors(&Snapshot { revision, certificates_of, ..serving_these(&[]) })
    };
    send_apart(&edge, 2, &[&old]);
    edge.apply(&naming(2, Some(2)));
    assert_eq!(served(), old_der);
    edge.apply(&naming(3, Some(2)));
    assert_eq!(served(), old_der, "a snapshot that carries none");
    send_apart(&edge, 4, &[&new]);
    assert_eq!(served(), old_der, "until the snapshot comes that they are for");
    edge.apply(&naming(4, Some(4)));
    assert_eq!(served(), new_der);
    // Of a keeper that has not sent them, and of one that does not know of it.
    edge.send_snapshot(&naming(5, Some(5)));
    assert!(matches!(edge.hear(), FromEdge::Rejected { revision: 5, .. }));
    assert_eq!(served(), new_der);
    edge.apply(&edge.with_its_doors(&Snapshot { revision: 6, ..serving_these(&[&old]) }));
    assert_eq!(served(), old_der);
}

#[test]
fn certificates_that_cannot_be_read_refuse_the_snapshot_they_are_for() {
    let (old, old_der) = pair(&["a.test"]);
    let edge = behind(&[SECURE], &serving_these(&[&old]));
    let file = sys::memfile::create("certificates", b"[{}").unwrap();
    edge.say(&ToEdge::Certificates { revision: 2 }, &[file.as_fd()]);
    let table = Snapshot { revision: 2, certificates_of: Some(2), ..serving_these(&[]) };
    edge.send_snapshot(&edge.with_its_doors(&table));
    assert!(matches!(edge.hear(), FromEdge::Rejected { revision: 2, .. }));
    assert_eq!(shown(&client(&[&old_der], &[TLS13]), edge.doors[0].address, "a.test"), old_der);
}
