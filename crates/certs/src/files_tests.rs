//! Certificates from files: pairs that belong together, and those that do not.

use super::*;
use crate::local::LocalAuthority;
use std::path::PathBuf;

struct Files {
    _folder: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
}

fn pair(hosts: &[&str], now: SystemTime) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    LocalAuthority::open(folder.path()).unwrap().issue(&hosts, now).unwrap()
}

fn written(pair: &Pair) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    sys::durable::write(&cert, pair.chain.as_bytes(), 0o644).unwrap();
    sys::durable::write(&key, pair.key.as_bytes(), 0o600).unwrap();
    Files { _folder: folder, cert, key }
}

#[test]
fn a_good_pair_says_what_it_is() {
    let now = SystemTime::now();
    let files = written(&pair(&["shop.test", "*.shop.test", "10.0.0.1"], now));
    let loaded = load(&files.cert, &files.key).unwrap();
    assert_eq!(loaded.facts.names, ["shop.test", "*.shop.test", "10.0.0.1"]);
    assert_eq!(loaded.facts.issuer, "Mainstay local authority");
    let hosts = ["shop.test".to_owned(), "a.shop.test".to_owned(), "*".to_owned()];
    assert_eq!(warnings(&loaded, &hosts, &files.key, now), Vec::<String>::new());
}

#[test]
fn names_dates_and_rights_are_warned_about() {
    let now = SystemTime::now();
    let year = Duration::from_secs(365 * 24 * 3600);
    let files = written(&pair(&["shop.test"], now - year));
    let loaded = load(&files.cert, &files.key).unwrap();
    sys::durable::write(&files.key, loaded.key.as_bytes(), 0o644).unwrap();
    let lines = warnings(&loaded, &["other.test".to_owned()], &files.key, now);
    assert_eq!(lines[0], "does not name other.test; it names shop.test");
    assert!(lines[1].contains("has expired") && lines[2].contains("chmod 0600"), "{lines:?}");
    assert!(warnings(&loaded, &[], &files.key, now - 2 * year)[0].contains("not valid yet"));
}

#[test]
fn a_broken_pair_is_refused_with_file_and_next_step() {
    let now = SystemTime::now();
    let (one, two) = (written(&pair(&["a.test"], now)), written(&pair(&["a.test"], now)));
    let refused = |cert: &Path, key: &Path| load(cert, key).unwrap_err().to_string();
    let error = refused(&one.cert, &two.key);
    assert!(error.contains("is not the key of the certificate in"), "{error}");
    assert!(refused(&one.key, &one.key).contains("holds no certificate"));
    assert!(refused(&one.cert, &one.cert).contains("holds no private key"));
    let missing = one.cert.with_file_name("missing.pem");
    assert!(refused(&missing, &one.key).contains("missing.pem"));
    sys::durable::write(&one.cert, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644)
        .unwrap();
    assert!(refused(&one.cert, &one.key).contains("holds no certificate"));
    sys::durable::write(&two.key, &vec![b'x'; 2 << 20], 0o600).unwrap();
    assert!(refused(&two.cert, &two.key).contains("larger than"));
}

/// The keeper's one loop loads pairs: it waited for ever.
#[test]
fn a_pipe_in_a_pairs_place_is_refused_and_not_waited_for() {
    let files = written(&pair(&["a.test"], SystemTime::now()));
    std::fs::remove_file(&files.key).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&files.key).status().unwrap().success());
    assert!(load(&files.cert, &files.key).unwrap_err().to_string().contains("is no plain file"));
}

#[test]
fn a_swap_of_links_is_seen() {
    let now = SystemTime::now();
    let (one, two) = (written(&pair(&["a.test"], now)), written(&pair(&["a.test"], now)));
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("fullchain.pem");
    std::os::unix::fs::symlink(&one.cert, &link).unwrap();
    let before = Stamp::of(&link);
    assert_eq!(Stamp::of(&link), before);
    std::fs::remove_file(&link).unwrap();
    assert_ne!(Stamp::of(&link), before);
    std::os::unix::fs::symlink(&two.cert, &link).unwrap();
    assert_ne!(Stamp::of(&link), before);
}
