//! The local authority: made once, kept, and what it signs.

use super::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// What a client that trusts `root` says of `pair` for `host`.
fn verdict(root: &str, pair: &Pair, host: &str, now: SystemTime) -> Result<(), rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .unwrap();
    let leaf = CertificateDer::from_pem_slice(pair.chain.as_bytes()).unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    use rustls::client::danger::ServerCertVerifier;
    verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::since_unix_epoch(since)).map(drop)
}

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn made_once_and_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    let root = LocalAuthority::open(&certs).unwrap().root().to_owned();
    let again = LocalAuthority::open(&certs).unwrap();
    assert_eq!(again.root(), root);
    let mode = std::fs::metadata(certs.join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let now = SystemTime::now();
    let pair = again.issue(&hosts(&["shop.localhost", "*.shop.localhost"]), now).unwrap();
    for host in ["shop.localhost", "a.shop.localhost"] {
        verdict(&root, &pair, host, now).unwrap();
    }
    assert!(verdict(&root, &pair, "other.localhost", now).is_err());
    assert!(verdict(&root, &pair, "shop.localhost", now + DAY * 90).is_err());
    assert!(!is_due(&pair.facts, now + DAY * 50) && is_due(&pair.facts, now + DAY * 60));
    assert!(!format!("{pair:?} {again:?}").contains("PRIVATE"));
}

#[test]
fn any_name_stands_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let authority = LocalAuthority::open(folder.path()).unwrap();
    let now = SystemTime::now();
    let pair = authority.issue(&hosts(&["*"]), now).unwrap();
    for host in ["localhost", "127.0.0.1", "::1"] {
        verdict(authority.root(), &pair, host, now).unwrap();
    }
}

#[test]
fn a_stolen_key_signs_nobodys_bank() {
    let folder = tempfile::tempdir().unwrap();
    let authority = LocalAuthority::open(folder.path()).unwrap();
    let now = SystemTime::now();
    let pair = authority.issue(&hosts(&["bank.example.com", "203.0.113.7"]), now).unwrap();
    for host in ["bank.example.com", "203.0.113.7"] {
        assert!(verdict(authority.root(), &pair, host, now).is_err(), "{host}");
    }
    assert!(is_local("a.test") && is_local("*.localhost") && is_local("192.168.1.4") && is_local("lan"));
    assert!(!is_local("example.com") && !is_local("notlocalhost") && !is_local("8.8.8.8") && !is_local("*"));
}

#[test]
fn what_others_may_trust_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    LocalAuthority::open(&one).unwrap();
    LocalAuthority::open(&two).unwrap();
    std::fs::copy(one.join("ca.key"), two.join("ca.key")).unwrap();
    let error = LocalAuthority::open(&two).unwrap_err().to_string();
    assert!(error.contains("ca.key: is not the key of ca.pem") && error.contains("remove both"), "{error}");
    std::fs::remove_file(one.join("ca.key")).unwrap();
    let before = std::fs::read(one.join("ca.pem")).unwrap();
    assert!(LocalAuthority::open(&one).unwrap_err().to_string().contains("restore the pair"));
    assert_eq!(std::fs::read(one.join("ca.pem")).unwrap(), before);
}
