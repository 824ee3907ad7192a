//! The folder of logs: what the application said, who asked for what, and errors; with the model's times.

use crate::person::Person;
use crate::pictures;
use crate::stage::Stage;
use crate::visit::lines_of;
use serde_json::Value;
use std::path::{Path, PathBuf};
use testkit::wait_until;

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Application, access and error logs are there, and grow; in production where they always were.
pub fn folder(stage: &Stage) -> String {
    let script = std::fs::read_to_string(stage.sandbox.stack().join("deploy.sh")).unwrap();
    assert!(script.contains("logs=${LOGS:-/var/log/plot-palette}"), "root's default is another folder");
    let person = Person::arrive(stage);
    let answer = person.upload("logged.png", &pictures::read(stage, "bands.png"));
    let id = answer.header("x-request-id").expect("a request id").to_owned();
    let palette = answer.json()["id"].as_u64().unwrap();
    person.recommendations(palette);
    let held = wait_until("application and access log have the request", || {
        let holds = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&id));
        let held: Vec<PathBuf> = files(&stage.logs()).into_iter().filter(holds).collect();
        (held.len() >= 2).then_some(held)
    });
    let names: Vec<String> = files(&stage.logs())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let access = held.iter().find(|path| path.ends_with("access.log")).expect("the access log has it");
    let text = std::fs::read_to_string(access).unwrap();
    let line: Value = serde_json::from_str(text.lines().find(|line| line.contains(&id)).unwrap()).unwrap();
    assert_eq!(line["status"], 201, "{line}");
    for name in ["web.1.out.log", "web.1.err.log"] {
        assert!(names.iter().any(|file| file == name), "no {name} in {names:?}");
    }
    // Gunicorn's own words and warnings of the application are among the errors: the database was away
    let errors = files(&stage.logs()).into_iter().filter(|path| path.ends_with("web.1.err.log"));
    let errors: String = errors.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(errors.contains("Booting worker"), "{errors}");

    let loads = lines_of(stage, "web", "model loaded ms=");
    let palettes = lines_of(stage, "web", "inference palette ms=");
    let recommendations = lines_of(stage, "web", "inference recommendation ms=");
    for (what, lines) in [("load", &loads), ("palette", &palettes), ("recommendation", &recommendations)] {
        let timed = |line: &String| {
            line.split(" ms=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok())
        };
        assert!(!lines.is_empty() && lines.iter().all(|line| timed(line).is_some()), "{what}: {lines:?}");
    }
    // one line for each request: another upload, another line
    person.palette("logged-too.png", &pictures::read(stage, "noise-1.png"));
    wait_until("the next inference is logged", || {
        (lines_of(stage, "web", "inference palette ms=").len() == palettes.len() + 1).then_some(())
    });
    // nobody's session is written anywhere
    for path in files(&stage.logs()) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(
            !text.contains(&person.cookie) && !text.contains(&person.token),
            "{} holds a session",
            path.display()
        );
    }
    format!("{}; {}", names.join(" "), loads.last().unwrap().split("model loaded").nth(1).unwrap_or_default())
}
