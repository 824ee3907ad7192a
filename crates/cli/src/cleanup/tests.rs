//! The list, the guard, and what happens when others change the tree meanwhile.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A stack in a folder of its own, and something outside of it.
struct Tree {
    _folder: tempfile::TempDir,
    root: std::path::PathBuf,
    outside: std::path::PathBuf,
}

impl Tree {
    fn new(manifest: &str, files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let (root, outside) = (base.join("stack"), base.join("outside"));
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::write(outside.join("deep/precious"), "precious").unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(root.join("mainstay.toml"), manifest).unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        }
        Self { _folder: folder, root, outside }
    }

    fn plan(&self) -> (Folder, Plan, Guard) {
        let loaded = manifest::load(&self.root, &|_| None).unwrap();
        let guard = Guard::of(&loaded, &self.root.join(".mainstay"));
        let root = Folder::open(&loaded.spec.root).unwrap();
        let plan = find(&root, &loaded.spec.cleanup.obsolete, &guard).unwrap();
        (root, plan, guard)
    }

    fn names(&self) -> Vec<String> {
        self.plan().1.obsolete.iter().map(|found| found.path.display().to_string()).collect()
    }

    fn precious(&self) -> bool {
        fs::read_to_string(self.outside.join("deep/precious")).is_ok_and(|text| text == "precious")
    }
}

fn there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn a_pattern_stands_for_files_and_a_slash_for_folders() {
    let files = ["a.md", "b.md/x", "old/y", "old/z/deep", "name/x", "sub/c.md", "sub/d/e.log", "x.log"];
    let tree = Tree::new(
        "[cleanup]\nobsolete = ['*.md', 'old/', 'name', 'sub/*.md', '**/*.log', 'x.log/', 'none']\n",
        &files,
    );
    assert_eq!(tree.names(), ["a.md", "name", "old", "sub/c.md", "sub/d/e.log", "x.log"]);
    let (_, plan, _) = tree.plan();
    let old = plan.obsolete.iter().find(|found| found.path == Path::new("old")).unwrap();
    assert_eq!((old.kind, old.bytes, old.inside), (Kind::Folder, 10, 3));
}

#[test]
fn what_the_manifest_names_or_keeps_stays() {
    let manifest = "
[cleanup]
obsolete = ['*', '*/', '**/*.md', '.git/', '.mainstay/']
keep = ['README.md', 'docs/', 'mixed/in/this']
[[site]]
hosts = 'shop.localhost'
[[site.route]]
path = '/x'
static = 'public/dist'
[[site.route]]
app = 'web'
error_pages = { 404 = 'pages/404.html' }
[app.web]
run = ['sh', 'start.sh', '--config=conf/web.ini']
writable = 'uploads'
env = { A = { file = 'secret' } }
[logs]
dir = 'logs'
";
    let kept = [
        ".env",
        ".git/config",
        ".mainstay/state.db",
        "README.md",
        "docs/a.md",
        "mixed/in/this",
        "mixed/other",
        "public/dist/index.html",
        "pages/404.html",
        "start.sh",
        "conf/web.ini",
        "uploads/u.md",
        "secret",
        "logs/a.md",
    ];
    let tree = Tree::new(manifest, &[&kept[..], &["gone", "public/old.md", "away/a/b"]].concat());
    let (root, plan, guard) = tree.plan();
    assert_eq!(tree.names(), ["away", "gone"]);
    let stays: Vec<_> = plan.stays.iter().map(|own| own.path.display().to_string()).collect();
    for name in
        [".env", ".git", "README.md", "mixed", "public", "start.sh", "conf", "uploads", "secret", "logs"]
    {
        assert!(stays.contains(&name.to_owned()), "{name}: {stays:?}");
    }
    assert!(plan.obsolete.iter().all(|found| remove(&root, found, &guard).is_empty()));
    assert!(kept.iter().all(|name| tree.root.join(name).exists()) && !tree.root.join("away").exists());
}

#[test]
fn a_folder_that_became_a_link_is_not_followed() {
    let tree = Tree::new(
        "[cleanup]\nobsolete = ['old/', 'way/inner/', 'z.md']\n",
        &["old/x", "way/inner/y", "z.md"],
    );
    let (root, plan, guard) = tree.plan();
    assert_eq!(plan.obsolete.len(), 3);
    fs::rename(tree.root.join("old"), tree.root.join("old.before")).unwrap();
    symlink(&tree.outside, tree.root.join("old")).unwrap();
    // and one on the way to what is removed
    fs::rename(tree.outside.join("deep"), tree.outside.join("inner")).unwrap();
    fs::rename(tree.root.join("way"), tree.root.join("way.before")).unwrap();
    symlink(&tree.outside, tree.root.join("way")).unwrap();
    let failed: Vec<_> = plan.obsolete.iter().flat_map(|found| remove(&root, found, &guard)).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(tree.outside.join("inner/precious").exists() && there(&tree.root.join("old")));
    assert!(!tree.root.join("z.md").exists(), "the rest goes on");
}

#[test]
fn what_was_replaced_since_it_was_listed_stays() {
    let tree = Tree::new("[cleanup]\nobsolete = ['a.md', 'b.md']\n", &["a.md", "b.md"]);
    let (root, plan, guard) = tree.plan();
    fs::remove_file(tree.root.join("a.md")).unwrap();
    fs::create_dir(tree.root.join("a.md")).unwrap();
    let failed: Vec<_> = plan.obsolete.iter().flat_map(|found| remove(&root, found, &guard)).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].why.contains("not what it was") && tree.root.join("a.md").is_dir());
    assert!(!tree.root.join("b.md").exists());
}

#[test]
fn a_link_goes_and_what_it_leads_to_stays() {
    let tree = Tree::new("[cleanup]\nobsolete = ['node_modules/', 'old/', '*.md', '**/*.log']\n", &["old/x"]);
    symlink(&tree.outside, tree.root.join("node_modules")).unwrap();
    symlink(tree.outside.join("deep"), tree.root.join("old/link")).unwrap();
    symlink(tree.outside.join("deep/precious"), tree.root.join("a.md")).unwrap();
    symlink(&tree.outside, tree.root.join("sub")).unwrap();
    fs::write(tree.outside.join("b.log"), "").unwrap();
    assert_eq!(tree.names(), ["a.md", "node_modules", "old"]);
    let (root, plan, guard) = tree.plan();
    assert!(plan.obsolete.iter().all(|found| remove(&root, found, &guard).is_empty()));
    assert!(tree.precious() && tree.outside.join("b.log").exists() && there(&tree.root.join("sub")));
    assert!(["a.md", "node_modules", "old"].iter().all(|name| !there(&tree.root.join(name))));
}

#[test]
fn a_folder_deeper_than_anybody_needs_stays_and_does_not_end_the_program() {
    let deep = "d/".repeat(DEEPEST + 5);
    let tree = Tree::new("[cleanup]\nobsolete = ['d/', 'x']\n", &[&format!("{deep}y"), "x"]);
    let (root, plan, guard) = tree.plan();
    assert_eq!(tree.names(), ["x"]);
    assert_eq!(plan.stays.len(), 1);
    assert!(plan.obsolete.iter().all(|found| remove(&root, found, &guard).is_empty()));
}
