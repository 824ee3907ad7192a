//! Sites whose clients show a certificate: who gets in, what the application is told, and that nothing leads around it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use support::tls::*;
use support::*;
use wire::snapshot::{ClientCerts, Snapshot};

/// Signs certificates of clients.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "clients");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, valid: std::ops::Range<i32>) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(valid.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(valid.end, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (certificate, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A client that shows this.
fn showing(
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    shown: &Shown,
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
    Arc::new(builder.with_client_auth_cert(vec![shown.0.clone()], shown.1.clone_key()).unwrap())
}

/// `open.test`, and `closed.test` and `other.test` that ask for certificates; all of them under one certificate.
struct Sites {
    edge: Edge,
    table: Snapshot,
    der: CertificateDer<'static>,
    clients: Authority,
}

impl Sites {
    fn new(required: bool) -> Self {
        let (given, der) = pair(&["open.test", "closed.test", "other.test"]);
        let (clients, others) = (Authority::new(), Authority::new());
        let mut table = proxying(&[Backend::echoing().address]);
        let routes = table.sites[0].routes.clone();
        table.sites = ["open.test", "closed.test", "other.test"]
            .iter()
            .zip(1..)
            .map(|(host, hash)| site(hash, &[host], routes.clone()))
            .collect();
        table.sites[1].client_certs = Some(ClientCerts { roots: clients.pem.clone(), required });
        table.sites[2].client_certs = Some(ClientCerts { roots: others.pem, required: true });
        (table.certificates, table.ticket_keys) = (vec![given], vec![ticket_key(1)]);
        Self { edge: behind(&[SECURE], &table), table, der, clients }
    }

    fn door(&self) -> SocketAddr {
        self.edge.doors[0].address
    }

    fn renew(&mut self, change: impl FnOnce(&mut Snapshot)) {
        self.table.revision += 1;
        change(&mut self.table);
        self.edge.apply(&self.edge.with_its_doors(&self.table));
    }
}

/// Of a request on a connection opened for `name`; none: that did not come to be. A client of TLS 1.3 hears of it with the first answer.
fn ask(config: &Arc<ClientConfig>, door: SocketAddr, name: &str, request: &str) -> Option<Reply> {
    let mut stream = connect(config, door, name).ok()?;
    std::io::Write::write_all(&mut stream, request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(answer[..at].to_vec()).unwrap();
    Some(Reply { status: head[9..12].parse().unwrap(), head, body: answer[at..].to_vec() })
}

#[test]
fn who_shows_a_certificate_of_the_site_s_authority_gets_in_and_nobody_else() {
    let sites = Sites::new(true);
    let alice = sites.clients.sign("alice", 2020..4000);
    let expired = sites.clients.sign("alice", 2020..2021);
    let stranger = Authority::new().sign("alice", 2020..4000);
    for version in [TLS13, TLS12] {
        let nobody = client(&[&sites.der], &[version]);
        assert_eq!(ask(&nobody, sites.door(), "open.test", &get("open.test", "/")).unwrap().status, 200);
        let with = |shown| showing(&sites.der, version, shown);
        for refused in [&nobody, &with(&stranger), &with(&expired)] {
            assert!(ask(refused, sites.door(), "closed.test", &get("closed.test", "/")).is_none());
        }
        assert!(
            ask(&with(&alice), sites.door(), "other.test", &get("other.test", "/")).is_none(),
            "another's"
        );
        let forged = "\r\nX-Client-Cert-Subject: CN=root\r\nx_client_cert_subject: CN=root\r\n\
            X-Client-Cert-Fingerprint: 00\r\n\r\n";
        let request = get("closed.test", "/").replace("\r\n\r\n", forged);
        let arrived = ask(&with(&alice), sites.door(), "closed.test", &request).unwrap().text();
        let fingerprint: String =
            digest(&SHA256, &alice.0).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let lines = format!(
            "\r\nX-Client-Cert-Subject: CN=alice,O=Example\r\nX-Client-Cert-Fingerprint: {fingerprint}\r\n"
        );
        assert!(arrived.contains(&lines), "{arrived}");
        assert_eq!(arrived.to_lowercase().matches("client").count(), 2, "{arrived}");
    }
}

#[test]
fn what_clients_say_of_certificates_reaches_no_application() {
    let mut sites = Sites::new(true);
    sites.renew(|table| table.trusted = vec!["127.0.0.0/8".parse().unwrap()]);
    let said =
        "\r\nX-Client-Cert-Subject: CN=root\r\nX-CLIENT-CERT-FINGERPRINT: 00\r\nConnection: close\r\n\r\n";
    let plain = sites.edge.request(&format!("GET / HTTP/1.1\r\nHost: open.test{said}"));
    assert!(plain.status == 200 && !plain.text().to_lowercase().contains("client-cert"), "{}", plain.text());
}

#[test]
fn what_a_site_asks_for_holds_on_whatever_connection_its_requests_come() {
    let sites = Sites::new(true);
    let alice = showing(&sites.der, TLS13, &sites.clients.sign("alice", 2020..4000));
    let on = |name: &str, host: &str| ask(&alice, sites.door(), name, &get(host, "/")).unwrap().status;
    assert_eq!((on("closed.test", "closed.test"), on("closed.test", "open.test")), (200, 200));
    for (name, host) in
        [("open.test", "closed.test"), ("open.test", "CLOSED.test."), ("closed.test", "other.test")]
    {
        assert_eq!(on(name, host), 421, "{host} on a connection for {name}");
    }
    let shown_elsewhere = ask(&alice, sites.door(), "closed.test", &get("open.test", "/")).unwrap().text();
    assert!(
        !shown_elsewhere.to_lowercase().contains("client-cert"),
        "a site that does not ask is told nothing"
    );
    assert_eq!(sites.edge.get("closed.test", "/").status, 421, "no TLS at all");
    assert_eq!(sites.edge.get("open.test", "/").status, 200);
    // HTTP/2 with one connection for all names of a certificate.
    let statuses = http2::run(async {
        let nobody = client(&[&sites.der], &[TLS13]);
        let open = http2::open_tls(&nobody, sites.door(), "open.test").await;
        let own = http2::open_tls(&alice, sites.door(), "closed.test").await;
        let to = |host: &str| http::Request::get(format!("https://{host}/")).body(()).unwrap();
        let mut statuses = Vec::new();
        for (connection, host) in
            [(&open, "open.test"), (&open, "closed.test"), (&own, "closed.test"), (&own, "other.test")]
        {
            statuses.push(http2::ask(connection, to(host)).await.0.status().as_u16());
        }
        statuses
    });
    assert_eq!(statuses, [200, 421, 200, 421]);
}

#[test]
fn a_site_for_every_host_is_not_reached_by_naming_none() {
    let mut sites = Sites::new(true);
    sites.renew(|table| {
        table.sites[1].hosts = vec!["*".into()];
        table.sites[1].hash = 4;
    });
    let bare = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(sites.edge.request(bare).status, 421);
    let nobody = client(&[&sites.der], &[TLS13]);
    assert_eq!(ask(&nobody, sites.door(), "open.test", bare).unwrap().status, 421);
}

#[test]
fn plain_http_is_led_to_where_certificates_can_be_shown() {
    let mut sites = Sites::new(true);
    sites.renew(|table| {
        table.sites[1].https_redirect = true;
        table.sites[1].hash = 4;
    });
    assert_eq!(sites.edge.get("closed.test", "/").status, 301);
}

#[test]
fn where_none_is_required_who_shows_none_gets_in_and_who_shows_a_wrong_one_does_not() {
    let sites = Sites::new(false);
    for version in [TLS13, TLS12] {
        let nobody = client(&[&sites.der], &[version]);
        for _ in 0..2 {
            let reply = ask(&nobody, sites.door(), "closed.test", &get("closed.test", "/")).unwrap();
            assert!(reply.status == 200 && !reply.text().contains("X-Client-Cert"));
        }
        let alice = showing(&sites.der, version, &sites.clients.sign("alice", 2020..4000));
        let reply = ask(&alice, sites.door(), "closed.test", &get("closed.test", "/")).unwrap();
        assert!(reply.text().contains("\r\nX-Client-Cert-Subject: CN=alice,O=Example\r\n"));
        let wrong = showing(&sites.der, version, &Authority::new().sign("alice", 2020..4000));
        assert!(ask(&wrong, sites.door(), "closed.test", &get("closed.test", "/")).is_none());
    }
}

/// One request on a connection of its own: how the handshake was, and the answer.
fn visit(config: &Arc<ClientConfig>, door: SocketAddr, name: &str) -> (HandshakeKind, Reply) {
    let mut stream = connect(config, door, name).unwrap();
    let reply = exchange(&mut stream, &get(name, "/"));
    (stream.conn.handshake_kind().unwrap(), reply)
}

#[test]
fn a_resumed_session_is_as_good_as_what_was_shown_for_it() {
    for version in [TLS13, TLS12] {
        let mut sites = Sites::new(true);
        let alice = showing(&sites.der, version, &sites.clients.sign("alice", 2020..4000));
        assert_ne!(visit(&alice, sites.door(), "closed.test").0, HandshakeKind::Resumed);
        let (kind, reply) = visit(&alice, sites.door(), "closed.test");
        assert_eq!(kind, HandshakeKind::Resumed);
        assert!(reply.text().contains("X-Client-Cert-Subject: CN=alice,O=Example\r\n"), "it is told again");
        // A session that began before the site asked for anything, and one under other authorities: both begin anew.
        let nobody = client(&[&sites.der], &[version]);
        visit(&nobody, sites.door(), "open.test");
        let others = Authority::new().pem;
        sites.renew(|table| {
            let asks = table.sites[1].client_certs.clone();
            table.sites[0].client_certs = asks;
            table.sites[1].client_certs = Some(ClientCerts { roots: others, required: true });
            (table.sites[0].hash, table.sites[1].hash) = (4, 5);
        });
        assert!(ask(&nobody, sites.door(), "open.test", &get("open.test", "/")).is_none());
        assert!(ask(&alice, sites.door(), "closed.test", &get("closed.test", "/")).is_none());
        assert_eq!(ask(&alice, sites.door(), "open.test", &get("open.test", "/")).unwrap().status, 200);
    }
}

#[test]
fn a_connection_is_asked_anew_when_its_site_asks_for_something_else() {
    let mut sites = Sites::new(true);
    let alice = showing(&sites.der, TLS13, &sites.clients.sign("alice", 2020..4000));
    let mut stream = connect(&alice, sites.door(), "closed.test").unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: closed.test\r\n\r\n").unwrap();
    assert!(read_head(&mut stream).0.starts_with("HTTP/1.1 200 "));
    let others = Authority::new().pem;
    sites.renew(|table| {
        table.sites[1].client_certs = Some(ClientCerts { roots: others, required: true });
        table.sites[1].hash = 4;
    });
    assert_eq!(exchange(&mut stream, &get("closed.test", "/")).status, 421);
}

#[test]
fn authorities_that_cannot_be_used_let_nobody_in() {
    for roots in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        for required in [true, false] {
            let mut sites = Sites::new(true);
            let alice = showing(&sites.der, TLS13, &sites.clients.sign("alice", 2020..4000));
            sites.renew(|table| {
                table.sites[1].client_certs = Some(ClientCerts { roots: roots.into(), required });
                table.sites[1].hash = 4;
            });
            assert!(ask(&alice, sites.door(), "closed.test", &get("closed.test", "/")).is_none(), "{roots}");
            assert_eq!(ask(&alice, sites.door(), "open.test", &get("closed.test", "/")).unwrap().status, 421);
            assert_eq!(ask(&alice, sites.door(), "open.test", &get("open.test", "/")).unwrap().status, 200);
        }
    }
}
