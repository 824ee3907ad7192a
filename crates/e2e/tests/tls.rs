//! HTTPS with the real binary: the local authority, pairs from files, what survives whose death, and who can look into the edge.
#![allow(clippy::unwrap_used)] // helpers of tests too

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::http::get;
use testkit::tls::{Client, pair};
use testkit::{Sandbox, free_port, is_alive, wait_until};

const HOST: &str = "shop.localhost";

/// A folder of files, with more of the site's table.
fn site(more: &str) -> String {
    format!(
        "stack = \"shop\"\n[listen]\nhttp = \"127.0.0.1:0\"\n[[site]]\nhosts = [\"{HOST}\"]\n{more}\n\
         [[site.route]]\nstatic = \"www\"\n"
    )
}

fn sandbox(more: &str) -> Sandbox {
    let sandbox = Sandbox::with_manifest(&site(more));
    sandbox.write("www/index.html", "<h1>open</h1>");
    sandbox
}

fn root(sandbox: &Sandbox, home: &std::path::Path) -> String {
    let home = home.to_str().unwrap();
    sandbox.run(["certs", "root", "--pem", "--home", home]).expect_code(0).stdout
}

/// Ports of HTTPS and HTTP. A site that leads to HTTPS is announced by that address alone.
fn ports(sandbox: &Sandbox) -> (u16, u16) {
    let (http, https) = sandbox.doors();
    let urls = &sandbox.status()["stacks"][0]["urls"];
    assert_eq!(*urls, serde_json::json!([format!("https://{HOST}:{https}/")]));
    (https, http)
}

#[test]
fn who_trusts_the_local_root_gets_the_page_over_tls() {
    let sandbox = sandbox("");
    let mut up = sandbox.start(["up", "--https", "0"]);
    up.wait_for(" is up: https://shop.localhost:");
    up.wait_for("mainstay certs root says how");
    let (https, http) = ports(&sandbox);
    let client = Client::trusting(&root(&sandbox, &sandbox.stack().join(".mainstay")));
    let page = client.get(https, HOST, "/").unwrap();
    assert_eq!((page.status, page.text().as_str()), (200, "<h1>open</h1>"));
    assert!(client.get(https, "other.localhost", "/").is_err(), "an unknown name got a certificate");

    let led = get(http, HOST, "/a%20b?c=d");
    assert_eq!(led.status, 301);
    assert_eq!(led.header("location"), Some(&*format!("https://{HOST}:{https}/a%20b?c=d")));

    let listed = sandbox.run(["certs", "--json"]).expect_code(0).json();
    assert_eq!((&listed[0]["local"], &listed[0]["names"][0]), (&true.into(), &HOST.into()));
    up.signal("INT");
    let output = up.wait().expect_code(0);
    assert!(!output.stderr.contains("PRIVATE KEY"));
    let log = std::fs::read_to_string(sandbox.stack().join(".mainstay/logs/keeper.log")).unwrap();
    assert!(!log.contains("PRIVATE KEY"));
}

// req: TLS-17, TLS-19
#[test]
fn a_site_on_http_alone_is_switched_to_https_by_configuration() {
    let sandbox = sandbox("tls = false");
    let home = sandbox.home();
    let start = ["start", "--home", home.to_str().unwrap(), "--https", "0"];
    sandbox.run(start).expect_code(0);
    let status = sandbox.status();
    let url = status["stacks"][0]["urls"][0].as_str().unwrap().to_owned();
    let http: u16 =
        url.strip_prefix("http://shop.localhost:").unwrap().trim_end_matches('/').parse().unwrap();
    assert_eq!(get(http, HOST, "/").status, 200);
    assert_eq!(status["certificates"].as_array().unwrap().len(), 0);

    sandbox.write("mainstay.toml", site(""));
    sandbox.run(["reload", "--home", home.to_str().unwrap()]).expect_code(0);
    let (https, same) = ports(&sandbox);
    assert_eq!(same, http);
    assert_eq!(get(http, HOST, "/").status, 301);
    let client = Client::trusting(&root(&sandbox, &home));
    assert_eq!(client.get(https, HOST, "/").unwrap().status, 200);

    sandbox.write("mainstay.toml", site("tls = false"));
    sandbox.run(["reload", "--home", home.to_str().unwrap()]).expect_code(0);
    assert_eq!(get(http, HOST, "/").status, 200);
    assert!(client.get(https, HOST, "/").is_err());
}

// req: TLS-12
#[test]
fn a_pair_from_files_is_served_and_swapped_without_a_cut() {
    let (one, two) = (pair(&[HOST]), pair(&[HOST]));
    let sandbox = sandbox("tls = { cert = \"cert.pem\", key = \"key.pem\" }");
    let write_key = |key: &str| {
        let path = sandbox.write("key.pem", key);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let write = |cert: &str, key: &str| {
        sandbox.write("cert.pem", cert);
        write_key(key);
    };
    write(&one.cert, &two.key);
    // not below the stack, which belongs to somebody else
    let home = sandbox.home();
    let start = ["start", "--home", home.to_str().unwrap(), "--https", "0"];
    let refused = sandbox.run(start).expect_code(1);
    assert!(refused.stderr.contains("key.pem: is not the key of the certificate"), "{}", refused.stderr);

    write(&one.cert, &one.key);
    sandbox.run(start).expect_code(0);
    let (https, _) = ports(&sandbox);
    let (first, second) = (Client::trusting(&one.root), Client::trusting(&two.root));
    assert_eq!(first.get(https, HOST, "/").unwrap().status, 200);
    let mut long = first.connect(("127.0.0.1", https), HOST).unwrap();

    // every client gets an answer under one of the two, all the time
    let done = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let (first, second, done) = (first.clone(), second.clone(), Arc::clone(&done));
        move || {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                let answer = first.get(https, HOST, "/").or_else(|_| second.get(https, HOST, "/"));
                assert_eq!(answer.unwrap().status, 200);
                count += 1;
            }
            count
        }
    });
    // half of it: the old pair stays in use, and status says so
    sandbox.write("cert.pem", &two.cert);
    wait_until("status tells of the broken pair", || {
        let problems = sandbox.status()["certificates"][0]["problems"].to_string();
        problems.contains("the former certificate stays in use").then_some(())
    });
    assert_eq!(first.get(https, HOST, "/").unwrap().status, 200);
    write_key(&two.key);
    wait_until("the new pair is served", || second.get(https, HOST, "/").ok().map(drop));
    done.store(true, Ordering::SeqCst);
    assert!(load.join().unwrap() > 0);
    // who has a ticket resumes without looking at a certificate
    let without_ticket = Client::trusting(&one.root);
    assert!(without_ticket.get(https, HOST, "/").is_err(), "the old pair is still served");
    wait_until("nothing is wrong any more", || {
        sandbox.status()["certificates"][0]["problems"].as_array().unwrap().is_empty().then_some(())
    });

    long.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
    assert_eq!(long.response().status, 200, "the connection of the old pair was cut");
}

#[test]
fn tls_goes_on_after_the_edge_s_death_and_after_the_keeper_s() {
    let sandbox = sandbox("");
    let home = sandbox.home();
    sandbox.run(["start", "--home", home.to_str().unwrap(), "--https", "0"]).expect_code(0);
    let (https, _) = ports(&sandbox);
    let client = Client::trusting(&root(&sandbox, &home));
    assert_eq!(client.get(https, HOST, "/").unwrap().status, 200);

    let edge =
        |sandbox: &Sandbox| sandbox.status()["edge"]["pid"].as_u64().map(|pid| u32::try_from(pid).unwrap());
    let before = edge(&sandbox).unwrap();
    testkit::signal(before, "KILL");
    wait_until("the old edge is gone", || (!is_alive(before)).then_some(()));
    // the queue of the listening socket waits for the new edge, which has the ticket keys of the old one
    let mut connection = client.connect(("127.0.0.1", https), HOST).unwrap();
    assert_eq!(connection.stream().conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
    assert_eq!(connection.response().status, 200);

    let keeper = u32::try_from(sandbox.status()["keeper"]["pid"].as_u64().unwrap()).unwrap();
    testkit::signal(keeper, "KILL");
    wait_until("the keeper is gone", || (!is_alive(keeper)).then_some(()));
    assert_eq!(client.get(https, HOST, "/").unwrap().status, 200);
    sandbox.run(["start", "--home", home.to_str().unwrap()]).expect_code(0);
    assert_eq!(ports(&sandbox).0, https);
    assert_eq!(client.get(https, HOST, "/").unwrap().status, 200);
}

#[test]
fn bans_survive_the_keeper_and_are_lifted() {
    let sandbox = sandbox("");
    let home = sandbox.home();
    let home = home.to_str().unwrap();
    sandbox.run(["start", "--home", home]).expect_code(0);
    let add = ["bans", "add", "198.51.100.7", "--for", "2h", "--reason", "scans", "--home", home];
    sandbox.run(add).expect_code(0);
    let everybody = sandbox.run(["bans", "add", "0.0.0.0/0", "--home", home]).expect_code(2);
    assert!(everybody.stderr.contains("everybody"), "{}", everybody.stderr);
    let keeper = u32::try_from(sandbox.status()["keeper"]["pid"].as_u64().unwrap()).unwrap();
    testkit::signal(keeper, "KILL");
    wait_until("the keeper is gone", || (!is_alive(keeper)).then_some(()));
    sandbox.run(["start", "--home", home]).expect_code(0);
    let list = || sandbox.run(["bans", "--json", "--home", home]).expect_code(0).json();
    assert_eq!((&list()[0]["net"], &list()[0]["reason"]), (&"198.51.100.7/32".into(), &"scans".into()));
    assert_eq!(sandbox.status()["bans"], 1);
    sandbox.run(["bans", "lift", "198.51.100.0/24", "--home", home]).expect_code(0);
    assert_eq!(list().as_array().unwrap().len(), 0);
    let metrics = sandbox.run(["metrics", "--home", home]).expect_code(0).stdout;
    assert!(metrics.contains("mainstay_bans 0") && metrics.ends_with("# EOF\n"), "{metrics}");
}

/// What an app sees of the edge: whether it can signal it, and whether it can read its memory.
const NOSY_PY: &str = r#"
import http.server, os
def edge():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if b"edge\0--logs\0" + os.environ["HOME_OF_TEST"].encode() in open(f"/proc/{pid}/cmdline", "rb").read():
                return int(pid)
        except OSError:
            pass
def tries():
    pid = edge()
    yield f"uid {os.getuid()}"
    for name, what in [("signal", lambda: os.kill(pid, 0)), ("memory", lambda: open(f"/proc/{pid}/mem", "rb")),
                       ("descriptors", lambda: os.listdir(f"/proc/{pid}/fd"))]:
        try:
            what()
            yield name + " allowed"
        except PermissionError:
            yield name + " refused"
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ", ".join(tries()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[test]
fn an_app_can_neither_signal_nor_read_the_edge() {
    let sandbox = Sandbox::with_manifest("");
    let home = sandbox.stack().join(".mainstay");
    let manifest = format!(
        "stack = \"nosy\"\n[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\napp = \"web\"\n\
         [app.web]\nrun = \"python3 -u web.py\"\nenv = {{ HOME_OF_TEST = \"{}\" }}\n",
        home.display()
    );
    sandbox.write("mainstay.toml", manifest);
    sandbox.write("web.py", NOSY_PY);
    if sys::user::is_root() {
        // a folder of root's: its apps get another user than the edge all the same
        std::os::unix::fs::chown(sandbox.stack(), Some(0), Some(0)).unwrap();
    }
    let port = free_port();
    let up = sandbox.up(port);
    let seen = get(port, HOST, "/").text();
    assert!(seen.contains("memory refused, descriptors refused"), "{seen}");
    if sys::user::is_root() {
        assert!(seen.contains("signal refused") && !seen.contains("uid 0,"), "{seen}");
    }
    up.signal("INT");
    up.wait().expect_code(0);
}
