//! Files laid over each other, by the rules of the Compose Specification ("Merge and override", "extends", "include", "profiles").

#![allow(clippy::disallowed_methods)]

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

/// What came out: the tree as JSON, and all that was said, a line each.
pub struct Read {
    pub project: Option<Project>,
    pub said: Vec<String>,
}

impl Read {
    fn json(&self) -> serde_json::Value {
        self.project.as_ref().map(|project| project.root.to_json()).unwrap_or_default()
    }

    fn service(&self, name: &str) -> serde_json::Value {
        self.json()["services"][name].clone()
    }

    fn says(&self, part: &str) -> bool {
        self.said.iter().any(|line| line.contains(part))
    }
}

/// Reads files of a folder; the first `given` of them are laid over each other. Variables are those of the environment.
pub fn read_with(
    files: &[(&str, &str)],
    given: usize,
    options: &Compose,
    variables: &[(&str, &str)],
) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("shop");
    for (name, text) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let paths: Vec<_> = files.iter().take(given).map(|(name, _)| root.join(name)).collect();
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let mut report = Report::new(Source::masked(&paths[0], "", &[]));
    let environment = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    let project = project(&paths, options, &environment, &mut Disk::real(), &mut report);
    let short = |line: String| line.replace(&format!("{}/", root.display()), "");
    let said = match report.has_errors() {
        true => report.fail().iter().map(|found| short(found.to_string())).collect(),
        false => report.finish().unwrap().iter().map(|found| short(found.to_string())).collect(),
    };
    Read { project, said }
}

fn read(texts: &[&str]) -> Read {
    const NAMES: [&str; 3] = ["compose.yaml", "b.yaml", "c.yaml"];
    let files: Vec<_> = NAMES.into_iter().zip(texts.iter().copied()).collect();
    read_with(&files, texts.len(), &Compose::default(), &[])
}

/// A part of a service in one file, the same in the next, and what comes of them.
#[test]
fn merge_rules_of_the_specification() {
    for (base, over, expected) in [
        ("image: a", "image: b", json!({"image": "b"})),
        ("image: a\ncommand: [x, y]", "command: z", json!({"image": "a", "command": "z"})),
        ("entrypoint: [x, y]", "entrypoint: [z]", json!({"entrypoint": ["z"]})),
        (
            "healthcheck: {test: [CMD, a], retries: 2}",
            "healthcheck: {test: [CMD, b]}",
            json!({"healthcheck": {"test": ["CMD", "b"], "retries": 2}}),
        ),
        ("expose: ['3000']", "expose: ['4000', '5000', '3000']", json!({"expose": ["3000", "4000", "5000"]})),
        ("dns: 1.1.1.1", "dns: [8.8.8.8]", json!({"dns": ["1.1.1.1", "8.8.8.8"]})),
        (
            "environment: [A=1, B=2]",
            "environment: {B: 3, C: 4}",
            json!({"environment": {"A": "1", "B": 3, "C": 4}}),
        ),
        ("environment: {A: 1}", "environment: [A, B=x=y]", json!({"environment": {"A": 1, "B": "x=y"}})),
        ("labels: [a.b=1]", "labels: {a.b: '2', c: d}", json!({"labels": {"a.b": "2", "c": "d"}})),
        (
            "volumes: ['./a:/data', 'x:/x']",
            "volumes: ['b:/data:ro']",
            json!({"volumes": ["b:/data:ro", "x:/x"]}),
        ),
        (
            "volumes: ['./a:/data']",
            "volumes: [{type: volume, source: v, target: /data/}]",
            json!({"volumes": [{"type": "volume", "source": "v", "target": "/data/"}]}),
        ),
        ("ports: ['80:80']", "ports: ['443:443', '80:80/tcp']", json!({"ports": ["80:80/tcp", "443:443"]})),
        (
            "ports: ['80:80']",
            "ports: [{target: 80, published: '80'}]",
            json!({"ports": [{"target": 80, "published": "80"}]}),
        ),
        ("ports: ['80:80']", "ports: ['80:80/udp']", json!({"ports": ["80:80", "80:80/udp"]})),
        (
            "secrets: [a]",
            "secrets: [{source: a, target: a}, b]",
            json!({"secrets": [{"source": "a", "target": "a"}, "b"]}),
        ),
        (
            "depends_on: [a]",
            "depends_on: {b: {condition: service_healthy}}",
            json!({"depends_on": {"a": {"condition": "service_started"}, "b": {"condition": "service_healthy"}}}),
        ),
        (
            "networks: [a]",
            "networks: {a: {aliases: [x]}, b: }",
            json!({"networks": {"a": {"aliases": ["x"]}, "b": null}}),
        ),
        ("build: .", "build: {args: [A=1]}", json!({"build": {"context": ".", "args": {"A": "1"}}})),
        (
            "build: {context: a, args: {A: 1}}",
            "build: b",
            json!({"build": {"context": "b", "args": {"A": 1}}}),
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {driver: b, options: {y: 1}}",
            json!({"logging": {"driver": "b", "options": {"y": 1}}}),
        ),
        (
            "logging: {driver: a, options: {x: 1}}",
            "logging: {options: {y: 1}}",
            json!({"logging": {"driver": "a", "options": {"x": 1, "y": 1}}}),
        ),
        (
            "ulimits: {nofile: {soft: 1, hard: 2}}",
            "ulimits: {nofile: 5, nproc: 1}",
            json!({"ulimits": {"nofile": 5, "nproc": 1}}),
        ),
        (
            "deploy: {resources: {limits: {cpus: '1'}}}",
            "deploy: {resources: {limits: {memory: 1G}}}",
            json!({"deploy": {"resources": {"limits": {"cpus": "1", "memory": "1G"}}}}),
        ),
        (
            "env_file: a.env",
            "env_file: [{path: a.env, required: false}, b.env]",
            json!({"env_file": [{"path": "a.env", "required": false}, {"path": "b.env"}]}),
        ),
        (
            "cap_add: [NET_ADMIN]",
            "cap_add: [NET_ADMIN, SYS_TIME]",
            json!({"cap_add": ["NET_ADMIN", "SYS_TIME"]}),
        ),
        (
            "extra_hosts: ['a:1.1.1.1']",
            "extra_hosts: {b: 2.2.2.2}",
            json!({"extra_hosts": ["a:1.1.1.1", "b=2.2.2.2"]}),
        ),
        ("ports: ['80:80']\nuser: x", "ports: !reset []\nuser: !reset null", json!({})),
        ("ports: ['80:80']", "ports: !override ['81:81']", json!({"ports": ["81:81"]})),
        ("environment: {A: 1, B: 2}", "environment: {A: !reset null}", json!({"environment": {"B": 2}})),
        ("environment: {A: 1}", "environment: !override {B: 2}", json!({"environment": {"B": 2}})),
        ("user: x", "user:", json!({"user": "x"})),
    ] {
        let file = |part: &str| format!("services:\n  a:\n    {}\n", part.replace('\n', "\n    "));
        let read = read(&[&file(base), &file(over)]);
        assert_eq!(read.service("a"), expected, "{base} + {over}: {:?}", read.said);
        assert_eq!(read.said, [""; 0], "{base} + {over}");
    }
}

#[test]
fn a_value_of_another_kind_is_an_error_in_its_own_file() {
    let read = read(&["services:\n  a:\n    ports: ['80:80']\n", "services:\n  a:\n    ports: all\n"]);
    assert_eq!(read.said, ["b.yaml:3:12: error: `services.a.ports` is of another kind than before"]);
}

#[test]
fn several_files_documents_and_top_level_parts() {
    let read = read(&[
        "name: x\nservices: {a: {image: i}}\nvolumes: {v: }\n---\nservices: {a: {user: u}}\n",
        "services: {b: {image: j}}\nvolumes: {v: {labels: [x=y]}, w: }\nx-any: {a: 1}\n",
        "version: '3'\nname: y\n",
    ]);
    let expected = json!({"name": "y", "services": {"a": {"image": "i", "user": "u"}, "b": {"image": "j"}},
        "volumes": {"v": {"labels": {"x": "y"}}, "w": null}, "x-any": {"a": 1}});
    assert_eq!((read.json(), read.said), (expected, vec![]));
}

#[test]
fn extends_of_this_file_and_of_another() {
    let files = [
        (
            "compose.yaml",
            "services:\n  web:\n    extends: {file: lib/base.yaml, service: web}\n    environment: {B: 2}\n  job:\n    extends: web\n    command: run\n",
        ),
        (
            "lib/base.yaml",
            "services:\n  web:\n    extends: root\n    build: ./app\n    env_file: web.env\n    volumes: ['./data:/data', 'v:/v']\n  root:\n    environment: [A=1, B=1]\n    user: u\n",
        ),
    ];
    let read = read_with(&files, 1, &Compose::default(), &[]);
    let folder = read.project.as_ref().unwrap().folder.display().to_string();
    let base = json!({"environment": {"A": "1", "B": 2}, "user": "u", "build": {"context": format!("{folder}/lib/app")},
        "env_file": [{"path": format!("{folder}/lib/web.env")}], "volumes": [format!("{folder}/lib/data:/data"), "v:/v"]});
    assert_eq!(read.service("web"), base);
    let mut job = base.clone();
    job["command"] = json!("run");
    assert_eq!((read.service("job"), read.said), (job, vec![]));
}

#[test]
fn extends_in_a_circle_or_of_nothing() {
    let circle = read(&["services: {a: {extends: b}, b: {extends: {service: a}}}"]);
    assert!(circle.says("in a circle: a → b → a"), "{:?}", circle.said);
    let missing = read(&["services: {a: {extends: backedn}, backend: {image: i}}"]);
    assert!(missing.says("there is no service `backedn` in this file"), "{:?}", missing.said);
    let file = read(&["services: {a: {extends: {file: no.yaml, service: b}}}"]);
    assert!(file.says("no.yaml cannot be read"), "{:?}", file.said);
}

#[test]
fn extends_does_not_explode() {
    let item = format!("    cap_add: [{}]\n", vec!["X"; 1_000].join(", "));
    let mut text = format!("services:\n  s0:\n{item}");
    (1..400).for_each(|number| text += &format!("  s{number}:\n    extends: s0\n"));
    assert!(read(&[&text]).says("too large"));
}

#[test]
fn include_has_its_own_folder_and_variables() {
    let files = [
        (
            "compose.yaml",
            "include:\n  - db/compose.yaml\n  - path: [x/a.yaml, x/b.yaml]\n    project_directory: .\n    env_file: x/x.env\nservices: {web: {image: i, depends_on: [db]}}\nvolumes: {data: }\n",
        ),
        (
            "db/compose.yaml",
            "services:\n  db:\n    image: postgres:${TAG:-1}\n    volumes: ['./init:/init', 'data:/data']\nvolumes: {data: }\n",
        ),
        ("db/.env", "TAG=15\n"),
        ("x/a.yaml", "services: {x: {image: 'a:${T}', env_file: ./own.env}}\n"),
        ("x/b.yaml", "services: {x: {user: u}}\n"),
        ("x/x.env", "T=7\n"),
    ];
    let read = read_with(&files, 1, &Compose::default(), &[]);
    let folder = read.project.as_ref().unwrap().folder.display().to_string();
    assert_eq!(
        read.service("db"),
        json!({"image": "postgres:15", "volumes": [format!("{folder}/db/init:/init"), "data:/data"]}),
        "{:?}",
        read.said
    );
    assert_eq!(read.service("x"), json!({"image": "a:7", "env_file": [{"path": "./own.env"}], "user": "u"}));
    assert_eq!(read.said, [""; 0]);
    let circle = read_with(
        &[("compose.yaml", "include: [b.yaml]"), ("b.yaml", "include: [compose.yaml]")],
        1,
        &Compose::default(),
        &[],
    );
    assert!(circle.says("include each other in a circle"), "{:?}", circle.said);
    let both = read_with(
        &[
            ("compose.yaml", "include: [b.yaml]\nservices: {a: {image: i}}"),
            ("b.yaml", "services: {a: {image: j}}"),
        ],
        1,
        &Compose::default(),
        &[],
    );
    assert!(both.says("`services.a` is in this file and in an included one"), "{:?}", both.said);
}

// req: CONT-22
#[test]
fn profiles_choose_services() {
    let text = "services:\n  web: {image: w}\n  tool: {image: t, profiles: [app, dev]}\n  other: {image: o, profiles: [traefik]}\n";
    let names = |profiles: &[&str], variables: &[(&str, &str)]| {
        let options =
            Compose { profiles: profiles.iter().map(ToString::to_string).collect(), ..Compose::default() };
        let read = read_with(&[("compose.yaml", text)], 1, &options, variables);
        let names: Vec<String> =
            read.project.as_ref().unwrap().root.get("services").unwrap().keys().map(str::to_owned).collect();
        (names.join(" "), read.said)
    };
    assert_eq!(names(&[], &[]).0, "web");
    assert_eq!(names(&["app"], &[]).0, "web tool");
    assert_eq!(names(&["traefik", "app"], &[]).0, "web tool other");
    assert_eq!(names(&["*"], &[]).0, "web tool other");
    assert_eq!(names(&[], &[("COMPOSE_PROFILES", "dev, traefik")]).0, "web tool other");
    assert_eq!(names(&["app"], &[("COMPOSE_PROFILES", "traefik")]).0, "web tool");
}

// req: QUIRK-10
#[test]
fn a_profile_that_nobody_declares_chooses_nothing() {
    let options = Compose { profiles: vec!["app".into()], ..Compose::default() };
    let read = read_with(&[("compose.yaml", "services: {a: {image: x}, b: {image: y}}")], 1, &options, &[]);
    assert_eq!(read.json()["services"].as_object().unwrap().len(), 2);
    assert_eq!(read.said.len(), 1);
    assert!(read.says("warning: no service has the profile `app`"), "{:?}", read.said);
}

#[test]
fn who_is_needed_is_started_in_spite_of_its_profile() {
    let text = "services:\n  web: {image: w, depends_on: [db]}\n  db: {image: d, profiles: [x], depends_on: {init: }}\n  init: {image: i, profiles: [x]}\n  no: {image: n, profiles: [x]}\n";
    let read = read(&[text]);
    assert_eq!(read.json()["services"].as_object().unwrap().len(), 3);
    assert!(read.says("compose.yaml:5:3: info: `no` is not started"), "{:?}", read.said);
    assert!(read.says("compose.yaml:3:3: warning: `db` is started: `web` depends on it"), "{:?}", read.said);
}

#[test]
fn variables_and_where_they_come_from() {
    let files = [
        (
            "compose.yaml",
            "services:\n  a:\n    image: '${IMAGE}:$TAG'\n    command: echo $$HOME ${NO:-d} [${GONE}]\n    environment: ['P=${DB_PASSWORD}', 'N=${COMPOSE_PROJECT_NAME}']\n",
        ),
        (".env", "IMAGE=file # comment\nTAG=1\nDB_PASSWORD=hidden\n"),
        ("other.env", "TAG=2\n"),
    ];
    let read = read_with(&files, 1, &Compose::default(), &[("TAG", "env")]);
    let own = read.service("a");
    assert_eq!((own["image"].as_str(), own["command"].as_str()), (Some("file:env"), Some("echo $HOME d []")));
    assert_eq!(own["environment"], json!({"P": "hidden", "N": "shop"}));
    assert!(read.says("compose.yaml:4:36: warning: variable `GONE` has no value"), "{:?}", read.said);
    let project = read.project.as_ref().unwrap();
    let web = project.root.get("services").unwrap().get("a").unwrap();
    let password = web.get("environment").unwrap().get("P").unwrap();
    assert_eq!(
        (password.origin, password.raw.as_deref()),
        (crate::tree::Origin::Secret, Some("${DB_PASSWORD}"))
    );
    let required = read_with(
        &[("compose.yaml", "services: {a: {image: '${X:?give it}'}}")],
        1,
        &Compose::default(),
        &[],
    );
    assert_eq!(required.said, ["compose.yaml:1:24: error: variable `X` has no value: give it"]);
    let wrong = read_with(
        &[("compose.yaml", "services: {a: {command: 'echo $(pwd)'}}")],
        1,
        &Compose::default(),
        &[],
    );
    assert!(wrong.says("error: a `$` that names no variable"), "{:?}", wrong.said);
}

#[test]
fn names_of_projects() {
    let name = |text: &str, options: &Compose, variables: &[(&str, &str)]| {
        read_with(&[("compose.yaml", text)], 1, options, variables).project.unwrap().name
    };
    let (text, none) = ("services: {a: {image: x}}", Compose::default());
    assert_eq!(name(text, &none, &[]), "shop");
    assert_eq!(name(&format!("name: Own_1\n{text}"), &none, &[]), "own_1");
    let env = [("COMPOSE_PROJECT_NAME", "env")];
    assert_eq!(name(&format!("name: own\n{text}"), &none, &env), "env");
    let given = Compose { project: Some("given".into()), ..none.clone() };
    assert_eq!(name(&format!("name: own\n{text}"), &given, &env), "given");
}

// req: QUIRK-11
#[test]
fn a_file_with_a_name_of_its_own_is_a_stack_of_its_own() {
    let text = "services: {a: {image: x}}\nvolumes: {v: , w: {name: z}, x: {external: true}}\nnetworks: {n: {internal: true}}\n";
    let read = read_with(&[("docker-compose.green.yml", text)], 1, &Compose::default(), &[]);
    let json = read.json();
    assert_eq!(json["name"], "shop-green");
    assert_eq!(
        json["volumes"],
        json!({"v": {"name": "shop_v"}, "w": {"name": "z"}, "x": {"external": true}})
    );
    assert_eq!(json["networks"], json!({"n": {"internal": true, "name": "shop_n"}}));
    let plain = read_with(&[("docker-compose.yml", text)], 1, &Compose::default(), &[]);
    assert_eq!((plain.json()["name"].as_str(), plain.json()["volumes"]["v"].is_null()), (Some("shop"), true));
}

#[test]
fn secrets_are_not_shown() {
    let text = "services:\n  a:\n    environment:\n      DB_PASSWORD: hunter2\n      URL: postgres://u:hunter3@h/x\n    labels: [\"API_TOKEN=hunter4\"]\n    ports: x\n    ports: y\n";
    let folder = tempfile::tempdir().unwrap();
    let show = |text: &str| {
        let path = folder.path().join("compose.yaml");
        std::fs::write(&path, text).unwrap();
        let mut report = Report::new(Source::masked(&path, "", &[]));
        let project =
            project(&[path], &Compose::default(), &|_| None, &mut Disk::real(), &mut report).unwrap();
        for node in ["environment", "labels"] {
            let own = project.root.get("services").unwrap().get("a").unwrap().get(node).unwrap();
            let Kind::Table(entries) = &own.kind else { panic!() };
            for (_, node) in entries {
                report.error("x", "y").at(node.span.clone(), "z");
            }
        }
        report.fail().render(false)
    };
    let shown = show(&text.replace("    ports: y\n", ""));
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("\"API_TOKEN=***"), "{shown}");
    // Not even where the file is no YAML.
    let read = read(&[
        "services:\n  a:\n    environment:\n      DB_PASSWORD: hunter2\n      DB_PASSWORD: hunter3\n",
    ]);
    assert!(read.project.is_none() && read.said.len() == 1);
}
