//! Static sites: a project folder as the first seed has it, a release of hashed files behind two names, uploads.

use crate::{FROM_FILES, all, ask, public};
use std::io::Read;
use testkit::http::Response;
use testkit::tls::Client;
use testkit::{FrontDoor, HOST, Sandbox, wait_until};

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

/// A release: pages and hashed files.
const RELEASE: [(&str, &str); 6] = [
    ("dist/index.html", "<!doctype html><title>The app</title>"),
    ("dist/assets/index-BkT3xQz9.js", "console.log('hashed')"),
    ("dist/static/js/main.4f2a9c1b.js", "console.log('hashed as well')"),
    ("dist/about.html", "<p>a file of its own"),
    ("dist/favicon.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
    ("dist/manifest.json", "{}"),
];

const PRIMARY: &str = "imagineer-generator.web.app";
const ALTERNATE: &str = "imagineer-generator.firebaseapp.com";

/// The hosting of the third seed: one release under two names, with headers by pattern.
fn hosting() -> (FrontDoor, Client) {
    let manifest = format!(
        "[[site]]\nhosts = [\"{PRIMARY}\", \"{ALTERNATE}\"]\nhttps_redirect = false\n{FROM_FILES}\
         [site.headers]\n\"X-Frame-Options\" = \"DENY\"\n\
         \"Content-Security-Policy\" = \"default-src 'self'\"\n\
         \"Strict-Transport-Security\" = {{ value = \"max-age=63072000; includeSubDomains\", https_only = true }}\n\
         \"X-Script\" = {{ value = \"yes\", paths = [\"**/*.js\"] }}\n\
         [[site.route]]\nstatic = {{ root = \"dist\", spa = true }}\n"
    );
    public(&[PRIMARY, ALTERNATE], &manifest, &RELEASE)
}

// req: STAT-05, STAT-06
#[test]
fn files_are_kept_by_browsers_as_long_as_their_names_say() {
    let (door, _) = hosting();
    for (path, cache) in [
        ("/assets/index-BkT3xQz9.js", "max-age=31536000"),
        ("/static/js/main.4f2a9c1b.js", "max-age=31536000"),
        ("/", "no-cache"),
        ("/index.html", "no-cache"),
        ("/deep/route", "no-cache"),
        ("/favicon.svg", "max-age="),
        ("/manifest.json", "no-cache"),
    ] {
        let answer = ask(&door, PRIMARY, path, "Accept: text/html,*/*\r\n");
        let said = answer.header("cache-control").unwrap_or_default();
        assert!(answer.status == 200 && said.contains(cache), "{path}: {} {said:?}", answer.status);
        assert!(cache != "no-cache" || !said.contains("max-age=31536000"), "{path}: {said:?}");
        let (tag, modified) = (answer.header("etag").unwrap(), answer.header("last-modified").unwrap());
        for line in [format!("If-None-Match: {tag}\r\n"), format!("If-Modified-Since: {modified}\r\n")] {
            let again = ask(&door, PRIMARY, path, &format!("Accept: text/html,*/*\r\n{line}"));
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}: {line}");
            assert_eq!(again.header("cache-control"), Some(said), "{path}");
        }
    }
}

// req: STAT-07
#[test]
fn a_path_without_a_file_is_the_app_and_a_file_wins() {
    let (door, _) = hosting();
    let index = RELEASE[0].1;
    let lines = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    for path in ["/gallery", "/users/42/edit", "/a/b/c/d?x=y", "/users/anna%20b/", "/about"] {
        let answer = ask(&door, PRIMARY, path, lines);
        assert_eq!((answer.status, answer.text().as_str()), (200, index), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        let mut head = door.connect();
        head.send(format!("HEAD {path} HTTP/1.1\r\nHost: {PRIMARY}\r\n{lines}Connection: close\r\n\r\n"));
        assert_eq!((head.head().status, head.rest().len()), (200, 0), "{path}");
    }
    for (name, text) in RELEASE.iter().skip(1) {
        let path = name.strip_prefix("dist").unwrap();
        assert_eq!(ask(&door, PRIMARY, path, lines).text(), *text, "{path}");
    }
    // a script that is missing is missing: a page in its place would be an error that is hard to find
    assert_eq!(ask(&door, PRIMARY, "/assets/index-OLDHASH1.js", "Accept: */*\r\n").status, 404);
}

// req: STAT-08
#[test]
fn one_release_is_the_same_byte_for_byte_under_both_of_its_names() {
    let (door, client) = hosting();
    for (name, text) in RELEASE {
        let path = name.strip_prefix("dist").unwrap();
        let bare = |mut answer: Response| {
            answer.headers.retain(|(name, _)| name != "x-request-id" && name != "date");
            answer
        };
        let one = bare(client.get(door.https, PRIMARY, path).unwrap());
        let two = bare(client.get(door.https, ALTERNATE, path).unwrap());
        assert_eq!((one.status, one.text().as_str()), (200, text), "{path}");
        assert_eq!(one, two, "{path}");
    }
}

// req: STAT-13
#[test]
fn every_hosted_answer_has_the_headers_of_its_path() {
    let (door, client) = hosting();
    for (path, status, script) in [
        ("/", 200, false),
        ("/assets/index-BkT3xQz9.js", 200, true),
        ("/deep/route", 200, false),
        ("/missing.js", 404, true),
        ("/favicon.svg", 200, false),
    ] {
        let answer = client.get(door.https, PRIMARY, path).unwrap();
        assert_eq!(answer.status, status, "{path}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("content-security-policy", "default-src 'self'"),
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(all(&answer, name), [value], "{path}: {name}");
        }
        assert_eq!(all(&answer, "x-script").len(), usize::from(script), "{path}");
    }
    let plain = ask(&door, PRIMARY, "/", "");
    assert_eq!((plain.status, all(&plain, "strict-transport-security").len()), (200, 0));
}

// req: STAT-14
#[test]
fn hosted_files_come_from_memory_and_hits_and_misses_are_counted() {
    let (door, _) = hosting();
    let path = "/assets/index-BkT3xQz9.js";
    let lookups = |result: &str| -> u64 {
        let home = door.sandbox.stack().join(".mainstay");
        let text = door.sandbox.run(["metrics", "--home", home.to_str().unwrap()]).expect_code(0).stdout;
        let start = format!("mainstay_cache_lookups_total{{site=\"{PRIMARY}\",result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {start} in:\n{text}")).parse().unwrap()
    };
    let first = ask(&door, PRIMARY, path, "");
    assert_eq!(door.line_of(&first)["cache"], "miss");
    let (hits, misses) = (lookups("hit"), lookups("miss"));
    // each worker finds it where the first one has put it
    for _ in 0..20 {
        let again = ask(&door, PRIMARY, path, "");
        assert_eq!((door.line_of(&again)["cache"].as_str(), &again.body), (Some("hit"), &first.body));
    }
    assert_eq!((lookups("hit"), lookups("miss")), (hits + 20, misses));
}

// req: STAT-16
#[test]
fn a_built_frontend_outside_the_stack_is_served_with_its_fallback() {
    let files = Sandbox::with_manifest("");
    for (name, text) in RELEASE {
        files.write(&name.replace("dist", "usr/share/nginx/html"), text);
    }
    let root = files.stack().join("usr/share/nginx/html");
    let sandbox = Sandbox::with_manifest(&format!(
        "stack = \"t\"\n[listen]\nhttp = \"127.0.0.3:3000\"\n[[site]]\nhosts = \"*\"\n\
         [[site.route]]\nstatic = {{ root = \"{}\", spa = true }}\n",
        root.display()
    ));
    let mut up = sandbox.start(["up"]);
    up.wait_for(" is up: ");
    for (path, text) in [
        ("/", RELEASE[0].1),
        ("/dashboard/7", RELEASE[0].1),
        ("/assets/index-BkT3xQz9.js", RELEASE[1].1),
        ("/manifest.json", "{}"),
    ] {
        let mut connection = testkit::http::Connection::open(("127.0.0.3", 3000));
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: anything\r\nAccept: text/html\r\n\r\n"));
        let answer = connection.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}");
    }
    up.signal("INT");
    up.wait().expect_code(0);
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
