//! The static handler over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use support::*;

#[test]
fn files_with_their_types_and_versions() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        std::fs::File::create(root.path().join(name)).unwrap().write_all(bytes).unwrap()
    };
    let large: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    put("style.css", b"p{}");
    put("large.bin", &large);
    put(".env", b"SECRET=1");
    std::fs::create_dir(root.path().join("docs")).unwrap();
    put("docs/index.html", b"<p>docs");
    let edge =
        Edge::start(&snapshot(1, vec![site(1, &["a.test"], vec![files("/*", root.path())])], Vec::new()));

    let reply = edge.get("a.test", "/style.css");
    assert_eq!((reply.status, reply.text().as_str()), (200, "p{}"));
    assert_eq!(reply.header("Content-Type").as_deref(), Some("text/css; charset=utf-8"));
    let tag = reply.header("ETag").unwrap();
    let again = format!(
        "GET /style.css HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(edge.request(&again).status, 304);
    let since = reply.header("Last-Modified").unwrap();
    let again = format!(
        "GET /style.css HTTP/1.1\r\nHost: a.test\r\nIf-Modified-Since: {since}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(edge.request(&again).status, 304);

    assert_eq!(edge.get("a.test", "/large.bin").body, large);
    assert_eq!(edge.get("a.test", "/docs/").text(), "<p>docs");
    assert_eq!(edge.get("a.test", "/docs").header("Location").as_deref(), Some("/docs/"));
    for missing in ["/none", "/.env", "/docs/../style.css/x", "/%2eenv", "/style.css/", "/"] {
        assert!(matches!(edge.get("a.test", missing).status, 404 | 400), "{missing}");
    }
    let posted = edge.request(
        "POST /style.css HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(posted.status, 405);
    let head = edge.request("HEAD /style.css HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert_eq!((head.header("Content-Length").as_deref(), head.body.len()), (Some("3"), 0));
    assert_eq!(edge.log(1)[0]["path"], "/style.css");
}
