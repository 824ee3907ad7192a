//! Compose files, from the folder to the stack. The team's own lie beside the project: where they are not there, a test says so and proves nothing.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

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
            let path = own.folder.path().join("shop").join(name);
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

/// What a team's documents show, byte for byte.
fn fragment(name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fragments");
    let found = fs::read_to_string(folder.join(name)).ok();
    if found.is_none() {
        eprintln!("skipped: no {name} beside the project");
    }
    found
}

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
fn a_service_that_is_told_its_port_was_refused() {
    let text = "services: {web: {image: 'node:18', ports: ['8080:3000'], environment: {PORT: '3000'}}}\n";
    let folder = Folder::new(&[("compose.yaml", text)]);
    let loaded = folder.load(&Compose::default()).unwrap_or_else(|error| panic!("{error}"));
    let env = &loaded.spec.apps.values().next().unwrap().env;
    assert_eq!(env.get("PORT").map(|value| value.expose()), Some("3000"));
}

#[test]
fn ports_without_traefik_are_doors_of_their_own_on_both_families() {
    let text = "services: {web: {image: 'nginx:1', ports: ['8080:80']}, db: {image: 'postgres:15', ports: ['127.0.0.1:5433:5432', '5434:5432']}}\n";
    let folder = Folder::new(&[("compose.yaml", text)]);
    let loaded = folder.load(&Compose::default()).unwrap_or_else(|error| panic!("{error}"));
    let spec = loaded.spec;
    assert!(spec.http.is_empty() && spec.https.is_empty());
    let both = if Path::new("/proc/net/if_inet6").exists() { 2 } else { 1 };
    assert_eq!(spec.sites[0].listen.len(), both);
    assert_eq!(spec.forwards.len(), 1 + both);
    assert!(spec.forwards.iter().all(|forward| forward.app.as_str() == "db"));
    assert!(loaded.warnings.iter().all(|found| found.code != "app::unreached"), "{:?}", loaded.warnings);
}

#[test]
fn labels_of_a_file_are_routes_and_labels_of_the_container() {
    let files = [
        (
            "compose.yaml",
            "services: {web: {image: 'nginx:1', label_file: [a.labels, b.labels], labels: {own: here}}}\n",
        ),
        ("a.labels", "# of the team\nteam=first\nown=of the file\n"),
        ("b.labels", "team=\"second\"\ntraefik.http.routers.web.rule=Host(`web.localhost`)\n"),
    ];
    let folder = Folder::new(&files);
    let loaded = folder.load(&Compose::default()).unwrap_or_else(|error| panic!("{error}"));
    let labels = &loaded.spec.apps[&"web".parse().unwrap()].container.as_ref().unwrap().labels;
    let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("own", "here"), ("team", "second")]);
    assert_eq!(loaded.spec.sites.len(), 1);
    assert!(loaded.files.contains(&folder.path("b.labels")));
    let missing = Folder::new(&files[..2]).load(&Compose::default()).unwrap_err().render(false);
    assert!(missing.contains("b.labels cannot be read"), "{missing}");
}

#[test]
fn the_team_s_file_is_taken_as_it_is() {
    let Some(text) = fragment("CFG-05.plosolver.docker-compose.yml") else { return };
    for env in ["CFG-09.plosolver.env", "CFG-10.plosolver.env.production"] {
        let Some(env) = fragment(env) else { return };
        let folder = Folder::new(&[
            ("docker-compose.yml", &text),
            (".env", &env),
            ("src/frontend/Dockerfile", "FROM scratch\n"),
            ("src/backend/Dockerfile", "FROM scratch\n"),
            ("backups/.keep", ""),
        ]);
        let dockerfiles = ["frontend", "backend"].map(|name| (name, format!("src/{name}/Dockerfile")));
        let dockerfiles: std::collections::BTreeMap<_, _> = dockerfiles.into();
        let asked: Compose =
            serde_json::from_value(serde_json::json!({ "dockerfiles": dockerfiles })).unwrap();
        let loaded = folder.load(&asked).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.spec.apps.len(), 4, "{}", loaded.text);
        assert!(loaded.warnings.iter().any(|found| found.message.contains("reach no service")));
    }
}
