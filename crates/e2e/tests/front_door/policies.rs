//! What a route does beside its handler: prefixes, headers, who may ask, for what.

use crate::{FROM_FILES, all, ask, public};
use testkit::backend::Backend;
use testkit::http::Connection;
use testkit::{FrontDoor, HOST};

fn named(name: &'static str) -> Backend {
    Backend::start(move |request, peer| {
        peer.body(request)?;
        peer.ok(format!("{name} {}", request.target()))
    })
}

// req: EDGE-04
#[test]
fn the_longer_rule_of_a_host_wins() {
    let (frontend, backend) = (named("frontend"), named("backend"));
    let manifest = format!(
        "[[site]]\nhosts = [\"${{FRONTEND_DOMAIN:-shop.example.com}}\"]\n\
         [[site.route]]\npath = \"/api/*\"\nproxy = \"127.0.0.1:{}\"\n\
         [[site.route]]\nproxy = \"127.0.0.1:{}\"\n",
        backend.port(),
        frontend.port()
    );
    let door = FrontDoor::open(&manifest, &[]);
    for (path, name) in [
        ("/", "frontend"),
        ("/index.html", "frontend"),
        ("/apix", "frontend"),
        ("/x/api/y", "frontend"),
        ("/api", "backend"),
        ("/api/", "backend"),
        ("/api/health?x=y", "backend"),
        ("/api/a/b", "backend"),
    ] {
        let answer = ask(&door, "shop.example.com", path, "");
        assert_eq!(answer.text(), format!("{name} {path}"));
    }
    assert_eq!(ask(&door, "other.example.com", "/api/health", "").status, 404);
    // the other way round the shorter one would hide it: that is said, and not run
    let (site, routes) = manifest.split_at(manifest.find("[[site.route]]").unwrap());
    let (longer, shorter) = routes.split_at(routes.rfind("[[site.route]]").unwrap());
    door.sandbox.write("mainstay.toml", format!("stack = \"t\"\n{site}{shorter}{longer}"));
    let refused = door.sandbox.run(["check"]).expect_code(1);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("/api/*"), "{refused:?}");
}

// req: EDGE-08
#[test]
fn a_stripped_prefix_is_told_to_the_backend() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[
        &format!("path = \"/api/*\"\nproxy = \"127.0.0.1:{}\"\nstrip_prefix = \"/api\"", backend.port()),
        &format!("proxy = \"127.0.0.1:{}\"", backend.port()),
    ]);
    for (path, seen, prefix) in [
        ("/api/health", "/health", Some("/api")),
        ("/api", "/", Some("/api")),
        ("/api/", "/", Some("/api")),
        ("/api/a%20b?x=/api/", "/a%20b?x=/api/", Some("/api")),
        ("/api/api/x", "/api/x", Some("/api")),
        ("/apix", "/apix", None),
        ("/other", "/other", None),
    ] {
        assert_eq!(door.get(path).status, 200, "{path}");
        let request = backend.take_ledger().pop().unwrap();
        assert_eq!((request.target(), request.header("x-forwarded-prefix")), (seen, prefix), "{path}");
    }
}

const SECURITY: [&str; 5] = [
    "x-frame-options",
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "x-xss-protection",
];

// req: EDGE-19, SEC-01, SEC-02, TLS-16
#[test]
fn security_headers_without_a_word_and_never_twice() {
    let bare = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>x")
    });
    let own = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.send(
            "HTTP/1.1 200 OK\r\nX-FRAME-OPTIONS: SAMEORIGIN\r\nreferrer-policy: no-referrer\r\n\
             Strict-Transport-Security: max-age=99999999\r\nContent-Length: 4\r\n\r\n<p>x",
        )
    });
    let manifest = format!(
        "[[site]]\nhosts = [\"shop.example.com\"]\nhttps_redirect = false\n{FROM_FILES}\
         [[site.route]]\npath = \"/own/*\"\nproxy = \"127.0.0.1:{own}\"\n\
         [[site.route]]\npath = \"/strict/*\"\nproxy = \"127.0.0.1:{bare}\"\n\
         headers = {{ \"X-Frame-Options\" = \"DENY\", \"Content-Security-Policy\" = {{ value = \"default-src 'none'\", paths = [\"/strict/deep/*\"] }} }}\n\
         [[site.route]]\npath = \"/none/*\"\nproxy = \"127.0.0.1:{bare}\"\nsecurity_headers = false\n\
         [[site.route]]\npath = \"/files/*\"\nstatic = \"public\"\n\
         [[site.route]]\nproxy = \"127.0.0.1:{bare}\"\n\
         [[site]]\nhosts = [\"api.example.com\"]\n{FROM_FILES}https_redirect = false\nheaders = {{ \"X-Frame-Options\" = \"DENY\", Server = false }}\n\
         [[site.route]]\nproxy = \"127.0.0.1:{bare}\"\n",
        own = own.port(),
        bare = bare.port()
    );
    let manifest = format!("{manifest}[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \"public\"\n");
    let files = [("public/files/index.html", "x"), ("public/index.html", "x")];
    let (door, client) = public(&["shop.example.com", "api.example.com"], &manifest, &files);
    let both =
        |host: &str, path: &str| [ask(&door, host, path, ""), client.get(door.https, host, path).unwrap()];
    const PUBLIC: &str = "shop.example.com";
    for path in ["/", "/page", "/files/", "/files/missing", "/own/x"] {
        let [plain, secure] = both(PUBLIC, path);
        for name in SECURITY {
            assert_eq!((all(&plain, name).len(), all(&secure, name).len()), (1, 1), "{path}: {name}");
        }
        assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
        let hsts = all(&secure, "strict-transport-security");
        let age: u64 = hsts.first().and_then(|it| it.strip_prefix("max-age=")?.parse().ok()).unwrap();
        assert!(hsts.len() == 1 && age >= 31_536_000, "{path}: {hsts:?}");
        if path != "/own/x" {
            assert_eq!(all(&plain, "strict-transport-security").len(), 0, "{path}");
        }
    }
    // what the application says stands
    let [plain, secure] = both(PUBLIC, "/own/x");
    assert_eq!(
        (all(&plain, "x-frame-options"), all(&plain, "referrer-policy")),
        (vec!["SAMEORIGIN"], vec!["no-referrer"])
    );
    assert_eq!(all(&secure, "strict-transport-security"), ["max-age=99999999"]);
    assert_eq!(
        all(&plain, "strict-transport-security").len(),
        0,
        "an application's HSTS passes on plain HTTP"
    );
    // by path
    let [plain, _] = both(PUBLIC, "/strict/x");
    assert_eq!(all(&plain, "x-frame-options"), ["DENY"]);
    assert_ne!(all(&plain, "content-security-policy"), ["default-src 'none'"]);
    let [plain, _] = both(PUBLIC, "/strict/deep/x");
    assert_eq!(all(&plain, "content-security-policy"), ["default-src 'none'"]);
    let [_, secure] = both(PUBLIC, "/none/x");
    assert!(SECURITY.iter().all(|name| all(&secure, name).is_empty()), "{secure:?}");
    // by site
    let [plain, _] = both("api.example.com", "/");
    assert_eq!(all(&plain, "x-frame-options"), ["DENY"]);
    // browsers keep it for the name and all its ports: a local one is spared
    let secure = door.client().get(door.https, HOST, "/").unwrap();
    assert_eq!(all(&secure, "strict-transport-security").len(), 0);
}

// req: SEC-09
#[test]
fn who_may_not_ask_is_refused_before_anything_is_passed_on() {
    let backend = Backend::echo();
    let manifest = format!(
        "[[site]]\nhosts = [\"inside.localhost\"]\nallow = [\"127.0.0.0/30\", \"192.0.2.0/24\"]\ndeny = \"127.0.0.3\"\n\
         [[site.route]]\nproxy = \"127.0.0.1:{0}\"\n\
         [[site]]\nhosts = [\"outside.localhost\"]\ndeny = [\"127.0.0.2\", \"127.0.1.0/24\"]\n\
         [[site.route]]\nproxy = \"127.0.0.1:{0}\"\n\
         [[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nproxy = \"127.0.0.1:{0}\"\n",
        backend.port()
    );
    let door = FrontDoor::open(&manifest, &[]);
    let status = |source: [u8; 4], host: &str| {
        let mut connection = Connection::from(source.into(), door.port);
        connection.send(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: close\r\n\r\n"
        ));
        connection.response().status
    };
    for (source, inside, outside) in [
        ([127, 0, 0, 1], 200, 200),
        ([127, 0, 0, 2], 200, 403),
        ([127, 0, 0, 3], 403, 200),
        ([127, 0, 0, 4], 403, 200),
        ([127, 0, 1, 77], 403, 403),
        ([127, 0, 2, 1], 403, 200),
    ] {
        for (host, wanted) in [("inside.localhost", inside), ("outside.localhost", outside), (HOST, 200)] {
            backend.take_ledger();
            assert_eq!(status(source, host), wanted, "{source:?} at {host}");
            assert_eq!(backend.ledger().len(), usize::from(wanted == 200), "{source:?} at {host}");
        }
    }
}

// req: SEC-12
#[test]
fn only_the_listed_kinds_of_files_are_given() {
    let backend = named("app");
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\nfile_types = [\"html\", \"css\", \"PNG\"]\n\
         [[site.route]]\npath = \"/app/*\"\nproxy = \"127.0.0.1:{0}\"\n\
         [[site.route]]\nstatic = \"public\"\n\
         [[site]]\nhosts = [\"free.localhost\"]\n[[site.route]]\nstatic = \"public\"\n",
        backend.port()
    );
    let files = ["index.html", "a.css", "a.png", "a.exe", "a.zip", "a.png.zip", "noname"];
    let files: Vec<(String, &str)> = files.iter().map(|name| (format!("public/{name}"), "x")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let door = FrontDoor::open(&manifest, &files);
    for (path, status) in [
        ("/", 200),
        ("/index.html", 200),
        ("/a.css?v=1.exe", 200),
        ("/a.png", 200),
        ("/a.exe", 403),
        ("/a.EXE", 403),
        ("/a%2eexe", 403),
        ("/a.%65xe", 403),
        ("/a.zip", 403),
        ("/a.png.zip", 403),
        ("/app/x.exe", 403),
        ("/app/x.png", 200),
    ] {
        assert_eq!(door.get(path).status, status, "{path}");
    }
    assert_eq!(backend.ledger().len(), 1);
    assert_eq!(ask(&door, "free.localhost", "/a.exe", "").status, 200);
}
