//! Which host and path leads where.

use crate::proxy;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

/// An app that says its name; `$PORT` is Mainstay's choice.
const APP: &str = "
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = ('%s %s' % (sys.argv[1], self.path)).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()
";

fn named(name: &'static str) -> Backend {
    Backend::start(move |request, peer| {
        peer.body(request)?;
        peer.ok(format!("{name} {}", request.target()))
    })
}

fn ask(door: &FrontDoor, host: &str, path: &str) -> (u16, String) {
    let response = door.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    (response.status, response.text())
}

// req: EDGE-03
#[test]
fn three_names_on_one_address_lead_to_two_applications() {
    let manifest = "
[[site]]
hosts = [\"yourdomain.com\", \"www.yourdomain.com\"]
[[site.route]]
app = \"frontend\"
[[site]]
hosts = [\"api.yourdomain.com\"]
[[site.route]]
app = \"backend\"
[app.frontend]
run = \"python3 -S app.py frontend\"
[app.backend]
run = \"python3 -S app.py backend\"
";
    let door = FrontDoor::open(manifest, &[("app.py", APP)]);
    for (host, app) in [
        ("yourdomain.com", "frontend"),
        ("www.yourdomain.com", "frontend"),
        ("api.yourdomain.com", "backend"),
        ("API.YourDomain.com:80", "backend"),
    ] {
        assert_eq!(ask(&door, host, "/x?y=z"), (200, format!("{app} /x?y=z")), "{host}");
    }
    // on one connection too: the host counts for each request anew
    let mut connection = door.connect();
    for (host, app) in [("yourdomain.com", "frontend"), ("api.yourdomain.com", "backend")].repeat(3) {
        connection.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(connection.response().text(), format!("{app} /"));
    }
    for host in ["yourdomain.com.evil.com", "ourdomain.com", "x.api.yourdomain.com", "com", "localhost"] {
        assert_eq!(ask(&door, host, "/").0, 404, "{host}");
    }
}

// req: EDGE-06
#[test]
fn api_reaches_the_backend_with_its_path_and_everything_else_is_static() {
    let backend = named("backend");
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/api/*\"\n{}\n\
         [[site.route]]\nstatic = \"public\"\n",
        proxy(&backend)
    );
    let door = FrontDoor::open(
        &manifest,
        &[("public/index.html", "<p>home"), ("public/apiary.html", "<p>bees"), ("public/a/b.txt", "file")],
    );
    for path in [
        "/api/health",
        "/api/",
        "/api/a%2Fb//c/?x=1&y=%20",
        "/api/%C3%BC+~;=@:$,'()*!",
        "/api/x?a=//b/../c",
        "/api/.hidden",
    ] {
        assert_eq!(ask(&door, HOST, path), (200, format!("backend {path}")), "the path has changed");
    }
    let before = backend.ledger().len();
    for (path, status, text) in [
        ("/", 200, "<p>home"),
        ("/a/b.txt", 200, "file"),
        ("/apiary.html", 200, "<p>bees"),
        ("/apix", 404, ""),
        ("/x/api/health", 404, ""),
        ("/API/health", 404, ""),
        ("//api/health", 404, ""),
    ] {
        let (got, body) = ask(&door, HOST, path);
        assert_eq!(got, status, "{path}");
        assert!(body.contains(text), "{path}: {body}");
    }
    assert_eq!(backend.ledger().len(), before, "a static path reached the backend");
}

// req: EDGE-07
#[test]
fn every_path_is_proxied_to_a_url() {
    let backend = named("backend");
    let door = FrontDoor::to(&[&format!("proxy = \"http://127.0.0.1:{}\"", backend.port())]);
    for path in ["/", "/index.html", "/api/system/status", "/a/b/c.svg?x=%22", "//", "/.env", "/a?b?c"] {
        assert_eq!(ask(&door, HOST, path), (200, format!("backend {path}")));
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let answer = door.ask(&format!("{method} /m HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!(answer.text(), "backend /m", "{method}");
        assert_eq!(backend.ledger().last().map(|request| request.method().to_owned()), Some(method.into()));
    }
    // absolute form is for us to understand, the backend gets origin form
    let answer = door.ask(&format!("GET http://{HOST}/abs?x HTTP/1.1\r\nHost: HOST\r\n\r\n"));
    assert_eq!(answer.text(), "backend /abs?x");
}

// req: EDGE-15
#[test]
fn a_host_without_a_rule_reaches_nobody() {
    let backend = named("backend");
    let door = FrontDoor::to(&[&proxy(&backend)]);
    for host in
        ["other.localhost", "x.t.localhost", "t.localhost.evil.com", "127.0.0.1", "[::1]", "localhost"]
    {
        assert_eq!(ask(&door, host, "/").0, 404, "{host}");
    }
    let post = "POST / HTTP/1.1\r\nHost: other.localhost\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(door.ask(post).status, 404);
    assert_eq!(door.ask("GET / HTTP/1.0\r\n\r\n").status, 404, "HTTP/1.0 without Host");
    assert_eq!(backend.connections(), 0, "an application was reached");
    let answer = door.ask("GET / HTTP/1.1\r\nHost: other.localhost\r\nAccept: application/json\r\n\r\n");
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (404, Some(404)));
}

#[test]
fn a_path_without_a_route_reaches_nobody() {
    let backend = named("backend");
    let route = format!("path = \"/only/*\"\n{}", proxy(&backend));
    let door = FrontDoor::to(&[&route]);
    for (path, status) in [("/only", 200), ("/only/x", 200), ("/only?x", 200), ("/onlyx", 404), ("/", 404)] {
        assert_eq!(ask(&door, HOST, path).0, status, "{path}");
    }
    assert_eq!(backend.ledger().len(), 3);
}

#[test]
fn a_host_process_and_an_app_by_name_behind_one_edge() {
    let host_process = named("host");
    let manifest = format!(
        "[[site]]\nhosts = [\"app.localhost\"]\n[[site.route]]\nproxy = \"localhost:{}\"\n\
         [[site]]\nhosts = [\"api.localhost\"]\n[[site.route]]\napp = \"aiml-engine\"\n\
         [app.aiml-engine]\nrun = \"python3 -S app.py engine\"\n",
        host_process.port()
    );
    let door = FrontDoor::open(&manifest, &[("app.py", APP)]);
    assert_eq!(ask(&door, "app.localhost", "/a"), (200, "host /a".to_owned()));
    assert_eq!(ask(&door, "api.localhost", "/b"), (200, "engine /b".to_owned()));
}
