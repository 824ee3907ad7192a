//! What an application prints and nobody shall read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
use common::*;
use model::redact::RedactKind;

const SCRIPT: &str = r#"echo "key $API_KEY, $PLAIN"; printf 'key '; printf "$API_KEY" | head -c 6; printf "$API_KEY" | tail -c +7
    echo; echo 'ada@example.com 4111 1111 1111 1111 203.0.113.7 token=abc +4930123456' >&2"#;

fn run(redact: &[RedactKind]) -> (Vec<String>, String) {
    let shim = Shim::run_with(SCRIPT, |spec| {
        spec.env.push(("API_KEY".into(), "k3y-for-nobody".into()));
        spec.env.push(("PLAIN".into(), "plain-as-day".into()));
        spec.secret.push("API_KEY".into());
        spec.redact = redact.to_vec();
    });
    shim.outcome();
    let files = [&shim.spec.out, &shim.spec.err].map(|path| std::fs::read_to_string(path).unwrap());
    (shim.records().into_iter().map(|record| record.text).collect(), files.concat())
}

#[test]
fn an_apps_own_secrets_do_not_reach_the_disk() {
    let (lines, files) = run(&[RedactKind::Secrets]);
    assert!(!files.contains("k3y"), "{files}");
    assert_eq!(lines.iter().filter(|line| *line == "key [secret]").count(), 1);
    assert_eq!(lines[0], "key [secret], plain-as-day");
    assert!(lines.iter().any(|line| line.starts_with("ada@example.com 4111")));
}

#[test]
fn what_is_to_be_masked_is_masked_before_the_disk() {
    use RedactKind::{Card, Email, Ip, Phone, Token};
    let (lines, files) = run(&[Email, Card, Phone, Ip, Token]);
    assert!(lines.iter().any(|line| line == "[email] [card] 203.0.113.0 token=[token] [phone]"), "{lines:?}");
    assert!(files.contains("k3y-for-nobody"), "only what was asked for is masked");
}
