//! What a route's policies do to requests that come over HTTP/2 and TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use argon2::password_hash::CustomizedPasswordHasher;
use base64::Engine as _;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response};
use model::policy::*;
use rustls_pki_types::CertificateDer;
use std::io::Read;
use std::sync::atomic::Ordering;
use support::folder::{put, text};
use support::http2::{h2_app, open_tls, run, whole};
use support::tls::*;
use support::*;
use wire::snapshot::{Route, Snapshot};

fn secured(routes: Vec<Route>, app: &Backend) -> (Edge, CertificateDer<'static>) {
    let (given, der) = pair(&["a.test"]);
    let upstreams = vec![upstream("s/a", app.address)];
    let table = snapshot(1, vec![site(1, &["a.test"], routes)], upstreams);
    (behind(&[SECURE], &Snapshot { certificates: vec![given], ..table }), der)
}

async fn open(edge: &Edge, der: &CertificateDer<'static>) -> SendRequest<Bytes> {
    open_tls(&client(&[der], &[TLS13]), edge.doors[0].address, "a.test").await
}

async fn ask(
    client: &SendRequest<Bytes>,
    path: &str,
    fields: &[(&'static str, &str)],
) -> (Response<()>, Vec<u8>) {
    let method = if fields.iter().any(|(name, _)| *name == "access-control-request-method") {
        "OPTIONS"
    } else {
        "GET"
    };
    let mut request =
        Request::builder().method(method).uri(format!("https://a.test{path}")).body(()).unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (answer, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
    let (head, body, _) = whole(answer.await.unwrap()).await.unwrap();
    (head, body)
}

fn said<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn with(path: &str, policy: PolicySpec) -> Route {
    Route { policy, ..route(path, "s/a") }
}

#[test]
fn limits_sign_in_and_cors_hold_over_http2() {
    let rate =
        RateSpec { zone: "api".into(), count: 1, per_ms: 60_000, burst: 2, by: KeySpec::Client, status: 429 };
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hash = argon2::Argon2::default()
        .hash_password_customized(b"secret", b"salt-of-sixteen!", None, None, params)
        .unwrap();
    let users = vec![UserSpec { name: "eve".into(), hash: hash.to_string() }];
    let cors = CorsSpec {
        origins: vec!["https://b.test".into()],
        methods: vec!["GET".into()],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: true,
        max_age: 600,
    };
    let app = Backend::echoing();
    let none = PolicySpec::default;
    let basic_auth = Some(BasicAuthSpec { realm: "inner".into(), users });
    let routes = vec![
        with("/api/*", PolicySpec { rates: vec![rate], ..none() }),
        with("/in/*", PolicySpec { basic_auth, ..none() }),
        with("/*", PolicySpec { cors: Some(cors), ..none() }),
    ];
    let (edge, der) = secured(routes, &app);
    run(async {
        let client = open(&edge, &der).await;
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(ask(&client, "/api/x", &[]).await.0.status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 200, 429, 429]);
        let refused = ask(&client, "/in/x", &[]).await.0;
        assert_eq!(refused.status(), 401);
        assert!(said(&refused, "www-authenticate").starts_with("Basic realm=\"inner\""));
        let name = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode("eve:secret"));
        let (passed, head) = ask(&client, "/in/x", &[("authorization", &name)]).await;
        let head = String::from_utf8(head).unwrap();
        assert!(passed.status() == 200 && head.contains("X-Forwarded-User: eve\r\n"), "{head}");
        let seen = app.connections.load(Ordering::SeqCst);
        let preflight = [("origin", "https://b.test"), ("access-control-request-method", "GET")];
        let (answer, _) = ask(&client, "/x", &preflight).await;
        assert_eq!((answer.status().as_u16(), said(&answer, "access-control-allow-methods")), (204, "GET"));
        assert_eq!(app.connections.load(Ordering::SeqCst), seen, "the edge itself answers");
        let (answer, _) = ask(&client, "/x", &preflight[..1]).await;
        assert_eq!(said(&answer, "access-control-allow-origin"), "https://b.test");
    });
    let log = edge.log(9);
    assert!(log.iter().all(|line| line.to_string().contains("HTTP/2.0")), "{log:?}");
}

#[test]
fn files_have_their_codings_ranges_and_security_headers_over_http2() {
    let root = tempfile::tempdir().unwrap();
    let page = text(40_000);
    put(root.path(), "page.html", &page);
    let header = |name: &str, value: &str, https_only| HeaderSpec {
        name: name.into(),
        change: HeaderChange::Default(value.into()),
        paths: Vec::new(),
        https_only,
    };
    let response_headers = vec![
        header("X-Content-Type-Options", "nosniff", false),
        header("Strict-Transport-Security", "max-age=31536000", true),
    ];
    let mut route = files("/*", root.path());
    route.policy.response_headers = response_headers;
    let app = Backend::echoing();
    let (edge, der) = secured(vec![route], &app);
    run(async {
        let client = open(&edge, &der).await;
        let (answer, body) = ask(&client, "/page.html", &[]).await;
        assert_eq!((answer.status().as_u16(), body.len()), (200, page.len()));
        assert!(body == page.as_bytes());
        assert_eq!(said(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(said(&answer, "strict-transport-security"), "max-age=31536000");
        let (part, body) = ask(&client, "/page.html", &[("range", "bytes=10-29")]).await;
        assert_eq!((part.status().as_u16(), body.as_slice()), (206, &page.as_bytes()[10..30]));
        assert_eq!(said(&part, "content-range"), format!("bytes 10-29/{}", page.len()));
        let tag = said(&answer, "etag").to_owned();
        let (known, body) = ask(&client, "/page.html", &[("if-none-match", &tag)]).await;
        assert_eq!((known.status().as_u16(), body.len()), (304, 0));
        // The coded form is made beside the first answers.
        loop {
            let (coded, body) = ask(&client, "/page.html", &[("accept-encoding", "gzip")]).await;
            if said(&coded, "content-encoding") == "gzip" {
                let mut plain = String::new();
                flate2::read::GzDecoder::new(&*body).read_to_string(&mut plain).unwrap();
                assert!(plain == page && body.len() < page.len());
                break;
            }
        }
    });
}

#[test]
fn the_server_that_signs_in_may_speak_http2() {
    let auth = h2_app(|request, mut respond| async move {
        assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/verify"));
        let session = request.headers().get("cookie").is_some_and(|cookie| cookie == "session=1");
        let answer = Response::builder().status(if session { 204 } else { 403 }).header("remote-user", "eve");
        let mut stream = respond.send_response(answer.body(()).unwrap(), session).unwrap();
        if !session {
            stream.send_data("sign in".into(), true).unwrap();
        }
    });
    let app = Backend::echoing();
    let spec = ForwardAuthSpec {
        upstream: "s/auth".into(),
        path: "/verify".into(),
        copy: vec!["Remote-User".into()],
        timeout_ms: 5_000,
    };
    let policy = PolicySpec { forward_auth: Some(spec), ..PolicySpec::default() };
    let mut server = upstream("s/auth", auth);
    server.http2 = true;
    let upstreams = vec![upstream("s/a", app.address), server];
    let edge = Edge::start(&snapshot(1, vec![site(1, &["a.test"], vec![with("/*", policy)])], upstreams));
    let refused = edge.get("a.test", "/");
    assert_eq!((refused.status, refused.text().as_str()), (403, "sign in"));
    for _ in 0..3 {
        let passed =
            edge.request("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: session=1\r\nConnection: close\r\n\r\n");
        assert!(passed.status == 200 && passed.text().contains("Remote-User: eve\r\n"), "{}", passed.text());
    }
}
