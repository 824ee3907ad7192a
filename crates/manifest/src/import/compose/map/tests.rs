//! Every file of `tests/compose`: the manifest that comes of it, and all that is said. After a change on purpose:
//! `INSTA_UPDATE=always cargo test -p manifest --lib compose`, and look at the difference. `NAME.N.yaml` are laid over `NAME.yaml`.

use super::keys::{self, Fate};
use super::{Input, Mapped, Options, listed, map};
use crate::diagnostic::{Report, Source};
use crate::disk::Disk;
use crate::import::compose::{Compose, load};
use crate::import::print::print;
use crate::import::traefik;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What came of files.
struct Done {
    mapped: Option<Mapped>,
    said: String,
}

fn variable(name: &str) -> Option<String> {
    match name {
        "API_TOKEN" | "DB_PASSWORD" => Some("hunter2".into()),
        "SHELL_VALUE" => Some("from the shell".into()),
        "HOME" => Some("/home/anna".into()),
        _ => None,
    }
}

fn import(files: &[PathBuf], options: &Options) -> Done {
    let mut report = Report::new(Source::masked(&files[0], "", &[]));
    let mut disk = Disk::real();
    let project = load::project(files, &Compose::default(), &variable, &mut disk, &mut report);
    let mapped = project.map(|mut project| {
        let texts = traefik::read(&mut project, &mut disk, &mut report);
        let lookup = |name: &str| project.variables.get(name, &variable).map(|(value, _)| value);
        let dotenv = project.variables.names();
        let input = Input { lookup: &lookup, dotenv: &dotenv, real: true, options };
        let routing = traefik::import(&project, &texts, &lookup, &mut report);
        map(&project, routing, &input, &mut report)
    });
    let said = match report.has_errors() {
        true => report.fail().iter().map(|found| found.render(false)).collect::<Vec<_>>(),
        false => report.finish().unwrap().iter().map(|found| found.render(false)).collect(),
    };
    Done { mapped, said: said.join("\n") }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose").canonicalize().unwrap()
}

fn neutral(text: &str) -> String {
    text.replace(&format!("{}/", folder().display()), "").replace(&*folder().to_string_lossy(), ".")
}

fn fixtures(bad: bool) -> Vec<(String, Vec<PathBuf>)> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    all.sort();
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let first = all.iter().filter(|path| !stem(path).contains('.') && stem(path).starts_with("bad-") == bad);
    first
        .map(|path| {
            let name = stem(path);
            let further = all.iter().filter(|other| stem(other).starts_with(&format!("{name}.")));
            (name.clone(), std::iter::once(path).chain(further).cloned().collect())
        })
        .collect()
}

fn golden(name: &str, text: &str) {
    assert!(!text.contains("hunter2"), "{name}: a secret is shown:\n{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("golden"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, neutral(text)));
}

#[test]
fn files_become_manifests() {
    let fixtures = fixtures(false);
    assert!(fixtures.len() >= 30);
    for (name, files) in fixtures {
        let done = import(&files, &Options::default());
        let text = print(&done.mapped.unwrap(), &format!("{name}.yaml"));
        golden(&name, &text);
        golden(&format!("{name}.said"), &done.said);
    }
}

#[test]
fn what_is_wrong_is_said_at_its_place() {
    for (name, files) in fixtures(true) {
        let done = import(&files, &Options::default());
        assert!(done.said.contains('×'), "{name}: no error:\n{}", done.said);
        golden(&format!("{name}.said"), &done.said);
    }
}

/// Every key of the specification's schema, as a path.
fn paths(schema: &Value, root: &Value, path: &str, seen: &[&str], found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        if !seen.contains(&name) {
            let seen = [seen, &[name]].concat();
            paths(&root["definitions"][name], root, path, &seen, found);
        }
        return;
    }
    for choice in ["oneOf", "anyOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten()) {
        paths(choice, root, path, seen, found);
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(below(key));
        paths(schema, root, &below(key), seen, found);
    }
    for (_, schema) in
        schema["patternProperties"].as_object().into_iter().flatten().filter(|(key, _)| *key != "^x-")
    {
        paths(schema, root, &below("*"), seen, found);
    }
    if schema["items"].is_object() {
        paths(&schema["items"], root, &format!("{path}[]"), seen, found);
    }
}

#[test]
fn every_key_of_the_specification_has_a_row() {
    let schema = listed::schema();
    let mut all = BTreeSet::new();
    paths(&schema, &schema, "", &[], &mut all);
    assert!(all.len() > 300, "{}", all.len());
    let missing: Vec<_> = all.iter().filter(|path| keys::find(path).is_none()).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let stale: Vec<_> = keys::all().map(|key| key.path).filter(|path| !all.contains(*path)).collect();
    assert!(stale.is_empty(), "not in the specification: {stale:#?}");
    let rows: BTreeSet<_> = keys::all().map(|key| key.path).collect();
    assert_eq!(rows.len(), keys::all().count(), "a key has two rows");
}

/// The table of `docs/compose.md`.
fn table() -> String {
    let mut out = String::from("| key | what becomes of it |\n|---|---|\n");
    for key in keys::all() {
        let words = match key.fate {
            Fate::Kept => key.words.to_owned(),
            Fate::Moot => format!("no effect: {}", key.words),
            Fate::Lost => format!("**not honoured**: {}", key.words),
            Fate::Refused => format!("**refused**: {}", key.words),
        };
        let path = key.path.trim_start_matches("services.*.");
        out += &format!("| `{path}` | {words} |\n");
    }
    out
}

#[test]
fn the_documents_have_the_table() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compose.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("<!-- keys -->\n").unwrap();
    let (own, after) = rest.split_once("<!-- end of keys -->").unwrap();
    if own != table() && std::env::var_os("INSTA_UPDATE").is_some() {
        std::fs::write(&file, format!("{before}<!-- keys -->\n{}<!-- end of keys -->{after}", table()))
            .unwrap();
    } else {
        assert!(
            own == table(),
            "run again with INSTA_UPDATE=always: {} is not what the code has",
            file.display()
        );
    }
}

/// The five teams' files lie beside the project, not in it.
fn fragments(names: &[&str]) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fragments");
    let files: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    if files.iter().all(|file| file.exists()) {
        return Some(files);
    }
    eprintln!("skipped: no {} beside the project", folder.display());
    None
}

/// Copies fragments and files of one's own into a folder, and imports the first `count` of them.
fn stage(
    fragments: &[(&PathBuf, &str)],
    own: &[(&str, &str)],
    given: &[&str],
    options: &Options,
) -> (String, String) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().canonicalize().unwrap().join("plosolver");
    std::fs::create_dir(&root).unwrap();
    for (fragment, name) in fragments {
        std::fs::copy(fragment, root.join(name)).unwrap();
    }
    for (name, text) in own {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    if root.join(".env").exists() {
        std::fs::set_permissions(root.join(".env"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let files: Vec<PathBuf> = given.iter().map(|name| root.join(name)).collect();
    let done = import(&files, options);
    let text = done.mapped.map(|mapped| print(&mapped, given[0])).unwrap_or_default();
    let short = |text: String| {
        text.replace(&format!("{}/", root.display()), "").replace(&*root.to_string_lossy(), ".")
    };
    (short(text), short(done.said))
}

/// Two Dockerfiles where the file names one for both, and debugging off.
fn overrides() -> Options {
    let dockerfile = |name: &str| (name.to_owned(), format!("src/{name}/Dockerfile"));
    Options { dockerfiles: ["frontend", "backend"].map(dockerfile).into(), ..Options::default() }
}

// req: QUIRK-08, QUIRK-09
#[test]
fn plosolver_as_it_is() {
    let Some(files) = fragments(&["CFG-05.plosolver.docker-compose.yml", "CFG-09.plosolver.env"]) else {
        return;
    };
    let fragments = [(&files[0], "docker-compose.yml"), (&files[1], ".env")];
    let (_, said) = stage(&fragments, &[], &["docker-compose.yml"], &Options::default());
    assert!(said.contains("`frontend` and `backend` build from the same Dockerfile"), "{said}");
    golden("CFG-05.one-dockerfile.said", &said);
    let (text, said) = stage(&fragments, &[], &["docker-compose.yml"], &overrides());
    assert!(!said.contains('×'), "{said}");
    for left in ["GOOGLE_CLIENT_ID", "STRIPE_SECRET_KEY", "LOG_LEVEL"] {
        assert!(said.contains(left), "{left}: {said}");
    }
    assert!(said.contains("DISCOURSE_DB_HOST") && said.contains("DISCOURSE_REDIS_HOST"), "{said}");
    golden("CFG-05", &text);
    golden("CFG-05.said", &said);
    // all of `.env` for one service, without a change to the file
    let overlay = [("compose.override.yaml", "services:\n  backend:\n    env_file: .env\n")];
    let (text, said) =
        stage(&fragments, &overlay, &["docker-compose.yml", "compose.override.yaml"], &overrides());
    assert!(text.contains("env_file = [\".env\"]") && !said.contains("reach no service"), "{text}\n{said}");
}

// req: QUIRK-19
#[test]
fn debugging_in_production_is_refused_unless_forced() {
    let Some(files) = fragments(&["CFG-05.plosolver.docker-compose.yml"]) else { return };
    let fragments = [(&files[0], "docker-compose.yml")];
    let production = [(".env", "NODE_ENV=production\n")];
    let (_, said) = stage(&fragments, &production, &["docker-compose.yml"], &overrides());
    assert!(said.contains("× `backend` would run in production with `FLASK_DEBUG` on"), "{said}");
    let forced = Options { force: true, ..overrides() };
    let (text, said) = stage(&fragments, &production, &["docker-compose.yml"], &forced);
    assert!(said.contains("⚠ `backend` would run in production") && text.contains("[app.backend"), "{said}");
    let off = [(".env", "NODE_ENV=production\nFLASK_DEBUG=false\n")];
    let (_, said) = stage(&fragments, &off, &["docker-compose.yml"], &overrides());
    assert!(!said.contains("would run in production"), "{said}");
}

/// A small project that fragments are laid over.
const BASE: &str = "\
services:
  frontend: { image: nginx:alpine }
  backend: { image: python:3.11-slim, labels: { traefik.http.services.backend.loadbalancer.server.port: 5001 } }
networks: { plo-network: }
volumes: { postgres_data: , discourse_shared: , traefik_letsencrypt: , redis_data: }
";

// req: CFG-16, CFG-22, CFG-23, CFG-24, QUIRK-21
#[test]
fn parts_of_files_are_laid_over_a_project() {
    let names = [
        "CFG-12.plosolver.discovery-labels.yml",
        "CFG-13.plosolver.load-balancing-labels.yml",
        "CFG-14.plosolver.letsencrypt.yml",
        "CFG-15.plosolver.custom-certificates.yml",
        "CFG-16.plosolver.bind-volumes.yml",
        "CFG-22.plosolver.network.yml",
        "CFG-23.plosolver.container-security.Dockerfile",
        "CFG-24.plosolver.secrets.yml",
        "CFG-25.plosolver.redis.yml",
    ];
    let Some(files) = fragments(&names) else { return };
    for (file, name) in files.iter().zip(names) {
        let own = match name {
            // the block is one service's
            _ if name.starts_with("CFG-23") => "services:\n  backend: { image: python:3.11-slim }\n",
            _ => BASE,
        };
        let (text, said) = stage(
            &[(file, name)],
            &[("docker-compose.yml", own)],
            &["docker-compose.yml", name],
            &Options::default(),
        );
        let short = name.split_once('.').unwrap().0;
        golden(short, &text);
        golden(&format!("{short}.said"), &said);
    }
}

#[test]
fn natively_where_it_can_be() {
    let file = "\
services:
  db:
    image: mariadb:11
    environment: { MARIADB_DATABASE: shop, MARIADB_USER: shop, MARIADB_PASSWORD: \"${DB_PASSWORD:-hunter2}\" }
    volumes: [\"db:/var/lib/mysql\"]
  events: { image: \"postgres:15\" }
  cache: { image: \"redis:7-alpine\" }
  pages:
    image: nginx:alpine
    volumes: [\"./pages:/usr/share/nginx/html:ro\"]
    ports: [\"8042:80\"]
  web:
    image: node:18-alpine
    working_dir: /srv/app
    command: node server.js
    volumes: [\"./:/srv\"]
    ports: [\"8043:3000\"]
    depends_on: [db]
  job: { image: \"python:3.11-slim\", command: [\"python\", \"-V\"] }
volumes: { db: }
";
    let own = [("compose.yaml", file), ("pages/index.html", ""), ("app/server.js", "")];
    let options = Options { native: true, ..Options::default() };
    let (text, said) = stage(&[], &own, &["compose.yaml"], &options);
    let shown = |text: &str| text.replace("hunter2", "SECRET");
    golden("native", &shown(&text));
    golden("native.said", &shown(&said));
}

#[test]
fn printed_and_loaded_again_it_is_the_same() {
    let mut wrong = Vec::new();
    for (name, files) in fixtures(false) {
        let asked = Compose { files, ..Compose::default() };
        let loaded = match crate::load_with(&folder(), &asked, &variable) {
            Ok(loaded) => loaded,
            Err(found) => {
                wrong.push(format!("{name}: {found}"));
                continue;
            }
        };
        match crate::load_from(&loaded.text, &folder().join("mainstay.toml"), &variable) {
            Ok(again) if again.spec == loaded.spec => {}
            Ok(again) => wrong.push(format!("{name}: {:#?}\n{:#?}", loaded.spec, again.spec)),
            Err(found) => wrong.push(format!("{name}, printed: {found}\n{}", loaded.text)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
