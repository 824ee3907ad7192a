//! Access logs of several stacks: each where it belongs, and masked as it wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use model::redact::RedactKind::{self, Card, Email, Ip, Token};
use model::site::{EdgeSpec, LogFormat};
use std::path::Path;
use support::*;
use wire::snapshot::{LogPlace, Site, Snapshot};

/// What nobody shall find.
const HIDDEN: [&str; 5] = ["ada", "4111111111111111", "198.51.100.7", "hunter2", "5555"];
const PATH: &str = "/u/ada@example.com/4111111111111111?mail=ada%40example.com&token=hunter2&ip=198.51.100.7";

fn place(dir: Option<&Path>, redact: &[RedactKind]) -> LogPlace {
    LogPlace { dir: dir.map(Path::to_owned), redact: redact.to_vec() }
}

/// The sites `a.test` of the stack `a` and `b.test` of `b`.
fn sites(app: &Backend, logs: [LogPlace; 2]) -> Snapshot {
    let own = |hash, stack: &str| Site {
        stack: stack.into(),
        ..site(hash, &[&format!("{stack}.test")], vec![route("/u/*", "s/a")])
    };
    let logs = ["a".to_owned(), "b".to_owned()].into_iter().zip(logs).collect();
    let sites = vec![own(1, "a"), own(2, "b")];
    Snapshot {
        logs,
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        ..snapshot(1, sites, vec![upstream("s/a", app.address)])
    }
}

fn get(edge: &Edge, host: &str, path: &str) {
    edge.request(&format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\
         Referer: https://x.test/?card=5555+5555+5555+4444\r\nUser-Agent: ada@example.com Chrome/120.0.0.1\r\n\r\n"
    ));
}

/// Everything in a file, once it has so many lines.
fn lines(path: &Path, count: usize) -> String {
    wait_for(|| std::fs::read_to_string(path).ok().filter(|text| text.lines().count() >= count))
}

#[test]
fn each_stack_has_its_own_file_and_its_own_masks() {
    let (app, folder) = (Backend::echoing(), tempfile::tempdir().unwrap());
    let redact = [Email, Card, Ip, Token];
    let table = sites(&app, [place(Some(folder.path()), &redact), place(None, &[])]);
    let edge = Edge::start(&table);
    for _ in 0..3 {
        get(&edge, "a.test", PATH);
        get(&edge, "b.test", PATH);
    }
    get(&edge, "a.test", "/none?token=hunter2");
    get(&edge, "nobody.test", PATH);
    let own = lines(&folder.path().join("access.log"), 4);
    assert_eq!(own.lines().count(), 4, "{own}");
    assert!(HIDDEN.iter().all(|hidden| !own.contains(hidden)), "{own}");
    for line in own.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["client"], &line["host"]), (&"198.51.100.0".into(), &"a.test".into()));
        assert_eq!(line["request_id"].as_str().unwrap().len(), 36);
    }
    assert!(
        own.contains(r#""path":"/u/[email]/[card]?mail=[email]&token=[token]&ip=198.51.100.0""#),
        "{own}"
    );
    let common = lines(&edge.folder.path().join("access.log"), 4);
    let (plain, masked): (Vec<&str>, Vec<&str>) = common.lines().partition(|line| line.contains("b.test"));
    assert!(plain.len() == 3 && plain.iter().all(|line| line.contains(PATH)), "{common}");
    // Of a request for nobody it is not known who would want what.
    assert!(masked.len() == 1 && HIDDEN.iter().all(|hidden| !masked[0].contains(hidden)), "{common}");
}

#[test]
fn the_combined_form_is_masked_too_and_a_place_can_change() {
    let (app, folder) = (Backend::echoing(), tempfile::tempdir().unwrap());
    let edge_spec = EdgeSpec { access_log: LogFormat::Combined, ..EdgeSpec::default() };
    let table = Snapshot {
        edge: edge_spec,
        ..sites(&app, [place(None, &[Email, Card, Ip, Token]), place(None, &[])])
    };
    let edge = Edge::start(&table);
    get(&edge, "a.test", PATH);
    let common = edge.folder.path().join("access.log");
    let text = lines(&common, 1);
    assert!(HIDDEN.iter().all(|hidden| !text.contains(hidden)), "{text}");
    assert!(text.starts_with("198.51.100.0 - - [") && text.contains("Chrome/120.0.0.1\"\n"), "{text}");
    let mut next = table.clone();
    (next.revision, next.logs) = (2, [("a".to_owned(), place(Some(folder.path()), &[]))].into());
    edge.apply(&next);
    get(&edge, "a.test", PATH);
    assert!(lines(&folder.path().join("access.log"), 1).contains("hunter2"));
    assert_eq!(std::fs::read_to_string(&common).unwrap(), text);
}

#[test]
fn a_folder_that_is_gone_costs_only_its_own_lines() {
    let (app, folder) = (Backend::echoing(), tempfile::tempdir().unwrap());
    let edge = Edge::start(&sites(&app, [place(Some(&folder.path().join("gone")), &[]), place(None, &[])]));
    get(&edge, "a.test", "/u/1");
    get(&edge, "b.test", "/u/2");
    assert!(edge.log(1)[0]["path"] == "/u/2");
    until(|| edge.stats().log_lost == 1);
    std::fs::create_dir(folder.path().join("gone")).unwrap();
    get(&edge, "a.test", "/u/3");
    assert!(lines(&folder.path().join("gone/access.log"), 1).contains("/u/3"));
}
