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

/// The team's file with these variables, and a Dockerfile for each of its two services.
fn staged(variables: &str) -> Option<Result<Loaded, Diagnostics>> {
    let text = fragment("CFG-05.plosolver.docker-compose.yml")?;
    let folder = Folder::new(&[
        ("docker-compose.yml", &text),
        (".env", variables),
        ("src/frontend/Dockerfile", "FROM scratch\n"),
        ("src/backend/Dockerfile", "FROM scratch\n"),
        ("backups/.keep", ""),
    ]);
    let file = |name: &str| format!("src/{name}/Dockerfile");
    let files = serde_json::json!({ "frontend": file("frontend"), "backend": file("backend") });
    Some(folder.load(&serde_json::from_value(serde_json::json!({ "dockerfiles": files })).unwrap()))
}

// req: ENV-07, ENV-08, ENV-11, ENV-12, ENV-13, ENV-23, ENV-27, ENV-28, ENV-29
#[test]
fn each_service_gets_the_variables_of_its_stage_and_the_routes_their_hosts() {
    let stages = [
        (None, ["postgres", "postgres", "plosolver"], ["dev-secret-key", "jwt-secret-key"]),
        (
            Some("CFG-09.plosolver.env"),
            ["postgres", "postgres", "plosolver"],
            ["dev-secret-key-change-in-production", "dev-jwt-secret-key-change-in-production"],
        ),
        (
            Some("CFG-10.plosolver.env.production"),
            ["plosolver_user", "secure_random_password", "plosolver_prod"],
            ["secure-random-secret-key-32-chars", "secure-random-jwt-secret-key-32-chars"],
        ),
    ];
    for (file, [user, password, database], [secret, token]) in stages {
        let variables = file.map_or_else(|| Some(String::new()), fragment);
        let Some(loaded) = variables.and_then(|variables| staged(&variables)) else { return };
        let spec = loaded.unwrap_or_else(|error| panic!("{error}")).spec;
        let live = database == "plosolver_prod";
        let (node, debug) = if live { ("production", "false") } else { ("development", "true") };
        let (front, forum) = match live {
            true => ("plosolver.com", "forum.plosolver.com"),
            false => ("localhost", "forum.localhost"),
        };
        let sso = if live { "secure-random-sso-secret" } else { "change-this-secret" };
        let url = format!("postgresql://{user}:{password}@db:5432/{database}");
        let backend = [
            ("DATABASE_URL", &*url),
            ("FLASK_DEBUG", debug),
            ("JWT_SECRET_KEY", token),
            ("SECRET_KEY", secret),
        ];
        for (app, wanted) in [
            ("frontend", &[("NODE_ENV", node), ("REACT_APP_API_URL", "/api")][..]),
            ("backend", &backend),
            ("db", &[("POSTGRES_DB", database), ("POSTGRES_PASSWORD", password), ("POSTGRES_USER", user)]),
            ("discourse", &[("DISCOURSE_HOSTNAME", forum), ("DISCOURSE_SSO_SECRET", sso)]),
        ] {
            let env = &spec.apps[&app.parse().unwrap()].env;
            let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
            assert_eq!(env, wanted, "{app} with {file:?}");
        }
        let routes = |host: &str| {
            let site = spec.sites.iter().find(|site| site.hosts == [host]);
            site.map(|site| site.routes.len())
        };
        assert_eq!((routes(front), routes(forum)), (Some(2), Some(1)), "{file:?}");
    }
}

// req: ENV-19, ENV-26
#[test]
fn keys_of_the_other_stage_are_warned_about_and_https_needs_an_address_for_mail() {
    let (Some(development), Some(production)) =
        (fragment("CFG-09.plosolver.env"), fragment("CFG-10.plosolver.env.production"))
    else {
        return;
    };
    let said = |variables: &str| {
        let loaded = staged(variables).unwrap().unwrap_or_else(|error| panic!("{error}"));
        loaded.warnings.iter().map(|found| found.message.clone() + "\n").collect::<String>()
    };
    assert!(!said(&development).contains("is a key") && !said(&production).contains("is a key"));
    let live = said(&production.replace("pk_live_", "pk_test_"));
    let warning = "`STRIPE_PUBLISHABLE_KEY` is a key for tests, and the stack is in production";
    assert!(live.contains(warning) && !live.contains("STRIPE_SECRET_KEY` is"), "{live}");
    let test = said(&development.replace("sk_test_", "sk_live_"));
    let warning = "`STRIPE_SECRET_KEY` is a key that moves money, and the stack is in development";
    assert!(test.contains(warning), "{test}");

    let without = production.replace("ACME_EMAIL=admin@plosolver.com\n", "");
    let refused = staged(&without).unwrap().unwrap_err().render(false);
    assert!(refused.contains("HTTPS is enabled, and resolver `letsencrypt` has no e-mail"), "{refused}");
    assert!(refused.contains("set ACME_EMAIL"), "{refused}");
}

// req: QUIRK-26
#[test]
fn placeholder_domains_are_warned_about_and_no_authority_is_asked_for_them() {
    let Some(labels) = fragment("CFG-12.plosolver.discovery-labels.yml") else { return };
    let labels: String = labels.lines().map(|line| format!("    {line}\n")).collect();
    let traefik = "services:\n  traefik:\n    image: traefik:v2.10\n    command: [--entrypoints.web.address=:80, --entrypoints.websecure.address=:443, --certificatesresolvers.le.acme.email=a@b.de, --certificatesresolvers.le.acme.httpchallenge.entrypoint=web]\n    ports: ['80:80', '443:443']\n";
    for (host, is_placeholder) in
        [("domain.com", true), ("your-domain.com", true), ("yourdomain.com", true), ("plosolver.com", false)]
    {
        let own = labels.replace("domain.com", host);
        let text = format!(
            "{traefik}  service-name:\n    image: x\n{own}      - traefik.http.routers.service-name.tls.certresolver=le\n"
        );
        let loaded = Folder::new(&[("compose.yaml", &text)]).load(&Compose::default());
        let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
        let said: String = loaded.warnings.iter().map(|found| found.message.clone() + "\n").collect();
        for part in [
            format!("`{host}` stands for a name of your own"),
            format!("no certificate is asked for `{host}`"),
        ] {
            assert_eq!(said.contains(&part), is_placeholder, "{part}: {said}");
        }
        assert_eq!(loaded.text.contains("tls = \"acme\""), !is_placeholder, "{}", loaded.text);
    }
    for host in ["api.domain.com", "www.example.org"] {
        assert!(manifest::is_placeholder(host), "{host}");
    }
    for host in ["mydomain.company", "notdomain.com"] {
        assert!(!manifest::is_placeholder(host), "{host}");
    }
}
