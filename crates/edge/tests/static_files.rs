//! Files over real sockets: what is sent of them, and how.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::policy::Coding;
use model::site::CacheRule;
use std::io::{Read, Write};
use std::time::Duration;
use support::folder::*;
use support::*;

fn uncompress(reply: &Reply) -> Vec<u8> {
    let mut body = Vec::new();
    match header(reply, "Content-Encoding").as_str() {
        "br" => drop(brotli::Decompressor::new(&*reply.body, 4096).read_to_end(&mut body).unwrap()),
        "gzip" => drop(flate2::read::GzDecoder::new(&*reply.body).read_to_end(&mut body).unwrap()),
        "zstd" => drop(zstd::Decoder::new(&*reply.body).unwrap().read_to_end(&mut body).unwrap()),
        _ => body.clone_from(&reply.body),
    }
    body
}

// req: STAT-01, STAT-02
#[test]
fn the_files_of_a_site_have_their_types_also_in_folders_with_spaces() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "index.html",
        "styles.css",
        "script.js",
        "palette GIF/a b.gif",
        "15 emotion illustrations/joy.png",
        "image/x.jpg",
        "uploads/y.webp",
    ] {
        put(root.path(), name, name);
    }
    let edge = serving_files(root.path(), |_| {});
    for (path, kind, body) in [
        ("/", "text/html; charset=utf-8", "index.html"),
        ("/styles.css", "text/css; charset=utf-8", "styles.css"),
        ("/script.js", "text/javascript; charset=utf-8", "script.js"),
        ("/palette%20GIF/a%20b.gif", "image/gif", "palette GIF/a b.gif"),
        ("/15%20emotion%20illustrations/joy.png", "image/png", "15 emotion illustrations/joy.png"),
        ("/image/x.jpg", "image/jpeg", "image/x.jpg"),
        ("/uploads/y.webp", "image/webp", "uploads/y.webp"),
    ] {
        for _ in 0..2 {
            let reply = edge.get("a.test", path);
            assert_eq!(
                (reply.status, header(&reply, "Content-Type").as_str(), reply.text().as_str()),
                (200, kind, body),
                "{path}"
            );
        }
    }
}

// req: STAT-03, STAT-04
#[test]
fn text_is_compressed_as_the_client_takes_it_and_pictures_are_not() {
    let root = tempfile::tempdir().unwrap();
    let types = ["html", "css", "js", "json", "svg"];
    for extension in types.iter().chain(&["png", "jpg", "gif", "woff2"]) {
        put(root.path(), &format!("a.{extension}"), text(5000));
    }
    put(root.path(), "large.js", text(300_000));
    put(root.path(), "tiny.js", "x");
    let edge = serving_files(root.path(), |_| {});
    let coding = |path: &str, accepted: &str| {
        let reply = ask(&edge, path, &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!(reply.status, 200, "{path}");
        (header(&reply, "Content-Encoding"), header(&reply, "Vary"), reply)
    };
    for extension in types {
        let path = format!("/a.{extension}");
        for (accepted, expected) in [
            ("gzip, br", "br"),
            ("gzip", "gzip"),
            ("zstd, br", "br"),
            ("zstd, gzip;q=0.5", "zstd"),
            ("identity", ""),
        ] {
            for _ in 0..2 {
                let (coded, vary, reply) = coding(&path, accepted);
                assert_eq!(
                    (coded.as_str(), vary.as_str()),
                    (expected, "Accept-Encoding"),
                    "{path} {accepted}"
                );
                assert_eq!(uncompress(&reply), text(5000).into_bytes());
                assert!(expected.is_empty() || reply.body.len() < 1000);
            }
        }
        assert_eq!(ask(&edge, &path, "").header("Content-Encoding"), None);
    }
    for extension in ["png", "jpg", "gif", "woff2"] {
        let (coded, vary, _) = coding(&format!("/a.{extension}"), "gzip, br");
        assert_eq!((coded.as_str(), vary.as_str()), ("", ""), "{extension}");
    }
    assert_eq!(coding("/tiny.js", "br").0, "");
    // The first may be sent as it is while its coded form is made; soon it is there.
    let reply = wait_for(|| {
        Some(coding("/large.js", "gzip").2).filter(|reply| reply.header("Content-Encoding").is_some())
    });
    assert_eq!(uncompress(&reply), text(300_000).into_bytes());
    let plain = ask(&edge, "/large.js", "");
    assert_eq!(
        (plain.body.len(), plain.header("ETag") != reply.header("ETag")),
        (300_000, true),
        "a tag for each coding"
    );
    let head = edge.request(
        "HEAD /large.js HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    assert_eq!((header(&head, "Content-Length"), head.body.len()), (reply.body.len().to_string(), 0));
}

#[test]
fn what_was_compressed_before_is_sent_as_it_lies_there() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "old.js.gz", "an older one");
    for name in ["app.js", "app.js.br", "app.js.gz", "old.js"] {
        put(root.path(), name, format!("{name} {}", text(300)));
    }
    let past = std::time::SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options()
        .append(true)
        .open(root.path().join("old.js.gz"))
        .unwrap()
        .set_modified(past)
        .unwrap();
    let edge = serving_files(root.path(), |spec| spec.codings = vec![Coding::Br, Coding::Gzip]);
    let reply = ask(&edge, "/app.js", "Accept-Encoding: gzip, br\r\n");
    assert_eq!(header(&reply, "Content-Encoding"), "br");
    assert!(
        reply.text().starts_with("app.js.br ")
            && header(&reply, "Content-Type").starts_with("text/javascript")
    );
    let part = ask(&edge, "/app.js", "Accept-Encoding: gzip\r\nRange: bytes=0-8\r\n");
    assert_eq!(
        (part.status, part.text().as_str(), header(&part, "Content-Encoding").as_str()),
        (206, "app.js.gz", "gzip")
    );
    let stale = ask(&edge, "/old.js", "Accept-Encoding: gzip\r\n");
    assert_eq!(uncompress(&stale), format!("old.js {}", text(300)).into_bytes());
    // One that comes later is found.
    put(root.path(), "late.js", text(300));
    assert_eq!(ask(&edge, "/late.js", "").status, 200);
    put(root.path(), "late.js.br", "late");
    until(|| ask(&edge, "/late.js", "Accept-Encoding: br\r\n").text() == "late");
}

// req: STAT-05, STAT-06
#[test]
fn validators_and_lifetimes() {
    let root = tempfile::tempdir().unwrap();
    for name in ["index.html", "app.3f9a1c2b.js", "assets/index-BxYz12ab.css", "logo.png", "special/x.txt"] {
        put(root.path(), name, text(1000));
    }
    put(root.path(), "large.bin", text(100_000));
    let rule = CacheRule { pattern: "special/*".into(), value: "public, max-age=7".into() };
    let edge = serving_files(root.path(), |spec| spec.cache = vec![rule]);
    for (path, cache) in [
        ("/", "no-cache"),
        ("/app.3f9a1c2b.js", "public, max-age=31536000, immutable"),
        ("/assets/index-BxYz12ab.css", "public, max-age=31536000, immutable"),
        ("/logo.png", "public, max-age=3600"),
        ("/special/x.txt", "public, max-age=7"),
        ("/large.bin", "no-cache"),
    ] {
        for accepted in ["", "Accept-Encoding: br\r\n"] {
            let reply = ask(&edge, path, accepted);
            assert_eq!((reply.status, header(&reply, "Cache-Control").as_str()), (200, cache), "{path}");
            assert!(reply.header("Date").is_some());
            let (tag, since) = (header(&reply, "ETag"), header(&reply, "Last-Modified"));
            assert!(tag.starts_with('"'), "strong: {tag}");
            for condition in [format!("If-None-Match: {tag}\r\n"), format!("If-Modified-Since: {since}\r\n")]
            {
                let reply = ask(&edge, path, &format!("{accepted}{condition}"));
                assert_eq!((reply.status, reply.body.len()), (304, 0), "{path} {condition}");
                assert_eq!(
                    (header(&reply, "ETag"), header(&reply, "Cache-Control").as_str()),
                    (tag.clone(), cache)
                );
            }
            assert_eq!(ask(&edge, path, &format!("{accepted}If-None-Match: \"other\"\r\n")).status, 200);
            assert_eq!(ask(&edge, path, &format!("{accepted}If-Match: \"other\"\r\n")).status, 412);
        }
    }
}

#[test]
fn ranges_of_small_and_large_files() {
    let root = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    put(root.path(), "large.bin", &bytes);
    put(root.path(), "small.bin", &bytes[..1000]);
    let edge = serving_files(root.path(), |_| {});
    for (path, length) in [("/large.bin", 100_000), ("/small.bin", 1000)] {
        let reply = ask(&edge, path, "Range: bytes=10-19\r\n");
        assert_eq!((reply.status, &reply.body[..]), (206, &bytes[10..20]));
        assert_eq!(header(&reply, "Content-Range"), format!("bytes 10-19/{length}"));
        let reply = ask(&edge, path, "Range: bytes=-5\r\n");
        assert_eq!(reply.body, bytes[length - 5..length]);
        let reply = ask(&edge, path, "Range: bytes=0-1,500-502\r\n");
        let kind = header(&reply, "Content-Type");
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: std::ops::Range<usize>| {
            let head = format!(
                "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {}-{}/{length}\r\n\r\n",
                range.start,
                range.end - 1
            );
            [head.as_bytes(), &bytes[range], b"\r\n"].concat()
        };
        let expected = [part(0..2), part(500..503), format!("--{boundary}--\r\n").into_bytes()].concat();
        assert_eq!((reply.status, &reply.body), (206, &expected));
        assert_eq!(header(&reply, "Content-Length"), expected.len().to_string());
        let reply = ask(&edge, path, "Range: bytes=200000-\r\n");
        assert_eq!((reply.status, header(&reply, "Content-Range")), (416, format!("bytes */{length}")));
        let reply = ask(&edge, path, "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n");
        assert_eq!((reply.status, reply.body.len()), (200, length));
    }
}

// req: STAT-08
#[test]
fn two_hosts_of_a_site_answer_alike() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "index.html", text(3000));
    put(root.path(), "large.js", text(50_000));
    let edge = serving_files(root.path(), |_| {});
    for path in ["/", "/large.js"] {
        let (one, other) = (edge.get("a.test", path), edge.get("b.test", path));
        assert_eq!((one.status, &one.body), (200, &other.body));
        assert_eq!(header(&one, "ETag"), header(&other, "ETag"));
    }
}

#[test]
fn files_come_from_memory_and_hits_are_counted() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a.txt", "one");
    put(root.path(), "large.bin", text(50_000));
    let edge = serving_files(root.path(), |_| {});
    let ten = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").repeat(9);
    for path in ["/a.txt", "/large.bin"] {
        let mut client = edge.client();
        client.write_all(ten(path).as_bytes()).unwrap();
        let last = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        client.write_all(last.as_bytes()).unwrap();
        read_reply(&mut client);
    }
    let log = edge.log(20);
    for path in ["/a.txt", "/large.bin"] {
        let of = |what: &str| log.iter().filter(|line| line["path"] == path && line["cache"] == what).count();
        assert!(of("miss") >= 1 && of("hit") >= 5 && of("hit") + of("miss") == 10, "{path}: {log:?}");
    }
}

#[test]
fn a_file_that_is_replaced_or_deleted_is_seen_at_once() {
    let root = tempfile::tempdir().unwrap();
    for (name, size) in [("a.txt", 10), ("large.txt", 50_000)] {
        put(root.path(), name, "x".repeat(size));
    }
    let edge = serving_files(root.path(), |_| {});
    for (path, name, size) in [("/a.txt", "a.txt", 10), ("/large.txt", "large.txt", 50_000)] {
        let first = edge.get("a.test", path);
        assert_eq!(first.body.len(), size);
        put(root.path(), "new", "y".repeat(size));
        std::fs::rename(root.path().join("new"), root.path().join(name)).unwrap();
        let begun = std::time::Instant::now();
        let second =
            wait_for(|| Some(edge.get("a.test", path)).filter(|reply| reply.text().starts_with('y')));
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
        assert_ne!(header(&first, "ETag"), header(&second, "ETag"));
        std::fs::remove_file(root.path().join(name)).unwrap();
        until(|| edge.get("a.test", path).status == 404);
    }
}

#[test]
fn files_with_their_types_and_versions() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| put(root.path(), name, bytes);
    let large: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    put("style.css", b"p{}");
    put("large.bin", &large);
    put(".env", b"SECRET=1");
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
