//! Certificates from an authority with the real binary: ordered, served, kept, renewed, revoked, exported, and what is said when none
//! can be had. The authority is Let's Encrypt's pebble, which looks at the real front door.
#![allow(clippy::unwrap_used)] // helpers of tests too

use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use testkit::http::get;
use testkit::pebble::{Options, Pebble};
use testkit::tls::Client;
use testkit::{Sandbox, free_port, wait_until};

const HOST: &str = "shop.bench.test";

/// A stack whose front door has these two ports, and an authority that looks at them.
struct Stage {
    sandbox: Sandbox,
    authority: Pebble,
    http: u16,
    https: u16,
}

impl Stage {
    fn new(acme: &str, options: Options) -> Self {
        let (http, https) = (free_port(), free_port());
        let authority = Pebble::start(&Options { http_port: http, tls_port: https, ..options });
        let sandbox = Sandbox::with_manifest("");
        sandbox.write("www/index.html", "<h1>open</h1>");
        let stage = Self { sandbox, authority, http, https };
        stage.manifest(acme, &[HOST]);
        stage
    }

    fn manifest(&self, acme: &str, hosts: &[&str]) {
        // Of the stack's own: it is to be there when the authority is not.
        let root = self.sandbox.write("authority.pem", std::fs::read(self.authority.root()).unwrap());
        let directory = self.authority.directory();
        let text = format!(
            "stack = \"shop\"\n[listen]\nhttp = \"127.0.0.1:{}\"\nhttps = \"127.0.0.1:{}\"\n\
             [acme]\nauthority = \"{directory}\"\nroot = \"{}\"\nemail = \"admin@bench.test\"\ncheck_names = false\n{acme}\n\
             [[site]]\nhosts = {hosts:?}\ntls = \"acme\"\n[[site.route]]\nstatic = \"www\"\n",
            self.http,
            self.https,
            root.display()
        );
        self.sandbox.write("mainstay.toml", text);
    }

    fn run(&self, arguments: &[&str]) -> testkit::Output {
        let home = self.sandbox.home();
        self.sandbox.run(arguments.iter().copied().chain(["--home", home.to_str().unwrap()]))
    }

    fn certs(&self) -> Value {
        self.run(&["certs", "--json"]).expect_code(0).json()[0].clone()
    }

    fn client(&self) -> Client {
        Client::trusting(&self.authority.issuer())
    }

    fn stop(&self) {
        self.run(&["stop", "-y"]).expect_code(0);
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

// req: TLS-02, TLS-03, TLS-04, TLS-05, TLS-06
#[test]
fn a_site_has_its_certificate_by_the_end_of_start_and_keeps_it() {
    let stage = Stage::new("", Options::default());
    let started = stage.run(&["start"]).expect_code(0);
    assert!(
        started.stderr.contains(&format!("certificate of {HOST}: had from Pebble")),
        "{}",
        started.stderr
    );
    assert_eq!(stage.client().get(stage.https, HOST, "/").unwrap().text(), "<h1>open</h1>");
    let led = get(stage.http, HOST, "/a?b");
    assert_eq!(
        (led.status, led.header("location")),
        (301, Some(&*format!("https://{HOST}:{}/a?b", stage.https)))
    );
    let listed = stage.certs();
    assert_eq!((&listed["state"], &listed["source"]), (&"valid".into(), &"acme".into()));
    assert!(listed["renewal"].as_str() < listed["not_after"].as_str(), "{listed}");
    let folder = stage.sandbox.home().join("certs/acme/certificates").join(HOST);
    assert_eq!((mode(&folder.join("privkey.pem")), mode(&folder)), (0o600, 0o700));
    assert_eq!(stage.authority.orders(), 1);

    // Another keeper and another edge serve what is stored, with the authority gone.
    stage.stop();
    let Stage { sandbox, authority, https, .. } = stage;
    let issuer = authority.issuer();
    drop(authority);
    let home = sandbox.home();
    sandbox.run(["start", "--home", home.to_str().unwrap()]).expect_code(0);
    assert_eq!(Client::trusting(&issuer).get(https, HOST, "/").unwrap().status, 200);
    sandbox.run(["stop", "-y", "--home", home.to_str().unwrap()]).expect_code(0);
}

// req: TLS-11
#[test]
fn without_a_certificate_http_serves_the_site_and_everything_says_why() {
    let blocked = vec!["bench.test".to_owned()];
    let stage = Stage::new("", Options { blocked, ..Options::default() });
    let started = stage.run(&["start"]).expect_code(0);
    assert!(
        started.stderr.contains(HOST) && started.stderr.contains("rejectedIdentifier"),
        "{}",
        started.stderr
    );
    assert_eq!(get(stage.http, HOST, "/").text(), "<h1>open</h1>", "led to an HTTPS that cannot answer");
    assert!(stage.client().get(stage.https, HOST, "/").is_err(), "a certificate of nobody's");
    let status = stage.run(&["status"]).expect_code(0).stdout;
    assert!(status.contains("HTTPS refuses the name and plain HTTP serves the site"), "{status}");
    let listed = stage.certs();
    assert_eq!((&listed["state"], &listed["failures"]), (&"waiting".into(), &1.into()));
    assert!(
        listed["error"].as_str().unwrap().contains("localhost") && !listed["next_try"].is_null(),
        "{listed}"
    );
    let failed = stage.run(&["certs", "renew", HOST]).expect_code(4);
    assert!(failed.stderr.contains("rejectedIdentifier"), "{}", failed.stderr);
    assert_eq!(stage.certs()["failures"], 2);
    let why = stage.run(&["why", HOST]).expect_code(0).stdout;
    assert!(why.contains("rejectedIdentifier") && why.contains("mainstay certs renew"), "{why}");
    stage.stop();
}

// req: TLS-10
#[test]
fn renewed_under_requests_and_revoked_no_handshake_fails() {
    let stage = Stage::new("", Options::default());
    stage.run(&["start"]).expect_code(0);
    let serial = || {
        std::fs::read(stage.sandbox.home().join(format!("certs/acme/certificates/{HOST}/fullchain.pem")))
            .unwrap()
    };
    let first = serial();
    let (client, https) = (stage.client(), stage.https);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let handshakes = scope.spawn(|| {
            let mut done = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(client.get(https, HOST, "/").unwrap().status, 200);
                done += 1;
            }
            done
        });
        let left = stage.run(&["certs", "renew"]).expect_code(0);
        assert!(left.stdout.contains("is not due"), "{}", left.stdout);
        stage.run(&["certs", "renew", HOST, "--force"]).expect_code(0);
        let second = serial();
        assert_ne!(first, second);
        stage.run(&["certs", "revoke", HOST, "--reason", "superseded"]).expect_code(0);
        assert_ne!(second, serial());
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(handshakes.join().unwrap() > 10);
    });
    assert_eq!((stage.authority.orders(), &stage.certs()["state"]), (3, &"valid".into()));
    stage.stop();
}

// req: TLS-12
#[test]
fn an_imported_pair_is_served_before_the_authoritys_and_gives_way_again() {
    let stage = Stage::new("", Options::default());
    stage.run(&["start"]).expect_code(0);
    let own = testkit::tls::pair(&[HOST]);
    let (cert, key) = (stage.sandbox.write("own.pem", &own.cert), stage.sandbox.write("own.key", &own.key));
    let files = [cert.to_str().unwrap(), key.to_str().unwrap()];
    let wrong = stage.run(&["certs", "import", files[1], files[0]]).expect_code(1);
    assert!(wrong.stderr.contains("own.key: holds no certificate"), "{}", wrong.stderr);
    stage.run(&["certs", "import", files[0], files[1]]).expect_code(0);
    let mine = Client::trusting(&own.root);
    wait_until("the pair is served", || mine.get(stage.https, HOST, "/").ok());
    assert_eq!(stage.certs()["source"], "own");
    let kept = stage.sandbox.home().join("certs/own").join(HOST);
    assert_eq!(mode(&kept.join("privkey.pem")), 0o600);
    stage.run(&["certs", "remove", HOST]).expect_code(0);
    wait_until("the authority's is served", || stage.client().get(stage.https, HOST, "/").ok());
    assert_eq!(stage.authority.orders(), 1);
    stage.run(&["certs", "remove", HOST]).expect_code(2);
    stage.stop();
}
