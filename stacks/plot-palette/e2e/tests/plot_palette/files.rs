//! Steps 3 to 5, and what lies in `uploads/`: what the front door serves of the project's folder, and what it does not.

use crate::person::Person;
use crate::pictures;
use crate::stage::{DOMAIN, Stage};
use crate::visit::names;
use std::io::Read;
use std::path::Path;
use testkit::http;

/// Headers that every page of the site has (row SEC-01).
const HEADERS: [&str; 5] = [
    "x-frame-options",
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "x-xss-protection",
];

/// Step 3.
pub fn front_page(stage: &Stage) -> String {
    let host = format!("{DOMAIN}:{}", stage.http);
    let plain = http::get(stage.http, &host, "/x?y=1");
    let target = format!("{}/x?y=1", stage.origin());
    assert_eq!((plain.status, plain.header("location")), (301, Some(target.as_str())));

    let page = stage.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")),
        "{:?}",
        page.headers
    );
    for name in HEADERS {
        assert!(page.header(name).is_some(), "no {name}: {:?}", page.headers);
    }
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let folder = stage.sandbox.stack();
    for (path, file, kinds) in [
        ("/", "index.html", &["text/html"][..]),
        ("/styles.css", "styles.css", &["text/css"]),
        ("/script.js", "script.js", &["text/javascript", "application/javascript"]),
    ] {
        let answer = stage.get(path);
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kinds.iter().any(|known| kind.starts_with(known)), "{path}: {kind}");
        assert_eq!(answer.body, std::fs::read(folder.join(file)).unwrap(), "{path}");
    }
    let coded = stage.ask("GET", "/styles.css", "Accept-Encoding: gzip\r\n", b"");
    assert_eq!(coded.header("content-encoding"), Some("gzip"));
    let mut css = Vec::new();
    flate2::read::GzDecoder::new(coded.body.as_slice()).read_to_end(&mut css).unwrap();
    assert_eq!(css, std::fs::read(folder.join("styles.css")).unwrap());

    let script = stage.get("/script.js");
    for (name, condition) in [("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")] {
        let value = script.header(name).unwrap_or_else(|| panic!("no {name}"));
        let again = stage.ask("GET", "/script.js", &format!("{condition}: {value}\r\n"), b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{condition}");
    }
    format!("301, 200, 304; {} bytes of CSS from {} with gzip", css.len(), coded.body.len())
}

/// Step 4, with the folders of paintings and uploads.
pub fn asset_folders(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    person.palette("folder.png", &pictures::read(stage, "bands.png"));
    let folder = stage.sandbox.stack();
    let (mut served, mut reader) = (Vec::new(), stage.reader());
    for (name, kinds, least) in [
        ("palette GIF", &[("gif", "image/gif")][..], 1),
        ("15 emotion illustrations", &[("png", "image/png")], 15),
        ("image", &[("webp", "image/webp"), ("png", "image/png"), ("jpg", "image/jpeg")], 60),
        ("uploads", &[("png", "image/png")], 1),
    ] {
        let mut count = 0;
        for file in names(&folder.join(name)) {
            let extension = Path::new(&file).extension().unwrap_or_default();
            let Some((_, kind)) = kinds.iter().find(|(known, _)| extension == *known) else { continue };
            let answer = reader.get(&format!("/{}/{file}", name.replace(' ', "%20")));
            assert_eq!((answer.status, answer.header("content-type")), (200, Some(*kind)), "{name}/{file}");
            let bytes = std::fs::read(folder.join(name).join(&file)).unwrap();
            assert!(answer.body == bytes, "{name}/{file}: other bytes");
            if extension == "gif" {
                assert!(bytes.starts_with(b"GIF89a") && frames(&bytes) >= 3, "{file} does not move");
            }
            count += 1;
        }
        assert!(count >= least, "{count} files of {name}");
        served.push(format!("{count} of {name}"));
    }
    assert!(names(&folder.join("15 emotion illustrations")).len() == 15);
    served.join(", ")
}

/// Pictures in a GIF, by their graphic control extensions (GIF89a, section 23).
fn frames(gif: &[u8]) -> usize {
    gif.windows(4).filter(|part| part[..3] == [0x21, 0xF9, 0x04]).count()
}

/// Step 5: in any encoding of the path, and nothing of a file's content in the answer.
pub fn sources(stage: &Stage) -> String {
    let folder = stage.sandbox.stack();
    stage.sandbox.write(".git/config", "[core]\n\trepositoryformatversion = 0\n");
    let hidden = [
        "server.py",
        "database.py",
        "recommendation_service_embedded.py",
        "requirements-prod.txt",
        "nginx.conf",
        "gunicorn.conf.py",
        "deploy.sh",
        "mainstay.toml",
        ".env",
        ".git/config",
        "story_generation/__init__.py",
        "story_generation/client.py",
        "story_generation/counterpart.py",
    ];
    let (mut asked, mut reader) = (0, stage.reader());
    for name in hidden {
        let file = folder.join(name);
        let content = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(file.is_file(), "{name} is not there: it shows nothing that it is not served");
        for path in spellings(name) {
            let answer = reader.get(&path);
            assert!([400, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
            // the path itself may be named, nothing of the file may
            let body = answer.text();
            let shown = content.lines().find(|line| line.len() > 12 && body.contains(*line));
            assert_eq!(shown, None, "{path}");
            asked += 1;
        }
    }
    let _ = std::fs::remove_dir_all(folder.join(".git"));
    format!("{asked} spellings of {} names", hidden.len())
}

/// Ways to write the path of a file, plain and not.
fn spellings(name: &str) -> Vec<String> {
    let all: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let upper: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    vec![
        format!("/{name}"),
        format!("/{all}"),
        format!("/{upper}"),
        format!("/{}", name.replace('.', "%2e").replace('/', "%2F")),
        format!("/{}", all.replace('%', "%25")),
        format!("/image/..%2f{name}"),
        format!("/image/../{name}"),
        format!("/%2e%2e/{name}"),
        format!("/.%2e/{name}"),
        format!("//{name}"),
        format!("/./{name}"),
        format!("/{name}/"),
        format!("/{name}%00.png"),
        format!("/uploads/..%2f{name}"),
        format!("/uploads/%2e%2e/{name}"),
        format!("/palette%20GIF/..%5c{name}"),
        format!("/{}", name.to_uppercase()),
    ]
}

/// Step 12: a picture with a page inside stays a picture; what got into the folder otherwise is not served at all.
pub fn uploads(stage: &Stage) -> String {
    let person = Person::arrive(stage);
    let bytes = pictures::read(stage, "page-inside.png");
    assert!(String::from_utf8_lossy(&bytes).contains("<script>"), "the picture holds no page");
    let palette = person.palette("page.html.png", &bytes);
    let answer = stage.get(palette["image_url"].as_str().unwrap());
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/png")));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    assert_eq!(answer.body, bytes);

    let page = "<script>alert(1)</script><?php echo 1+1;";
    for name in
        ["page.html", "page.htm", "page.svg", "run.php", "run.py", "run.js", "page", ".htaccess", "x.png.php"]
    {
        stage.sandbox.write(&format!("uploads/{name}"), page);
        let answer = stage.get(&format!("/uploads/{name}"));
        if answer.status == 200 {
            // without an extension it may be had, as something to be saved
            assert_eq!(name, "page");
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            assert_eq!(answer.header("content-disposition"), Some("attachment"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        } else {
            assert!([403, 404].contains(&answer.status), "{name}: {}", answer.status);
            assert!(!answer.text().contains("alert"), "{name}");
        }
        std::fs::remove_file(stage.sandbox.stack().join("uploads").join(name)).unwrap();
    }
    // and a page under a picture's name is still called a picture
    stage.sandbox.write("uploads/page.png", page);
    let answer = stage.get("/uploads/page.png");
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    std::fs::remove_file(stage.sandbox.stack().join("uploads/page.png")).unwrap();
    "image/png with nosniff; no page, no program, no drawing with scripts".to_owned()
}
