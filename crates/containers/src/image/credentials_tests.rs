//! Credentials from files and helpers.

#![allow(clippy::disallowed_methods)] // files of a test

use super::*;
use std::os::unix::fs::PermissionsExt;

fn written_to(folder: &Path, name: &str, text: &str) -> Credentials {
    std::fs::write(folder.join(name), text).unwrap();
    Credentials { files: vec![folder.join(name)], for_podman: false }
}

#[tokio::test]
async fn what_stands_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let auth = STANDARD.encode("anna:pass:word");
    let text = format!(
        r#"{{"auths":{{"127.0.0.1:5000":{{"auth":"{auth}"}},"https://index.docker.io/v1/":{{"identitytoken":"t"}}}}}}"#
    );
    let credentials = written_to(folder.path(), "config.json", &text);
    let found = credentials.of("127.0.0.1:5000").await.unwrap();
    assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("anna"), Some("pass:word")));
    assert_eq!(credentials.of("docker.io").await.unwrap().identitytoken.as_deref(), Some("t"));
    assert!(credentials.of("ghcr.io").await.is_none());
    assert_eq!(credentials.all().await.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_none_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    assert!(written_to(folder.path(), "a", "{ no").of("docker.io").await.is_none());
    assert!(
        written_to(folder.path(), "b", r#"{"auths":{"docker.io":{"auth":"%%"}}}"#)
            .of("docker.io")
            .await
            .is_none()
    );
    assert!(
        written_to(folder.path(), "c", r#"{"credHelpers":{"docker.io":"../../bin/sh"}}"#)
            .of("docker.io")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_helper_is_asked_by_the_registry_s_name() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("docker-credential-test-of-mainstay");
    let script = "#!/bin/sh\nread name\n[ \"$name\" = ghcr.io ] || exit 1\necho '{\"Username\":\"anna\",\"Secret\":\"s\"}'\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    // By its whole path it would not be run: helpers are names.
    let said = run(&program, "ghcr.io").await.unwrap();
    assert_eq!((&*said.username, &*said.secret), ("anna", "s"));
    assert!(run(&program, "docker.io").await.is_none());
}

#[tokio::test]
async fn podman_is_not_sent_what_it_would_misread() {
    let folder = tempfile::tempdir().unwrap();
    let mut sent = Vec::new();
    for password in ["plain", "a?", "ab?", "abc?"] {
        let auth = STANDARD.encode(format!("anna:{password}"));
        let text = format!(r#"{{"auths":{{"ghcr.io":{{"auth":"{auth}"}}}}}}"#);
        let credentials = written_to(folder.path(), "config.json", &text);
        assert!(credentials.of("ghcr.io").await.is_some());
        sent.push(credentials.for_podman().of("ghcr.io").await.is_some());
    }
    assert!(sent[0] && sent.iter().filter(|it| !**it).count() == 1, "{sent:?}");
}
