//! A release of hashed files behind two names, and a built frontend outside the stack.

use crate::{FROM_FILES, all, ask, public};
use std::time::Duration;
use testkit::http::Response;
use testkit::tls::Client;
use testkit::{FrontDoor, Sandbox, wait_until};

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
    // what was written this moment may change again without its time telling, and is read anew
    let file = door.sandbox.stack().join(RELEASE[1].0);
    wait_until("the file is older than the ticks of its time", || {
        let changed = std::fs::metadata(&file).unwrap().modified().unwrap();
        changed.elapsed().is_ok_and(|age| age > Duration::from_secs(3)).then_some(())
    });
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
