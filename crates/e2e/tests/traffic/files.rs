//! The plain static handler.

use testkit::http::Response;
use testkit::{FrontDoor, HOST};

const SECRET: &str = "nobody may see this";

/// A site of files, with things around them that are not for anybody.
fn door() -> FrontDoor {
    let manifest = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \"public\"\n");
    let large = "0123456789abcdef".repeat(1 << 16);
    FrontDoor::open(
        &manifest,
        &[
            ("public/index.html", "<p>home"),
            ("public/sub/index.html", "<p>sub"),
            ("public/sub/a b.txt", "spaces"),
            ("public/large.js", &large),
            ("public/.env", SECRET),
            ("public/.git/config", SECRET),
            ("public/sub/.htpasswd", SECRET),
            ("public/.well-known/security.txt", "contact"),
            ("secret.txt", SECRET),
            ("public2/secret.txt", SECRET),
        ],
    )
}

fn with(door: &FrontDoor, path: &str, lines: &str) -> Response {
    door.ask(&format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n{lines}\r\n"))
}

#[test]
fn files_are_served_with_index_type_and_validators() {
    let door = door();
    for (path, text, kind) in [
        ("/", "<p>home", "text/html; charset=utf-8"),
        ("/index.html", "<p>home", "text/html; charset=utf-8"),
        ("/sub/", "<p>sub", "text/html; charset=utf-8"),
        ("/sub/a%20b.txt", "spaces", "text/plain; charset=utf-8"),
        ("/index.html?v=1", "<p>home", "text/html; charset=utf-8"),
        ("/.well-known/security.txt", "contact", "text/plain; charset=utf-8"),
    ] {
        let answer = door.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
    }
    let redirect = door.get("/sub");
    assert_eq!((redirect.status, redirect.header("location")), (301, Some("/sub/")));

    // a version that the client has is not sent again
    let first = door.get("/large.js");
    assert_eq!(first.body.len(), 1 << 20);
    let (tag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for (lines, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"other\", W/{tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        ("If-None-Match: \"other\"\r\n".to_owned(), 200),
        (format!("If-Modified-Since: {modified}\r\n"), 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:01 GMT\r\n".to_owned(), 200),
        (format!("If-None-Match: \"other\"\r\nIf-Modified-Since: {modified}\r\n"), 200),
    ] {
        let answer = with(&door, "/large.js", &lines);
        assert_eq!((answer.status, answer.body.is_empty()), (status, status == 304), "{lines}");
        assert_eq!(answer.header("etag"), Some(tag));
    }
    let mut connection = door.connect();
    connection.send(format!("HEAD /large.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(connection.head().header("content-length"), Some("1048576"));
    connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(connection.response().text(), "<p>home", "the connection did not go on after HEAD");
    for method in ["POST", "PUT", "DELETE"] {
        let answer = door.ask(&format!("{method} / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let line = door.line_of(&first);
    assert_eq!((&line["status"], &line["upstream"]), (&200.into(), &serde_json::Value::Null));
}

// req: STAT-19
#[test]
fn no_spelling_of_a_path_leaves_the_folder() {
    let door = door();
    std::os::unix::fs::symlink("../secret.txt", door.sandbox.stack().join("public/link.txt")).unwrap();
    std::os::unix::fs::symlink("/etc", door.sandbox.stack().join("public/etc")).unwrap();
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%2Fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/%252e%252e/secret.txt",
        "/%252e%252e%252fsecret.txt",
        "/..%252fsecret.txt",
        "/....//secret.txt",
        "/..;/secret.txt",
        "/..%00/secret.txt",
        "/secret.txt%00.html",
        "/%c0%ae%c0%ae/secret.txt",
        "/..%c0%afsecret.txt",
        "/%uff0e%uff0e/secret.txt",
        "/%e2%80%a5/secret.txt",
        "/sub/..",
        "/..",
        "/../public2/secret.txt",
        "/link.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/proc/self/environ",
        "/.env",
        "/%2eenv",
        "/%2Eenv",
        "/.git/config",
        "/.git/",
        "/sub/.htpasswd",
        "/sub/%2ehtpasswd",
        "/./.env",
        "/sub//.htpasswd",
        "/.env/",
        "/.env%20",
        "/%",
        "/%2",
        "/%zz",
    ] {
        let answer = door.get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        let text = answer.text();
        assert!(!text.contains(SECRET) && !text.contains("root:"), "{path} shows what is not for anybody");
    }
    // a target can also name the path in absolute form
    for path in ["/../secret.txt", "/.env"] {
        let answer = with(&door, &format!("http://{HOST}{path}"), "");
        assert!(matches!(answer.status, 400 | 404), "{path}");
    }
}

/// Nobody reads a body that is sent to a file: it must not be read as the next request.
#[test]
fn a_body_that_is_sent_to_a_file_is_no_request() {
    let door = door();
    let hidden = format!("GET /sub/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    for framing in [
        format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()),
    ] {
        for (method, path, status) in
            [("GET", "/", 200), ("POST", "/", 405), ("GET", "/nowhere", 404), ("GET", "/sub", 301)]
        {
            let mut connection = door.connect();
            connection.send(format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{framing}"));
            let answers = String::from_utf8_lossy(&connection.rest()).into_owned();
            assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{answers}");
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{method} {path}: {answers}");
        }
    }
}
