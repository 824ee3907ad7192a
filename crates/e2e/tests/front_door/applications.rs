//! A real application behind the door: Flask under Gunicorn. What is its own business stays its own.

use crate::{all, ask};
use std::net::Ipv4Addr;
use testkit::http::{Connection, Response};
use testkit::{FrontDoor, HOST};

const FIRST: &str = "https://yourdomain.com";
const SECOND: &str = "https://www.yourdomain.com";
const STRANGERS: [&str; 5] = [
    "https://evil.example",
    "http://yourdomain.com",
    "https://yourdomain.com.evil.example",
    "https://sub.yourdomain.com",
    "null",
];

/// An app under this name, with more of its table.
fn app(name: &str, more: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"{name}.localhost\"]\n[[site.route]]\napp = \"{name}\"\n\
         [app.{name}]\nrun = \"gunicorn --bind unix:$SOCKET shop:app\"\n{more}\n"
    )
}

fn open(manifest: &str, files: &[(&str, &str)]) -> FrontDoor {
    let mut files = files.to_vec();
    files.push(("shop.py", include_str!("shop.py")));
    FrontDoor::open(manifest, &files)
}

fn preflight(door: &FrontDoor, host: &str, origin: &str) -> Response {
    door.ask(&format!(
        "OPTIONS /api/thing HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
    ))
}

/// These origins are allowed, each by its own name and with credentials, and none of the others.
#[track_caller]
fn only(door: &FrontDoor, host: &str, allowed: &[&str], others: &[&str]) {
    for origin in allowed {
        let from = format!("Origin: {origin}\r\n");
        let preflight = preflight(door, host, origin);
        assert!(matches!(preflight.status, 200 | 204), "{host} {origin}: {}", preflight.status);
        assert!(!all(&preflight, "access-control-allow-methods").is_empty(), "{host} {origin}");
        for answer in [preflight, ask(door, host, "/api/thing", &from), ask(door, host, "/api/events", &from)]
        {
            assert_eq!(all(&answer, "access-control-allow-origin"), [*origin], "{host}");
            assert_eq!(all(&answer, "access-control-allow-credentials"), ["true"], "{host} {origin}");
            let vary = all(&answer, "vary").join(",").to_ascii_lowercase();
            assert!(vary.contains("origin"), "{host} {origin}: Vary: {vary}");
        }
    }
    for origin in others {
        let from = format!("Origin: {origin}\r\n");
        for answer in [
            preflight(door, host, origin),
            ask(door, host, "/api/thing", &from),
            ask(door, host, "/api/events", &from),
        ] {
            let named = answer.headers.iter().find(|(name, _)| name == "access-control-allow-origin");
            assert_eq!(named, None, "{host} {origin}");
        }
    }
}

// req: SEC-15, SEC-16, SEC-17
#[test]
fn only_listed_origins_may_ask_from_other_pages() {
    let list = format!("{FIRST},{SECOND}");
    let manifest = [
        app("own", &format!("env = {{ ALLOWED_ORIGINS = \"{list}\" }}")),
        app(
            "listed",
            &format!("env = {{ CORS_ORIGINS = \"{FIRST}, {SECOND}\", FLASK_ENV = \"production\" }}"),
        ),
        app(
            "production",
            &format!(
                "env = {{ CORS_ORIGINS = \"\", FLASK_ENV = \"production\", FRONTEND_URL = \"{FIRST}\" }}"
            ),
        ),
        app("development", "env = { CORS_ORIGINS = \"\", FLASK_ENV = \"development\" }"),
        // the door's own word in the place of the application's
        format!(
            "[[site]]\nhosts = [\"door.localhost\"]\ncors = {{ origins = \"{list}\", credentials = true }}\n\
             [[site.route]]\napp = \"development\"\n"
        ),
    ];
    let door = open(&manifest.concat(), &[]);
    for host in ["own.localhost", "listed.localhost", "door.localhost"] {
        only(&door, host, &[FIRST, SECOND], &STRANGERS);
    }
    only(&door, "production.localhost", &[FIRST], &[&STRANGERS[..], &[SECOND]].concat());
    only(&door, "development.localhost", &[FIRST, "http://localhost:5173", STRANGERS[0]], &[]);
}

// req: SEC-18
#[test]
fn other_origins_hold_after_a_restart_and_not_before() {
    let door = open(&app("web", ""), &[(".env", "ALLOWED_ORIGINS=https://yourdomain.com\n")]);
    let host = "web.localhost";
    only(&door, host, &[FIRST], &[SECOND]);
    door.sandbox.write(".env", format!("ALLOWED_ORIGINS={SECOND}\n"));
    only(&door, host, &[FIRST], &[SECOND]);
    door.sandbox.run(["restart", "web"]).expect_code(0);
    only(&door, host, &[SECOND], &[FIRST]);
}

// req: SEC-38
#[test]
fn gunicorn_refuses_what_is_too_large_and_believes_the_door_alone() {
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\nhttps_redirect = false\n[[site.route]]\napp = \"web\"\n\
         [app.web]\nrun = \"gunicorn --bind 127.0.0.1:$PORT --limit-request-line 1000 --limit-request-fields 30 \
         --limit-request-field_size 800 shop:app\"\n"
    );
    let door = FrontDoor::secure(&manifest, &[("shop.py", include_str!("shop.py"))]);
    let address = door.sandbox.status()["stacks"][0]["apps"][0]["instances"][0]["address"].clone();
    let port: u16 = address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let long = "x".repeat(1200);
    let many = "X-A: b\r\n".repeat(60);
    for (path, lines) in [
        (format!("/api/thing?{long}"), String::new()),
        ("/api/thing".to_owned(), format!("X-Long: {long}\r\n")),
        ("/api/thing".to_owned(), many),
    ] {
        let direct = testkit::http::try_status;
        assert_eq!(direct(port, HOST, "/api/thing"), Some(200));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n");
        let mut connection = Connection::open(("127.0.0.1", port));
        connection.send(&request);
        let (alone, behind) = (connection.head().status, door.ask(&request));
        assert!((400..500).contains(&alone), "{alone}");
        assert_eq!(behind.status, alone, "the application's refusal does not arrive");
        assert!(door.line_of(&behind)["upstream"].is_string(), "the door refused it before");
    }
    let scheme = |answer: &Response| answer.json()["scheme"].as_str().unwrap().to_owned();
    let spoofed = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(scheme(&ask(&door, HOST, "/api/thing", "")), "http");
    assert_eq!(scheme(&ask(&door, HOST, "/api/thing", spoofed)), "http", "a client is believed");
    assert_eq!(scheme(&door.client().get(door.https, HOST, "/api/thing").unwrap()), "https");
    // somebody else than the door, at the application's own port
    let mut stranger = Connection::from(Ipv4Addr::new(127, 0, 0, 9), port);
    stranger.send(format!("GET /api/thing HTTP/1.1\r\nHost: {HOST}\r\n{spoofed}Connection: close\r\n\r\n"));
    assert_eq!(scheme(&stranger.response()), "http", "a stranger is believed");
}
