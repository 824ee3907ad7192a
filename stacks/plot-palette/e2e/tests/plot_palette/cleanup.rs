//! Step 17: what the stack does not own any more goes, and nothing else.

use crate::stage::Stage;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The entries that stay (row DEP-03).
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
    "story_generation",
    "image",
    "uploads",
    "palette GIF",
    "15 emotion illustrations",
];

/// What a stack of Node, Docker and Vue left behind.
const PLANTED: [&str; 14] = [
    "server.js",
    "package.json",
    "package-lock.json",
    "docker-compose.yml",
    "Dockerfile",
    "Dockerfile.old",
    "NOTES.md",
    "README.md",
    "x.log",
    "npm-debug.log",
    "vue-project/src/App.vue",
    "vue-project/package.json",
    "node_modules/left-pad/index.js",
    "node_modules/.bin/vue",
];

/// Every path below a folder and what it is: size of a file, target of a link. Where applications write is looked at by name only.
fn listing(folder: &Path, below: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = path.strip_prefix(below).unwrap().display().to_string();
        if kind.is_dir() {
            found.insert(name, "folder".to_owned());
            listing(&path, below, found);
        } else if kind.is_symlink() {
            found.insert(name, format!("link to {}", std::fs::read_link(&path).unwrap().display()));
        } else {
            found.insert(name, format!("{} bytes", entry.metadata().unwrap().len()));
        }
    }
}

fn now(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    listing(folder, folder, &mut found);
    found
}

/// Shown first, then removed: exactly the planted ones, and no link is followed.
pub fn removes_what_is_left_over(stage: &Stage) -> String {
    let folder = stage.sandbox.stack();
    for name in KEPT {
        assert!(folder.join(name).exists(), "{name} is not there");
    }
    let before = now(&folder);
    let outside = stage.sandbox.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for name in ["keep.txt", "keep.log", "NOTES.md"] {
        #[allow(clippy::disallowed_methods)] // a test's file need not survive a power cut
        std::fs::write(outside.join(name), "mine").unwrap();
    }
    for name in PLANTED {
        stage.sandbox.write(name, "left over");
    }
    symlink(&outside, folder.join("vue-project/dist")).unwrap();
    symlink(&outside, folder.join("node_modules/linked")).unwrap();
    symlink(outside.join("keep.log"), folder.join("linked.log")).unwrap();
    let planted = now(&folder);

    let said = stage.deploy(&["cleanup", "--dry-run"]).expect_code(0).stdout;
    for name in PLANTED.iter().map(|name| name.split('/').next().unwrap()) {
        assert!(said.contains(name), "{name} is not announced:\n{said}");
    }
    for name in KEPT {
        let announced =
            said.lines().any(|line| line.split_whitespace().any(|word| word.trim_end_matches('/') == name));
        assert!(!announced, "{name} is announced:\n{said}");
    }
    assert_eq!(now(&folder), planted, "a dry run changed something");

    let said = stage.deploy(&["cleanup", "--yes"]).expect_code(0).stdout;
    assert!(said.contains("vue-project"), "{said}");
    let mut after = now(&folder);
    after.remove("linked.log"); // the link itself may go or stay
    assert_eq!(after, before, "not exactly what was planted is gone");
    for name in ["keep.txt", "keep.log", "NOTES.md"] {
        assert_eq!(std::fs::read_to_string(outside.join(name)).unwrap(), "mine", "{name} beyond a link");
    }
    for name in KEPT {
        assert!(folder.join(name).exists(), "{name} is gone");
    }
    let logs = std::fs::read_dir(stage.logs()).unwrap().count();
    assert!(logs > 0, "the logs are gone");
    stage.deploy(&["cleanup", "--yes"]).expect_code(0);
    assert_eq!(stage.get("/api/health").status, 200);
    format!("{} planted ones gone, {} entries and {logs} logs intact", PLANTED.len() + 3, KEPT.len())
}
