//! Command lines and scripts of `docker compose`, with a link to this program first in `PATH`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stage;

use stage::Stage;
use stage::load::Load;
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};
use testkit::wait_until;

/// A database whose `pg_dump` and `psql` are what the scripts expect, and apps beside it.
const APPS: &str = r#"[app.web]
run = "python3 -S app.py"
needs = ["db"]
[app.backend]
run = "python3 -S app.py"
instances = 2
needs = ["db"]
[app.frontend]
run = "python3 -S app.py"
[app.db]
run = "sleep 100000"
listen = false
env = { PATH = "FOLDER/tools:/usr/bin:/bin" }
"#;

/// Answers `SECRET DATA` as a dump, and takes another one.
const TOOLS: [(&str, &str); 2] = [
    ("pg_dump", "#!/bin/sh\n[ \"$1 $2 $3\" = \"-U postgres plosolver\" ] && cat \"$STATE_DIRECTORY/data\"\n"),
    (
        "psql",
        "#!/bin/sh\n[ \"$1 $2 $3 $4\" = \"-U postgres -d plosolver\" ] && cat > \"$STATE_DIRECTORY/data\"\n",
    ),
];

fn program(stage: &Stage, name: &str, text: &str) {
    let path = stage.sandbox.write(name, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The stack, started; what is called there as `docker` is Mainstay.
fn composed() -> Stage {
    let stage = Stage::new("");
    let folder = stage.sandbox.stack().display().to_string();
    stage.rewrite(&APPS.replace("FOLDER", &folder));
    TOOLS.iter().for_each(|(name, text)| program(&stage, &format!("tools/{name}"), text));
    std::fs::create_dir_all(stage.sandbox.stack().join("bin")).unwrap();
    for name in ["docker", "docker-compose"] {
        symlink(testkit::binary(), stage.sandbox.stack().join("bin").join(name)).unwrap();
    }
    stage
}

/// In the stack's folder, with the links first in `PATH`.
fn shell(stage: &Stage, script: &str) -> Output {
    let path = format!("{}/bin:{}", stage.sandbox.stack().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(stage.sandbox.stack()).env("PATH", path).env("NO_COLOR", "1");
    command.env("XDG_STATE_HOME", stage.sandbox.folder().join("state"));
    command.output().unwrap()
}

#[track_caller]
fn done(stage: &Stage, script: &str) -> String {
    let output = shell(stage, script);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn pids(stage: &Stage) -> BTreeMap<String, Vec<u32>> {
    ["web", "backend", "frontend", "db"].map(|app| (app.to_owned(), stage.pids(app))).into()
}

// req: CFG-17 CFG-18
#[test]
fn the_backup_and_restore_scripts_of_a_team_run_unchanged() {
    let stage = composed();
    program(&stage, "backup.sh", include_str!("scripts/backup-database.sh"));
    program(&stage, "restore.sh", include_str!("scripts/restore-database.sh"));
    std::fs::create_dir_all(stage.sandbox.stack().join("backups")).unwrap();
    let up = stage.sandbox.up(stage.port);
    done(&stage, "printf 'all the data\n' | docker compose exec -T db psql -U postgres -d plosolver");
    // it looks at the clock twice: where the second changes in between, it leaves the dump as it is
    let backup = wait_until("a backup", || {
        shell(&stage, "./backup.sh");
        let files = std::fs::read_dir(stage.sandbox.stack().join("backups")).unwrap().flatten();
        files.map(|file| file.path()).find(|path| path.extension().is_some_and(|it| it == "gz"))
    });
    let before = pids(&stage);
    done(&stage, "echo lost | docker compose exec -T db psql -U postgres -d plosolver");
    done(&stage, &format!("bash -e ./restore.sh {}", backup.display()));
    let dumped = done(&stage, "docker compose exec db pg_dump -U postgres plosolver");
    assert_eq!(dumped, "all the data\n");
    let after = pids(&stage);
    assert_ne!(before["backend"], after["backend"], "it was stopped and started");
    assert_eq!((&before["db"], &before["web"]), (&after["db"], &after["web"]));
    up.signal("INT");
    up.wait().expect_code(0);
}

// req: DEP-12 CONT-26 LB-12
#[test]
fn what_is_done_to_one_service_leaves_the_others_alone() {
    let stage = composed();
    let manifest = std::fs::read_to_string(stage.sandbox.stack().join("mainstay.toml")).unwrap();
    stage.sandbox.write("mainstay.toml", manifest.replace("app = \"web\"", "app = \"backend\""));
    let up = stage.sandbox.up(stage.port);
    let edge = stage.status()["edge"]["pid"].clone();
    let before = pids(&stage);
    let load = Load::begin(stage.port, "/");
    done(&stage, "docker compose up -d --force-recreate --no-deps backend");
    load.more(50);
    load.end();
    let after = pids(&stage);
    assert!(before["backend"].iter().all(|pid| !after["backend"].contains(pid)), "{before:?} {after:?}");
    for app in ["db", "frontend", "web"] {
        assert_eq!(before[app], after[app], "{app}");
    }
    assert_eq!(stage.status()["edge"]["pid"], edge);
    done(&stage, "docker-compose stop frontend");
    assert_eq!(stage.app("frontend")["state"], "stopped");
    done(&stage, "docker-compose start frontend");
    done(&stage, "docker compose up -d --scale backend=3 --scale frontend=2");
    let running = pids(&stage);
    assert_eq!((running["backend"].len(), running["frontend"].len()), (3, 2));
    assert_eq!((&before["db"], &before["web"]), (&running["db"], &running["web"]));
    let listed = done(&stage, "docker compose ps");
    assert_eq!(listed.matches("backend.").count(), 3, "{listed}");
    let used = done(&stage, "docker compose stats --no-stream");
    assert!(used.contains("backend.1") && used.contains("MEMORY"), "{used}");
    let refused = shell(&stage, "docker run x");
    assert_eq!(refused.status.code(), Some(2));
    up.signal("INT");
    up.wait().expect_code(0);
}
