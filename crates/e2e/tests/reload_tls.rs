//! Routes, certificates and upstreams change while clients of every kind never stop asking: no request may fail, no connection
//! be closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::tls::{Client, Pair, pair};
use testkit::{FrontDoor, HOST, wait_until};

/// Pause between two requests of one client: constant load, not a benchmark.
const PAUSE: Duration = Duration::from_millis(3);

/// What all clients share.
#[derive(Clone)]
struct Load {
    http: u16,
    https: u16,
    client: Client,
    stop: Arc<AtomicBool>,
    /// Answers of each client.
    answered: [Arc<AtomicU64>; 5],
}

impl Load {
    fn begin(door: &FrontDoor, client: Client) -> (Self, Vec<JoinHandle<()>>) {
        let load = Self {
            http: door.port,
            https: door.https,
            client,
            stop: Arc::default(),
            answered: Default::default(),
        };
        let kinds: [fn(&Self, &AtomicU64); 5] = [
            |load, count| load.stay(Connection::open(("127.0.0.1", load.http)), count),
            |load, count| load.stay(load.client.connect(("127.0.0.1", load.https), HOST).unwrap(), count),
            |load, count| load.come_and_go(count, || Connection::open(("127.0.0.1", load.http))),
            |load, count| {
                load.come_and_go(count, || load.client.connect(("127.0.0.1", load.https), HOST).unwrap())
            },
            Self::http2,
        ];
        let clients = (0..).zip(kinds).map(|(number, kind)| {
            let load = load.clone();
            std::thread::spawn(move || kind(&load, &load.answered[number]))
        });
        let clients: Vec<_> = clients.collect();
        load.more(&clients);
        (load, clients)
    }

    /// Waits until each client has some more answers.
    #[track_caller]
    fn more(&self, clients: &[JoinHandle<()>]) {
        let count = || self.answered.each_ref().map(|count| count.load(Ordering::Relaxed));
        let before = count();
        wait_until("every client goes on", || {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client failed");
            count().iter().zip(before).all(|(now, before)| *now >= before + 5).then_some(())
        });
    }

    fn goes_on(&self, count: &AtomicU64) -> bool {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(PAUSE);
        !self.stop.load(Ordering::Relaxed)
    }

    /// All on one connection.
    fn stay<S: Read + Write>(&self, mut connection: Connection<S>, count: &AtomicU64) {
        while self.goes_on(count) {
            connection.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
            let answer = connection.response();
            assert_eq!((answer.status, answer.header("connection")), (200, None), "{answer:?}");
        }
    }

    /// Each on one of its own.
    fn come_and_go<S: Read + Write>(&self, count: &AtomicU64, connect: impl Fn() -> Connection<S>) {
        while self.goes_on(count) {
            let mut connection = connect();
            connection.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
            assert_eq!(connection.response().status, 200);
        }
    }

    /// All on one connection of HTTP/2.
    fn http2(&self, count: &AtomicU64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.https)).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(self.client.http2());
            let tls = connector.connect(HOST.try_into().unwrap(), tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let (mut sender, connection) = h2::client::handshake(tls).await.unwrap();
            let driver = tokio::spawn(connection);
            while self.goes_on(count) {
                sender = sender.ready().await.unwrap();
                let request = http::Request::get(format!("https://{HOST}/x")).body(()).unwrap();
                let response = sender.send_request(request, true).unwrap().0.await.unwrap();
                assert_eq!(response.status(), 200);
                let mut body = response.into_body();
                while let Some(chunk) = body.data().await {
                    let length = chunk.unwrap().len();
                    body.flow_control().release_capacity(length).unwrap();
                }
                assert!(!driver.is_finished(), "the connection was closed");
            }
        });
    }
}

fn named(name: &'static str) -> Backend {
    Backend::start(move |request, peer| {
        peer.body(request)?;
        peer.ok(name)
    })
}

fn manifest(backend: &Backend, more: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"{HOST}\"]\nhttps_redirect = false\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n\
         {more}[[site.route]]\nproxy = \"127.0.0.1:{}\"\n",
        backend.port()
    )
}

fn write_pair(door: &FrontDoor, pair: &Pair) {
    door.sandbox.write("cert.pem", &pair.cert);
    let key = door.sandbox.write("key.pem", &pair.key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

// req: EDGE-22
#[test]
fn changes_cut_nobody_and_fail_nothing() {
    let (one, two) = (named("one"), named("two"));
    let pairs = [pair(&[HOST]), pair(&[HOST])];
    let door = FrontDoor::secure(
        &manifest(&one, ""),
        &[("cert.pem", &pairs[0].cert), ("key.pem", &pairs[0].key), ("public/new/index.html", "a new route")],
    );
    let roots: Vec<&str> = pairs.iter().map(|pair| pair.root.as_str()).collect();
    let (load, clients) = Load::begin(&door, Client::trusting_all(&roots));
    let edge = door.edge_pid();
    const ROUTE: &str = "[[site.route]]\npath = \"/new/*\"\nstatic = \"public\"\n";
    for round in 0..3 {
        // routes
        door.reload(&manifest(&one, ROUTE));
        wait_until("the new route", || (door.get("/new/").text() == "a new route").then_some(()));
        load.more(&clients);
        // upstreams, and the route is gone
        door.reload(&manifest(&two, ""));
        wait_until("the new upstream", || (door.get("/x").text() == "two").then_some(()));
        assert_eq!(door.get("/new/").text(), "two");
        load.more(&clients);
        // certificates
        let next = &pairs[(round + 1) % 2];
        write_pair(&door, next);
        wait_until("the new certificate", || Client::trusting(&next.root).get(door.https, HOST, "/").ok());
        load.more(&clients);
        door.reload(&manifest(&one, ""));
        wait_until("the former upstream", || (door.get("/x").text() == "one").then_some(()));
        load.more(&clients);
    }
    load.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client whose requests were all answered"));
    assert_eq!(door.edge_pid(), edge, "another edge answers");
}
