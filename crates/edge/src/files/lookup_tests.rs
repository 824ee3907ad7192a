//! Tests of [`super`].

use super::*;
use model::site::StaticSpec;
use std::path::Path;

/// An asset of so many bytes.
pub fn asset(root: u64, path: &str, size: usize) -> Arc<Asset> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("x.bin")).unwrap().set_len(size as u64).unwrap();
    let made = Root::new(&StaticSpec { root: folder.path().to_owned(), ..StaticSpec::default() });
    let file = rustix::fs::open(folder.path().join("x.bin"), OFlags::RDONLY, Mode::empty()).unwrap();
    let stat = fstat(&file).unwrap();
    let (body, stamp) = load(file, &stat).unwrap();
    let facts = head::Facts { kind: "a/b", cache: "no-cache", varies: false, inert: false, shown: true };
    let plain = head::variant(None, body, stamp, stamp.modified(), &facts);
    drop(made);
    Arc::new(Asset::new((root, path), &facts, plain, Box::new([]), false, 0))
}

fn put(root: &Path, name: &str) {
    std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
    std::fs::copy("/proc/self/cmdline", root.join(name)).unwrap();
}

fn found(root: &Root, path: &str) -> String {
    match look_up(root, path, None, 0).unwrap() {
        Found::Asset(asset) => asset.kind.to_string(),
        Found::Moved(spelling) => format!("{spelling:?}"),
        Found::Folder(entries) => format!("{} entries", entries.len()),
        Found::Missing => "missing".into(),
    }
}

#[test]
fn no_link_leads_out_and_nothing_special_is_opened() {
    let (outside, inside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(outside.path(), "secret.txt");
    put(inside.path(), "here.txt");
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, inside.path().join(name)).unwrap();
    link(&outside.path().join("secret.txt"), "link.txt");
    link(outside.path(), "folder");
    link(Path::new("../../../../../../etc/passwd"), "passwd.txt");
    link(Path::new("here.txt"), "inside.txt");
    rustix::fs::mknodat(rustix::fs::CWD, inside.path().join("pipe.txt"), FileType::Fifo, Mode::RUSR, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(inside.path().join("socket.txt")).unwrap();
    let root = Root::new(&StaticSpec { root: inside.path().to_owned(), ..StaticSpec::default() });
    for path in
        ["link.txt", "folder/secret.txt", "folder/", "passwd.txt", "pipe.txt", "socket.txt", "here.txt/", ""]
    {
        assert_eq!(found(&root, path), "missing", "{path}");
    }
    assert_eq!(found(&root, "inside.txt"), "text/plain; charset=utf-8");
}

#[test]
fn folders_and_pages_have_one_spelling() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "index.html",
        "about.html",
        "docs/index.html",
        "docs/a.css",
        "empty/x.txt",
        "both/index.html",
        "both.html",
    ] {
        put(folder.path(), name);
    }
    let spec = StaticSpec { root: folder.path().to_owned(), ..StaticSpec::default() };
    let html = "text/html; charset=utf-8";
    let clean = |trailing_slash| Root::new(&StaticSpec { clean_urls: true, trailing_slash, ..spec.clone() });
    for (root, path, expected) in [
        (Root::new(&spec), "", html),
        (Root::new(&spec), "docs/", html),
        (Root::new(&spec), "docs", "WithSlash"),
        (Root::new(&spec), "empty", "missing"),
        (Root::new(&spec), "empty/", "missing"),
        (Root::new(&spec), "about", "missing"),
        (Root::new(&spec), "docs/a.css/", "missing"),
        (clean(None), "about", html),
        (clean(None), "about/", "missing"),
        (clean(None), "about.html", "Shorter(5)"),
        (clean(None), "index.html", "Shorter(10)"),
        (clean(None), "docs/index.html", "Shorter(10)"),
        (clean(None), "both", html),
        (clean(Some(true)), "docs", "WithSlash"),
        (clean(Some(true)), "about/", "WithoutSlash"),
        (clean(Some(true)), "docs/a.css/", "WithoutSlash"),
        (clean(Some(false)), "docs/", "WithoutSlash"),
        (clean(Some(false)), "docs", html),
        (clean(Some(false)), "", html),
        (clean(Some(false)), "docs/index.html", "Shorter(11)"),
        (clean(Some(false)), "index.html", "Shorter(10)"),
        (Root::new(&StaticSpec { listing: true, ..spec.clone() }), "empty/", "1 entries"),
        (Root::new(&StaticSpec { listing: true, ..spec.clone() }), "empty", "WithSlash"),
        (
            Root::new(&StaticSpec { index: vec!["a.css".into()], ..spec.clone() }),
            "docs/",
            "text/css; charset=utf-8",
        ),
        (Root::new(&StaticSpec { index: vec!["index.php".into()], ..spec.clone() }), "docs/", "missing"),
    ] {
        assert_eq!(found(&root, path), expected, "{path} of {:?}", root.spec);
    }
}
