//! What the application learns about the client, and whom the edge believes.

use crate::{echoed, proxy};
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

/// A request that claims to come from somewhere else.
const CLAIMS: &str = "GET /x HTTP/1.1\r\nHost: HOST:8080\r\nX-Forwarded-For: 198.51.100.7\r\n\
                      X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 443\r\nForwarded: for=198.51.100.7\r\n\
                      X-Request-Id: chosen-by-client\r\nX_Real_IP: 198.51.100.7\r\nX_Forwarded_For: 198.51.100.7\r\n\r\n";

// req: EDGE-09
#[test]
fn the_application_sees_host_client_and_protocol() {
    let backend = Backend::echo();
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let text = door.ask("GET /x HTTP/1.1\r\nHost: t.LocalHost:8080\r\n\r\n").text();
    assert!(text.starts_with("GET /x HTTP/1.1\n"), "{text}");
    assert_eq!(echoed(&text, "host"), "t.LocalHost:8080", "the host is passed on as it came");
    assert_eq!(echoed(&text, "x-real-ip"), "127.0.0.1");
    assert_eq!(echoed(&text, "x-forwarded-for"), "127.0.0.1");
    assert_eq!(echoed(&text, "x-forwarded-proto"), "http");
    // appended, not replaced
    let text = door.ask("GET / HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n").text();
    assert_eq!(echoed(&text, "x-forwarded-for"), "198.51.100.7, 127.0.0.1");
    let text = door.ask(CLAIMS).text();
    assert_eq!(echoed(&text, "x-forwarded-for"), "198.51.100.7, 203.0.113.9, 127.0.0.1");
    assert_eq!(echoed(&text, "x-forwarded-proto"), "http", "the connection is not https");
    // with a body it is the same
    let post =
        "POST / HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: 198.51.100.7\r\nContent-Length: 4\r\n\r\nbody";
    let text = door.ask(post).text();
    assert_eq!(echoed(&text, "x-forwarded-for"), "198.51.100.7, 127.0.0.1");
    assert!(text.ends_with("\n\nbody"), "{text}");
}

// req: EDGE-10
#[test]
fn a_peer_is_believed_only_where_it_is_trusted() {
    let backend = Backend::echo();
    let site = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\n{}\n", proxy(&backend));

    let door = FrontDoor::open(&format!("trusted = [\"192.0.2.0/24\"]\n{site}"), &[]);
    let answer = door.ask(CLAIMS);
    let text = answer.text();
    assert_eq!(echoed(&text, "x-real-ip"), "127.0.0.1");
    assert_eq!(echoed(&text, "x-forwarded-proto"), "http");
    assert_eq!(echoed(&text, "x-forwarded-host"), format!("{HOST}:8080"));
    let id = echoed(&text, "x-request-id");
    assert_ne!(id, "chosen-by-client");
    assert_eq!(answer.header("x-request-id"), Some(id));
    let lower = text.to_ascii_lowercase();
    for name in ["forwarded:", "x-forwarded-port:", "x_real_ip:", "x_forwarded_for:"] {
        assert!(!lower.contains(&format!("\n{name}")), "{name} was passed on:\n{text}");
    }
    assert_eq!(door.log_line(id)["client"], "127.0.0.1");

    let door = FrontDoor::open(&format!("trusted = [\"127.0.0.0/8\"]\n{site}"), &[]);
    let text = door.ask(CLAIMS).text();
    // from the right, the first that is not trusted itself
    assert_eq!(echoed(&text, "x-real-ip"), "203.0.113.9");
    assert_eq!(echoed(&text, "x-forwarded-for"), "198.51.100.7, 203.0.113.9, 127.0.0.1");
    assert_eq!(echoed(&text, "x-forwarded-proto"), "https");
    assert_eq!(echoed(&text, "x-forwarded-host"), "evil.example");
    assert_eq!(echoed(&text, "x-request-id"), "chosen-by-client");
    assert_eq!(door.log_line("chosen-by-client")["client"], "203.0.113.9");
    // a trusted peer that says nothing is the client itself; one that says nonsense is not believed that
    let text = door.ask("GET / HTTP/1.1\r\nHost: HOST\r\n\r\n").text();
    assert_eq!(echoed(&text, "x-real-ip"), "127.0.0.1");
    let odd = "GET / HTTP/1.1\r\nHost: HOST\r\nX-Forwarded-For: <script>\r\nX-Request-Id: a\"b c\r\n\r\n";
    let answer = door.ask(odd);
    assert_eq!(echoed(&answer.text(), "x-real-ip"), "127.0.0.1");
    assert_ne!(answer.header("x-request-id"), Some("a\"b c"));
}

#[test]
fn fields_of_one_connection_do_not_cross() {
    let backend = Backend::start(|request, peer| {
        peer.body(request)?;
        peer.send(
            "HTTP/1.1 200 OK\r\nConnection: X-Own, keep-alive\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\
             Proxy-Authenticate: Basic\r\nX-Kept: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
        )
    });
    let door = FrontDoor::to(&[&proxy(&backend)]);
    let answer = door.ask(
        "GET / HTTP/1.1\r\nHost: HOST\r\nConnection: X-Mine, TE\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n\
         Proxy-Connection: keep-alive\r\nUpgrade: websocket\r\nX-Kept: yes\r\nCookie: a=1\r\n\r\n",
    );
    let arrived = &backend.ledger()[0];
    for name in ["x-mine", "keep-alive", "te", "proxy-connection", "upgrade", "connection"] {
        assert_eq!(arrived.all(name), [""; 0], "{name} reached the backend");
    }
    assert_eq!((arrived.header("x-kept"), arrived.header("cookie")), (Some("yes"), Some("a=1")));
    for name in ["x-own", "keep-alive"] {
        assert_eq!(answer.header(name), None, "{name} reached the client");
    }
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
    assert_eq!((answer.header("x-kept"), cookies), (Some("yes"), 2));
}
