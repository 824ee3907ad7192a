//! Static sites: a project folder as the first seed has it, texts and pictures, uploads.

use crate::{all, ask};
use std::io::Read;
use testkit::http::Response;
use testkit::{FrontDoor, HOST, wait_until};

const SECRET: &str = "nobody may see this";
const GIF: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00;";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR";

/// What lies beside the pages and is for nobody.
const PRIVATE: [&str; 24] = [
    "server.py",
    "database.py",
    "recommendation_service_embedded.py",
    "requirements-prod.txt",
    "nginx.conf",
    "gunicorn.conf.py",
    "deploy.sh",
    ".env",
    ".env.production",
    ".git/config",
    ".git/HEAD",
    "story_generation/story.py",
    "story_generation/__init__.py",
    "dump.sql",
    "site.db",
    "index.html.bak",
    "server.py~",
    "prod.env",
    "palette GIF/.hidden",
    "uploads/.htaccess",
    "uploads/shell.py",
    "mainstay.toml",
    "backup.sql.gz",
    "__pycache__/server.cpython-311.pyc",
];

/// The project folder of the first seed is its document root.
fn project() -> FrontDoor {
    let manifest = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \".\"\n");
    let styles = "body { color: #123456 }\n".repeat(200);
    let mut files = vec![
        ("index.html", "<!doctype html><p>home"),
        ("styles.css", styles.as_str()),
        ("script.js", "console.log('here')\n"),
        (".well-known/security.txt", "Contact: mailto:a@b.example"),
    ];
    files.extend(PRIVATE.iter().filter(|name| **name != "mainstay.toml").map(|name| (*name, SECRET)));
    let door = FrontDoor::open(&manifest, &files);
    for (name, bytes) in [
        ("palette GIF/warm colours.gif", GIF),
        ("15 emotion illustrations/joy 1.png", PNG),
        ("image/logo.png", PNG),
        ("uploads/mine.gif", GIF),
    ] {
        door.sandbox.write(name, bytes);
    }
    door
}

// req: STAT-01, STAT-02
#[test]
fn the_pages_of_a_project_folder_and_its_folders_with_spaces() {
    let door = project();
    for (path, kind, start) in [
        ("/", "text/html; charset=utf-8", "<!doctype html><p>home"),
        ("/index.html", "text/html; charset=utf-8", "<!doctype html><p>home"),
        ("/styles.css", "text/css; charset=utf-8", "body {"),
        ("/script.js", "text/javascript; charset=utf-8", "console.log"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8", "Contact:"),
    ] {
        let answer = door.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert!(answer.text().starts_with(start), "{path}: {}", answer.text());
    }
    for (path, kind, bytes) in [
        ("/palette%20GIF/warm%20colours.gif", "image/gif", GIF),
        ("/15%20emotion%20illustrations/joy%201.png", "image/png", PNG),
        ("/%31%35%20emotion%20illustrations/joy%201.png", "image/png", PNG),
        ("/image/logo.png", "image/png", PNG),
        ("/uploads/mine.gif", "image/gif", GIF),
    ] {
        let answer = door.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.body, bytes, "{path}");
    }
}

/// Spellings of a path that mean the same to one reader or another.
fn spellings(name: &str) -> Vec<String> {
    let hex = |all: bool, upper: bool| -> String {
        let byte = |byte: u8| match (byte, all, upper) {
            (b'/', _, _) => "/".to_owned(),
            (_, true, true) => format!("%{byte:02X}"),
            (_, true, false) => format!("%{byte:02x}"),
            (b' ', ..) => "%20".to_owned(),
            _ => char::from(byte).to_string(),
        };
        name.bytes().map(byte).collect()
    };
    let plain = hex(false, false);
    let mut spellings: Vec<String> =
        ["", "/", "./", ".//", "%2f", "%2F", "%5c", "x/../", "x/%2e%2e/", "image/..;/"]
            .iter()
            .map(|before| format!("/{before}{plain}"))
            .collect();
    for after in [
        "?", "?a=b", "/", "%20", ".", "%2e", "%00", "%00.html", "%0a", ";.html", "%3f.png", "%23", "::$DATA",
        "/.",
    ] {
        spellings.push(format!("/{plain}{after}"));
    }
    for text in [hex(true, false), hex(true, true), hex(true, false).replace('%', "%25")] {
        spellings.push(format!("/{text}"));
    }
    spellings.push(format!("/{}", plain.replace('.', "%2e")));
    spellings.push(format!("/{}", plain.replace('.', "%c0%ae")));
    spellings.push(format!("/{}", plain.replace('.', "%u002e")));
    spellings.push(format!("/{}", plain.replace('/', "%2f")));
    spellings.push(format!("/{}", plain.replace('/', "//")));
    spellings.push(format!("/{}", plain.replace('/', "%5c")));
    spellings.push(format!("/{}", plain.to_uppercase()));
    spellings.push(format!("http://{HOST}/{plain}"));
    spellings
}

// req: STAT-18, SEC-14, QUIRK-50
#[test]
fn what_makes_a_site_is_never_served_however_it_is_spelt() {
    let door = project();
    let mut connection = door.connect();
    let mut asked = 0;
    for name in PRIVATE {
        for path in spellings(name) {
            for lines in ["", "Accept-Encoding: gzip, br\r\nRange: bytes=0-1\r\n"] {
                connection.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
                let answer = connection.response();
                let refused = matches!(answer.status, 400 | 403 | 404);
                assert!(refused, "{path}: {}", answer.status);
                let text = answer.text();
                assert!(!text.contains(SECRET) && !text.contains("[[site"), "{path} is shown");
                asked += 1;
                if answer.header("connection") == Some("close") {
                    connection = door.connect();
                }
            }
        }
    }
    assert!(asked > 1500, "{asked}");
}

fn coded(door: &FrontDoor, path: &str, codings: &str) -> Response {
    let lines = if codings.is_empty() { String::new() } else { format!("Accept-Encoding: {codings}\r\n") };
    ask(door, HOST, path, &lines)
}

fn decoded(answer: &Response) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap()),
        Some("br") => drop(brotli::Decompressor::new(&*answer.body, 4096).read_to_end(&mut plain).unwrap()),
        None => plain.clone_from(&answer.body),
        other => panic!("{other:?}"),
    }
    plain
}

// req: STAT-03, STAT-04
#[test]
fn texts_are_compressed_as_the_client_can_and_pictures_are_not() {
    let text = "All work and no play makes a dull page. ".repeat(100);
    let texts = ["page.html", "styles.css", "script.js", "data.json", "drawing.svg"];
    let pictures = ["a.png", "a.jpg", "a.gif", "a.woff2"];
    let manifest = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \"public\"\n");
    let files: Vec<(String, &str)> =
        texts.iter().chain(&pictures).map(|name| (format!("public/{name}"), text.as_str())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let door = FrontDoor::open(&manifest, &files);
    for name in texts {
        let path = format!("/{name}");
        for (codings, wanted) in [
            ("gzip", Some("gzip")),
            ("gzip, br", Some("br")),
            ("br", Some("br")),
            ("", None),
            ("identity", None),
            ("gzip;q=0, br;q=0", None),
        ] {
            // a coded form is prepared once: who asks before it is there may get the plain one
            let answer = wait_until(&format!("{name} as {codings:?}"), || {
                let answer = coded(&door, &path, codings);
                (answer.header("content-encoding") == wanted).then_some(answer)
            });
            assert_eq!(answer.status, 200);
            assert_eq!(decoded(&answer), text.as_bytes(), "{name} as {codings:?}");
            let vary = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
            assert!(vary.contains("accept-encoding"), "{name} as {codings:?}: Vary: {vary:?}");
            assert!(wanted.is_none() || answer.body.len() < text.len() / 4, "{name} as {codings:?}");
        }
    }
    for name in pictures {
        for _ in 0..2 {
            let answer = coded(&door, &format!("/{name}"), "gzip, br, zstd");
            assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{name}");
            assert_eq!(answer.body, text.as_bytes(), "{name}");
        }
    }
}

// req: STAT-20
#[test]
fn what_was_uploaded_is_a_picture_or_something_to_be_saved() {
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\npath = \"/uploads/*\"\n\
         static = {{ root = \".\", inert = true }}\n[[site.route]]\nstatic = \"public\"\n"
    );
    let script = "<script>alert(document.cookie)</script>";
    let names =
        ["page.html", "drawing.svg", "script.js", "page.xhtml", "data.xml", "thing.swf", "doc.pdf", "noname"];
    let mut files: Vec<(String, &str)> =
        names.iter().map(|name| (format!("uploads/{name}"), script)).collect();
    for name in ["index.html", "shell.py", "shell.php", "run.cgi", "run.sh"] {
        files.push((format!("uploads/{name}"), script));
    }
    files.push(("public/index.html".to_owned(), "home"));
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let door = FrontDoor::open(&manifest, &files);
    for (name, kind, bytes) in [
        ("a b.gif", "image/gif", GIF),
        ("b.png", "image/png", PNG),
        ("c.jpg", "image/jpeg", b"\xff\xd8\xff\xe0".as_slice()),
        ("d.webp", "image/webp", b"RIFF"),
    ] {
        door.sandbox.write(&format!("uploads/{name}"), bytes);
        let answer = door.get(&format!("/uploads/{}", name.replace(' ', "%20")));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{name}");
        assert_eq!(all(&answer, "x-content-type-options"), ["nosniff"], "{name}");
        assert_eq!(answer.body, bytes, "{name}");
    }
    for name in names {
        let answer = door.get(&format!("/uploads/{name}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, script), "{name}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{name}");
        assert_eq!(all(&answer, "x-content-type-options"), ["nosniff"], "{name}");
        let disposition = answer.header("content-disposition").unwrap_or_default();
        assert!(disposition.starts_with("attachment"), "{name}: {disposition:?}");
    }
    for name in ["shell.py", "shell.php", "run.cgi", "run.sh"] {
        let answer = door.get(&format!("/uploads/{name}"));
        assert!(
            answer.status == 404 || answer.header("content-type") == Some("application/octet-stream"),
            "{name}"
        );
    }
    // the folder has no page of its own, whatever was uploaded
    assert_ne!(door.get("/uploads/").header("content-type"), Some("text/html; charset=utf-8"));
}
