//! Rules of the requirements that a single manifest shows.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::Stage;
use manifest::{Loaded, Severity};
use model::spec::{AppSpec, EnvValue, Listen};

fn app<'a>(loaded: &'a Loaded, name: &str) -> &'a AppSpec {
    &loaded.spec.apps[&name.parse().unwrap()]
}

fn worker(rest: &str) -> Stage {
    Stage::with(&format!("[app.web]\nrun = 'python3'\nlisten = false\n{rest}"))
}

// req: QUIRK-29
#[test]
fn a_dotenv_file_is_not_injected_by_itself_and_the_real_environment_wins_over_it() {
    // The stage has a `.env` beside the manifest, in the app's working folder.
    assert!(app(&worker("").load().unwrap(), "web").env.is_empty());
    let loaded = worker("env = { BOTH = '${BOTH}', FILE = '${DOTENV_VALUE}' }").load().unwrap();
    let env = &app(&loaded, "web").env;
    assert_eq!(env["BOTH"], EnvValue::Plain("from the shell".into()));
    assert_eq!(env["FILE"].expose(), "hunter2");
    // Given as `env_file` it is injected, and what the manifest itself says wins.
    let loaded = worker("env_file = '.env'\nenv = { BOTH = 'own' }").load().unwrap();
    assert_eq!(app(&loaded, "web").env["BOTH"], EnvValue::Plain("own".into()));
    assert_eq!(app(&loaded, "web").env["DOTENV_VALUE"].expose(), "hunter2");
}

// req: CFG-49
#[test]
fn of_a_key_that_occurs_twice_the_last_value_counts_with_a_warning() {
    let stage = worker("env_file = 'own.env'");
    stage.file("own.env", "A=1\nB=2\nA=3 # last\n", 0o600);
    let loaded = stage.load().unwrap();
    assert_eq!(app(&loaded, "web").env["A"].expose(), "3");
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    assert_eq!(
        (warning.code, warning.severity, warning.position()),
        ("env_file::duplicate", Severity::Warning, Some((3, 1)))
    );
}

// req: CFG-50, PATH-12
#[test]
fn a_secret_file_is_one_value_without_its_last_line_end() {
    for (text, value) in [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("a\nb\n\n", "a\nb\n"),
        ("", ""),
    ] {
        let stage = worker(
            "env = { DB = { file = './secrets/db_password.txt' }, JWT = { file = './secrets/jwt_secret.txt' } }",
        );
        stage.file("secrets/db_password.txt", text, 0o600);
        stage.file("secrets/jwt_secret.txt", text, 0o600);
        let loaded = stage.load().unwrap();
        let env = &app(&loaded, "web").env;
        assert_eq!((env["DB"].expose(), env["JWT"].expose()), (value, value), "{text:?}");
        assert!(matches!(env["DB"], EnvValue::Secret(_)));
        assert_eq!(loaded.files.len(), 3, "{:?}", loaded.files);
    }
}

#[test]
fn names_of_an_env_file_were_secrets_that_mutilated_every_path() {
    let stage = worker("env_file = '.env'\nenv = { DEBUG = '${FLASK_DEBUG}', SENT = '${MAIL_TOKEN}' }");
    let file = "POSTGRES_USER=postgres\nPOSTGRES_DB=shop_data\nPOSTGRES_HOST=database\nFLASK_DEBUG=disabled\n\
                POSTGRES_PASSWORD=correct-horse\nMAIL_TOKEN=battery-staple\nCACHE=redis://:hunter22@cache/0\n";
    stage.file(".env", file, 0o600);
    let loaded = stage.load().unwrap();
    let env = &app(&loaded, "web").env;
    for name in ["POSTGRES_USER", "POSTGRES_DB", "POSTGRES_HOST", "FLASK_DEBUG", "DEBUG"] {
        assert!(matches!(env[name], EnvValue::Kept(_)), "{name} may be seen in output");
    }
    for name in ["POSTGRES_PASSWORD", "MAIL_TOKEN", "CACHE", "SENT"] {
        assert!(matches!(env[name], EnvValue::Secret(_)), "{name} is masked in output");
    }
    let shown = manifest::effective(&loaded.spec);
    assert!(!shown.contains("shop_data") && !shown.contains("correct-horse"), "{shown}");
}

// req: PROC-16
#[test]
fn folders_that_an_app_needs_are_named_before_it_starts() {
    let stage = worker("dir = 'instance'");
    let found = stage.load().unwrap_err();
    assert!(
        found.iter().any(|one| one.code == "folder::missing" && one.render(false).contains("/instance`"))
    );
    let stage =
        Stage::with("[app.web]\nrun = 'python3 --log-file /no/such/folder/access.log'\nlisten = false\n");
    let loaded = stage.load().unwrap();
    assert!(loaded.warnings.iter().any(|one| one.message.contains("/no/such/folder` does not exist")));
}

#[test]
fn how_an_app_listens() {
    let listens = |text: &str| app(&Stage::with(text).load().unwrap(), "web").listen;
    assert_eq!(listens("[app.web]\nrun = 'python3'"), Listen::AnyPort);
    assert_eq!(listens("[app.web]\nrun = 'python3 --bind unix:${SOCKET}'"), Listen::Socket);
    assert_eq!(listens("[app.web]\nrun = 'python3'\nenv = { BIND = 'unix:$SOCKET' }"), Listen::Socket);
    assert_eq!(listens("[app.web]\nrun = 'python3 $SOCKETS'"), Listen::AnyPort);
    assert_eq!(listens("[app.web]\nrun = 'python3'\nport = 5000"), Listen::Port(5000));
    assert_eq!(listens("[app.web]\nrun = 'python3'\nlisten = false"), Listen::Nothing);
}

#[test]
fn a_variable_cannot_change_the_structure_of_the_manifest() {
    let environment = |name: &str| (name == "X").then(|| "\"\n[app.evil]\nrun = \"rm".to_owned());
    let text = "[app.web]\nrun = ['true']\nenv = { A = \"${X}\" }";
    let loaded = manifest::load_str(text, "/srv/mainstay.toml".as_ref(), &environment).unwrap();
    assert_eq!(loaded.spec.apps.len(), 1);
    assert_eq!(app(&loaded, "web").env["A"].expose(), "\"\n[app.evil]\nrun = \"rm");
}

#[test]
fn a_manifest_that_is_not_there_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let found = manifest::load(folder.path(), &|_| None).unwrap_err();
    assert_eq!(found.errors(), 1);
    assert!(found.to_string().contains("no such file"), "{found}");
}

#[test]
fn colours_are_only_there_when_asked_for() {
    let found = Stage::with("x = 1").load().unwrap_err();
    assert!(found.render(true).contains('\u{1b}') && !found.render(false).contains('\u{1b}'));
}

#[test]
fn an_input_of_a_build_that_is_gone_does_not_break_what_was_accepted() {
    let text = "[app.w]\nbuild = { steps = [\"python3\"], inputs = [\"lock.txt\"] }\nrun = \"python3\"\nlisten = false\n";
    let stage = Stage::with(text);
    stage.file("lock.txt", "one", 0o644);
    stage.load_text(text).map_err(|found| found.to_string()).unwrap();
    std::fs::remove_file(stage.path().join("lock.txt")).unwrap();
    stage.load_text(text).map_err(|found| found.to_string()).unwrap();
    assert!(stage.load().unwrap_err().to_string().contains("input"));
}

#[test]
fn a_program_that_is_gone_does_not_break_what_was_accepted() {
    let text = "[app.w]\nrun = \"no-such-program\"\nlisten = false\n";
    let stage = Stage::with(text);
    stage.load_text(text).map_err(|found| found.to_string()).unwrap();
    assert!(stage.load().unwrap_err().to_string().contains("no-such-program"));
}

#[test]
fn a_link_to_the_manifest_changes_nothing_about_the_stack() {
    let stage = worker("");
    let link = stage.path().join("link");
    std::os::unix::fs::symlink(stage.path(), &link).unwrap();
    let spec = stage.load().unwrap().spec;
    let text = std::fs::read_to_string(stage.path().join("mainstay.toml")).unwrap();
    let environment = |name: &str| std::env::var(name).ok();
    assert_eq!(manifest::load_from(&text, &link.join("mainstay.toml"), &environment).unwrap().spec, spec);
}

#[test]
fn the_stacks_of_this_repository_are_valid() {
    let stacks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../stacks");
    for stack in std::fs::read_dir(stacks).unwrap() {
        let file = stack.unwrap().path().join(manifest::MANIFEST);
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let loaded = manifest::load_str(&text, &file, &|_| None).unwrap_or_else(|found| panic!("{found}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn a_file_of_secrets_that_everybody_can_read_is_warned_about() {
    let stage = worker("env_file = 'own.env'");
    for (text, mode, warned) in [
        ("DB_PASSWORD=hunter2\n", 0o644, true),
        ("DB_PASSWORD=hunter2\n", 0o640, false),
        ("COLOUR=red\nDB_PASSWORD=\n", 0o644, false),
    ] {
        stage.file("own.env", text, mode);
        let warnings = stage.load().unwrap().warnings;
        assert_eq!(warnings.iter().any(|it| it.code == "env_file::readable"), warned, "{text} {mode:o}");
        assert!(warnings.iter().all(|it| !it.render(false).contains("hunter2")));
    }
}

#[test]
fn json_of_the_effective_manifest_speaks_its_words() {
    let stage = worker("stop = { timeout = '2m', signal = 'INT' }\nenv = { TOKEN = 'hunter2' }");
    let json = manifest::effective_json(&stage.load().unwrap().spec);
    let app = &json["app"]["web"];
    assert_eq!((&app["stop"]["timeout"], &app["stop"]["signal"]), (&"2m".into(), &"SIGINT".into()));
    assert_eq!((&app["listen"], &app["logs"]["max_size"]), (&false.into(), &"10MB".into()));
    assert!(!json.to_string().contains("hunter2"));
}

#[test]
fn a_port_may_come_from_a_variable() {
    let stage = worker("");
    let text = "[listen]\nhttp = '127.0.0.1:${NO_PORT:-8081}'\n[app.web]\nrun = 'python3'\nport = '${NO_PORT:-5000}'";
    let loaded = stage.load_text(text).unwrap();
    assert_eq!(app(&loaded, "web").listen, Listen::Port(5000));
    assert_eq!(loaded.spec.http[0].port(), 8081);
    let found = stage.load_text(&text.replace("-5000", "-many")).unwrap_err();
    assert!(found.iter().any(|one| one.message.contains("`port` has to be a whole number")), "{found}");
}

#[test]
fn a_database_needs_its_system_user_only_where_root_starts_it() {
    let stage = Stage::with("[service.db]\nkind = 'mariadb'\nrun_as = 'no-such-user'\n");
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    match stage.load() {
        Ok(_) => assert!(!root),
        Err(found) => {
            assert!(root && found.errors() == 1, "{found}");
            assert!(found.to_string().contains("--shell /usr/sbin/nologin no-such-user"), "{found}");
        }
    }
}

#[test]
fn a_preset_of_instances_follows_the_cores_and_says_so() {
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    for (preset, number, rule) in [
        ("auto", cores * 2 + 1, "cores * 2 + 1"),
        ("cpu", cores * 2 + 1, "cores * 2 + 1"),
        ("io", cores * 4, "cores * 4"),
        ("memory", cores.clamp(2, 4), "one for each core, from 2 to 4"),
    ] {
        let loaded = worker(&format!("instances = '{preset}'")).load().unwrap();
        assert_eq!(app(&loaded, "web").instances, number, "{preset}");
        let shown = manifest::effective(&loaded.spec);
        let name = if preset == "auto" { "cpu" } else { preset };
        let line = format!("instances = \"{name}\" # {number} on this machine: {rule}\n");
        assert!(shown.contains(&line), "{shown}");
        assert_eq!(manifest::effective_json(&loaded.spec)["app"]["web"]["instances"], number);
    }
    let found = worker("instances = 'many'").load().unwrap_err();
    assert!(found.render(false).contains("memory"), "{}", found.render(false));
}

#[test]
fn a_reload_signal_and_a_description_are_kept_without_touching_the_fingerprint() {
    let with = worker("description = 'Imagineer API Server'\nreload = 'HUP'").load().unwrap();
    let with = app(&with, "web");
    let plain = AppSpec { description: None, reload_signal: None, ..with.clone() };
    assert_eq!((with.description.as_deref(), with.reload_signal), (Some("Imagineer API Server"), Some(1)));
    assert_eq!(with.fingerprint(0), plain.fingerprint(0));
    for wrong in ["reload = 'KILL'", "reload = 'HUPP'", "description = \"two\\nlines\""] {
        assert!(worker(wrong).load().is_err(), "{wrong}");
    }
}

// req: WSGI-16
#[test]
fn presets_are_offered_for_what_computes_waits_or_holds_much_memory() {
    let cores = u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
    let number = |word: &str| app(&worker(&format!("instances = '{word}'")).load().unwrap(), "web").instances;
    assert_eq!((number("cpu"), number("auto")), (cores * 2 + 1, cores * 2 + 1));
    assert_eq!(number("io"), cores * 4);
    assert_eq!(number("memory"), cores.clamp(2, 4));
    let loaded = worker("instances = 'io'").load().unwrap();
    assert!(manifest::effective(&loaded.spec).contains(&format!("{}", cores * 4)));
}
