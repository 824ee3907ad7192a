//! Manifests → what is said about them, and what they come to. Each `tests/bad/*.toml` and `tests/warn/*.toml` has a snapshot
//! of its diagnostics, each `tests/good/*.toml` one of its effective manifest. After a change on purpose:
//! `INSTA_UPDATE=always cargo test -p manifest`, and look at the difference.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Stage;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "toml"));
    files.sort();
    files
}

fn name(file: &Path) -> String {
    let folder = file.parent().unwrap().file_name().unwrap().to_string_lossy();
    format!("{folder}_{}", file.file_stem().unwrap().to_string_lossy())
}

#[test]
fn bad_manifests_say_all_that_is_wrong() {
    let files = fixtures("bad");
    assert!(files.len() >= 25);
    for file in files {
        let stage = Stage::new(&file);
        let found = stage.load().expect_err(&name(&file));
        let shown = stage.neutral(&found.render(false));
        assert!(!shown.contains("hunter2"), "{}: a secret is shown:\n{shown}", name(&file));
        insta::assert_snapshot!(name(&file), shown);
    }
}

// req: QUIRK-40
#[test]
fn doubtful_manifests_load_and_warn() {
    for file in fixtures("warn") {
        let stage = Stage::new(&file);
        let loaded = stage.load().unwrap_or_else(|found| panic!("{}: {found}", name(&file)));
        let shown: String = loaded.warnings.iter().map(|warning| warning.render(false) + "\n").collect();
        assert!(!shown.is_empty() && !shown.contains("hunter2"), "{}:\n{shown}", name(&file));
        insta::assert_snapshot!(name(&file), stage.neutral(&shown));
    }
}

#[test]
fn good_manifests_print_back_and_load_again() {
    for file in fixtures("good") {
        let stage = Stage::new(&file);
        let loaded = stage.load().unwrap_or_else(|found| panic!("{}: {found}", name(&file)));
        assert!(loaded.warnings.iter().all(|warning| warning.severity == manifest::Severity::Info));
        let printed = manifest::effective(&loaded.spec);
        assert!(!printed.contains("hunter2"), "{printed}");
        insta::assert_snapshot!(name(&file), stage.neutral(&printed));
        let again = stage.load_text(&printed).unwrap_or_else(|found| panic!("{}: {found}", name(&file)));
        assert_eq!(common::masked(&again.spec), common::masked(&loaded.spec), "{}", name(&file));
        assert_eq!(manifest::effective(&again.spec), printed);
    }
}

#[test]
fn six_errors_are_six() {
    let stage = Stage::new(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/six_errors.toml"));
    let found = stage.load().unwrap_err();
    assert_eq!(found.errors(), 6);
    let json = found.to_json();
    let first = &json[0];
    assert_eq!(
        (&first["line"], &first["column"], &first["code"]),
        (&1.into(), &1.into(), &"key::unknown".into())
    );
    assert_eq!(first["help"], "did you mean `stack`?");
    assert!(json.as_array().unwrap().iter().all(|one| one["file"].is_string() && one["message"].is_string()));
}
