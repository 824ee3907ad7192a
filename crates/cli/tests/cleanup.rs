//! `mainstay cleanup`, as people call it, with the manifest of Plot & Palette.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of a test

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What 000 keeps, and nothing else.
const KEPT: [&str; 15] = [
    "index.html",
    "styles.css",
    "script.js",
    "server.py",
    "database.py",
    "recommendation_service_embedded.py",
    "requirements-prod.txt",
    "nginx.conf",
    "gunicorn.conf.py",
    "deploy.sh",
    "story_generation/",
    "image/",
    "uploads/",
    "palette GIF/",
    "15 emotion illustrations/",
];

/// The former set: Node, Docker, Vue, documents, logs.
const FORMER: [&str; 12] = [
    "server.js",
    "package.json",
    "package-lock.json",
    "docker-compose.yml",
    "Dockerfile",
    "Dockerfile.prod",
    "vue-project/src/App.vue",
    "node_modules/.bin/vite",
    "README.md",
    "DEPLOYMENT.md",
    "server.log",
    "error.log",
];

/// A folder with both sets and a manifest with `[cleanup]` of the stack in this repository.
fn planted() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("project");
    let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stacks/plot-palette/mainstay.toml");
    let text = fs::read_to_string(stack).unwrap();
    let cleanup = text.split_once("[cleanup]").unwrap().1;
    fs::create_dir(&root).unwrap();
    for name in KEPT.iter().chain(&FORMER) {
        let path = root.join(name);
        let (above, file) = match name.ends_with('/') {
            true => (path.clone(), path.join("inside.md")),
            false => (path.parent().unwrap().to_owned(), path),
        };
        fs::create_dir_all(above).unwrap();
        fs::write(file, "text").unwrap();
    }
    let site = "[[site]]\nhosts = 'x.localhost'\n[[site.route]]\nstatic = '.'\n";
    fs::write(root.join("mainstay.toml"), format!("{site}[cleanup]{cleanup}")).unwrap();
    (folder, root)
}

fn cleanup(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.arg("cleanup").args(arguments).current_dir(root).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// req: DEP-02, DEP-03
#[test]
fn the_former_set_goes_and_exactly_the_kept_set_stays() {
    let (_folder, root) = planted();
    let output = cleanup(&root, &["-y"]);
    assert!(output.status.success(), "{output:?}");
    let mut kept: Vec<String> = KEPT.iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
    kept.push("mainstay.toml".to_owned());
    kept.sort();
    assert_eq!(names(&root), kept);
    for name in KEPT.iter().filter(|name| name.ends_with('/')) {
        assert!(root.join(name).join("inside.md").exists(), "{name}");
    }
    let again = cleanup(&root, &["-y"]);
    assert!(again.status.success() && text(&again.stdout).contains("nothing to clean up"), "{again:?}");
}

// req: DEP-04
#[test]
fn it_is_shown_before_it_goes_and_no_link_is_followed() {
    let (folder, root) = planted();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious.md"), "precious").unwrap();
    fs::remove_dir_all(root.join("node_modules")).unwrap();
    symlink(&outside, root.join("node_modules")).unwrap();
    symlink(&outside, root.join("vue-project/dist")).unwrap();
    symlink(outside.join("precious.md"), root.join("link.md")).unwrap();
    symlink(&outside, root.join("elsewhere")).unwrap();
    let before = names(&root);
    let listed = |shown: &str| {
        let all = ["Dockerfile.prod", "vue-project/", "node_modules", "link.md", "README.md", "server.log"];
        all.iter().all(|name| shown.lines().any(|line| line.split_whitespace().next() == Some(name)))
    };
    // nobody can be asked: shown, and nothing done
    for (arguments, code) in [(&["--dry-run"][..], 0), (&[][..], 2), (&["--dry-run", "-y"][..], 0)] {
        let output = cleanup(&root, arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(listed(&text(&output.stdout)), "{output:?}");
        assert_eq!(text(&output.stderr).contains("add -y"), code == 2, "{output:?}");
        assert_eq!(names(&root), before, "{arguments:?}");
    }
    let output = cleanup(&root, &["-y"]);
    let shown = text(&output.stdout);
    let (list, done) = shown.split_at(shown.rfind('\n').and_then(|end| shown[..end].rfind('\n')).unwrap());
    assert!(output.status.success() && listed(list) && done.contains("13 removed"), "{output:?}");
    assert_eq!(fs::read_to_string(outside.join("precious.md")).unwrap(), "precious");
    assert_eq!(names(&outside), ["precious.md"]);
    assert!(root.join("elsewhere").is_symlink() && !root.join("node_modules").is_symlink());
}

#[test]
fn json_says_what_goes_and_what_went() {
    let (_folder, root) = planted();
    let dry: serde_json::Value =
        serde_json::from_slice(&cleanup(&root, &["--json", "--dry-run"]).stdout).unwrap();
    assert_eq!((dry["dry_run"].as_bool(), dry["obsolete"].as_array().unwrap().len()), (Some(true), 12));
    let folder = dry["obsolete"].as_array().unwrap().iter().find(|it| it["path"] == "vue-project").unwrap();
    assert_eq!(
        (&folder["kind"], &folder["bytes"], &folder["inside"]),
        (&"folder".into(), &4.into(), &2.into())
    );
    let done: serde_json::Value = serde_json::from_slice(&cleanup(&root, &["--json", "-y"]).stdout).unwrap();
    assert_eq!(
        (done["removed"].as_array().unwrap().len(), done["failed"].as_array().unwrap().len()),
        (12, 0)
    );
}
