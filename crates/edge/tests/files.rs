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
    assert_eq!(edge.get("a.test", "/docs?a=b").header("Location").as_deref(), Some("/docs/?a=b"));
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

/// The length that a head has said holds for the body behind it, whatever becomes of the file meanwhile: else what is too
/// much would be read as the next answer, and what is missing be waited for.
#[test]
fn a_file_that_changes_while_it_is_served_does_not_break_the_connection() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log");
    let mut file = std::fs::File::create(&path).unwrap();
    let edge =
        Edge::start(&snapshot(1, vec![site(1, &["a.test"], vec![files("/*", root.path())])], Vec::new()));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Seek;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(0).unwrap();
                file.rewind().unwrap();
                file.write_all(b"0123456789").unwrap();
                file.write_all(&[b'x'; 60_000]).unwrap();
            }
        });
        let wrong = (0..2000).find_map(|_| mismatch(edge.address));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(wrong, None);
    });
}

/// Two requests behind each other: the second answer has to begin where the first one's length says, or the connection ends before.
fn mismatch(edge: std::net::SocketAddr) -> Option<String> {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(edge).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let second = "GET /none HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("GET /log HTTP/1.1\r\nHost: a.test\r\n\r\n{second}").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A cut may be a reset.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
    let rest = rest.get(length.parse::<usize>().unwrap()..).unwrap_or_default();
    (!rest.is_empty() && !rest.starts_with("HTTP/1.1 404")).then(|| format!("{head} then {rest:.60}"))
}
