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
        let site = format!("[[site]]\nhosts = {hosts:?}\ntls = \"acme\"\n[[site.route]]\nstatic = \"www\"\n");
        self.sites("", acme, &site);
    }

    /// `listen`: where else than at the two ports, for HTTP and for HTTPS.
    fn sites(&self, listen: &str, acme: &str, sites: &str) {
        // Of the stack's own: it is to be there when the authority is not.
        let root = self.sandbox.write("authority.pem", std::fs::read(self.authority.root()).unwrap());
        let directory = self.authority.directory();
        let [http, https] = [self.http, self.https].map(|port| match listen {
            "" => format!("\"127.0.0.1:{port}\""),
            more => format!("[\"127.0.0.1:{port}\", \"{more}:{port}\"]"),
        });
        let text = format!(
            "stack = \"shop\"\n[listen]\nhttp = {http}\nhttps = {https}\n\
             [acme]\nauthority = \"{directory}\"\nroot = \"{}\"\nemail = \"admin@bench.test\"\ncheck_names = false\n{acme}\n\
             {sites}",
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

/// The certificate that clients of a name are shown.
fn shown(stage: &Stage, host: &str) -> Vec<u8> {
    let connection = stage.client().connect(("127.0.0.1", stage.https), host).unwrap();
    connection.stream().conn.peer_certificates().unwrap()[0].to_vec()
}

// req: TLS-07, TLS-20
#[test]
fn each_site_has_one_certificate_however_its_names_are_proved() {
    let stage = Stage::new("", Options::default());
    let acme = format!("dns = {{ command = {:?}, propagation = \"0s\" }}", stage.authority.dns_command());
    let own = testkit::tls::pair(&["own.bench.test", "*.own.bench.test"]);
    stage.sandbox.write("own.pem", &own.cert);
    let key = stage.sandbox.write("own.key", &own.key);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sites: [(&[&str], &str); 6] = [
        (&["bench.test", "www.bench.test", "api.bench.test"], "\"acme\""),
        (&["generator.web.test"], "{ challenge = \"tls-alpn-01\" }"),
        (&["generator.app.test"], "\"acme\""),
        (&["*.wild.test"], "{ challenge = \"dns-01\" }"),
        (&["[::1]"], "\"acme\""),
        (&["own.bench.test", "a.own.bench.test", "a.b.own.bench.test"], "\"acme\""),
    ];
    let site = |(hosts, tls)| {
        format!("[[site]]\nhosts = {hosts:?}\ntls = {tls}\n[[site.route]]\nstatic = \"www\"\n")
    };
    let sites = sites.map(site).concat() + "[[certificate]]\ncert = \"own.pem\"\nkey = \"own.key\"\n";
    stage.sites("[::1]", &acme, &sites);
    stage.run(&["start"]).expect_code(0);
    let client = stage.client();
    let get =
        |host| client.get(stage.https, host, "/").unwrap_or_else(|error| panic!("{host}: {error}")).status;
    let one = ["bench.test", "www.bench.test", "api.bench.test"];
    let each = ["generator.web.test", "generator.app.test", "a.wild.test", "a.b.own.bench.test"];
    for host in one.iter().chain(&each) {
        assert_eq!(get(host), 200, "{host}");
    }
    let mut six = client.connect(("::1", stage.https), "::1").unwrap();
    six.send(format!("GET / HTTP/1.1\r\nHost: [::1]:{}\r\n\r\n", stage.https));
    assert_eq!(six.response().status, 200);
    assert_eq!(one.map(|host| shown(&stage, host)), [(); 3].map(|()| shown(&stage, one[0])));
    let mut different: Vec<_> = each.iter().chain(&one[..1]).map(|host| shown(&stage, host)).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 5, "sites share a certificate");
    // What is in a pair of the stack's own is served from it, and not ordered; what is not is.
    let mine = Client::trusting(&own.root);
    for host in ["own.bench.test", "a.own.bench.test"] {
        assert_eq!(mine.get(stage.https, host, "/").unwrap().status, 200);
    }
    assert!(mine.get(stage.https, "a.b.own.bench.test", "/").is_err());
    assert_eq!(stage.authority.orders(), 6);
    stage.stop();
}

// req: TLS-10, JOB-15
#[test]
fn it_is_renewed_when_it_is_time_and_nobody_asks() {
    let stage = Stage::new("", Options { validity: Some(30), ..Options::default() });
    stage.run(&["start"]).expect_code(0);
    let first = shown(&stage, HOST);
    wait_until("another one is served", || {
        assert_eq!(get(stage.http, HOST, "/").status, 301);
        (stage.client().get(stage.https, HOST, "/").unwrap().status == 200 && shown(&stage, HOST) != first)
            .then_some(())
    });
    stage.stop();
}

// req: TLS-10, QUIRK-36
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

// req: TLS-09
#[test]
fn other_programs_find_it_in_their_folder_and_are_told() {
    let stage = Stage::new(
        "export = \"live\"\nhook = [\"sh\", \"-c\", \"echo $MAINSTAY_CERTIFICATE $MAINSTAY_CERTIFICATE_DIR >> $MAINSTAY_CERTIFICATE_DIR/../told\"]",
        Options::default(),
    );
    stage.run(&["start"]).expect_code(0);
    let live = stage.sandbox.stack().join("live");
    let told = || std::fs::read_to_string(live.join("told")).unwrap_or_default().lines().count();
    wait_until("the hook has run", || (told() == 1).then_some(()));
    let read = |file: &str| std::fs::read_to_string(live.join(HOST).join(file)).unwrap();
    let stored = stage.sandbox.home().join("certs/acme/certificates").join(HOST).join("fullchain.pem");
    assert_eq!(read("fullchain.pem"), std::fs::read_to_string(&stored).unwrap());
    assert_eq!(
        (mode(&live.join(HOST).join("privkey.pem")), mode(&live.join(HOST).join("fullchain.pem"))),
        (0o600, 0o644)
    );
    let first = read("fullchain.pem");
    stage.run(&["certs", "renew", "--force"]).expect_code(0);
    wait_until("the hook has run again", || (told() == 2).then_some(()));
    assert_ne!(first, read("fullchain.pem"));
    stage.run(&["restart"]).expect_code(0);
    assert_eq!(told(), 2, "nothing has changed");

    stage.manifest("export = \"live\"\nhook = [\"sh\", \"-c\", \"echo broken >&2; exit 3\"]", &[HOST]);
    stage.run(&["reload"]).expect_code(0);
    stage.run(&["certs", "renew", "--force"]).expect_code(0);
    let problem =
        wait_until("the failure is shown", || stage.certs()["problems"][0].as_str().map(str::to_owned));
    assert!(problem.contains("hook sh failed") && problem.contains("broken"), "{problem}");
    stage.stop();
}

// req: TLS-08, DEP-25
#[test]
fn issued_before_any_site_is_there_and_then_served_without_another_order() {
    let stage = Stage::new("", Options::default());
    let (directory, root) = (stage.authority.directory(), stage.authority.root());
    let (at, live) = (format!("127.0.0.1:{}", stage.http), stage.sandbox.folder().join("live"));
    let issue =
        ["certs", "issue", HOST, "--unchecked", "--email", "admin@bench.test", "--authority", &directory];
    let more = ["--root", root.to_str().unwrap(), "--http", &at, "--export", live.to_str().unwrap()];
    let issued = stage.run(&[&issue[..], &more[..]].concat()).expect_code(0);
    assert!(issued.stdout.contains(&format!("certificate of {HOST}: had from Pebble")), "{}", issued.stdout);
    assert!(live.join(HOST).join("fullchain.pem").exists());
    assert_eq!(mode(&live.join(HOST).join("privkey.pem")), 0o600);

    stage.run(&["start"]).expect_code(0);
    assert_eq!(stage.client().get(stage.https, HOST, "/").unwrap().status, 200);
    assert_eq!(stage.authority.orders(), 1, "ordered though it was there");
    // Beside a keeper the same goes through its front door.
    let other = ["certs", "issue", "other.bench.test", "--unchecked", "--authority", &directory, "--root"];
    let issued = stage.run(&[&other[..], &[root.to_str().unwrap()]].concat()).expect_code(0);
    assert!(issued.stderr.contains("certificate of other.bench.test: had from Pebble"), "{}", issued.stderr);
    stage.run(&["certs", "remove", "other.bench.test"]).expect_code(0);
    stage.stop();
}

/// A server that says yes to one name, and how often it was asked.
fn endpoint(yes: &'static str) -> (u16, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), std::sync::Arc::default());
    let count: std::sync::Arc<std::sync::atomic::AtomicUsize> = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = [0; 2048];
            let read = client.read(&mut head).unwrap_or(0);
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let is_yes = String::from_utf8_lossy(&head[..read]).contains(&format!("?domain={yes} "));
            let status = if is_yes { "200 OK" } else { "403 Forbidden" };
            let _ = write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, asked)
}

#[test]
fn a_name_that_no_site_has_gets_one_only_with_a_yes() {
    let (port, asked) = endpoint("shop7.bench.test");
    let stage =
        Stage::new(&format!("on_demand = {{ ask = \"http://127.0.0.1:{port}/may\" }}"), Options::default());
    stage.manifest(&format!("on_demand = {{ ask = \"http://127.0.0.1:{port}/may\" }}"), &["*"]);
    stage.run(&["start"]).expect_code(0);
    let client = stage.client();
    assert!(client.get(stage.https, "evil.bench.test", "/").is_err());
    assert!(client.get(stage.https, "evil.bench.test", "/").is_err());
    wait_until("the name is served", || client.get(stage.https, "shop7.bench.test", "/").ok());
    assert_eq!((stage.authority.orders(), asked.load(std::sync::atomic::Ordering::Relaxed)), (1, 2));
    // The next keeper and the next edge have it at once.
    stage.stop();
    stage.run(&["start"]).expect_code(0);
    assert_eq!(client.get(stage.https, "shop7.bench.test", "/").unwrap().status, 200);
    assert_eq!(stage.authority.orders(), 1);
    stage.stop();
}

// req: DEP-08, DEP-09
#[test]
fn a_name_that_does_not_lead_here_is_waited_for_and_nothing_is_ordered() {
    let stage = Stage::new("", Options::default());
    let checked = std::fs::read_to_string(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    stage.sandbox.write("mainstay.toml", checked.replace("check_names = false", ""));
    let waited = stage.run(&["start", "--wait-dns", "1s"]).expect_code(4);
    assert!(waited.stderr.contains(&format!("{HOST} leads nowhere")), "{}", waited.stderr);
    assert_eq!((stage.authority.orders(), get(stage.http, HOST, "/").status), (0, 200));
    let checked = stage.run(&["check"]).expect_code(0);
    assert!(checked.stderr.contains("leads nowhere"), "{}", checked.stderr);
    // With the name looked at by the authority alone the same stack has its certificate.
    stage.manifest("", &[HOST]);
    stage.run(&["reload"]).expect_code(0);
    assert_eq!(stage.client().get(stage.https, HOST, "/").unwrap().status, 200);
    stage.stop();
}
