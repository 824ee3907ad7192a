//! What a build sees, what it is known by, what is sent.

#![allow(clippy::disallowed_methods)] // files of a test

use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

fn build(root: &Path) -> ImageBuild {
    ImageBuild { context: root.to_owned(), dockerfile: "Dockerfile".into(), ..Default::default() }
}

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Names in the tar, with their content or target.
fn sent(build: &ImageBuild) -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    Context::read(build).unwrap().write(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(&*bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let target = entry.link_name().unwrap().map(|it| format!("-> {}", it.display()));
        (entry.path().unwrap().display().to_string(), target.unwrap_or(text))
    });
    entries.collect()
}

#[test]
fn what_is_ignored_is_neither_sent_nor_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "Dockerfile", "FROM scratch");
    put(root, ".dockerignore", "node_modules\n*.log\nDockerfile\n");
    put(root, "src/a.js", "1");
    put(root, "node_modules/b/c.js", "2");
    put(root, "x.log", "3");
    put(root, ".mainstay/state.db", "4");
    symlink("/etc/passwd", root.join("outside")).unwrap();
    let sent = sent(&build(root));
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, [".dockerignore", "Dockerfile", "outside", "src", "src/a.js"]);
    assert_eq!(sent["outside"], "-> /etc/passwd");
    let before = fingerprint(&build(root)).unwrap();
    put(root, "node_modules/b/c.js", "changed");
    put(root, "x.log", "changed");
    assert_eq!(fingerprint(&build(root)).unwrap(), before);
    put(root, "src/a.js", "changed");
    let changed = fingerprint(&build(root)).unwrap();
    assert_ne!(changed, before);
    put(root, "Dockerfile", "FROM scratch\n");
    assert_ne!(fingerprint(&build(root)).unwrap(), changed, "the Dockerfile counts though it is ignored");
}

#[test]
fn stage_and_arguments_count() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "Dockerfile", "FROM scratch");
    let plain = build(folder.path());
    let with = |change: fn(&mut ImageBuild)| {
        let mut changed = plain.clone();
        change(&mut changed);
        fingerprint(&changed).unwrap()
    };
    let same = with(|_| {});
    assert_ne!(with(|it| it.target = Some("a".into())), same);
    assert_ne!(with(|it| drop(it.args.insert("A".into(), BuildArg::Plain("1".into())))), same);
    assert_eq!(with(|it| it.no_cache = true), same);
}

#[test]
fn a_dockerfile_has_an_ignore_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "docker/web.Dockerfile", "FROM scratch");
    put(root, "docker/web.Dockerfile.dockerignore", "a");
    put(root, ".dockerignore", "b");
    put(root, "a", "");
    put(root, "b", "");
    let build = ImageBuild { dockerfile: "docker/web.Dockerfile".into(), ..build(root) };
    let sent = sent(&build);
    assert!(!sent.contains_key("a") && sent.contains_key("b"));
    assert_eq!(sent[".dockerignore"], "a", "the engine reads it again");
}

#[test]
fn a_dockerfile_from_elsewhere_is_hidden_from_the_context() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("context");
    put(&root, "a", "");
    put(folder.path(), "Other", "FROM other");
    let elsewhere = ImageBuild { dockerfile: "../Other".into(), ..build(&root) };
    let inline = ImageBuild { inline: Some("FROM inline".into()), ..build(&root) };
    for (build, text) in [(elsewhere, "FROM other"), (inline, "FROM inline")] {
        assert_eq!(Context::read(&build).unwrap().dockerfile, OUTSIDE);
        let sent = sent(&build);
        assert_eq!(sent[OUTSIDE], text);
        assert!(sent[".dockerignore"].contains(OUTSIDE));
    }
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = fingerprint(&build(folder.path())).unwrap_err().to_string();
    assert!(error.contains("Dockerfile") && error.contains("No such file"), "{error}");
    let error = fingerprint(&build(&folder.path().join("none"))).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
}
