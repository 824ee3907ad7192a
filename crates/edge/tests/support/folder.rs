//! Sites that are folders.

use super::{Edge, Reply, files, site, snapshot};
use model::site::StaticSpec;
use std::io::Write;
use std::path::Path;
use wire::snapshot::Handler;

/// An edge with one site, `a.test`, of this folder.
pub fn serving_files(root: &Path, change: impl FnOnce(&mut StaticSpec)) -> Edge {
    let mut route = files("/*", root);
    if let Handler::Static(spec) = &mut route.handler {
        change(spec);
    }
    Edge::start(&snapshot(1, vec![site(1, &["a.test", "b.test"], vec![route])], Vec::new()))
}

pub fn put(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

/// `GET` with these lines in its head.
pub fn ask(edge: &Edge, path: &str, lines: &str) -> Reply {
    edge.request(&format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{lines}Connection: close\r\n\r\n"))
}

pub fn header(reply: &Reply, name: &str) -> String {
    reply.header(name).unwrap_or_default()
}

/// A text that compresses well.
pub fn text(bytes: usize) -> String {
    (0..)
        .flat_map(|n: u32| format!("line {} of a page\n", n % 97).into_bytes())
        .take(bytes)
        .map(char::from)
        .collect()
}
