//! Verbs that need nothing to run: what they print, and their exit codes.
#![allow(clippy::unwrap_used)] // helpers of tests too

use testkit::Sandbox;

const GOOD: &str =
    "[[site]]\nhosts = [\"a.localhost\"]\n[[site.route]]\napp = \"web\"\n\n[app.web]\nrun = \"sleep 60\"\n";

#[test]
fn version_is_shown_as_text_and_as_json() {
    let sandbox = Sandbox::with_manifest(GOOD);
    let text = sandbox.run(["version"]).expect_code(0).stdout;
    let json = sandbox.run(["--json", "version"]).expect_code(0).json();
    assert_eq!(text.trim(), format!("mainstay {}", json["version"].as_str().unwrap()));
}

#[test]
fn completions_know_the_verbs() {
    let sandbox = Sandbox::with_manifest(GOOD);
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(["completions", shell]).expect_code(0).stdout;
        assert!(script.contains("reload") && script.contains("dry-run"), "{shell}: {script}");
    }
}

#[test]
fn check_counts_what_is_there() {
    let sandbox = Sandbox::with_manifest(GOOD);
    let output = sandbox.run(["check"]).expect_code(0);
    assert_eq!(output.stdout.trim(), "ok: 1 site, 1 route, 1 app");
    // the folder may be named, before the verb and after it
    let folder = sandbox.stack();
    let folder = folder.to_str().unwrap();
    sandbox.run(["--file", folder, "check"]).expect_code(0);
    sandbox.run(["check", "-f", folder]).expect_code(0);
}

#[test]
fn check_tells_every_mistake_at_once_and_touches_nothing() {
    let wrong = GOOD.replace("app = \"web\"", "app = \"wbe\"").replace("run =", "rnu =");
    let sandbox = Sandbox::with_manifest(&wrong);
    let output = sandbox.run(["check"]).expect_code(1);
    for word in ["wbe", "web", "rnu", "run", "mainstay.toml:4", "error:", "next:"] {
        assert!(output.stderr.contains(word), "{word} is missing in:\n{}", output.stderr);
    }
    assert_eq!(output.stdout, "");
    let files = std::fs::read_dir(sandbox.stack()).unwrap().count();
    assert_eq!(files, 1, "check made a file");
}

#[test]
fn check_masks_secrets_in_the_effective_manifest() {
    let sandbox = Sandbox::with_manifest(&format!(
        "{GOOD}env_file = \"app.env\"\n[app.web.env]\nAPI_TOKEN = {{ file = \"token\" }}\n"
    ));
    sandbox.write("app.env", "DB_PASSWORD=hunter2\n");
    sandbox.write("token", "tell-nobody\n");
    for arguments in [&["check", "--effective"][..], &["check", "--effective", "--json"]] {
        let shown = sandbox.run(arguments).expect_code(0).stdout;
        assert!(shown.contains("API_TOKEN") && shown.contains("DB_PASSWORD"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("tell-nobody"), "{shown}");
    }
}

#[test]
fn a_missing_manifest_is_a_wrong_configuration() {
    let sandbox = Sandbox::with_manifest(GOOD);
    for verb in ["check", "up", "start"] {
        let output = sandbox.run([verb, "--file", "nowhere"]).expect_code(1);
        assert!(output.stderr.contains("nowhere") && output.stderr.contains("next:"), "{}", output.stderr);
    }
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let sandbox = Sandbox::with_manifest(GOOD);
    for arguments in
        [&["frobnicate"][..], &["data", "shell"], &["up", "--http", "nonsense"], &["completions", "tcsh"]]
    {
        let output = sandbox.run(arguments).expect_code(2);
        assert!(output.stderr.starts_with("error:"), "{}", output.stderr);
    }
}

#[test]
fn without_a_keeper_status_says_where_it_looked() {
    let sandbox = Sandbox::with_manifest(GOOD);
    let home = sandbox.home();
    let output = sandbox.run(["--home", home.to_str().unwrap(), "status"]).expect_code(3);
    assert!(output.stderr.contains(home.to_str().unwrap()), "{}", output.stderr);
    assert!(output.stderr.contains("mainstay up"), "{}", output.stderr);
    assert!(!home.exists(), "looking made a folder");
    let output = sandbox.run(["stop", "--home", home.to_str().unwrap()]).expect_code(0);
    assert_eq!(output.stdout.trim(), "no change");
}

#[test]
fn errors_are_json_for_machines() {
    let sandbox = Sandbox::with_manifest(GOOD);
    let home = sandbox.home();
    let output = sandbox.run(["status", "--json", "--home", home.to_str().unwrap()]).expect_code(3);
    let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(error["code"], 3);
    assert!(error["error"].as_str().unwrap().contains("no keeper"), "{error}");
}

#[test]
fn diagnostics_have_one_shape_for_machines() {
    let sandbox = Sandbox::with_manifest(&GOOD.replace("run =", "rnu ="));
    let found = sandbox.run(["check", "--json"]).expect_code(1).json();
    assert_eq!((&found["ok"], &found["diagnostics"][0]["line"]), (&false.into(), &7.into()), "{found}");
    // where standard output is for something else, the error holds them
    for verb in ["up", "start"] {
        let output = sandbox.run([verb, "--json"]).expect_code(1);
        let error: serde_json::Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!(error["diagnostics"], found["diagnostics"], "{verb}");
        assert_eq!(error["detail"], "", "{verb}: said twice");
    }
}

#[test]
fn help_is_a_verb_and_verbs_are_offered_first() {
    let sandbox = Sandbox::with_manifest(GOOD);
    assert!(sandbox.run(["help"]).expect_code(0).stdout.contains("Exit codes:"));
    let help = sandbox.run(["help", "check"]).expect_code(0).stdout;
    assert!(help.contains("--effective"), "{help}");
    let script = sandbox.run(["completions", "bash"]).expect_code(0).stdout;
    let mut lists = script.lines().filter_map(|line| line.trim().strip_prefix("opts=\""));
    let offered = lists.find(|list| list.contains("--json")).unwrap();
    assert!(offered.starts_with("check config build pull up start"), "{offered}");
}

#[test]
fn a_place_that_is_not_there_is_a_slip() {
    let sandbox = Sandbox::with_manifest(GOOD);
    for verb in ["status", "stop", "reload", "logs"] {
        let said = sandbox.run([verb, "--file", "nowhere"]).expect_code(2).stderr;
        assert!(said.contains("there is no nowhere") && said.contains("next:"), "{verb}: {said}");
    }
}
