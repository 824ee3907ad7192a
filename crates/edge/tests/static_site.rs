//! A folder as a site: what of it is served, to whom, and what is never.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::folder::*;

// "Every path" of the row is every navigation: a missing asset is not answered with the page, as the design wants it.
// req: STAT-07
#[test]
fn a_navigation_without_a_file_gets_the_one_page() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "index.html", "the page");
    put(root.path(), "about", "a file");
    put(root.path(), "assets/app.js", "code");
    let edge = serving_files(root.path(), |spec| spec.spa = Some("index.html".into()));
    for path in ["/users/7", "/users/", "/v1.2", "/assets", "/x?y=z.js"] {
        let reply = edge.get("a.test", path);
        assert_eq!((reply.status, reply.text().as_str()), (200, "the page"), "{path}");
        assert_eq!(header(&reply, "Cache-Control"), "no-cache");
    }
    assert_eq!(edge.get("a.test", "/about").text(), "a file");
    assert_eq!(edge.get("a.test", "/assets/app.js").text(), "code");
    for path in ["/assets/gone.js", "/logo.svg", "/.env", "/server.py"] {
        assert_eq!(edge.get("a.test", path).status, 404, "{path}");
    }
    assert_eq!(ask(&edge, "/users/7", "Sec-Fetch-Mode: cors\r\n").status, 404);
    assert_eq!(ask(&edge, "/users/7", "Accept: application/json\r\n").status, 404);
}

// req: STAT-18, SEC-14
#[test]
fn a_project_folder_as_document_root_shows_only_the_site() {
    let root = tempfile::tempdir().unwrap();
    let secret = [
        "server.py",
        "database.py",
        "recommendation_service_embedded.py",
        "requirements-prod.txt",
        "nginx.conf",
        "gunicorn.conf.py",
        "deploy.sh",
        ".env",
        ".git/config",
        ".git/HEAD",
        "story_generation/model.py",
        "dump.sql",
        "prod.env",
        "index.html.bak",
        "index.html~",
        ".hidden/x.html",
    ];
    let open = ["index.html", ".well-known/security.txt", "script.js"];
    for name in secret.iter().chain(&open) {
        put(root.path(), name, format!("content of {name}"));
    }
    let edge =
        serving_files(root.path(), |spec| (spec.listing, spec.spa) = (true, Some("index.html".into())));
    for name in secret {
        let all: String =
            name.bytes().map(|byte| if byte == b'/' { "/".into() } else { format!("%{byte:02x}") }).collect();
        let (first, rest) = name.split_at(1);
        for path in [
            format!("/{name}"),
            format!("//{name}"),
            format!("/{all}"),
            format!("/%{:02X}{rest}", first.as_bytes()[0]),
            format!("/{name}/"),
            format!("/x/../{name}"),
            format!("/x/%2e%2e/{name}"),
            format!("/{}", name.replace('/', "%2f")),
            format!("/{}", name.replace('/', "//")),
            format!("/{name}%00.html"),
            format!("/{name}?x.html"),
            format!("/{name};x.html"),
            format!("/{}", name.replace('.', "%2E")),
        ] {
            let reply = edge.get("a.test", &path);
            assert!(
                !reply.text().contains("content of") || reply.text() == "content of index.html",
                "{path}"
            );
            assert!(
                matches!(reply.status, 400 | 403 | 404) || reply.text() == "content of index.html",
                "{path}: {}",
                reply.status
            );
        }
        assert_eq!(edge.get("a.test", &format!("/{name}")).status, 404, "{name}");
    }
    for name in open {
        assert_eq!(edge.get("a.test", &format!("/{name}")).text(), format!("content of {name}"));
    }
}

// req: STAT-19
#[test]
fn no_path_leads_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret.txt", "secret");
    let root = outside.path().join("root");
    put(&root, "sub/index.html", "inside");
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), root.join("link.txt")).unwrap();
    std::os::unix::fs::symlink("..", root.join("up")).unwrap();
    let edge = serving_files(&root, |spec| spec.listing = true);
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/sub/%2e%2e/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/%252e%252e/secret.txt",
        "/..%00/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "//../secret.txt",
        "/link.txt",
        "/up/secret.txt",
        "/up/",
        "/....//secret.txt",
        "/..;/secret.txt",
        "/%u002e%u002e/secret.txt",
    ] {
        let reply = edge.get("a.test", path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("secret.txt") && reply.text() != "secret", "{path}");
    }
    assert_eq!(edge.get("a.test", "/sub/").text(), "inside");
}

// req: STAT-20
#[test]
fn uploads_are_inert() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.svg", "a.html", "a.js", "index.html", "a.php"] {
        put(root.path(), name, text(2000));
    }
    let edge = serving_files(root.path(), |spec| spec.inert = true);
    for (name, kind, saved) in [
        ("a.png", "image/png", None),
        ("a.svg", "application/octet-stream", Some("attachment")),
        ("a.html", "application/octet-stream", Some("attachment")),
        ("a.js", "application/octet-stream", Some("attachment")),
        ("", "application/octet-stream", Some("attachment")),
    ] {
        let reply = ask(&edge, &format!("/{name}"), "Accept-Encoding: br\r\nRange: bytes=0-9999\r\n");
        assert_eq!(
            (header(&reply, "Content-Type").as_str(), reply.header("Content-Disposition").as_deref()),
            (kind, saved),
            "{name}"
        );
        assert_eq!(header(&reply, "X-Content-Type-Options"), "nosniff");
        assert_eq!(header(&reply, "Content-Security-Policy"), "default-src 'none'; sandbox");
        assert_eq!(reply.header("Content-Encoding"), None);
    }
    assert_eq!(edge.get("a.test", "/a.php").status, 404);
}

#[test]
fn clean_urls_keep_the_page_for_404_and_the_one_page_of_an_application() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "404.html", "my own page");
    put(root.path(), "index.html", "the one page");
    put(root.path(), "app/index.html", "the inner page");
    let edge = serving_files(root.path(), |spec| spec.clean_urls = true);
    let reply = ask(&edge, "/none", "");
    assert_eq!((reply.status, reply.text().as_str()), (404, "my own page"));
    for (page, expected) in [("index.html", "the one page"), ("app/index.html", "the inner page")] {
        let edge = serving_files(root.path(), |spec| {
            spec.clean_urls = true;
            spec.spa = Some(page.into());
        });
        let reply = ask(&edge, "/deep/link", "Accept: text/html\r\n");
        assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    }
}

#[test]
fn a_page_of_the_sites_own_for_404_and_listings_by_choice() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "404.html", "my own page");
    put(root.path(), "docs/a.txt", "a");
    put(root.path(), "docs/.env", "a");
    let edge = serving_files(root.path(), |_| {});
    let reply = ask(&edge, "/none", "Range: bytes=0-1\r\n");
    assert_eq!(
        (reply.status, reply.text().as_str(), header(&reply, "Cache-Control").as_str()),
        (404, "my own page", "no-store")
    );
    assert_eq!(ask(&edge, "/docs/", "").status, 404, "no listing without being asked for");
    assert!(
        header(&ask(&edge, "/none", "Accept: application/json\r\n"), "Content-Type")
            .starts_with("application/json")
    );
    let edge = serving_files(root.path(), |spec| spec.listing = true);
    let page = ask(&edge, "/docs/", "");
    assert!(
        page.status == 200 && page.text().contains("a.txt") && !page.text().contains(".env"),
        "{}",
        page.text()
    );
    let list: serde_json::Value =
        serde_json::from_slice(&ask(&edge, "/docs/", "Accept: application/json\r\n").body).unwrap();
    assert_eq!((list[0]["name"].as_str(), list.as_array().unwrap().len()), (Some("a.txt"), 1));
    assert_eq!(header(&ask(&edge, "/docs?x", ""), "Location"), "/docs/?x");
}
