//! Compose files, from the folder to the stack.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use manifest::{Compose, Diagnostics, Loaded};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with these files.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let own = Self { folder: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            let path = own.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        own
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("shop").join(name)
    }

    fn load(&self, compose: &Compose) -> Result<Loaded, Diagnostics> {
        manifest::load_with(&self.path(""), compose, &|_| None)
    }
}

/// What a team's documents show, byte for byte; none where the folder is not beside the project.
fn fragment(name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fragments");
    let found = fs::read_to_string(folder.join(name)).ok();
    if found.is_none() {
        eprintln!("skipped: there is no {name} in ../shared/fragments");
    }
    found
}

const TEAM: &str = "CFG-05.plosolver.docker-compose.yml";

#[test]
fn a_folder_with_a_compose_file_is_a_stack() {
    let folder = Folder::new(&[("compose.yaml", "services: {web: {image: 'nginx:1'}}\n")]);
    let loaded = folder.load(&Compose::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.spec.name.as_str(), "shop");
    assert_eq!(loaded.files[0], folder.path("compose.yaml"));
    // What is kept is a manifest, and means the same.
    let again = manifest::load_from(&loaded.text, &loaded.files[0], &|_| None).unwrap();
    assert_eq!(again.spec, loaded.spec);
}

#[test]
fn the_team_s_file_is_taken_as_it_is() {
    let Some(text) = fragment(TEAM) else { return };
    let folder = Folder::new(&[
        ("docker-compose.yml", &text),
        ("Dockerfile", "FROM scratch\n"),
        ("backups/.keep", ""),
    ]);
    match folder.load(&Compose::default()) {
        Ok(loaded) => {
            for found in &loaded.warnings {
                println!("{found}");
            }
            println!("{}", loaded.text);
        }
        Err(error) => panic!("{error}"),
    }
}
